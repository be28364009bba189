"""All targets by name."""

from typing import Final

from tests.fuzz import command, files, mqtt, signals, telemetry, websocket
from tests.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for module in (mqtt, telemetry, websocket, command, signals, files)
    for target in module.TARGETS
}

"""All targets by name."""

from typing import Final

from tests.fuzz import (
    command,
    files,
    gateway,
    history,
    mqtt,
    signals,
    stored,
    telemetry,
    tesla_command,
    websocket,
)
from tests.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for module in (
        mqtt,
        telemetry,
        websocket,
        gateway,
        command,
        tesla_command,
        signals,
        files,
        history,
        stored,
    )
    for target in module.TARGETS
}

"""A door per module where tests do not disturb each other, else one of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.mqtt.harness import RunningDoor


@pytest.fixture
def door(tmp_path: Path) -> Iterator[RunningDoor]:
    with RunningDoor(tmp_path) as running:
        yield running

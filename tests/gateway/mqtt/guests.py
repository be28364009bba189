"""Clients of one open broker, each with an id and topics of its own, so that tests share it."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from motorcade.gateway.mqtt.permissions import GUEST
from motorcade.wire.mqtt.reasons import ProtocolLevel
from tests.gateway.mqtt.harness import RunningDoor
from tests.gateway.mqtt.wire_client import Client

LEVELS = (ProtocolLevel.V3_1_1, ProtocolLevel.V5)
_numbers = itertools.count()


class Guests:
    """Makes clients; closes them all at the end of a test."""

    def __init__(self, door: RunningDoor, stack: ExitStack) -> None:
        self.door = door
        self._stack = stack
        self.topic = f"rules/{next(_numbers)}"

    def stranger(self, level: ProtocolLevel = ProtocolLevel.V5) -> Client:
        """A socket that has said nothing yet."""
        return self._stack.enter_context(Client(self.door.port, level))

    def client(
        self, level: ProtocolLevel = ProtocolLevel.V5, client_id: str = "", **more: Any
    ) -> Client:
        """Connected."""
        client = self.stranger(level)
        client.connect("", client_id or f"guest-{next(_numbers)}", None, **more)
        return client

    def pair(self, level: ProtocolLevel = ProtocolLevel.V5, qos: int = 1) -> tuple[Client, Client]:
        """One that publishes, and one that is subscribed to the test's topics."""
        sender, hearer = self.client(level), self.client(level)
        hearer.subscribe(f"{self.topic}/#", qos=qos)
        return sender, hearer


@contextmanager
def open_broker(directory: Path) -> Iterator[RunningDoor]:
    with RunningDoor(directory, guest=GUEST) as running:
        yield running

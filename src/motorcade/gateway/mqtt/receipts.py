"""QoS 2 from clients: which packet identifiers were received and are not released (§4.3.3).

A message and the note that it was received are one record: its row holds the packet identifier. So
whoever reads the log knows both or neither, and a PUBLISH that comes again after a crash is
answered, not stored again. A release is a record too, in the same lane, durable before PUBCOMP:
only then may the client use the identifier for another message. `recall.py` reads them back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from motorcade.clock import Clock
from motorcade.events import NO_VEHICLE, Flags, Record, Topic
from motorcade.gateway.intake import Intake
from motorcade.log.errors import LogError
from motorcade.log.topics import Lane

if TYPE_CHECKING:
    from motorcade.gateway.mqtt.session import Session

RELEASED: Final = b"released"  # name of a release in COMMAND_ANSWERS, where the lane has no other
ALL_IDS: Final = 0  # the packet id of a release of everything: the session is over


class State(Enum):
    """Where a message is."""

    PENDING = "not durable yet: PUBREC waits"
    HELD = "durable: PUBREC has left, or may"
    RELEASING = "PUBREL came: PUBCOMP waits for the log"


@dataclass(slots=True, eq=False)
class Receipt:
    """A packet identifier that a client may send again and must not use anew."""

    lane: Lane
    state: State = State.HELD
    logged: bool = True  # its record names it; otherwise it is gone with the connection
    generation: int = 0  # the connection whose receive maximum it counts against


class Receipts:
    """Writes releases. `on_durable` is called as by `Intake.add`."""

    def __init__(self, clock: Clock, intakes: dict[Lane, Intake]) -> None:
        self._clock = clock
        self._intakes = intakes

    def release(
        self,
        session: "Session",
        packet_id: int,
        lane: Lane,
        on_durable: Callable[[LogError | None], None],
    ) -> None:
        """Note that the identifier is free."""
        now_us = self._clock.now_us()
        fast = lane is Lane.FAST
        record = Record(
            vehicle=NO_VEHICLE,
            topic=Topic.COMMAND_ANSWERS if fast else Topic.MQTT_SESSIONS,
            payload=b"",
            received_time_us=now_us,
            event_time_us=now_us,
            name=RELEASED if fast else b"",
            stream=session.key.encode(),
            flags=Flags.QOS_2,
            packet_id=packet_id,
        )
        self._intakes[lane].add(record, on_durable)

    def end(self, session: "Session", then: Callable[[LogError | None], None]) -> int:
        """A session is over: free all it held. Returns how often `then` will be called.

        Until then no session of the same key may begin: it would inherit what it never received.
        """
        lanes = {receipt.lane for receipt in session.received.values() if receipt.logged}
        session.received.clear()
        for lane in lanes:
            self.release(session, ALL_IDS, lane, then)
        return len(lanes)


def release_of(record: Record) -> tuple[str, int] | None:
    """(session key, packet id or `ALL_IDS`) that a record frees, `None` if it frees none."""
    if record.topic is Topic.MQTT_SESSIONS or (
        record.topic is Topic.COMMAND_ANSWERS and record.name == RELEASED
    ):
        return record.stream.decode(), record.packet_id
    return None

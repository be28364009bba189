"""Who is connected, as records: one per connection opened or closed, by any door.

The records have the form a Tesla server writes (`VehicleConnectivity`), with the token as vin. A
vehicle may hold several connections at once, on one door or on both: **it is online as long as any
connection id of it is CONNECTED without a later DISCONNECTED**. A process that was killed leaves
ids open; its successor's `gateway_started` record closes all of them: readers then take every
vehicle of that writer as offline.

Nothing waits for these records: they tell, they do not promise. But on a full disk they are kept
and told again, in their order, or a vehicle that came meanwhile would stay offline for everybody.
"""

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Final, Protocol

from tesla_protocol.telemetry.vehicle_connectivity_pb2 import VehicleConnectivity

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.events import (
    NO_VEHICLE,
    Encoding,
    Flags,
    Record,
    Topic,
    VehicleToken,
    partition_of,
)
from motorcade.log.errors import LogError

CONNECTIVITY_NAME: Final = b"connectivity"
GATEWAY_STARTED_NAME: Final = b"gateway_started"


class Status(IntEnum):
    """`ConnectivityEvent` of Tesla's schema."""

    CONNECTED = 1
    DISCONNECTED = 2


RETRY_S: Final = 1.0  # after the log refused
KEPT_MAX: Final = 100_000  # some 50 MB; beyond, the oldest are forgotten

Later = Callable[[float, Callable[[], None]], object]


class RecordTaker(Protocol):
    """The one method of `Intake` that is needed here."""

    def add(self, record: Record, on_durable: Callable[[LogError | None], None]) -> int:
        """Take a record, never refused; -1 when it waits for the next staging."""


class Presence:
    """Writes connectivity records. Every door calls it; the readers draw the conclusions."""

    def __init__(self, intake: RecordTaker, clock: Clock, config: Config, later: Later) -> None:
        """`later` calls back after so many seconds: `loop.call_later`."""
        self._intake = intake
        self._later = later
        self._kept: deque[Record] = deque(maxlen=KEPT_MAX)  # refused, or come behind those
        self._retrying = False
        self._clock = clock
        self._partitions = config.log.partitions

    def started(self) -> None:
        """Say that this gateway process holds no connection yet. Call once, before the doors."""
        now_us = self._clock.now_us()
        self._tell(
            Record(
                vehicle=NO_VEHICLE,
                topic=Topic.CONNECTIVITY,
                payload=b"",
                received_time_us=now_us,
                event_time_us=now_us,
                name=GATEWAY_STARTED_NAME,
            )
        )

    def _tell(self, record: Record) -> None:
        if self._retrying:
            self._kept.append(record)
            return

        def durable(error: LogError | None) -> None:
            # What was told behind a record that failed is told again behind it: the order counts.
            if error is not None or self._retrying:
                self._kept.append(record)
                self._retry_later()

        self._intake.add(record, durable)

    def _retry_later(self) -> None:
        if not self._retrying:
            self._retrying = True
            self._later(RETRY_S, self._retry)

    def _retry(self) -> None:
        self._retrying = False
        kept = list(self._kept)
        self._kept.clear()
        for record in kept:
            self._tell(record)

    def connected(self, token: VehicleToken, connection_id: str, network_interface: str) -> None:
        """A connection of this vehicle was accepted. The id is ours, unique, never the peer's."""
        self._write(token, connection_id, network_interface, Status.CONNECTED)

    def disconnected(self, token: VehicleToken, connection_id: str, network_interface: str) -> None:
        """That connection is gone, for whatever reason. Call exactly once per `connected`."""
        self._write(token, connection_id, network_interface, Status.DISCONNECTED)

    def _write(
        self, token: VehicleToken, connection_id: str, network_interface: str, status: Status
    ) -> None:
        now_us = self._clock.now_us()
        seconds, rest_us = divmod(now_us, 1_000_000)
        message = VehicleConnectivity(
            vin=token,
            connection_id=connection_id,
            status=status.name,
            network_interface=network_interface,
        )
        message.created_at.seconds, message.created_at.nanos = seconds, rest_us * 1_000
        self._tell(
            Record(
                vehicle=token,
                topic=Topic.CONNECTIVITY,
                payload=message.SerializeToString(deterministic=True),
                received_time_us=now_us,
                event_time_us=now_us,
                encoding=Encoding.TESLA_CONNECTIVITY,
                name=CONNECTIVITY_NAME,
                flags=Flags.TIME_GIVEN,
                partition=partition_of(token, self._partitions),
            )
        )

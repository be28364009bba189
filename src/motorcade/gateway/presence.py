"""Who is connected, as records: one per connection opened or closed, by any door.

The records have the form a Tesla server writes (`VehicleConnectivity`), with the token as vin. A
vehicle may hold several connections at once, on one door or on both: **it is online as long as any
connection id of it is CONNECTED without a later DISCONNECTED**. A process that was killed leaves
ids open; its successor's `gateway_started` record closes all of them: readers then take every
vehicle of that writer as offline.

Nothing waits for these records: they tell, they do not promise.
"""

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

CONNECTIVITY_NAME: Final = b"connectivity"
GATEWAY_STARTED_NAME: Final = b"gateway_started"


class Status(IntEnum):
    """`ConnectivityEvent` of Tesla's schema."""

    CONNECTED = 1
    DISCONNECTED = 2


class RecordTaker(Protocol):
    """The one method of `Intake` that is needed here."""

    def add(self, record: Record) -> int:
        """Take a record, never refused; -1 when it waits for the next staging."""


class Presence:
    """Writes connectivity records. Every door calls it; the readers draw the conclusions."""

    def __init__(self, intake: RecordTaker, clock: Clock, config: Config) -> None:
        self._intake = intake
        self._clock = clock
        self._partitions = config.log.partitions

    def started(self) -> None:
        """Say that this gateway process holds no connection yet. Call once, before the doors."""
        now_us = self._clock.now_us()
        self._intake.add(
            Record(
                vehicle=NO_VEHICLE,
                topic=Topic.CONNECTIVITY,
                payload=b"",
                received_time_us=now_us,
                event_time_us=now_us,
                name=GATEWAY_STARTED_NAME,
            )
        )

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
        self._intake.add(
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

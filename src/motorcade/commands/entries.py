"""What the router has the log hold: transitions, and messages for cars, signed. No IO."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import Raw

from motorcade.commands.port import Request
from motorcade.events import (
    Encoding,
    Flags,
    Record,
    RecordBatch,
    Topic,
    VehicleToken,
    partition_of,
)
from motorcade.wire.command.messages import Command, Query, ServerTime
from motorcade.wire.command.records import MESSAGE, TRANSITION, Down, Transition, write_record
from motorcade.wire.command.signing import Signer, sign

US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of topic COMMANDS to be."""

    vehicle: VehicleToken
    time_us: int
    payload: Transition | Down

    def record(self, partitions: int) -> Record:
        """As the log takes it."""
        return Record(
            vehicle=self.vehicle,
            topic=Topic.COMMANDS,
            payload=write_record(self.payload),
            received_time_us=self.time_us,
            event_time_us=self.time_us,
            encoding=Encoding.COMMAND,
            name=TRANSITION if isinstance(self.payload, Transition) else MESSAGE,
            stream=self.payload.id.encode("ascii"),
            flags=Flags.TIME_GIVEN,
            partition=partition_of(self.vehicle, partitions),
        )


def batch_of(entries: Sequence[Entry], partitions: int) -> RecordBatch:
    """Pack entries for one append."""
    return RecordBatch.of(entry.record(partitions) for entry in entries)


@dataclass(frozen=True, slots=True)
class Downlink:
    """Makes and signs what goes down to cars."""

    key_id: str
    signer: Signer
    message_expires_s: int

    def command(
        self, request: Request, command_id: str, counter: int, now_us: int, expires_time_us: int
    ) -> Raw:
        """The signed command, exactly as the car will get it.

        Raises:
            CommandCodecError: its parameters do not fit into a message.
        """
        message = Command(
            id=command_id,
            vehicle=request.vehicle,
            name=request.name,
            parameters=request.parameters,
            counter=counter,
            issued_time_us=now_us,
            expires_time_us=expires_time_us,
            key_id=self.key_id,
            wake=request.wake,
        )
        return Raw(sign(message, self.signer))

    def server_time(self, vehicle: VehicleToken, nonce: str, message_id: str, now_us: int) -> Entry:
        """The answer to a hello."""
        message = ServerTime(
            vehicle=vehicle, nonce=nonce, server_time_us=now_us, key_id=self.key_id
        )
        return self._entry(vehicle, message, "time", message_id, now_us)

    def query(
        self, vehicle: VehicleToken, ids: Sequence[str], part: int, message_id: str, now_us: int
    ) -> Entry:
        """Ask a car's journal what became of commands; `part` of a question in several."""
        message = Query(vehicle=vehicle, ids=list(ids), server_time_us=now_us, key_id=self.key_id)
        return self._entry(vehicle, message, f"query-{part}", message_id, now_us)

    def _entry(
        self,
        vehicle: VehicleToken,
        message: ServerTime | Query,
        slot: str,
        message_id: str,
        now_us: int,
    ) -> Entry:
        expires_time_us = now_us + self.message_expires_s * US
        payload = Down(
            id=message_id,
            expires_time_us=expires_time_us,
            message=Raw(sign(message, self.signer)),
            slot=slot,
        )
        return Entry(vehicle, now_us, payload)

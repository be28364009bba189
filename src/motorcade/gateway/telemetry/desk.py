"""What all connections of the door work with: one receive buffer, the intake, clocks and limits.

A segment is parsed before the next one is read, so one buffer serves every socket of the process.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.events import NO_VEHICLE, Bytes, VehicleToken, pack_token, partition_of
from motorcade.gateway.intake import RESERVE_RECORDS, Intake
from motorcade.gateway.rate import TokenBucket
from motorcade.gateway.telemetry import kernels
from motorcade.gateway.telemetry.identity import DeviceIdentity
from motorcade.registry.port import Principal

ANSWERS_BYTES = 64 << 10  # answers of one kernel call; more frames take another call


@dataclass(slots=True)
class Counts:
    """What the door has seen, for its log lines, `/status` pages and tests."""

    records: int = 0
    refused: int = 0  # answered with an error, the rate limit's apart
    rate_limited: int = 0
    too_big: int = 0
    unregistered: int = 0
    slow_readers: int = 0
    opened: int = 0  # connections past the TLS handshake
    received_bytes: int = 0  # of whole frames
    acks: int = 0  # answers to durable records
    awaiting: list[int] = field(default_factory=lambda: [0, 0])  # acks due, by staging
    partial_bytes: int = 0  # now held for frames that have come in part


@dataclass(slots=True)
class Desk:
    """Shared by the connections of one door, one loop, one thread."""

    config: Config
    clock: Clock
    intake: Intake
    received: Bytes
    window: memoryview  # of `received`: where a segment lands when nothing is held
    view: memoryview  # of `received`, whole
    answers: Bytes
    answers_view: memoryview
    scratch: Any
    counts: Counts = field(default_factory=Counts)

    def borrow(self, size: int) -> bool:
        """Take `size` bytes of the budget for frames that have come in part."""
        if self.counts.partial_bytes + size > self.config.telemetry.partial_bytes_max:
            return False
        self.counts.partial_bytes += size
        return True

    def give_back(self, size: int) -> None:
        self.counts.partial_bytes -= size


@dataclass(slots=True)
class Car:
    """The vehicle behind a connection, in the form that the kernel reads."""

    token: VehicleToken
    bucket: TokenBucket
    numbers: np.ndarray[tuple[int], np.dtype[np.int64]]  # by kernels.CAR_*
    names: Bytes  # the token, then the sender id


def make_desk(config: Config, clock: Clock, intake: Intake) -> Desk:
    """Allocate the buffers; pages are touched by use, not here.

    Raises:
        ValueError: settings that contradict each other.
    """
    record_bytes_max = config.telemetry.frame_bytes_max + kernels.MORE_BYTES
    if record_bytes_max > len(intake.staging.buffer):
        raise ValueError(
            f"telemetry.frame_bytes_max {config.telemetry.frame_bytes_max} does not fit the log's "
            f"buffer of {len(intake.staging.buffer)} bytes: raise log.batch_bytes_max"
        )
    read_bytes = config.gateway.read_buffer_bytes
    # Twice: what a connection held is put in front of what it reads.
    received = np.zeros(2 * read_bytes, np.uint8)
    answers = np.zeros(ANSWERS_BYTES, np.uint8)
    view = received.data
    return Desk(
        config=config,
        clock=clock,
        intake=intake,
        received=received,
        window=view[:read_bytes],
        view=view,
        answers=answers,
        answers_view=answers.data,
        scratch=kernels.make_scratch(config.telemetry.frame_bytes_max),
    )


def make_car(
    principal: Principal, identity: DeviceIdentity, bucket: TokenBucket, desk: Desk
) -> Car:
    """Lay out a vehicle's facts for the kernel."""
    token = principal.token
    assert token != NO_VEHICLE  # the registry gave it for a vehicle's certificate
    high, low = pack_token(token)
    sender_id = identity.sender_id.encode()
    numbers = np.zeros(kernels.CAR_SIZE, np.int64)
    numbers.view(np.uint64)[kernels.CAR_TOKEN_HIGH] = high
    numbers.view(np.uint64)[kernels.CAR_TOKEN_LOW] = low
    numbers[kernels.CAR_KEY_ID] = principal.key_id
    numbers[kernels.CAR_PARTITION] = partition_of(token, desk.config.log.partitions)
    numbers[kernels.CAR_PREFIX_BYTES] = len(sender_id) - len(identity.device_id.encode())
    numbers[kernels.CAR_SENDER_BYTES] = len(sender_id)
    numbers[kernels.CAR_FRAME_BYTES_MAX] = desk.config.telemetry.frame_bytes_max
    numbers[kernels.CAR_ROWS_MAX] = len(desk.intake.staging.rows) - RESERVE_RECORDS
    numbers[kernels.CAR_FUTURE_US_MAX] = desk.config.time.future_s_max * 1_000_000
    names = np.frombuffer(token.encode() + sender_id, np.uint8).copy()
    return Car(token, bucket, numbers, names)

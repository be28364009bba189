"""A batch of samples from a gRPC call as a record of the log. No IO, no clock."""

from typing import Any

from motorcade.api.errors import ApiError
from motorcade.config import Config
from motorcade.events import (
    Encoding,
    Flags,
    Record,
    Topic,
    partition_of,
)
from motorcade.registry.port import Vehicle
from motorcade.signals import packed
from motorcade.signals.readings import Scalar


def read_batch(batch: Any, vehicle: Vehicle, now_us: int, config: Config) -> Record:
    """The record of a `SampleBatch`, received now.

    Raises:
        ApiError: 400, naming what cannot be stored; nothing of the batch is taken then.
    """
    stream = batch.stream.encode()
    if len(stream) > config.rpc.stream_bytes_max:
        raise _invalid(f"stream: at most {config.rpc.stream_bytes_max} bytes")
    if batch.sequence and not stream:
        raise _invalid("sequence: it is of a stream, so name the stream, or leave both out")
    if stream and not batch.sequence:  # 0 is how proto3 says none: every batch would be the same
        raise _invalid("sequence: from 1 on; leave both out for none")
    if not 0 < len(batch.samples) <= config.rpc.samples_max:
        raise _invalid(f"samples: 1 to {config.rpc.samples_max} in a batch")
    samples = [_read(sample, now_us) for sample in batch.samples]
    try:
        payload = packed.encode(samples)
    except ValueError as error:
        raise _invalid(f"samples: {error}") from error
    event_time_us = min(sample[0] for sample in samples)
    flags = Flags.TIME_GIVEN
    if event_time_us > now_us + config.time.future_s_max * 1_000_000:
        event_time_us, flags = now_us, Flags.TIME_BOUNDED
    return Record(
        vehicle=vehicle.token,
        topic=Topic.TELEMETRY,
        payload=payload,
        received_time_us=now_us,
        event_time_us=event_time_us,
        encoding=Encoding.SAMPLES,
        stream=stream,
        sequence=batch.sequence if stream else None,
        flags=flags,
        key_id=vehicle.key_id,
        partition=partition_of(vehicle.token, config.log.partitions),
    )


def _read(sample: Any, now_us: int) -> tuple[int, str, Scalar]:
    if sample.time_us < 0:
        raise _invalid(f"time_us of {sample.signal[:40]!r}: {sample.time_us} is before 1970")
    kind = sample.WhichOneof("value")
    value: Scalar = None if kind is None else getattr(sample, kind)
    return sample.time_us or now_us, sample.signal, value


def _invalid(text: str) -> ApiError:
    return ApiError(400, "invalid_field", text)

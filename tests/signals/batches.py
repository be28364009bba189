"""Batches of telemetry records, decoded with a fresh dictionary."""

import copy
import functools

import numpy as np

from motorcade.events import Encoding, Flags, Record, RecordBatch, Topic, VehicleToken
from motorcade.signals.catalogue import BY_ID
from motorcade.signals.decoder import Decoder
from motorcade.signals.samples import Dictionary, SampleBatch, present

TOKEN = VehicleToken("5YJ3E1EA7KF3I7654")
RECEIVED_US = 1_760_000_000_000_000
FUTURE_US = 330_000_000


def record(
    payload: bytes,
    encoding: Encoding = Encoding.TESLA_TELEMETRY,
    *,
    event_us: int = RECEIVED_US,
    flags: Flags = Flags.TIME_GIVEN,
) -> Record:
    return Record(
        vehicle=TOKEN,
        topic=Topic.TELEMETRY,
        payload=payload,
        received_time_us=RECEIVED_US,
        event_time_us=event_us,
        encoding=encoding,
        flags=flags,
        name=b"V",
    )


def decoder(names_per_vehicle_max: int = 100) -> Decoder:
    """A fresh one: as a copy, which takes an eighth of the time."""
    return copy.deepcopy(_made(names_per_vehicle_max))


@functools.cache
def _made(names_per_vehicle_max: int) -> Decoder:
    names = Dictionary(names_per_vehicle_max=names_per_vehicle_max, text_bytes_max=1_024)
    return Decoder(names, future_us_max=FUTURE_US)


def decode(with_decoder: Decoder, *records: Record) -> SampleBatch:
    """Each record as if of a vehicle of its own: slots are the rows."""
    batch = RecordBatch.of(records)
    return with_decoder.decode(batch, np.arange(len(batch), dtype=np.int32))


def shown(with_decoder: Decoder, *records: Record) -> list[tuple[int, int, str, object]]:
    """(slot, time, name, value) of every sample."""
    samples = decode(with_decoder, *records)
    name_of = with_decoder.dictionary.name_of
    return [
        (slot, time_us, name_of(signal), present(BY_ID.get(signal), value, samples.texts))
        for slot, time_us, signal, value in zip(
            *(getattr(samples, column).tolist() for column in COLUMNS), strict=True
        )
    ]


COLUMNS = ("vehicle", "time_us", "signal", "value")

"""Records to samples that remember their record: what history keeps of each batch.

The dictionary numbers names and texts for this reader alone; files hold the words themselves, so
its numbers never leave the process. It still counts which vehicle has made up how many names, and
so it is saved with the cursor: a restart changes no answer.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.config import Config
from motorcade.events import RecordBatch, Topic
from motorcade.signals.decoder import Decoder
from motorcade.signals.plain import DecodeCounts
from motorcade.signals.samples import Dictionary

_RECORD_FIELDS: Final = ("vehicle_hi", "vehicle_lo", "received_time_us")


@dataclass(slots=True)
class Samples:
    """Columns: some of equal length for records, some of equal length for samples.

    Samples lie in the order of the log; `record` rises.
    """

    high: npt.NDArray[np.uint64]  # the record's vehicle, packed
    low: npt.NDArray[np.uint64]
    received_us: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]  # of reading: rises along the log, never twice the same

    record: npt.NDArray[np.int64]  # of the sample
    time_us: npt.NDArray[np.int64]
    signal: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    texts: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.time_us)


class _NamesByRecord(Dictionary):
    """Counts names by vehicle, though it is told records."""

    vehicles: list[int]

    def id_of(self, name: str, vehicle: int) -> int:
        return super().id_of(name, self.vehicles[vehicle])


class SampleReader:
    """Decodes for one reader of the log, which gives it every batch once, in order."""

    def __init__(self, config: Config) -> None:
        self.names = _NamesByRecord(
            names_per_vehicle_max=config.state.signals_per_vehicle_max,
            text_bytes_max=config.state.text_bytes_max,
        )
        self._decoder = Decoder(self.names, future_us_max=config.time.future_s_max * 1_000_000)

    @property
    def counts(self) -> DecodeCounts:
        """What was left out since this object was made."""
        return self._decoder.counts

    def restore(self, saved: bytes) -> None:
        """Take over names from `names.snapshot()`. Raises `msgspec.MsgspecError`."""
        self.names.restore(saved)
        self._decoder.learn()

    def read(self, batch: RecordBatch, order: int) -> Samples:
        """The samples of the batch's telemetry; its records are numbered from `order` on."""
        rows = batch.rows
        wanted = (rows["topic"] == Topic.TELEMETRY) & (
            (rows["vehicle_lo"] | rows["vehicle_hi"]) != 0
        )
        numbers = np.arange(order, order + len(rows), dtype=np.int64)
        if not wanted.all():
            batch, numbers = batch.select(wanted), numbers[wanted]
        high, low, received_us = (batch.rows[name].copy() for name in _RECORD_FIELDS)
        self.names.vehicles = low.tolist()  # 64 bits drawn by chance: who shares them shares names
        found = self._decoder.decode(batch, np.arange(len(batch), dtype=np.int32))
        record = found.vehicle.astype(np.int64)
        return Samples(
            high,
            low,
            received_us,
            numbers,
            record,
            found.time_us,
            found.signal,
            found.value,
            found.texts,
        )


def joined(parts: list[Samples]) -> Samples:
    """All of them as one, in this order."""
    firsts = np.cumsum([0, *(len(part.order) for part in parts[:-1])])
    texts: dict[int, str] = {}
    for part in parts:
        texts |= part.texts
    return Samples(
        np.concatenate([part.high for part in parts]),
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.received_us for part in parts]),
        np.concatenate([part.order for part in parts]),
        np.concatenate([part.record + first for part, first in zip(parts, firsts, strict=True)]),
        np.concatenate([part.time_us for part in parts]),
        np.concatenate([part.signal for part in parts]),
        np.concatenate([part.value for part in parts]),
        texts,
    )

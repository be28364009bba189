"""A log with history behind it, on a disk of this machine or on a faulty one; and the oracle."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from motorcade.clock import SimulatedClock
from motorcade.config import Config, HistoryConfig, LogConfig, StateConfig
from motorcade.durable import Files
from motorcade.events import Record, RecordBatch, Topic, VehicleToken
from motorcade.history.embedded import EmbeddedHistory
from motorcade.history.files import read_file
from motorcade.history.port import TIME_US_MAX, TIME_US_MIN, Series, Span
from motorcade.history.writer import HistoryWriter
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.files import OsFiles
from motorcade.log.topics import Lane
from motorcade.signals.catalogue import BY_NAME
from motorcade.signals.decoder import Decoder
from motorcade.signals.samples import Dictionary, present
from motorcade.streams.dedup import Dedup
from tests.state.records import PARTITIONS, START_US

EVER = Span(TIME_US_MIN, TIME_US_MAX)
CONFIG = Config(
    log=LogConfig(partitions=PARTITIONS),
    state=StateConfig(signals_per_vehicle_max=20),
    history=HistoryConfig(flush_s=1e9),
)


class Deployment:
    """A directory with a log and its history."""

    def __init__(
        self, directory: Path, config: Config = CONFIG, files: Files | None = None
    ) -> None:
        self.directory, self.config = directory, config
        self.clock = SimulatedClock(START_US)
        self.log = EmbeddedLog(directory / "log", config.log, self.clock)
        self.writer = self.log.writer("gateway", Lane.BULK)
        self.files = OsFiles() if files is None else files
        self.real_disk = files is None
        self.failures: list[Exception] = []

    def _open_file(self, path: Path) -> Any:
        if self.real_disk:
            return pa.memory_map(str(path))
        return pa.BufferReader(read_file(self.files, path))

    def append(self, records: Sequence[Record]) -> None:
        if records:
            self.writer.append(RecordBatch.of(records)).result(10)

    def _dedup(self) -> Dedup:
        return Dedup(self.config.dedup)

    def history(self) -> EmbeddedHistory:
        return EmbeddedHistory(
            self.directory / "history",
            self.config,
            self.log,
            self._dedup,
            self.clock,
            self.files,
            self._open_file,
        )

    def history_writer(self) -> HistoryWriter:
        """Open, as after a start."""
        writer = HistoryWriter(
            self.directory / "history",
            self.config,
            self.log,
            self._dedup,
            self.clock,
            self.files,
            self._open_file,
            failed=self.failures.append,
        )
        writer.open()
        return writer

    def close(self) -> None:
        self.log.close()


Shown = dict[str, list[tuple[int, int, Any]]]
"""By signal: event time, received time and value of each sample."""


def shown(found: dict[str, Series]) -> Shown:
    """An answer of history in plain Python."""
    return {
        name: [
            (time_us, received_us, present(BY_NAME.get(name), value, dict(series.texts)))
            for time_us, received_us, value in zip(
                series.time_us.tolist(), series.received_us.tolist(), _plain(series), strict=True
            )
        ]
        for name, series in found.items()
    }


def _plain(series: Series) -> list[float]:
    return [float(value) for value in series.value]  # numpy keeps what a NaN says


def oracle(
    records: Iterable[Record],
    vehicle: VehicleToken,
    span: Span = EVER,
    received_until_us: int | None = None,
    config: Config = CONFIG,
) -> Shown:
    """The answer from first principles: record by record, a dictionary of what was said last."""
    dictionary = Dictionary(
        names_per_vehicle_max=config.state.signals_per_vehicle_max,
        text_bytes_max=config.state.text_bytes_max,
    )
    decoder = Decoder(dictionary, future_us_max=config.time.future_s_max * 1_000_000)
    seen: set[tuple[Any, ...]] = set()
    slots: dict[str, int] = {}
    said: dict[str, dict[int, tuple[int, Any]]] = {}
    for record in records:
        if record.sequence is not None:
            identity = (record.vehicle, record.stream, record.sequence)
            if identity in seen:
                continue
            seen.add(identity)
        if record.topic is not Topic.TELEMETRY or not record.vehicle:
            continue
        slot = slots.setdefault(record.vehicle, len(slots))
        batch = RecordBatch.of([record])
        samples = decoder.decode(batch, np.array([slot], np.int32))
        received_us = record.received_time_us
        if record.vehicle != vehicle:
            continue
        if received_until_us is not None and received_us > received_until_us:
            continue
        for time_us, signal, value in zip(
            samples.time_us.tolist(), samples.signal.tolist(), samples.value, strict=True
        ):
            if span.from_us <= time_us < span.until_us:
                name = dictionary.name_of(signal)
                what = present(BY_NAME.get(name), float(value), samples.texts)
                said.setdefault(name, {})[time_us] = (received_us, what)
    return {
        name: [(time_us, *times[time_us]) for time_us in sorted(times)]
        for name, times in sorted(said.items())
    }

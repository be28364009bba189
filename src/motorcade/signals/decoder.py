"""Record batches to sample batches: the first thing every reader of telemetry does.

Tesla's payloads and JSON go through the kernel; what it leaves and packed samples go through the
plain rules, row by row in the order of the log, because that is where names and texts get their
numbers.
No payload harms more than its own record: what cannot be read is counted and yields nothing.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from motorcade.events import Encoding, Flags, RecordBatch
from motorcade.signals.catalogue import (
    BY_NAME,
    ENUM_NAMES,
    FIELD_COMPONENTS,
    FIELD_ENUMS,
    FIELD_KINDS,
    FIELD_SCALES,
    FIELDS,
    IDS_MAX,
    SIGNAL_ENUMS,
    SIGNAL_KINDS,
    field_name,
)
from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.kernels import (
    FIELD_TABLE,
    JSON_TEXT,
    WHOLE_DATUM,
    WHOLE_RECORD,
    decode_telemetry,
    samples_max,
)
from motorcade.signals.name_table import NameTable
from motorcade.signals.plain import Columns, DecodeCounts, PlainRules, Row
from motorcade.signals.samples import Dictionary, SampleBatch, joined

_TIME_BOUNDED: Final = int(Flags.TIME_BOUNDED)

SAMPLES_PER_CALL: Final = 1 << 18  # room for the kernel's columns; a larger payload gets its own

Column = npt.NDArray[np.int64]


class _Plain(NamedTuple):
    """Samples by the plain rules, before which of the kernel's each one belongs, and its row."""

    at: Column
    rows: Column
    samples: SampleBatch


class _Put(NamedTuple):
    """The kernel's columns; `value` of texts is filled in by the plain rules."""

    signal: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    time_us: Column


@dataclass(frozen=True, slots=True)
class _Input:
    """A batch with what the decoding of each row needs at hand."""

    batch: RecordBatch
    slots: npt.NDArray[np.int32]
    bounds: tuple[Column, Column]  # of payloads: starts, ends
    encodings: npt.NDArray[np.uint8]  # 0 where there is no slot
    times: Column  # (n, 3): event, received, the latest that a sender may claim or -1
    room: int  # for the kernel's samples, `samples_max` of the payloads
    is_packed: bool  # some rows are packed samples, which no kernel reads

    def facts(self, rows: Column) -> list[Row]:
        """What the plain rules need to know of these rows."""
        times = self.times[rows].tolist()
        slots = self.slots[rows].tolist()
        return [
            Row(slot, event_us, received_us, latest_us < 0)
            for slot, (event_us, received_us, latest_us) in zip(slots, times, strict=True)
        ]


class Decoder:
    """Decodes for one reader. Holds the dictionary, so feed it every record once, in log order."""

    def __init__(self, dictionary: Dictionary, *, future_us_max: int) -> None:
        self.dictionary = dictionary
        self._future_us_max = future_us_max
        self._kinds = np.zeros(FIELD_TABLE, np.uint8)
        self._scales = np.ones(FIELD_TABLE)
        self._enums = np.zeros(FIELD_TABLE, np.uint8)
        self._kinds[:FIELDS], self._scales[:FIELDS] = FIELD_KINDS, FIELD_SCALES
        self._enums[:FIELDS] = FIELD_ENUMS
        self._ids = np.full(FIELD_TABLE, -1, np.int32)
        self._ids[:FIELDS] = np.where(FIELD_COMPONENTS < 0, np.arange(FIELDS), FIELD_COMPONENTS)
        self._rules = PlainRules(dictionary, self._ids, future_us_max=future_us_max)
        self._read_whole = {
            Encoding.TESLA_TELEMETRY: self._rules.read_payload,
            Encoding.JSON_SIGNALS: self._rules.read_json,
            Encoding.SAMPLES: self._rules.read_packed,
        }
        self.learn()

    @property
    def counts(self) -> DecodeCounts:
        """What was left out since this object was made."""
        return self._rules.counts

    def learn(self) -> None:
        """Tell the kernel what the dictionary has numbered; again after it was restored."""
        for number in range(FIELDS, FIELD_TABLE):
            self._ids[number] = self.dictionary.known_id(field_name(number))
        self._names = NameTable()
        for name, signal in BY_NAME.items():
            self._names.add(name, signal.id)
        self._names_learnt = 0
        self._learn_new_names()

    def _learn_new_names(self) -> None:
        for name in self.dictionary.names_from(self._names_learnt):
            self._names.add(name, IDS_MAX + self._names_learnt)
            self._names_learnt += 1

    def decode(self, batch: RecordBatch, slots: npt.NDArray[np.int32]) -> SampleBatch:
        """The samples of every readable record whose slot is not negative, in log order."""
        return self.decode_rows(batch, slots)[0]

    def decode_rows(
        self, batch: RecordBatch, slots: npt.NDArray[np.int32]
    ) -> tuple[SampleBatch, Column]:
        """What `decode` gives, and after how many of these samples each row of the batch ends."""
        source = self._input(batch, slots)
        texts: dict[int, str] = {}
        parts = []
        lengths = np.zeros(len(batch), np.int64)
        first = 0
        while first < len(batch):
            first, part = self._decode_some(source, first, lengths)
            texts |= part.texts
            parts.append(part)
        return replace(joined(parts), texts=texts), np.cumsum(lengths)

    def _input(self, batch: RecordBatch, slots: npt.NDArray[np.int32]) -> _Input:
        rows = batch.rows
        lengths = [rows[name].astype(np.int64) for name in ("start", "name_bytes")]
        lengths += [rows[name].astype(np.int64) for name in ("stream_bytes", "properties_bytes")]
        starts = sum(lengths[1:], lengths[0])
        ends = starts + rows["payload_bytes"]
        buffer = batch.buffer.view()
        buffer.flags.writeable = False  # one type for the kernel, whoever owns the batch
        encodings = np.where(slots >= 0, rows["encoding"], 0).astype(np.uint8)
        times = np.empty((len(rows), 3), np.int64)
        times[:, 0], times[:, 1] = rows["event_time_us"], rows["received_time_us"]
        is_bounded = rows["flags"] & _TIME_BOUNDED != 0
        times[:, 2] = np.where(is_bounded, -1, times[:, 1] + self._future_us_max)
        compiled = (encodings == Encoding.TESLA_TELEMETRY) | (encodings == Encoding.JSON_SIGNALS)
        room = min(SAMPLES_PER_CALL, samples_max(int((ends - starts)[compiled].sum())))
        is_packed = bool((encodings == Encoding.SAMPLES).any())
        bounds = (starts, ends)
        return _Input(RecordBatch(rows, buffer), slots, bounds, encodings, times, room, is_packed)

    def _decode_some(self, source: _Input, first: int, lengths: Column) -> tuple[int, SampleBatch]:
        """Rows from `first` as far as the kernel's room goes; (row to go on from, samples).

        How many samples each of these rows has is written to `lengths`.
        """
        starts, ends = source.bounds
        room = max(source.room, samples_max(int(ends[first] - starts[first])))
        put = _Put(np.empty(room, np.int32), np.empty(room, np.float64), np.empty(room, np.int64))
        slow = np.empty((room // 2 + 1, 5), np.int64)
        counts = np.zeros(len(starts), np.int64)
        after, samples, slow_count, bounded = decode_telemetry(
            source.batch.buffer,
            source.bounds,
            source.encodings,
            source.times,
            first,
            (self._kinds, self._scales, self._enums, self._ids),
            (
                (self._names.words, self._names.table),
                (ENUM_NAMES.words, ENUM_NAMES.table),
                (SIGNAL_KINDS, SIGNAL_ENUMS),
            ),
            tuple(put),
            counts,
            slow,
        )
        self.counts.bounded_times += bounded
        plain = None
        if slow_count or source.is_packed:  # else twenty calls of numpy would find nothing
            plain = self._read_plain(source, (first, after), slow[:slow_count], counts, put)
        lengths[first:after] = _steps(counts[first:after])
        kernels_own = SampleBatch(
            np.repeat(source.slots[first:after], lengths[first:after]),
            put.time_us[:samples],
            put.signal[:samples],
            put.value[:samples],
            plain.samples.texts if plain is not None else {},
        )
        if plain is None:
            return after, kernels_own
        np.add.at(lengths, plain.rows, 1)
        return after, _merge(kernels_own, plain)

    def _read_plain(
        self, source: _Input, span: tuple[int, int], slow: Column, counts: Column, put: _Put
    ) -> _Plain:
        """What the kernel left of rows `span`, in the order of the log."""
        left = np.concatenate((slow, _packed_rows(source, span, counts)))
        left = left[np.argsort(left[:, 0], kind="stable")]
        columns = self._rules.columns = Columns()
        ends = np.empty(len(left), np.int64)
        rows = source.facts(left[:, 0])
        for index, (row, entry) in enumerate(zip(rows, left.tolist(), strict=True)):
            at, at_sample, start, end, code = entry
            data = source.batch.buffer[start:end].tobytes()
            try:
                if code == JSON_TEXT:
                    put.value[at_sample] = self._rules.json_text(int(put.signal[at_sample]), data)
                else:
                    self._read(row, code, Encoding(source.encodings[at]), data)
            except MalformedPayloadError:
                self.counts.malformed_records += 1
            ends[index] = len(columns)
        self._learn_new_names()
        lengths = _steps(ends)
        own_rows = np.repeat(left[:, 0], lengths)
        samples = SampleBatch(
            source.slots[own_rows],
            np.array(columns.time_us, np.int64),
            np.array(columns.signal, np.int32),
            np.array(columns.value, np.float64),
            columns.texts,
        )
        return _Plain(np.repeat(left[:, 1], lengths), own_rows, samples)

    def _read(self, row: Row, code: int, encoding: Encoding, data: bytes) -> None:
        if code == WHOLE_RECORD:
            self._read_whole[encoding](row, data)
        elif code == WHOLE_DATUM:
            self._rules.read_datum(row, data)
        else:
            self._rules.read_text(row, code, data)


def _steps(ends: Column) -> Column:
    """From each end to the next, the first from 0: `np.diff` with `prepend`, in a tenth of it."""
    steps = ends.copy()
    steps[1:] -= ends[:-1]
    return steps


def _packed_rows(source: _Input, span: tuple[int, int], counts: Column) -> Column:
    """Packed samples as the kernel's slow entries: no kernel reads them."""
    first, after = span
    rows = np.flatnonzero(source.encodings[first:after] == Encoding.SAMPLES) + first
    code = np.full(len(rows), WHOLE_RECORD)
    return np.column_stack(
        (rows, counts[rows], source.bounds[0][rows], source.bounds[1][rows], code)
    )


def _merge(kernels_own: SampleBatch, plain: _Plain) -> SampleBatch:
    """Put the plain samples where they belong among the kernel's: the log's order."""
    at, own = plain.at, plain.samples
    if not len(own) or not len(kernels_own):
        return own if len(own) else kernels_own
    return SampleBatch(
        np.insert(kernels_own.vehicle, at, own.vehicle),
        np.insert(kernels_own.time_us, at, own.time_us),
        np.insert(kernels_own.signal, at, own.signal),
        np.insert(kernels_own.value, at, own.value),
        own.texts,
    )

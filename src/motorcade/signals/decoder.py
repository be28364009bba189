"""Record batches to sample batches: the first thing every reader of telemetry does.

Tesla's payloads go through the kernel; what it leaves, JSON and packed samples go through the plain
rules, row by row in the order of the log, because that is where names and texts get their numbers.
No payload harms more than its own record: what cannot be read is counted and yields nothing.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from motorcade.events import Encoding, Flags, RecordBatch
from motorcade.signals.catalogue import (
    ENUM_TABLE,
    ENUM_WORDS,
    FIELD_COMPONENTS,
    FIELD_ENUMS,
    FIELD_KINDS,
    FIELD_SCALES,
    FIELDS,
    field_name,
)
from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.kernels import FIELD_TABLE, WHOLE_DATUM, WHOLE_RECORD, decode_telemetry
from motorcade.signals.plain import Columns, DecodeCounts, PlainRules, Row
from motorcade.signals.samples import Dictionary, SampleBatch

_TIME_BOUNDED: Final = int(Flags.TIME_BOUNDED)

SAMPLES_PER_CALL: Final = 1 << 18  # room for the kernel's columns; a larger payload gets its own

Column = npt.NDArray[np.int64]


class _Plain(NamedTuple):
    """Samples by the plain rules, and before which of the kernel's each one belongs."""

    at: Column
    samples: SampleBatch


@dataclass(frozen=True, slots=True)
class _Input:
    """A batch with what the decoding of each row needs at hand."""

    batch: RecordBatch
    slots: npt.NDArray[np.int32]
    starts: Column
    ends: Column
    wanted: npt.NDArray[np.bool_]
    room: int  # for the kernel's samples: no payload gives more of them than it has bytes

    def facts(self, rows: Column) -> list[Row]:
        """What the plain rules need to know of these rows."""
        records = self.batch.rows[rows]
        return [
            Row(slot, event_us, received_us, bool(flags & _TIME_BOUNDED))
            for slot, event_us, received_us, flags in zip(
                self.slots[rows].tolist(),
                records["event_time_us"].tolist(),
                records["received_time_us"].tolist(),
                records["flags"].tolist(),
                strict=True,
            )
        ]


class Decoder:
    """Decodes for one reader. Holds the dictionary, so feed it every record once, in log order."""

    def __init__(self, dictionary: Dictionary, *, future_us_max: int) -> None:
        self.dictionary = dictionary
        self._kinds = np.zeros(FIELD_TABLE, np.uint8)
        self._scales = np.ones(FIELD_TABLE)
        self._enums = np.zeros(FIELD_TABLE, np.uint8)
        self._kinds[:FIELDS], self._scales[:FIELDS] = FIELD_KINDS, FIELD_SCALES
        self._enums[:FIELDS] = FIELD_ENUMS
        self._ids = np.full(FIELD_TABLE, -1, np.int32)
        self._ids[:FIELDS] = np.where(FIELD_COMPONENTS < 0, np.arange(FIELDS), FIELD_COMPONENTS)
        self._rules = PlainRules(dictionary, self._ids, future_us_max=future_us_max)
        self.learn_fields()

    @property
    def counts(self) -> DecodeCounts:
        """What was left out since this object was made."""
        return self._rules.counts

    def learn_fields(self) -> None:
        """Tell the kernel the numbers of unknown Fields; again after the dictionary's restore."""
        for number in range(FIELDS, FIELD_TABLE):
            self._ids[number] = self.dictionary.known_id(field_name(number))

    def decode(self, batch: RecordBatch, slots: npt.NDArray[np.int32]) -> SampleBatch:
        """The samples of every readable record whose slot is not negative, in log order."""
        rows = batch.rows
        lengths = [rows[name].astype(np.int64) for name in ("start", "name_bytes")]
        lengths += [rows[name].astype(np.int64) for name in ("stream_bytes", "properties_bytes")]
        starts = sum(lengths[1:], lengths[0])
        ends = starts + rows["payload_bytes"]
        buffer = batch.buffer.view()
        buffer.flags.writeable = False  # one type for the kernel, whoever owns the batch
        batch = RecordBatch(rows, buffer)
        wanted = (rows["encoding"] == Encoding.TESLA_TELEMETRY) & (slots >= 0)
        room = min(SAMPLES_PER_CALL, int((ends - starts)[wanted].sum()))
        source = _Input(batch, slots, starts, ends, wanted, room)
        texts: dict[int, str] = {}
        parts = []
        first = 0
        while first < len(rows):
            first, part = self._decode_some(source, first)
            texts |= part.texts
            parts.append(part)
        return _join(parts, texts)

    def _decode_some(self, source: _Input, first: int) -> tuple[int, SampleBatch]:
        """Rows from `first` as far as the kernel's room goes; (row to go on from, samples)."""
        room = source.room
        if source.wanted[first]:
            room = max(room, int(source.ends[first] - source.starts[first]))
        signal, value = np.empty(room, np.int32), np.empty(room, np.float64)
        slow = np.empty((room // 2 + 1, 5), np.int64)
        counts = np.zeros(len(source.starts), np.int64)
        after, samples, slow_count = decode_telemetry(
            source.batch.buffer,
            source.starts,
            source.ends,
            source.wanted,
            first,
            (self._kinds, self._scales, self._enums, self._ids),
            (ENUM_WORDS, ENUM_TABLE),
            (signal, value),
            counts,
            slow,
        )
        rows = np.repeat(np.arange(first, after), np.diff(counts[first:after], prepend=0))
        plain = self._read_plain(source, first, after, slow[:slow_count], counts)
        kernels_own = SampleBatch(
            source.slots[rows],
            source.batch.rows["event_time_us"][rows],
            signal[:samples],
            value[:samples],
        )
        return after, _merge(kernels_own, plain)

    def _read_plain(
        self, source: _Input, first: int, after: int, slow: Column, counts: Column
    ) -> _Plain:
        """What the kernel left of rows `first` to `after`, in the order of the log."""
        encodings = source.batch.rows["encoding"][first:after]
        others = (encodings == Encoding.JSON_SIGNALS) | (encodings == Encoding.SAMPLES)
        other_rows = np.flatnonzero(others & (source.slots[first:after] >= 0)) + first
        others_left = np.column_stack(
            (
                other_rows,
                counts[other_rows],
                source.starts[other_rows],
                source.ends[other_rows],
                encodings[other_rows - first].astype(np.int64) + _OTHER,
            )
        )
        left = np.concatenate((slow, others_left))
        left = left[np.argsort(left[:, 0], kind="stable")]
        columns = self._rules.columns = Columns()
        ends = np.empty(len(left), np.int64)
        rows = source.facts(left[:, 0])
        for index, (row, entry) in enumerate(zip(rows, left.tolist(), strict=True)):
            _, _, start, end, code = entry
            try:
                self._read(row, code, source.batch.buffer[start:end].tobytes())
            except MalformedPayloadError:
                self.counts.malformed_records += 1
            ends[index] = len(columns)
        lengths = np.diff(ends, prepend=0)
        samples = SampleBatch(
            np.repeat(source.slots[left[:, 0]], lengths),
            np.array(columns.time_us, np.int64),
            np.array(columns.signal, np.int32),
            np.array(columns.value, np.float64),
            columns.texts,
        )
        return _Plain(np.repeat(left[:, 1], lengths), samples)

    def _read(self, row: Row, code: int, data: bytes) -> None:
        if code == _OTHER + Encoding.JSON_SIGNALS:
            self._rules.read_json(row, data)
        elif code == _OTHER + Encoding.SAMPLES:
            self._rules.read_packed(row, data)
        elif code == WHOLE_RECORD:
            self._rules.read_payload(row, data)
        elif code == WHOLE_DATUM:
            self._rules.read_datum(row, data)
        else:
            self._rules.read_text(row, code, data)


_OTHER: Final = FIELD_TABLE  # codes from here on: not Tesla's, plus the encoding


def _merge(kernels_own: SampleBatch, plain: _Plain) -> SampleBatch:
    """Put the plain samples where they belong among the kernel's: the log's order."""
    at, own = plain
    if not len(own) or not len(kernels_own):
        return own if len(own) else kernels_own
    return SampleBatch(
        np.insert(kernels_own.vehicle, at, own.vehicle),
        np.insert(kernels_own.time_us, at, own.time_us),
        np.insert(kernels_own.signal, at, own.signal),
        np.insert(kernels_own.value, at, own.value),
        own.texts,
    )


def _join(parts: list[SampleBatch], texts: dict[int, str]) -> SampleBatch:
    if not parts:
        none = np.zeros(0, np.int32)
        return SampleBatch(none, np.zeros(0, np.int64), none, np.zeros(0), texts)
    if len(parts) == 1:
        return replace(parts[0], texts=texts)
    return SampleBatch(
        np.concatenate([part.vehicle for part in parts]),
        np.concatenate([part.time_us for part in parts]),
        np.concatenate([part.signal for part in parts]),
        np.concatenate([part.value for part in parts]),
        texts,
    )

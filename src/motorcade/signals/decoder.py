"""Record batches to sample batches: the first thing every reader of telemetry does.

Tesla's payloads go through the kernel; what it leaves, JSON and packed samples go through the plain
rules, row by row in the order of the log, because that is where names and texts get their numbers.
No payload harms more than its own record: what cannot be read is counted and yields nothing.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from motorcade.events import Encoding, Flags, RecordBatch
from motorcade.signals import packed
from motorcade.signals.catalogue import (
    BY_NAME,
    FIELD_COMPONENTS,
    FIELD_ENUMS,
    FIELD_KINDS,
    FIELD_SCALES,
    FIELDS,
    KNOWN_IDS,
    field_name,
)
from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.json_signals import read_json
from motorcade.signals.kernels import FIELD_TABLE, decode_telemetry
from motorcade.signals.samples import (
    BOOLEAN_BITS,
    TAG_MASK,
    TEXT_BITS,
    Dictionary,
    SampleBatch,
    box,
)
from motorcade.signals.tesla import parse_datum, parse_payload
from motorcade.signals.values import Stored, read_stored, samples_of

SAMPLES_PER_CALL: Final = 1 << 16  # room for the kernel's columns; a larger payload gets its own

Column = npt.NDArray[np.int64]


@dataclass(slots=True)
class DecodeCounts:
    """What was left out so far, and why; the dictionary counts refused names."""

    malformed_records: int = 0  # yielded nothing
    rejected_values: int = 0  # nested JSON values and the like; their records stand
    bounded_times: int = 0  # samples of a record dated beyond the future limit


@dataclass(slots=True)
class _Plain:
    """Samples made by the plain rules, and before which of the kernel's each one belongs."""

    at: list[int] = field(default_factory=list)
    row: list[int] = field(default_factory=list)
    time_us: list[int] = field(default_factory=list)
    signal: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Input:
    """A batch with what the decoding of each row needs at hand."""

    batch: RecordBatch
    slots: npt.NDArray[np.int32]
    starts: Column
    ends: Column
    wanted: npt.NDArray[np.bool_]


class Decoder:
    """Decodes for one reader. Holds the dictionary, so feed it every record once, in log order."""

    def __init__(self, dictionary: Dictionary, *, future_us_max: int) -> None:
        self.dictionary = dictionary
        self.counts = DecodeCounts()
        self._future_us_max = future_us_max
        self._kinds = np.zeros(FIELD_TABLE, np.uint8)
        self._scales = np.ones(FIELD_TABLE)
        self._enums = np.zeros(FIELD_TABLE, np.uint8)
        self._kinds[:FIELDS], self._scales[:FIELDS] = FIELD_KINDS, FIELD_SCALES
        self._enums[:FIELDS] = FIELD_ENUMS
        self._ids = np.full(FIELD_TABLE, -1, np.int32)
        self._ids[:FIELDS] = np.where(FIELD_COMPONENTS < 0, np.arange(FIELDS), FIELD_COMPONENTS)
        octets = np.zeros(8, np.uint8)
        self._scratch = (octets, octets.view(np.float64), octets.view(np.float32))
        self.learn_fields()

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
        source = _Input(batch, slots, starts, ends, wanted)
        texts: dict[int, str] = {}
        parts = []
        first = 0
        while first < len(rows):
            first, part = self._decode_some(source, first, texts)
            parts.append(part)
        return _join(parts, texts)

    def _decode_some(
        self, source: _Input, first: int, texts: dict[int, str]
    ) -> tuple[int, SampleBatch]:
        """Rows from `first` as far as the kernel's room goes; (row to go on from, samples)."""
        room = SAMPLES_PER_CALL
        if source.wanted[first]:
            room = max(room, int(source.ends[first] - source.starts[first]))
        signal, value = np.empty(room, np.int32), np.empty(room, np.float64)
        slow = np.empty((room // 2 + 1, 5), np.int64)
        counts = np.zeros(len(source.starts), np.int64)
        fields = (self._kinds, self._scales, self._enums, self._ids)
        after, samples, slow_count = decode_telemetry(
            source.batch.buffer,
            source.starts,
            source.ends,
            source.wanted,
            first,
            fields,
            (signal, value),
            counts,
            slow,
            self._scratch,
        )
        rows = np.repeat(np.arange(first, after), np.diff(counts[first:after], prepend=0))
        plain = self._plain_samples(source, first, after, slow[:slow_count], counts, texts)
        columns = (
            source.slots[rows],
            source.batch.rows["event_time_us"][rows],
            signal[:samples],
            value[:samples],
        )
        return after, _merge(columns, plain, source.slots)

    def _plain_samples(
        self,
        source: _Input,
        first: int,
        after: int,
        slow: Column,
        counts: Column,
        texts: dict[int, str],
    ) -> _Plain:
        """What the kernel left of rows `first` to `after`, in the order of the log."""
        plain = _Plain()
        encodings = source.batch.rows["encoding"][first:after]
        others = np.isin(encodings, (Encoding.JSON_SIGNALS, Encoding.SAMPLES))
        others &= source.slots[first:after] >= 0
        other_rows = np.flatnonzero(others) + first
        order = np.argsort(np.concatenate((slow[:, 0], other_rows)), kind="stable")
        for index in order.tolist():
            if index < len(slow):
                row, at, start, end, whole = slow[index].tolist()
                self._read_tesla(plain, source, row, at, (start, end, bool(whole)), texts)
            else:
                row = int(other_rows[index - len(slow)])
                self._read_other(plain, source, row, int(counts[row]), texts)
        return plain

    def _read_tesla(
        self,
        plain: _Plain,
        source: _Input,
        row: int,
        at: int,
        part: tuple[int, int, bool],
        texts: dict[int, str],
    ) -> None:
        """One datum, or a whole record, that the kernel would not take."""
        start, end, whole = part
        data = source.batch.buffer[start:end].tobytes()
        try:
            data_read = parse_payload(data) if whole else [parse_datum(data)]
        except MalformedPayloadError:
            self.counts.malformed_records += 1
            return
        slot, time_us = int(source.slots[row]), int(source.batch.rows["event_time_us"][row])
        for datum in data_read:
            for name, value in samples_of(datum) if datum is not None else ():
                number = self._number(name, slot, datum.field if datum else 0)
                self._put(plain, (at, row, time_us), number, value, texts)

    def _number(self, name: int | str, slot: int, field_number: int) -> int:
        if isinstance(name, int):
            return name
        number = self.dictionary.id_of(name, slot)
        if FIELDS <= field_number < FIELD_TABLE and name == field_name(field_number):
            self._ids[field_number] = number
        return number

    def _put(
        self,
        plain: _Plain,
        place: tuple[int, int, int],
        number: int,
        value: Stored,
        texts: dict[int, str],
    ) -> None:
        if number < 0:  # refused and counted by the dictionary
            return
        at, row, time_us = place
        plain.at.append(at)
        plain.row.append(row)
        plain.time_us.append(time_us)
        plain.signal.append(number)
        plain.value.append(box(value, self.dictionary, texts))

    def _read_other(
        self, plain: _Plain, source: _Input, row: int, at: int, texts: dict[int, str]
    ) -> None:
        """A record of JSON signals or packed samples."""
        payload = source.batch.buffer[source.starts[row] : source.ends[row]].tobytes()
        try:
            if source.batch.rows["encoding"][row] == Encoding.SAMPLES:
                self._read_packed(plain, source, row, at, packed.decode(payload), texts)
            else:
                self._read_json(plain, source, row, at, payload, texts)
        except MalformedPayloadError:
            self.counts.malformed_records += 1

    def _read_json(
        self,
        plain: _Plain,
        source: _Input,
        row: int,
        at: int,
        payload: bytes,
        texts: dict[int, str],
    ) -> None:
        slot = int(source.slots[row])
        for reading in read_json(payload):
            self.counts.rejected_values += reading.rejected
            times = np.array([-1 if reading.time_us is None else reading.time_us], np.int64)
            time_us = int(self._bounded(source, row, times)[0])
            for name, value in reading.signals.items():
                number = self.dictionary.id_of(name, slot)
                held = read_stored(BY_NAME.get(name), value)
                self._put(plain, (at, row, time_us), number, held, texts)

    def _read_packed(
        self,
        plain: _Plain,
        source: _Input,
        row: int,
        at: int,
        columns: packed.Packed,
        texts: dict[int, str],
    ) -> None:
        slot = int(source.slots[row])
        signal = columns.signal.astype(np.int32)
        for number in np.unique(signal[~_is_known(signal)]).tolist():
            name = packed.name_of(number, columns.names)
            signal[columns.signal == number] = self.dictionary.id_of(name, slot)
        value = columns.value.copy()
        bits = value.view(np.uint64)
        tag = bits & np.uint64(TAG_MASK)
        for index in np.flatnonzero(tag == np.uint64(TEXT_BITS)).tolist():
            text = columns.texts[int(bits[index]) & ~TAG_MASK]
            value[index] = box(text, self.dictionary, texts)
        is_boolean = (tag == np.uint64(BOOLEAN_BITS)) & _is_known(signal)
        value[is_boolean] = (bits[is_boolean] & np.uint64(1)).astype(np.float64)
        kept = signal >= 0
        count = int(kept.sum())
        plain.at += [at] * count
        plain.row += [row] * count
        plain.time_us += self._bounded(source, row, columns.time_us)[kept].tolist()
        plain.signal += signal[kept].tolist()
        plain.value += value[kept].tolist()

    def _bounded(self, source: _Input, row: int, times: Column) -> Column:
        """The times inside a payload, held to the rule that the door applied to the first (P3).

        Negative: none given, the record's event time stands.
        """
        record = source.batch.rows[row]
        event_time_us, received_us = int(record["event_time_us"]), int(record["received_time_us"])
        if int(record["flags"]) & Flags.TIME_BOUNDED:
            return np.full(len(times), event_time_us, np.int64)
        late = times > received_us + self._future_us_max
        self.counts.bounded_times += int(late.sum())
        return np.where(late, received_us, np.where(times < 0, event_time_us, times))


def _is_known(signal: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    inside = (signal >= 0) & (signal < len(KNOWN_IDS))
    return inside & KNOWN_IDS[np.where(inside, signal, 0)]


def _merge(
    columns: tuple[npt.NDArray[Any], ...], plain: _Plain, slots: npt.NDArray[np.int32]
) -> SampleBatch:
    """Put the plain samples where they belong among the kernel's: the log's order."""
    vehicle, time_us, signal, value = columns
    if not plain.at:
        return SampleBatch(vehicle, time_us, signal, value)
    return SampleBatch(
        np.insert(vehicle, plain.at, slots[plain.row]),
        np.insert(time_us, plain.at, plain.time_us),
        np.insert(signal, plain.at, plain.signal),
        np.insert(value, plain.at, plain.value),
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

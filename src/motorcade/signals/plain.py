"""The plain rules, row by row: what the kernel leaves of Tesla's, JSON and packed samples.

Here names and texts get their numbers, so rows come in the order of the log. Every method appends
samples to the columns, or raises `MalformedPayloadError` having appended none.
"""

import itertools
from array import array
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from motorcade.signals import packed
from motorcade.signals.catalogue import BY_ID, BY_NAME, FIELDS, KNOWN_IDS, field_name
from motorcade.signals.json.plain import read_json
from motorcade.signals.kernels import FIELD_TABLE
from motorcade.signals.samples import BOOLEAN_BITS, TAG_MASK, TEXT_BITS, Dictionary, box
from motorcade.signals.tesla import Datum, parse_datum, parse_payload
from motorcade.signals.values import Stored, read_stored, samples_of

TEXTS_REMEMBERED_MAX: Final = 4_096  # strings whose meaning is kept at hand


@dataclass(slots=True)
class DecodeCounts:
    """What was left out so far, and why; the dictionary counts refused names."""

    malformed_records: int = 0  # yielded nothing
    rejected_values: int = 0  # nested JSON values and the like; their records stand
    bounded_times: int = 0  # samples or readings dated beyond the future limit


class Row(NamedTuple):
    """What the rules need to know of a record."""

    slot: int
    event_time_us: int
    received_time_us: int
    is_bounded: bool  # the door replaced its time


class Columns:
    """Samples as they grow. Arrays, not tuples: those would cost a garbage collection each."""

    def __init__(self) -> None:
        self.time_us = array("q")
        self.signal = array("i")
        self.value = array("d")
        self.texts: dict[int, str] = {}  # every text that `value` points at

    def __len__(self) -> int:
        return len(self.signal)


class PlainRules:
    """Reads for one reader, into `columns`, which the caller replaces per batch."""

    def __init__(
        self, dictionary: Dictionary, field_ids: npt.NDArray[np.int32], *, future_us_max: int
    ) -> None:
        self.counts = DecodeCounts()
        self.columns = Columns()
        self._dictionary = dictionary
        self._field_ids = field_ids  # the kernel's column: learns the numbers of unknown Fields
        self._future_us_max = future_us_max
        self._meanings: dict[tuple[int, bytes], list[tuple[int | str, Stored]]] = {}

    def read_text(self, row: Row, field: int, text: bytes) -> None:
        """A datum that is a string; cars repeat themselves, so meanings are remembered."""
        meaning = self._meanings.get((field, text))
        if meaning is None:
            meaning = samples_of(Datum(field, text.decode("utf-8", "replace")))
            if len(self._meanings) >= TEXTS_REMEMBERED_MAX:
                self._meanings.clear()
            self._meanings[field, text] = meaning
        self._append(row, field, meaning)

    def read_datum(self, row: Row, data: bytes) -> None:
        """Any one datum."""
        datum = parse_datum(data)
        if datum is not None:
            self._append(row, datum.field, samples_of(datum))

    def read_payload(self, row: Row, payload: bytes) -> None:
        """A whole record of Tesla's."""
        for datum in parse_payload(payload):
            self._append(row, datum.field, samples_of(datum))

    def _append(self, row: Row, field: int, samples: list[tuple[int | str, Stored]]) -> None:
        for name, value in samples:
            if isinstance(name, int):
                number = name
            else:
                number = self._dictionary.id_of(name, row.slot)
                if FIELDS <= field < FIELD_TABLE and name == field_name(field):
                    self._field_ids[field] = number
            if number >= 0:  # else refused, and counted by the dictionary
                self._put(row.event_time_us, number, value)

    def _put(self, time_us: int, number: int, value: Stored) -> None:
        columns = self.columns
        columns.value.append(box(value, self._dictionary, columns.texts))
        columns.time_us.append(time_us)
        columns.signal.append(number)

    def json_text(self, signal: int, text: bytes) -> float:
        """The value of a sample that the kernel has put already, from its plain text."""
        value = read_stored(BY_ID.get(signal), text.decode("ascii"))
        return box(value, self._dictionary, self.columns.texts)

    def read_json(self, row: Row, payload: bytes) -> None:
        """JSON signals."""
        for reading in read_json(payload):
            self.counts.rejected_values += reading.rejected
            time_us = self._bounded(row, reading.time_us)
            for name, value in reading.signals.items():
                number = self._dictionary.id_of(name, row.slot)
                if number >= 0:
                    self._put(time_us, number, read_stored(BY_NAME.get(name), value))

    def _bounded(self, row: Row, time_us: int | None) -> int:
        """A time inside a payload, held to the rule that the door applied to the first one (P3)."""
        if time_us is None or row.is_bounded:
            return row.event_time_us
        if time_us <= row.received_time_us + self._future_us_max:
            return time_us
        self.counts.bounded_times += 1
        return row.received_time_us

    def read_packed(self, row: Row, payload: bytes) -> None:
        """Packed samples."""
        given = packed.decode(payload)
        times = [self._bounded(row, time_us) for time_us in given.time_us.tolist()]
        signal, value = given.signal.astype(np.int32), given.value
        if not _IS_KNOWN[given.signal].all():
            self._number_packed(row, given, signal)
        if np.isnan(value).any():
            self._box_packed(given, signal, value)
        kept = signal >= 0
        self.columns.time_us.extend(itertools.compress(times, kept))
        self.columns.signal.frombytes(signal[kept].tobytes())
        self.columns.value.frombytes(value[kept].tobytes())

    def _number_packed(self, row: Row, given: packed.Packed, signal: npt.NDArray[np.int32]) -> None:
        """Give signals that the catalogue lacks their numbers, in the order of their places."""
        for place in np.unique(given.signal[~_IS_KNOWN[given.signal]]).tolist():
            name = packed.name_of(place, given.names)
            signal[given.signal == place] = self._dictionary.id_of(name, row.slot)

    def _box_packed(
        self,
        given: packed.Packed,
        signal: npt.NDArray[np.int32],
        value: npt.NDArray[np.float64],
    ) -> None:
        """Number the texts; booleans of the catalogue are numbers, whatever they came as."""
        bits = value.view(np.uint64)
        tag = bits & np.uint64(TAG_MASK)
        is_boolean = (tag == np.uint64(BOOLEAN_BITS)) & (signal < len(KNOWN_IDS))
        for index in np.flatnonzero(tag == np.uint64(TEXT_BITS)).tolist():
            text = given.texts[int(bits[index]) & ~TAG_MASK]
            value[index] = box(text, self._dictionary, self.columns.texts)
        value[is_boolean] = (bits[is_boolean] & np.uint64(1)).astype(np.float64)


_IS_KNOWN: Final = np.zeros(1 << 16, np.bool_)
_IS_KNOWN[: len(KNOWN_IDS)] = KNOWN_IDS

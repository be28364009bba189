"""The plain rules, row by row: what the kernel leaves of Tesla's, JSON and packed samples.

Here names and texts get their numbers, so rows come in the order of the log. Every method gives
(time_us, signal id, value) triples and raises `MalformedPayloadError` for what it cannot read.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from motorcade.signals import packed
from motorcade.signals.catalogue import BY_NAME, FIELDS, KNOWN_IDS, field_name
from motorcade.signals.json_signals import read_json
from motorcade.signals.kernels import FIELD_TABLE
from motorcade.signals.samples import BOOLEAN_BITS, TAG_MASK, TEXT_BITS, Dictionary, box
from motorcade.signals.tesla import Datum, parse_datum, parse_payload
from motorcade.signals.values import Stored, read_stored, samples_of

Triple = tuple[int, int, float]
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


class PlainRules:
    """Reads for one reader. `texts` collects every text that the triples point at."""

    def __init__(
        self, dictionary: Dictionary, field_ids: npt.NDArray[np.int32], *, future_us_max: int
    ) -> None:
        self.counts = DecodeCounts()
        self.texts: dict[int, str] = {}
        self._dictionary = dictionary
        self._field_ids = field_ids  # the kernel's column: learns the numbers of unknown Fields
        self._future_us_max = future_us_max
        self._meanings: dict[tuple[int, bytes], list[tuple[int | str, Stored]]] = {}

    def read_text(self, row: Row, field: int, text: bytes) -> list[Triple]:
        """A datum that is a string; cars repeat themselves, so meanings are remembered."""
        meaning = self._meanings.get((field, text))
        if meaning is None:
            meaning = samples_of(Datum(field, text.decode("utf-8", "replace")))
            if len(self._meanings) >= TEXTS_REMEMBERED_MAX:
                self._meanings.clear()
            self._meanings[field, text] = meaning
        return self._numbered(row, field, meaning)

    def read_datum(self, row: Row, data: bytes) -> list[Triple]:
        """Any one datum."""
        datum = parse_datum(data)
        return [] if datum is None else self._numbered(row, datum.field, samples_of(datum))

    def read_payload(self, row: Row, payload: bytes) -> list[Triple]:
        """A whole record of Tesla's."""
        triples = []
        for datum in parse_payload(payload):
            triples += self._numbered(row, datum.field, samples_of(datum))
        return triples

    def _numbered(
        self, row: Row, field: int, samples: list[tuple[int | str, Stored]]
    ) -> list[Triple]:
        triples = []
        for name, value in samples:
            if isinstance(name, int):
                number = name
            else:
                number = self._dictionary.id_of(name, row.slot)
                if FIELDS <= field < FIELD_TABLE and name == field_name(field):
                    self._field_ids[field] = number
            if number >= 0:  # else refused, and counted by the dictionary
                boxed = box(value, self._dictionary, self.texts)
                triples.append((row.event_time_us, number, boxed))
        return triples

    def read_json(self, row: Row, payload: bytes) -> list[Triple]:
        """JSON signals."""
        triples = []
        for reading in read_json(payload):
            self.counts.rejected_values += reading.rejected
            time_us = self._bounded(row, reading.time_us)
            for name, value in reading.signals.items():
                number = self._dictionary.id_of(name, row.slot)
                if number >= 0:
                    held = read_stored(BY_NAME.get(name), value)
                    triples.append((time_us, number, box(held, self._dictionary, self.texts)))
        return triples

    def _bounded(self, row: Row, time_us: int | None) -> int:
        """A time inside a payload, held to the rule that the door applied to the first one (P3)."""
        if time_us is None or row.is_bounded:
            return row.event_time_us
        if time_us <= row.received_time_us + self._future_us_max:
            return time_us
        self.counts.bounded_times += 1
        return row.received_time_us

    def read_packed(self, row: Row, payload: bytes) -> list[Triple]:
        """Packed samples."""
        columns = packed.decode(payload)
        times = [self._bounded(row, time_us) for time_us in columns.time_us.tolist()]
        signal, value = columns.signal.astype(np.int32), columns.value
        if not _IS_KNOWN[columns.signal].all():
            self._number_packed(row, columns, signal)
        if np.isnan(value).any():
            self._box_packed(columns, signal, value)
        triples = zip(times, signal.tolist(), value.tolist(), strict=True)
        return [triple for triple in triples if triple[1] >= 0]

    def _number_packed(
        self, row: Row, columns: packed.Packed, signal: npt.NDArray[np.int32]
    ) -> None:
        """Give signals that the catalogue lacks their numbers, in the order of their places."""
        for place in np.unique(columns.signal[~_IS_KNOWN[columns.signal]]).tolist():
            name = packed.name_of(place, columns.names)
            signal[columns.signal == place] = self._dictionary.id_of(name, row.slot)

    def _box_packed(
        self,
        columns: packed.Packed,
        signal: npt.NDArray[np.int32],
        value: npt.NDArray[np.float64],
    ) -> None:
        """Number the texts; booleans of the catalogue are numbers, whatever they came as."""
        bits = value.view(np.uint64)
        tag = bits & np.uint64(TAG_MASK)
        is_boolean = (tag == np.uint64(BOOLEAN_BITS)) & (signal < len(KNOWN_IDS))
        for index in np.flatnonzero(tag == np.uint64(TEXT_BITS)).tolist():
            text = columns.texts[int(bits[index]) & ~TAG_MASK]
            value[index] = box(text, self._dictionary, self.texts)
        value[is_boolean] = (bits[is_boolean] & np.uint64(1)).astype(np.float64)


_IS_KNOWN: Final = np.zeros(1 << 16, np.bool_)
_IS_KNOWN[: len(KNOWN_IDS)] = KNOWN_IDS

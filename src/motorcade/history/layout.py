"""The columns of a history file, by name and type; samples to sorted rows.

A row is what one record said of one instant. Fixed columns: `vehicle` (its token), `time_us`,
`received_us`, `order` (of the log). A signal has one column for each kind of value that it had:
`n:NAME` for numbers, `t:NAME` for texts, `b:NAME` for booleans that no table knows. Null: the row
does not speak of it. NaN in `n:NAME`: the vehicle said that it is unavailable, whatever the kind.

Arrow takes a dot in a column's name for nesting, so dots and percent signs are written as `%2E` and
`%25`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from motorcade.history.samples import Samples
from motorcade.signals.samples import BOOLEAN_BITS, TAG_MASK, TEXT_BITS

VEHICLE: Final = "vehicle"
TIME: Final = "time_us"
RECEIVED: Final = "received_us"
ORDER: Final = "order"
FIXED: Final = (VEHICLE, TIME, RECEIVED, ORDER)
NUMBER, TEXT, BOOLEAN = "n", "t", "b"
TYPES: Final = {NUMBER: pa.float64(), TEXT: pa.string(), BOOLEAN: pa.bool_()}

_TAGS: Final = {TEXT: np.uint64(TEXT_BITS), BOOLEAN: np.uint64(BOOLEAN_BITS)}
_MASK: Final = np.uint64(TAG_MASK)

Tokens = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]


def column_name(kind: str, signal: str) -> str:
    return f"{kind}:{signal.replace('%', '%25').replace('.', '%2E')}"


def signal_of(column: str) -> tuple[str, str]:
    """The kind and the signal's name of a column. Only for columns that are not `FIXED`."""
    kind, _, name = column.partition(":")
    return kind, name.replace("%2E", ".").replace("%25", "%")


LATITUDE: Final = column_name(NUMBER, "latitude")
LONGITUDE: Final = column_name(NUMBER, "longitude")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows sorted by vehicle, event time and order; `table` has the columns but `vehicle`."""

    high: Tokens
    low: Tokens
    table: pa.Table

    def __len__(self) -> int:
        return len(self.high)


@dataclass(frozen=True, slots=True)
class _Cells:
    """One column's values and the rows that have them, rising."""

    row: Indices
    value: npt.NDArray[Any]  # float64, bool, or text numbers


class Pivot:
    """Samples of one flush as rows: which they are, and each column's cells."""

    def __init__(self, samples: Samples, name_of: Callable[[int], str]) -> None:
        record = samples.record
        keys = (record, samples.time_us, samples.low[record], samples.high[record])
        by_row = np.lexsort(keys)  # stable: samples of one row stay in the log's order
        record, time_us = record[by_row], samples.time_us[by_row]
        starts = np.ones(len(by_row), np.bool_)
        starts[1:] = (record[1:] != record[:-1]) | (time_us[1:] != time_us[:-1])
        row = np.cumsum(starts) - 1
        of_row = record[starts]
        self.high, self.low = samples.high[of_row], samples.low[of_row]
        self.time_us = time_us[starts]
        self.received_us, self.order = samples.received_us[of_row], samples.order[of_row]
        self._texts = samples.texts
        self._cells = dict(self._columns(samples, by_row, row, name_of))

    @property
    def schema(self) -> pa.Schema:
        """Of everything but `vehicle`."""
        signals = [(name, TYPES[name[0]]) for name in sorted(self._cells)]
        return pa.schema(
            [(TIME, pa.int64()), (RECEIVED, pa.int64()), (ORDER, pa.int64()), *signals]
        )

    def __len__(self) -> int:
        return len(self.time_us)

    def chunks(self, rows_max: int) -> Iterator[Rows]:
        """All rows, at most so many at a time: with hundreds of columns they are mostly nulls."""
        schema = self.schema
        for first in range(0, len(self), rows_max):
            part = slice(first, min(first + rows_max, len(self)))
            arrays = [
                pa.array(column[part]) for column in (self.time_us, self.received_us, self.order)
            ]
            names = schema.names[len(arrays) :]
            arrays += [self._array(name, part.start, part.stop) for name in names]
            yield Rows(self.high[part], self.low[part], pa.table(arrays, schema=schema))

    def _array(self, name: str, first: int, end: int) -> pa.Array:
        cells = self._cells[name]
        begin, stop = np.searchsorted(cells.row, (first, end))
        row, value = cells.row[begin:stop] - first, cells.value[begin:stop]
        if name[0] == TEXT:
            numbers, place = np.unique(value, return_inverse=True)
            words = pa.array([self._texts[number] for number in numbers.tolist()], pa.string())
            places = np.zeros(end - first, np.int32)
            places[row] = place
            array = pa.array(places, mask=_missing(row, end - first))
            return pa.DictionaryArray.from_arrays(array, words).dictionary_decode()
        filled = np.zeros(end - first, value.dtype)
        filled[row] = value
        return pa.array(filled, mask=_missing(row, end - first))

    def _columns(
        self, samples: Samples, by_row: Indices, row: Indices, name_of: Callable[[int], str]
    ) -> Iterator[tuple[str, _Cells]]:
        signal = samples.signal[by_row]
        by_signal = np.argsort(signal, kind="stable")
        ids, firsts = np.unique(signal[by_signal], return_index=True)
        for number, at in zip(ids.tolist(), np.split(by_signal, firsts[1:]), strict=True):
            rows = row[at]
            last = np.ones(len(at), np.bool_)
            last[:-1] = rows[1:] != rows[:-1]  # said twice in one row: the later one stands
            rows, value = rows[last], samples.value[by_row[at[last]]]
            yield from _by_kind(name_of(number), rows, value)


def _by_kind(
    name: str, row: Indices, value: npt.NDArray[np.float64]
) -> Iterator[tuple[str, _Cells]]:
    is_nan = value != value
    if not is_nan.any():
        yield column_name(NUMBER, name), _Cells(row, value)
        return
    bits = value.view(np.uint64)
    tag = bits & _MASK
    is_text, is_boolean = (is_nan & (tag == _TAGS[kind]) for kind in (TEXT, BOOLEAN))
    is_number = ~(is_text | is_boolean)
    if is_number.any():
        yield column_name(NUMBER, name), _Cells(row[is_number], value[is_number])
    if is_text.any():
        yield (
            column_name(TEXT, name),
            _Cells(row[is_text], (bits[is_text] & ~_MASK).astype(np.int64)),
        )
    if is_boolean.any():
        yield (
            column_name(BOOLEAN, name),
            _Cells(row[is_boolean], bits[is_boolean] & np.uint64(1) != 0),
        )


def _missing(row: Indices, rows: int) -> npt.NDArray[np.bool_] | None:
    if len(row) == rows:
        return None
    missing = np.ones(rows, np.bool_)
    missing[row] = False
    return missing

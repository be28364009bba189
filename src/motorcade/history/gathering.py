"""One vehicle's samples over a span, gathered from one part of history after the other."""

from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from motorcade.events import VehicleToken, pack_token
from motorcade.history.columns import ColumnFile
from motorcade.history.errors import HistoryTooLargeError
from motorcade.history.layout import (
    BOOLEAN,
    FIXED,
    NUMBER,
    ORDER,
    RECEIVED,
    TEXT,
    TIME,
    column_name,
    signal_of,
)
from motorcade.history.port import Series, Span, Times, Values
from motorcade.history.reading import LogReading
from motorcade.history.samples import Samples
from motorcade.history.tokens import changes
from motorcade.signals.samples import BOOLEAN_BITS, TAG_MASK, TEXT_BITS

GROUPS_READ_WHOLE: Final = 2  # of more, times are read first, then what lies in the span


class _Piece(NamedTuple):
    """A signal's samples from one source; columns of equal length."""

    time_us: Times
    received_us: Times
    order: Times
    value: Values

    def only(self, wanted: npt.NDArray[np.generic]) -> "_Piece":
        return _Piece(*(column[wanted] for column in self))


class Gathering:
    """One question. Raises `HistoryTooLargeError` when it reaches over too many rows."""

    def __init__(
        self,
        vehicle: VehicleToken,
        signals: Collection[str] | None,
        span: Span,
        rows_max: int,
    ) -> None:
        """`signals`: `None` for all there are."""
        self._token = pack_token(vehicle)
        self._signals = None if signals is None else frozenset(signals)
        self._span, self._rows_max = span, rows_max
        self._pieces: dict[str, list[_Piece]] = {}
        self._numbers: dict[str, int] = {}  # of texts
        self._rows = 0

    def add_file(self, file: ColumnFile) -> None:
        """What a file says. Raises as `ColumnFile.rows`."""
        index, span = file.index, self._span
        place = index.find(*self._token)
        if place < 0 or index.from_us[place] >= span.until_us or index.to_us[place] < span.from_us:
            return
        names = self._columns_of(file)
        if not names:
            return
        first, end = int(index.first_row[place]), int(index.first_row[place + 1])
        if len(index.groups(first, end)) > GROUPS_READ_WHOLE:
            begin, stop = self._bounds(file.rows(first, end, [TIME]))
            first, end = first + begin, first + stop
        if first == end:
            return
        table = file.rows(first, end, [TIME, RECEIVED, ORDER, *names])
        begin, stop = self._bounds(table)
        self._count(stop - begin)
        table = table.slice(begin, stop - begin)
        fixed = [table.column(name).to_numpy() for name in (TIME, RECEIVED, ORDER)]
        for name in names:
            self._add_column(name, table.column(name), fixed)

    def add_tail(self, part: Samples, reading: LogReading) -> None:
        """What no file has yet."""
        high, low = map(np.uint64, self._token)
        is_own = (part.high == high) & (part.low == low)
        if not is_own.any():
            return
        span = self._span
        is_in = (part.time_us >= span.from_us) & (part.time_us < span.until_us)
        at = np.flatnonzero(is_own[part.record] & is_in)
        self._count(int(np.count_nonzero(changes(part.record[at], part.time_us[at]))))
        for number in np.unique(part.signal[at]).tolist():
            name = reading.name_of(number)
            if self._signals is not None and name not in self._signals:
                continue
            own = at[part.signal[at] == number]
            record = part.record[own]
            value = part.value[own].copy()
            bits = value.view(np.uint64)
            is_text = bits & np.uint64(TAG_MASK) == np.uint64(TEXT_BITS)
            for place in np.flatnonzero((value != value) & is_text).tolist():
                text = part.texts[int(bits[place]) & ~TAG_MASK]
                bits[place] = TEXT_BITS | self._number_of(text)
            times = part.time_us[own], part.received_us[record], part.order[record]
            self._pieces.setdefault(name, []).append(_Piece(*times, value))

    def series(self, received_until_us: int | None) -> dict[str, Series]:
        """Of all that was told, by name; signals without samples are left out."""
        texts = {number: text for text, number in self._numbers.items()}
        found = {
            name: _merged(pieces, received_until_us, texts)
            for name, pieces in sorted(self._pieces.items())
        }
        return {name: series for name, series in found.items() if len(series)}

    def _columns_of(self, file: ColumnFile) -> list[str]:
        if self._signals is None:
            return [name for name in file.columns if name not in FIXED]
        kinds = (NUMBER, TEXT, BOOLEAN)
        names = [column_name(kind, each) for each in sorted(self._signals) for kind in kinds]
        return [name for name in names if name in file.columns]

    def _bounds(self, table: pa.Table) -> tuple[int, int]:
        """Which of these rows lie in the span."""
        times = table.column(TIME).to_numpy()
        begin, stop = np.searchsorted(times, (self._span.from_us, self._span.until_us))
        return int(begin), int(stop)

    def _count(self, rows: int) -> None:
        self._rows += rows
        if self._rows > self._rows_max:
            raise HistoryTooLargeError(
                f"more than {self._rows_max} rows lie in this span: ask for less time, a part at a "
                "time"
            )

    def _add_column(self, name: str, column: pa.ChunkedArray, fixed: list[Times]) -> None:
        kind, signal = signal_of(name)
        if column.null_count == len(column):
            return
        if column.null_count:
            there = column.is_valid().to_numpy()
            fixed = [each[there] for each in fixed]
            column = column.drop_null()
        time_us, received_us, order = fixed
        piece = _Piece(time_us, received_us, order, self._boxed(kind, column))
        self._pieces.setdefault(signal, []).append(piece)

    def _boxed(self, kind: str, column: pa.ChunkedArray) -> Values:
        """Arrow's values without nulls as history's float64."""
        if kind == NUMBER:
            values: Values = column.to_numpy()
            return values
        if kind == BOOLEAN:
            return _floats(column.to_numpy().astype(np.uint64) | np.uint64(BOOLEAN_BITS))
        words = column.combine_chunks().dictionary_encode()
        if isinstance(words, pa.ChunkedArray):
            words = words.combine_chunks()
        numbers = [self._number_of(word) for word in words.dictionary.to_pylist()]
        bits = np.array(numbers, np.uint64)[words.indices.to_numpy()]
        return _floats(bits | np.uint64(TEXT_BITS))

    def _number_of(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))


def _floats(bits: npt.NDArray[np.uint64]) -> Values:
    return bits.view(np.float64)


def _merged(pieces: list[_Piece], received_until_us: int | None, texts: dict[int, str]) -> Series:
    """One series of all pieces: by event time, of equal times the later in the log."""
    piece = pieces[0]
    if len(pieces) > 1:
        piece = _Piece(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))
    if received_until_us is not None:
        piece = piece.only(piece.received_us <= received_until_us)
    if (piece.time_us[1:] <= piece.time_us[:-1]).any():
        piece = piece.only(np.lexsort((piece.order, piece.time_us)))
        stands = np.ones(len(piece.time_us), np.bool_)
        stands[:-1] = piece.time_us[1:] != piece.time_us[:-1]
        piece = piece.only(stands)
    return Series(piece.time_us, piece.received_us, piece.value, texts)

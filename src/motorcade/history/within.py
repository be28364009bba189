"""Who was in an area: a search that is given one part of history after the other.

An index knows each vehicle's box on the ground, so of a file only the row groups of vehicles that
came near are read, and of those only time and coordinates.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.events import VehicleToken, pack_token, unpack_token
from motorcade.history.area import Area
from motorcade.history.buckets import owned
from motorcade.history.columns import ColumnFile
from motorcade.history.kernels import pair_up, visits
from motorcade.history.layout import LATITUDE, LONGITUDE, TIME, Tokens
from motorcade.history.port import Kept, Span, Times, Values, Visit
from motorcade.history.reading import LogReading
from motorcade.history.samples import Samples
from motorcade.history.tokens import SortedTokens, changes

READ_ROWS: Final = 262_144  # at once, whole row groups: 6 MB
APART_US: Final = 1_000_000  # coordinates of one fix that came one by one
WAITING_MAX: Final = 200_000  # finds that are put together then

Flags = npt.NDArray[np.uint8]
Finds = npt.NDArray[np.int64]
"""Rows of token high and low (as bits), first and last time, fixes."""


class Search:
    """See `History.within`."""

    def __init__(
        self,
        area: Area,
        span: Span,
        vehicles: Collection[VehicleToken] | None,
        kept: Mapping[VehicleToken, Kept],
    ) -> None:
        self._area = area
        self._span_us = np.array([span.from_us, span.until_us], np.int64)
        self._wanted = None if vehicles is None else SortedTokens.of(vehicles)
        self._kept_tokens = SortedTokens.of(kept)
        self._kept = [kept[token] for token in sorted(kept, key=pack_token)]
        self._moves = np.array([one.moves for one in self._kept], np.bool_)
        self._finds: list[Finds] = []
        self._waiting = 0

    def found(self) -> list[Visit]:
        """Of all that was looked at."""
        self._put_together()
        return [
            Visit(unpack_token(*halves), first_us, last_us, fixes)
            for finds in self._finds
            for halves, (first_us, last_us, fixes) in zip(
                finds[:, :2].view(np.uint64).tolist(), finds[:, 2:].tolist(), strict=True
            )
        ]

    def look_at(self, file: ColumnFile) -> Iterator[float]:
        """Look at a file, piece by piece; gives the share that is done, before and after each."""
        index = file.index
        from_us, until_us = self._span_us.tolist()
        wanted = (index.from_us < until_us) & (index.to_us >= from_us)
        if self._wanted is not None:
            wanted &= self._wanted.places(index.high, index.low) >= 0
        kept = self._kept_tokens.places(index.high, index.low)
        if index.boxes is not None:
            near = self._area.meets(index.boxes)
            if len(self._kept):
                near |= (kept >= 0) & self._moves[kept]
            wanted &= near
        yield 0.0
        if not wanted.any() or not {LATITUDE, LONGITUDE} <= file.columns:
            return
        pieces = _pieces(index.first_row, index.group_row, wanted)
        for number, (first, end) in enumerate(pieces, 1):
            table = file.rows(first, end, [TIME, LATITUDE, LONGITUDE])
            begin = int(np.searchsorted(index.first_row, first, "right")) - 1
            stop = int(np.searchsorted(index.first_row, end, "left"))
            starts = np.clip(index.first_row[begin : stop + 1], first, end) - first
            own = slice(begin, stop)
            tokens = index.high[own], index.low[own]
            times, latitudes, longitudes = (
                owned(table.column(name).to_numpy()) for name in (TIME, LATITUDE, LONGITUDE)
            )
            self._look(tokens, starts, times, latitudes, longitudes, wanted[own], kept[own])
            yield number / len(pieces)

    def look_at_tail(self, parts: Sequence[Samples], reading: LogReading) -> None:
        """Look at what no file has yet."""
        for part in parts:
            ids = np.unique(part.signal)
            numbers = {reading.name_of(number): number for number in ids.tolist()}
            is_latitude, is_longitude = (
                part.signal == numbers.get(name, -1) for name in ("latitude", "longitude")
            )
            at = np.flatnonzero(is_latitude | is_longitude)
            if not len(at):
                continue
            record = part.record[at]
            by_row = np.lexsort((record, part.time_us[at], part.low[record], part.high[record]))
            at, record = at[by_row], record[by_row]
            times = part.time_us[at]
            begins = changes(record, times)  # of rows, as a file has them
            row = np.cumsum(begins) - 1
            record, times = record[begins], times[begins]
            latitudes, longitudes = (np.full(len(times), np.nan) for _ in range(2))
            for is_one, column in ((is_latitude, latitudes), (is_longitude, longitudes)):
                own = is_one[at]
                column[row[own]] = part.value[at[own]]
            high, low = part.high[record], part.low[record]
            starts = np.append(np.flatnonzero(changes(high, low)), len(times))
            tokens = high[starts[:-1]], low[starts[:-1]]
            wanted = np.ones(len(starts) - 1, np.bool_)
            if self._wanted is not None:
                wanted = self._wanted.places(*tokens) >= 0
            kept = self._kept_tokens.places(*tokens)
            self._look(tokens, starts, times, latitudes, longitudes, wanted, kept)

    def _look(
        self,
        tokens: tuple[Tokens, Tokens],
        starts: Times,
        times: Times,
        latitudes: Values,
        longitudes: Values,
        wanted: npt.NDArray[np.bool_],
        kept: Times,
    ) -> None:
        """Each vehicle's rows begin at `starts`; the coordinates are overwritten."""
        pair_up(starts, times, latitudes, longitudes, APART_US)
        for vehicle in np.flatnonzero(wanted & (kept >= 0)).tolist():
            own = slice(int(starts[vehicle]), int(starts[vehicle + 1]))
            at = np.flatnonzero(~np.isnan(latitudes[own])) + own.start
            told = self._kept[kept[vehicle]].places(latitudes[at], longitudes[at])
            latitudes[at], longitudes[at] = told
        first, last, fixes = (np.zeros(len(wanted), np.int64) for _ in range(3))
        visits(
            wanted.astype(np.uint8),
            starts,
            times,
            latitudes,
            longitudes,
            self._span_us,
            self._area.edges,
            self._area.corners,
            first,
            last,
            fixes,
        )
        at = np.flatnonzero(fixes)
        halves = [half[at].view(np.int64) for half in tokens]
        self._finds.append(np.stack([*halves, first[at], last[at], fixes[at]], axis=1))
        self._waiting += len(at)
        if self._waiting > WAITING_MAX:
            self._put_together()

    def _put_together(self) -> None:
        """One find for each vehicle."""
        finds = np.concatenate([np.zeros((0, 5), np.int64), *self._finds])
        if len(finds):
            high, low = finds[:, 0].view(np.uint64), finds[:, 1].view(np.uint64)
            finds = finds[np.lexsort((low, high))]
            starts = np.flatnonzero(changes(finds[:, 0], finds[:, 1]))
            columns = (
                finds[starts, 0],
                finds[starts, 1],
                np.minimum.reduceat(finds[:, 2], starts),
                np.maximum.reduceat(finds[:, 3], starts),
                np.add.reduceat(finds[:, 4], starts),
            )
            finds = np.stack(columns, axis=1)
        self._finds, self._waiting = [finds], 0


def _pieces(
    first_row: Times, group_row: Times, wanted: npt.NDArray[np.bool_]
) -> list[tuple[int, int]]:
    """Rows to read: whole row groups that hold something of a wanted vehicle, some at a time."""
    at = np.flatnonzero(wanted)
    first = np.searchsorted(group_row, first_row[at], "right") - 1
    end = np.searchsorted(group_row, first_row[at + 1], "left")
    groups = len(group_row) - 1
    opened = np.bincount(first, minlength=groups + 1) - np.bincount(end, minlength=groups + 1)
    pieces: list[tuple[int, int]] = []
    for group in np.flatnonzero(np.cumsum(opened)[:groups]).tolist():
        begin, stop = int(group_row[group]), int(group_row[group + 1])
        if pieces and pieces[-1][1] == begin and stop - pieces[-1][0] <= READ_ROWS:
            pieces[-1] = pieces[-1][0], stop
        else:
            pieces.append((begin, stop))
    return pieces

"""The index beside a history file: which rows are a vehicle's, and where row groups begin.

Little-endian: a header, then columns for the vehicles (token high and low, first row, first and
last event time), sorted by token, then the row groups' first rows, then each vehicle's box on the
ground, then the sums of the column file's blocks (`sums.py`), and xxh3-64 of all before it. Version
1 has no boxes, version 2 no sums.
"""

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from motorcade.history.errors import HistoryDamagedError

_HEADER: Final = struct.Struct("<8s3Q")  # magic, vehicles, row groups, rows
_MAGIC: Final = b"MCHIDX\x00"  # and the version
_SUMMED, _BOXED, _PLAIN = b"\x03", b"\x02", b"\x01"
_SUM: Final = struct.Struct("<Q")
E7: Final = 10_000_000
EVERYWHERE: Final = (-180 * E7, -90 * E7, 180 * E7, 90 * E7)
NOWHERE: Final = (2**31 - 1, 2**31 - 1, -(2**31), -(2**31))

Boxes = npt.NDArray[np.int32]
"""Rows of west, south, east, north in 1e-7 degrees, rounded outwards. West is never more than east:
who drove across 180 degrees has all longitudes. `NOWHERE`: no position was said."""


@dataclass(frozen=True, slots=True)
class Index:
    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]
    first_row: npt.NDArray[np.int64]  # one more than there are vehicles
    from_us: npt.NDArray[np.int64]
    to_us: npt.NDArray[np.int64]  # its last row's time
    group_row: npt.NDArray[np.int64]  # one more than there are groups
    boxes: Boxes | None  # `None`: nobody looked
    sums: npt.NDArray[np.uint64] | None = None  # of the column file's blocks; with boxes alone

    def find(self, high: int, low: int) -> int:
        """The vehicle's number in this file, -1 for none."""
        at = self.place(high, low)
        is_there = at < len(self.high) and (int(self.high[at]), int(self.low[at])) == (high, low)
        return at if is_there else -1

    def place(self, high: int, low: int) -> int:
        """How many vehicles of this file come before that one."""
        first = int(np.searchsorted(self.high, np.uint64(high), "left"))
        end = int(np.searchsorted(self.high, np.uint64(high), "right"))
        return first + int(np.searchsorted(self.low[first:end], np.uint64(low)))

    def groups(self, first: int, end: int) -> range:
        """The row groups that hold rows from `first` until before `end`."""
        begin = int(np.searchsorted(self.group_row, first, "right")) - 1
        return range(begin, int(np.searchsorted(self.group_row, end, "left")))


def boxes_of(extremes: npt.NDArray[np.float64]) -> Boxes:
    """Boxes from rows of the least longitude, latitude, -longitude and -latitude, in degrees.

    NaN where none was said. Numbers that are no coordinates say nothing of where a vehicle was.
    """
    edges = extremes * (1, 1, -1, -1)
    with np.errstate(invalid="ignore"):
        is_wild = (np.abs(edges) > (180, 90, 180, 90)).any(axis=1)
    is_nowhere = np.isnan(edges).any(axis=1)
    edges[is_wild | is_nowhere] = 0
    boxes = np.concatenate((np.floor(edges[:, :2] * E7), np.ceil(edges[:, 2:] * E7)), axis=1)
    found = boxes.astype(np.int32)
    found[is_wild] = EVERYWHERE
    found[is_nowhere] = NOWHERE
    return found


def pack(index: Index) -> bytes:
    version = _PLAIN if index.boxes is None else _BOXED if index.sums is None else _SUMMED
    header = _HEADER.pack(
        _MAGIC + version, len(index.high), len(index.group_row) - 1, int(index.first_row[-1])
    )
    columns = (index.high, index.low, index.first_row, index.from_us, index.to_us, index.group_row)
    body = header + b"".join(column.tobytes() for column in columns)
    if index.boxes is not None:
        body += index.boxes.tobytes()
        body += b"" if index.sums is None else index.sums.tobytes()
    return body + _SUM.pack(xxhash.xxh3_64_intdigest(body))


def unpack(data: bytes, name: str) -> Index:
    """Raises `HistoryDamagedError`, naming the file."""
    body = data[: -_SUM.size]
    whole = len(body) >= _HEADER.size and _SUM.pack(xxhash.xxh3_64_intdigest(body)) == data[-8:]
    version = body[len(_MAGIC) : len(_MAGIC) + 1]
    if not whole or not body.startswith(_MAGIC) or version not in (_PLAIN, _BOXED, _SUMMED):
        raise _damaged(name)
    _, vehicles, groups, rows = _HEADER.unpack_from(body)
    lengths = (vehicles, vehicles, vehicles + 1, vehicles, vehicles, groups + 1)
    count, rest_bytes = divmod(len(body) - _HEADER.size, 8)
    boxes_count = 0 if version == _PLAIN else 2 * vehicles
    more = count - sum(lengths) - boxes_count
    if rest_bytes or more < 0 or (more and version != _SUMMED):
        raise _damaged(name)
    words = np.frombuffer(body, np.int64, offset=_HEADER.size)
    high, low, first_row, from_us, to_us, group_row, rest = np.split(words, np.cumsum(lengths))
    for begins in (first_row, group_row):
        if begins[0] != 0 or begins[-1] != rows or (begins[1:] < begins[:-1]).any():
            raise _damaged(name)
    tokens = high.view(np.uint64), low.view(np.uint64)
    if version == _PLAIN:
        return Index(*tokens, first_row, from_us, to_us, group_row, None)
    boxes = rest[:boxes_count].view(np.int32).reshape(-1, 4)
    sums = rest[boxes_count:].view(np.uint64) if version == _SUMMED else None
    return Index(*tokens, first_row, from_us, to_us, group_row, boxes, sums)


def _damaged(name: str) -> HistoryDamagedError:
    return HistoryDamagedError(f"{name} is damaged: restore it from a backup")

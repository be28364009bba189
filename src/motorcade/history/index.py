"""The index beside a history file: which rows are a vehicle's, and where row groups begin.

Little-endian: a header, then columns for the vehicles (token high and low, first row, first and
last event time), sorted by token, then the row groups' first rows, and xxh3-64 of all before it.
"""

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from motorcade.history.errors import HistoryDamagedError

_HEADER: Final = struct.Struct("<8s3Q")  # magic, vehicles, row groups, rows
_MAGIC: Final = b"MCHIDX\x00\x01"
_SUM: Final = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Index:
    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]
    first_row: npt.NDArray[np.int64]  # one more than there are vehicles
    from_us: npt.NDArray[np.int64]
    to_us: npt.NDArray[np.int64]  # its last row's time
    group_row: npt.NDArray[np.int64]  # one more than there are groups

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


def pack(index: Index) -> bytes:
    header = _HEADER.pack(
        _MAGIC, len(index.high), len(index.group_row) - 1, int(index.first_row[-1])
    )
    columns = (index.high, index.low, index.first_row, index.from_us, index.to_us, index.group_row)
    body = header + b"".join(column.tobytes() for column in columns)
    return body + _SUM.pack(xxhash.xxh3_64_intdigest(body))


def unpack(data: bytes, name: str) -> Index:
    """Raises `HistoryDamagedError`, naming the file."""
    body = data[: -_SUM.size]
    whole = len(body) >= _HEADER.size and _SUM.pack(xxhash.xxh3_64_intdigest(body)) == data[-8:]
    if not whole or not body.startswith(_MAGIC):
        raise HistoryDamagedError(f"{name} is damaged: restore it from a backup")
    _, vehicles, groups, _ = _HEADER.unpack_from(body)
    lengths = (vehicles, vehicles, vehicles + 1, vehicles, vehicles, groups + 1)
    words = np.frombuffer(body, np.int64, offset=_HEADER.size)
    parts = np.split(words, np.cumsum(lengths)[:-1])
    return Index(parts[0].view(np.uint64), parts[1].view(np.uint64), *parts[2:])

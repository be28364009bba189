"""Sums of a column file's blocks, which stand in the index beside it.

Parquet has checksums of its pages' values, none of its pages' heads and none of its own end: a bit
that flips there makes another encoding, another column's name, another value. So every block that
is read is compared, whatever it holds.
"""

import os
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
import xxhash

from motorcade.durable import Files
from motorcade.history.errors import HistoryDamagedError
from motorcade.history.files import NewFile

BLOCK_BYTES: Final = 8_192  # about a column of a row group; the sums are a thousandth of the file
Sums = npt.NDArray[np.uint64]
"""xxh3-64 of each block; the last one may be shorter."""


def sums_of(file: IO[bytes]) -> Sums:
    """Of all of a file."""
    found = []
    while block := file.read(BLOCK_BYTES):
        found.append(xxhash.xxh3_64_intdigest(block))
    return np.array(found, np.uint64)


class SummedNewFile(NewFile):
    """Sums what is written."""

    def __init__(self, files: Files, path: Path) -> None:
        super().__init__(files, path)
        self._sums: list[int] = []
        self._block = bytearray()  # the one that is not full yet

    def write(self, data: bytes | memoryview) -> int:
        part = memoryview(data).cast("B")
        super().write(part)
        at = 0
        while at < len(part):
            piece = part[at : at + BLOCK_BYTES - len(self._block)]
            self._block += piece
            at += len(piece)
            if len(self._block) == BLOCK_BYTES:
                self._sums.append(xxhash.xxh3_64_intdigest(self._block))
                self._block.clear()
        return len(part)

    def sums(self) -> Sums:
        """Of all that was written."""
        last = [xxhash.xxh3_64_intdigest(self._block)] if self._block else []
        return np.array(self._sums + last, np.uint64)


class SummedFile:
    """What Arrow takes for a file; what is read of `file` is compared with its sums."""

    def __init__(self, file: Any, sums: Sums, name: str) -> None:
        self._file, self._sums, self._name = file, sums.tolist(), name
        self._size, self._at = file.size(), 0
        self.closed = False

    def size(self) -> int:
        return int(self._size)

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Raises `HistoryDamagedError`."""
        end = self._size if size < 0 else min(self._at + size, self._size)
        first, last = self._at // BLOCK_BYTES, -(-end // BLOCK_BYTES)
        start = first * BLOCK_BYTES
        self._file.seek(start)
        blocks = memoryview(self._file.read_buffer(min(last * BLOCK_BYTES, self._size) - start))
        for number in range(first, last):
            place = (number - first) * BLOCK_BYTES
            told = self._sums[number] if number < len(self._sums) else None
            if xxhash.xxh3_64_intdigest(blocks[place : place + BLOCK_BYTES]) != told:
                at = f"bytes {number * BLOCK_BYTES} to {(number + 1) * BLOCK_BYTES}"
                raise HistoryDamagedError(
                    f"{self._name} is damaged, restore it from a backup: {at} are not as written"
                )
        found = bytes(blocks[self._at - start : end - start])
        self._at = end
        return found

    def close(self) -> None:
        self.closed = True
        self._file.close()

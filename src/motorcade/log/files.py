"""The file layer: all that the embedded log stores passes through it, so faults can be injected.

`OsFiles` is Linux. `tests/faulty_files.py` has the other implementation: it loses unsynced bytes,
tears writes and fails on request. The promises are the weakest we rely on; nothing in the log may
assume more (say, that one file's write reaches the disk before another's).

Errors are plain `OSError`; the callers wrap them, because only they know what was lost.
"""

import errno
import fcntl
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from motorcade import durable

Part = bytes | memoryview  # of bytes; an array gives one with `.data`

PARTS_MAX: Final = 1_000  # of one write; Linux's IOV_MAX is 1,024


class Readable(Protocol):
    """What reading a file needs: a disk, or bytes in memory."""

    def size(self, fd: int) -> int:
        """Bytes, holes and preallocated zeros included."""

    def read(self, fd: int, target: memoryview, offset: int) -> int:
        """Fill `target` from `offset`; fewer bytes only at the end of the file."""


class FileLayer(Readable, Protocol):
    """What the log needs of a disk. `fd` is a number that `open` gave."""

    def open(self, path: Path, *, create: bool) -> int:
        """Open for reading and writing. A created file's name needs `sync_directory` to last."""

    def close(self, fd: int) -> None:
        """Close; drops the lock. Makes nothing durable."""

    def lock(self, fd: int, *, wait: bool) -> bool:
        """Lock the file for this `fd` alone, until closed. False: another holds it."""

    def write(self, fd: int, parts: Sequence[Part], offset: int) -> None:
        """Write all parts one after the other. Not durable. An error leaves any part written."""

    def write_synced(self, fd: int, parts: Sequence[Part], offset: int) -> None:
        """Write all parts and return when these bytes are on disk; no others are promised.

        After an error nobody knows which of the bytes are on disk, nor whether reading them back
        tells the truth: the kernel drops the dirty mark of pages that it failed to write.
        """

    def allocate(self, fd: int, offset: int, size: int) -> None:
        """Reserve space, reading as zeros; a hint that may do nothing."""

    def truncate(self, fd: int, size: int) -> None:
        """Cut the file. Durable only after `sync`."""

    def sync(self, fd: int) -> None:
        """Return when the file's content and size are on disk."""

    def forget(self, fd: int) -> None:
        """Drop cached pages, so that the next read comes from the disk. A hint."""

    def map(self, fd: int, size: int) -> npt.NDArray[np.uint64]:
        """The file's first bytes as shared memory. Survives the process, not the machine."""

    def space(self, directory: Path) -> tuple[int, int]:
        """Bytes that may still be written below `directory`, and the size of its disk."""

    def names(self, directory: Path) -> list[str]:
        """Names in the directory, in no order; empty when there is no such directory."""

    def make_directory(self, path: Path) -> None:
        """Create it and its parents where missing, durably."""

    def rename(self, source: Path, target: Path) -> None:
        """Replace `target` atomically. Durable only after `sync_directory`."""

    def unlink(self, path: Path) -> None:
        """Remove the name; readers that have the file open keep it."""

    def sync_directory(self, path: Path) -> None:
        """Return when the directory's names are on disk."""


class OsFiles:
    """The machine's disk."""

    def open(self, path: Path, *, create: bool) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return os.open(path, flags, 0o600)

    def close(self, fd: int) -> None:
        try:
            os.close(fd)
        except OSError as error:
            if error.errno == errno.EBADF:
                raise  # Ours.
            # It is closed whatever the disk answers, and what must last was synced before.

    def lock(self, fd: int, *, wait: bool) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def read(self, fd: int, target: memoryview, offset: int) -> int:
        filled = 0
        while filled < len(target):
            count = os.preadv(fd, [target[filled:]], offset + filled)
            if count == 0:
                break
            filled += count
        return filled

    def write(self, fd: int, parts: Sequence[Part], offset: int) -> None:
        self._write(fd, parts, offset, 0)

    def write_synced(self, fd: int, parts: Sequence[Part], offset: int) -> None:
        # One system call for write and fdatasync, so that the thread takes the GIL back once.
        self._write(fd, parts, offset, os.RWF_DSYNC)

    def _write(self, fd: int, parts: Sequence[Part], offset: int, flags: int) -> None:
        size = sum(len(part) for part in parts)
        written = os.pwritev(fd, parts, offset, flags)
        if written < size:  # Rare: a signal, or a disk that fills up. The copy may cost.
            rest = b"".join(bytes(part) for part in parts)
            while written < size:
                written += os.pwritev(fd, [rest[written:]], offset + written, flags)

    def allocate(self, fd: int, offset: int, size: int) -> None:
        os.posix_fallocate(fd, offset, size)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        os.fsync(fd)

    def forget(self, fd: int) -> None:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def map(self, fd: int, size: int) -> npt.NDArray[np.uint64]:
        return np.frombuffer(mmap.mmap(fd, size), np.uint64)

    def space(self, directory: Path) -> tuple[int, int]:
        disk = os.statvfs(directory)
        return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize

    def names(self, directory: Path) -> list[str]:
        try:
            return os.listdir(directory)
        except FileNotFoundError:
            return []

    def make_directory(self, path: Path) -> None:
        durable.make_directory(path)

    def rename(self, source: Path, target: Path) -> None:
        os.replace(source, target)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def sync_directory(self, path: Path) -> None:
        durable.sync_directory(path)


def read_bytes(files: Readable, fd: int, offset: int, size: int) -> npt.NDArray[np.uint8]:
    """Read up to `size` bytes into fresh memory that starts on an 8-byte boundary."""
    target = np.empty((size + 7) // 8, np.uint64).view(np.uint8)[:size]
    return target[: files.read(fd, target.data, offset)]

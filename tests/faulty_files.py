"""A disk in memory that keeps exactly what `FileLayer` promises and breaks everything else.

* Bytes that were not synced are lost, kept or torn at a power loss, each write by its own chance.
* A failed sync writes some prefix and then *forgets* that the bytes are dirty, as Linux does: they
  read back fine, no later sync brings them to the disk, a power loss loses them.
* Names (create, rename, unlink) that were not synced with their directory are lost or kept, each by
  its own chance.
* `fail(call, errno)` makes a later call fail, `broken` all; `stop_at(call)` ends everything in one.

After `power_loss` or `kill` the same object is the disk of the next process.
"""

import errno
import os
import random
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from motorcade.log.files import Part

_Value = TypeVar("_Value")


class Stopped(Exception):  # noqa: N818  (an event, not an error)
    """All stopped in this call. Further calls raise it too, until `power_loss` or `kill`."""


@dataclass
class _Inode:
    disk: bytearray = field(default_factory=bytearray)
    cache: bytearray = field(default_factory=bytearray)
    dirty: list[tuple[int, bytes | None]] = field(
        default_factory=list
    )  # None: the size becomes the offset
    mapped: npt.NDArray[np.uint64] | None = None


class FaultyFiles:
    """A `FileLayer`. Directories exist when something was made in them."""

    def __init__(self, seed: int = 0) -> None:
        self.free_bytes = 1 << 40  # what `space` tells; nothing else here runs out
        self.calls = 0  # those that change something
        self.broken = 0  # while set: the errno that every changing call fails with
        self._chance = random.Random(seed)
        self._faults: dict[int, int] = {}
        self._stopping: int | None = None
        self._stopped = False
        self._names: dict[Path, _Inode] = {}
        self._names_on_disk: dict[Path, _Inode] = {}
        self._renamed: list[tuple[Path, _Inode | None]] = []  # unsynced; None: unlinked
        self._open: dict[int, _Inode] = {}
        self._locked: dict[int, _Inode] = {}
        self._next_fd = 100
        self._mutex = threading.RLock()

    # -- what tests steer --------------------------------------------------------------------------

    def fail(self, call: int, number: int = errno.EIO) -> None:
        """Let the `call`th changing call from now on fail; 1 is the next."""
        self._faults[self.calls + call] = number

    def mend(self) -> None:
        """Take back the faults that are still to come."""
        self._faults.clear()
        self.broken = 0

    def stop_at(self, call: int) -> None:
        """Stop in the `call`th changing call from now on; 1 is the next."""
        self._stopping = self.calls + call

    def stop(self) -> None:
        """Stop now, whatever other threads are doing."""
        self._stopped = True

    @property
    def stopped(self) -> bool:
        return self._stopped

    def kill(self) -> None:
        """End the process: what it wrote stays in the cache, synced or not."""
        self._forget_process()

    def power_loss(self) -> None:
        """End the machine: only the disk stays, and what had reached it by chance."""
        for inode in {id(each): each for each in self._inodes()}.values():
            for offset, data in inode.dirty:
                self._reach_disk(inode, offset, data)
            inode.dirty.clear()
            inode.cache = bytearray(inode.disk)
            if inode.mapped is not None:
                inode.cache[: inode.mapped.nbytes] = self._some(
                    [inode.mapped.tobytes(), bytes(inode.mapped.nbytes)]
                )
                inode.mapped = None
        for path, changed in self._renamed:
            if self._chance.random() < 0.5:
                self._set(self._names_on_disk, path, changed)
        self._renamed.clear()
        self._names = dict(self._names_on_disk)
        self._forget_process()

    def damage(self, path: Path, offset: int, data: bytes) -> None:
        """Overwrite bytes behind everybody's back, on disk and in the cache."""
        inode = self._names[path]
        for content in (inode.disk, inode.cache):
            content[offset : offset + len(data)] = data

    def content(self, path: Path) -> bytes:
        return bytes(self._names[path].cache)

    # -- FileLayer ---------------------------------------------------------------------------------

    def open(self, path: Path, *, create: bool) -> int:
        with self._mutex:
            if path not in self._names:
                if not create:
                    self._check_power()
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
                self._change()
                self._rename(path, _Inode())
            self._check_power()
            self._next_fd += 1
            self._open[self._next_fd] = self._names[path]
            return self._next_fd

    def close(self, fd: int) -> None:
        with self._mutex:
            self._open.pop(fd, None)
            self._locked.pop(fd, None)

    def lock(self, fd: int, *, wait: bool) -> bool:
        with self._mutex:
            inode = self._open[fd]
            if any(inode is other for other in self._locked.values()):
                assert not wait, "nobody holds a gate across calls of one thread"
                return False
            self._locked[fd] = inode
            return True

    def size(self, fd: int) -> int:
        return len(self._inode(fd).cache)

    def read(self, fd: int, target: memoryview, offset: int) -> int:
        with self._mutex:
            data = self._inode(fd).cache[offset : offset + len(target)]
            target[: len(data)] = data
            return len(data)

    def write(self, fd: int, parts: Sequence[Part], offset: int) -> None:
        with self._mutex:
            data = b"".join(bytes(part) for part in parts)
            inode = self._inode(fd)
            error = self._change(raising=False)
            if error:
                data = data[: self._chance.randint(0, len(data))]
            _put(inode.cache, offset, data)
            inode.dirty.append((offset, data))
            self._raise(error)

    def write_synced(self, fd: int, parts: Sequence[Part], offset: int) -> None:
        with self._mutex:
            data = b"".join(bytes(part) for part in parts)
            inode = self._inode(fd)
            error = self._change(raising=False)
            if error == errno.ENOSPC:
                data = data[: self._chance.randint(0, len(data))]
            _put(inode.cache, offset, data)
            if self._stopped:
                inode.dirty.append((offset, data))
            elif error:
                self._reach_disk(inode, offset, data)
            else:
                self._settle(inode, offset, offset + len(data))
                _put(inode.disk, offset, data)
            self._raise(error)

    def allocate(self, fd: int, offset: int, size: int) -> None:
        with self._mutex:
            self._resize(fd, max(offset + size, len(self._inode(fd).cache)))

    def truncate(self, fd: int, size: int) -> None:
        with self._mutex:
            self._resize(fd, size)

    def sync(self, fd: int) -> None:
        with self._mutex:
            inode = self._inode(fd)
            error = self._change(raising=False)
            if not self._stopped:
                for offset, data in inode.dirty:
                    if error:
                        self._reach_disk(inode, offset, data)
                    else:
                        _apply(inode.disk, offset, data)
                inode.dirty.clear()
            self._raise(error)

    def forget(self, fd: int) -> None:
        with self._mutex:
            inode = self._inode(fd)
            inode.cache = bytearray(inode.disk)
            for offset, data in inode.dirty:
                _apply(inode.cache, offset, data)

    def map(self, fd: int, size: int) -> npt.NDArray[np.uint64]:
        with self._mutex:
            inode = self._inode(fd)
            if inode.mapped is None:
                inode.mapped = np.frombuffer(bytes(inode.cache[:size]), np.uint64).copy()
            return inode.mapped

    def space(self, directory: Path) -> tuple[int, int]:
        return self.free_bytes, 1 << 40

    def names(self, directory: Path) -> list[str]:
        with self._mutex:
            self._check_power()
            depth = len(directory.parts)
            below = (path for path in self._names if path.is_relative_to(directory))
            return sorted({path.parts[depth] for path in below if len(path.parts) > depth})

    def make_directory(self, path: Path) -> None:
        self._check_power()

    def rename(self, source: Path, target: Path) -> None:
        with self._mutex:
            inode = self._names[source]
            error = self._change(raising=False)
            self._raise(0 if self._stopped else error)
            self._rename(target, inode)
            self._rename(source, None)
            self._check_power()

    def unlink(self, path: Path) -> None:
        with self._mutex:
            self._change()
            self._rename(path, None)

    def sync_directory(self, path: Path) -> None:
        with self._mutex:
            self._change()
            for name, inode in self._renamed:
                if name.parent == path:
                    self._set(self._names_on_disk, name, inode)
            self._renamed = [each for each in self._renamed if each[0].parent != path]

    # -- inside ------------------------------------------------------------------------------------

    def _inode(self, fd: int) -> _Inode:
        self._check_power()
        return self._open[fd]

    def _check_power(self) -> None:
        if self._stopped:
            raise Stopped

    def _change(self, *, raising: bool = True) -> int:
        """Count a call; returns the error it is to fail with, or raises it."""
        self._check_power()
        self.calls += 1
        error = self._faults.pop(self.calls, self.broken)
        if self.calls == self._stopping:
            self._stopped = True
        if raising:
            self._raise(error)
        return error

    def _raise(self, error: int) -> None:
        self._check_power()
        if error:
            raise OSError(error, os.strerror(error))

    def _resize(self, fd: int, size: int) -> None:
        inode = self._inode(fd)
        self._change()
        _cut(inode.cache, size)
        inode.dirty.append((size, None))

    def _settle(self, inode: _Inode, start: int, end: int) -> None:
        """A sync brings along what its bytes need: earlier sizes, and what it wrote over."""
        kept = []
        for offset, data in inode.dirty:
            if data is None or (offset < end and start < offset + len(data)):
                _apply(inode.disk, offset, data)
            else:
                kept.append((offset, data))
        inode.dirty = kept

    def _reach_disk(self, inode: _Inode, offset: int, data: bytes | None) -> None:
        """What became of a write that nobody waited for: all, none, or some of it."""
        if data is None:
            if self._chance.random() < 0.5:
                _cut(inode.disk, offset)
            return
        cuts = [0, len(data), self._chance.randint(0, len(data))]
        start, end = sorted((self._some(cuts), self._some(cuts)))  # Sectors keep no order.
        _put(inode.disk, offset + start, data[start:end])

    def _rename(self, path: Path, inode: _Inode | None) -> None:
        self._set(self._names, path, inode)
        self._renamed.append((path, inode))

    @staticmethod
    def _set(names: dict[Path, _Inode], path: Path, inode: _Inode | None) -> None:
        if inode is None:
            names.pop(path, None)
        else:
            names[path] = inode

    def _inodes(self) -> Iterable[_Inode]:
        yield from self._names.values()
        yield from self._names_on_disk.values()
        yield from (inode for _, inode in self._renamed if inode is not None)

    def _some(self, values: Sequence[_Value]) -> _Value:
        return self._chance.choice(values)

    def _forget_process(self) -> None:
        self._open.clear()
        self._locked.clear()
        self._stopped, self._stopping = False, None
        self._faults.clear()


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _cut(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        _cut(content, offset)
    else:
        _put(content, offset, data)

"""The car's storage as an argument: append-only files by name in one flat place.

The rules that buffer and journal build on: bytes appended are lost at power failure unless
`sync` came after; a file created, replaced or removed stays so once `sync` or `replace` returned.
`DirectoryDisk` is the real one, `MemoryDisk` forgets at exit (a thousand cars in one process).
"""

import contextlib
import os
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """What a car's storage can do. Every method may raise `OSError`."""

    def names(self) -> list[str]:
        """All files, sorted."""

    def size(self, name: str) -> int:
        """Bytes in the file; 0 if there is none."""

    def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        """Bytes from `offset` on; empty if there is no such file."""

    def append(self, name: str, data: bytes) -> None:
        """Add at the end, creating the file."""

    def sync(self, name: str) -> None:
        """Return when everything appended to `name`, and the file itself, is on disk."""

    def truncate(self, name: str, size: int) -> None:
        """Cut the file to `size` bytes."""

    def replace(self, name: str, data: bytes) -> None:
        """Set the whole content, durably: old or new after a crash, never a mixture."""

    def remove(self, name: str) -> None:
        """Delete the file if it is there."""


class DirectoryDisk:
    """A directory of its own; the files are the owner's alone."""

    def __init__(self, directory: Path) -> None:
        _make_directory(directory)
        self._directory = directory
        self._open: dict[str, int] = {}
        self._new: set[str] = set()  # created, but their directory entry is not synced yet

    def names(self) -> list[str]:
        return sorted(entry.name for entry in os.scandir(self._directory) if entry.is_file())

    def size(self, name: str) -> int:
        return os.fstat(self._file(name)).st_size if self._exists(name) else 0

    def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        if not self._exists(name):
            return b""
        wanted = self.size(name) - offset if size < 0 else size
        return os.pread(self._file(name), max(wanted, 0), offset)

    def append(self, name: str, data: bytes) -> None:
        fd = self._file(name)
        while data:
            data = data[os.write(fd, data) :]

    def sync(self, name: str) -> None:
        os.fdatasync(self._file(name))
        if name in self._new:
            self._sync_directory()
            self._new.discard(name)

    def truncate(self, name: str, size: int) -> None:
        os.ftruncate(self._file(name), size)
        os.fdatasync(self._file(name))

    def replace(self, name: str, data: bytes) -> None:
        temporary = f".{name}.new"
        self.remove(temporary)
        self.append(temporary, data)
        os.fdatasync(self._file(temporary))
        self._forget(temporary)
        self._forget(name)
        os.replace(self._directory / temporary, self._directory / name)
        self._sync_directory()

    def remove(self, name: str) -> None:
        self._forget(name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._directory / name)

    def close(self) -> None:
        """Release the files."""
        for name in list(self._open):
            self._forget(name)

    def _exists(self, name: str) -> bool:
        return name in self._open or (self._directory / name).exists()

    def _file(self, name: str) -> int:
        fd = self._open.get(name)
        if fd is None:
            if not (self._directory / name).exists():
                self._new.add(name)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            fd = self._open[name] = os.open(self._directory / name, flags, 0o600)
        return fd

    def _forget(self, name: str) -> None:
        self._new.discard(name)
        fd = self._open.pop(name, None)
        if fd is not None:
            os.close(fd)

    def _sync_directory(self) -> None:
        _sync_directory(self._directory)


def _make_directory(path: Path) -> None:
    """Make it and its parents where missing, durably."""
    if not path.parent.is_dir():
        _make_directory(path.parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    # Also when it is there: whoever made it may have ended before this.
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class MemoryDisk:
    """Nothing outlives the process."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}

    def names(self) -> list[str]:
        return sorted(self.files)

    def size(self, name: str) -> int:
        return len(self.files.get(name, b""))

    def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        content = self.files.get(name, bytearray())
        return bytes(content[offset:] if size < 0 else content[offset : offset + size])

    def append(self, name: str, data: bytes) -> None:
        self.files.setdefault(name, bytearray()).extend(data)

    def sync(self, name: str) -> None:
        self.files.setdefault(name, bytearray())

    def truncate(self, name: str, size: int) -> None:
        del self.files[name][size:]

    def replace(self, name: str, data: bytes) -> None:
        self.files[name] = bytearray(data)

    def remove(self, name: str) -> None:
        self.files.pop(name, None)

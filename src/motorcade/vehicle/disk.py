"""The car's storage as an argument: append-only files by name in one flat place.

The rules that buffer and journal build on: bytes appended are lost at power failure unless
`sync` came after; a file created, replaced or removed stays so once `sync` or `replace` returned.
`DirectoryDisk` is the real one, `MemoryDisk` forgets at exit (a thousand cars in one process).
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from motorcade.durable import make_directory, sync_directory


class Disk(Protocol):
    """What a car's storage can do. Every method may raise `OSError`."""

    def where(self, name: str) -> str:
        """The file's place, for people."""

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
        """Raises `OSError`."""
        self._directory = directory
        with self._naming(""):
            make_directory(directory)
            sync_directory(directory)  # The program before may have ended before it did.
        self._open: dict[str, int] = {}
        self._new: set[str] = set()  # created, but their directory entry is not synced yet

    def where(self, name: str) -> str:
        return str(self._directory / name)

    def names(self) -> list[str]:
        with self._naming(""):
            return sorted(entry.name for entry in os.scandir(self._directory) if entry.is_file())

    def size(self, name: str) -> int:
        return os.fstat(self._file(name)).st_size if self._exists(name) else 0

    def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        if not self._exists(name):
            return b""
        wanted = self.size(name) - offset if size < 0 else size
        pieces: list[bytes] = []
        with self._naming(name):
            while wanted > 0:
                piece = os.pread(self._file(name), wanted, offset)
                if not piece:
                    break
                pieces.append(piece)
                wanted, offset = wanted - len(piece), offset + len(piece)
        return b"".join(pieces)

    def append(self, name: str, data: bytes) -> None:
        with self._naming(name):
            fd = self._file(name)
            while data:
                data = data[os.write(fd, data) :]

    def sync(self, name: str) -> None:
        with self._naming(name):
            os.fdatasync(self._file(name))
            if name in self._new:
                sync_directory(self._directory)
                self._new.discard(name)

    def truncate(self, name: str, size: int) -> None:
        with self._naming(name):
            os.ftruncate(self._file(name), size)
            os.fdatasync(self._file(name))

    def replace(self, name: str, data: bytes) -> None:
        temporary = f".{name}.new"
        self.remove(temporary)
        self.append(temporary, data)
        with self._naming(name):
            os.fdatasync(self._file(temporary))
            self._forget(temporary)
            self._forget(name)
            os.replace(self._directory / temporary, self._directory / name)
            sync_directory(self._directory)

    def remove(self, name: str) -> None:
        with self._naming(name), contextlib.suppress(FileNotFoundError):
            self._forget(name)
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

    @contextlib.contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """The system's errors about open files do not say which one it was."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), self.where(name)) from error


class MemoryDisk:
    """Nothing outlives the process."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}

    def where(self, name: str) -> str:
        return f"{name} (in memory)"

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

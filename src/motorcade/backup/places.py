"""Where backups lie: a directory, or one file, a plain `tar`. Written once, then only read.

Neither appears under its name before it is whole and on disk. An archive ends with a member that
holds the SHA-256 of every byte before it, headers and padding included.
"""

import contextlib
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, Protocol, TypeVar

from motorcade.backup.errors import BackupError, DamagedBackupError
from motorcade.backup.manifest import NAME as MANIFEST_NAME
from motorcade.durable import sync_directory

CHUNK_BYTES: Final = 4 << 20  # read, written and synced at once: a longer sync holds up the log's
_CHECK_NAME: Final = "CHECK"
_TAR_BLOCK: Final = 512


class Input(Protocol):
    """What is copied: `read` gives at most so many bytes, none at the end."""

    def read(self, size: int, /) -> bytes: ...


class Target(Protocol):
    """A backup being written."""

    def add(self, place: str, size: int, content: Input) -> None:
        """Write a file of `size` bytes."""

    def link(self, place: str, source: Path) -> bool:
        """Share an unchanging file; False: it cannot be, copy it."""

    def commit(self) -> None:
        """Make it durable and give it its name."""

    def abandon(self) -> None:
        """Leave nothing behind."""


_Target = TypeVar("_Target", bound=Target)


class Backup(Protocol):
    """A backup being read."""

    path: Path

    def names(self) -> set[str]:
        """The files in it."""

    def open(self, place: str) -> IO[bytes]:
        """Raises `DamagedBackupError` when it is not there."""

    def problems(self) -> list[str]:
        """What is wrong with the container itself."""


class FolderTarget:
    """A directory. `beside` is where it grows."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._beside = _beside(out)
        self._beside.mkdir(mode=0o700)
        self._directories = {self._beside}

    def add(self, place: str, size: int, content: Input, *, mode: int = 0o600) -> None:
        with _create(self._path(place)) as file:
            os.fchmod(file.fileno(), mode)
            copy(content, file, size, place)

    def link(self, place: str, source: Path) -> bool:
        try:
            os.link(source, self._path(place))
        except OSError:  # another file system, or one without links
            return False
        return True

    def commit(self) -> None:
        for directory in self._directories:
            sync_directory(directory)
        os.rename(self._beside, self._out)
        sync_directory(self._out.parent)

    def abandon(self) -> None:
        shutil.rmtree(self._beside, ignore_errors=True)

    def _path(self, place: str) -> Path:
        path = self._beside / place
        for parent in reversed(path.relative_to(self._beside).parents):
            directory = self._beside / parent
            if directory not in self._directories:
                directory.mkdir(mode=0o700)
                self._directories.add(directory)
        return path


class ArchiveTarget:
    """One file."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._beside = _beside(out)
        self._file = _Hashed(_create(self._beside))
        file: Any = self._file  # has what `tarfile` uses of a file
        self._tar = tarfile.TarFile(fileobj=file, mode="w", copybufsize=CHUNK_BYTES)

    def add(self, place: str, size: int, content: Input) -> None:
        reader: Any = content
        try:
            self._tar.addfile(_member(place, size), reader)
        except OSError as error:
            raise BackupError(f"{place} could not be copied: {error}") from error

    def link(self, place: str, source: Path) -> bool:
        return False

    def commit(self) -> None:
        check = self._file.digest.hexdigest().encode()
        self._tar.addfile(_member(_CHECK_NAME, len(check)), io.BytesIO(check))
        self._tar.close()
        self._file.close()
        os.rename(self._beside, self._out)
        sync_directory(self._out.parent)

    def abandon(self) -> None:
        self._file.close()
        self._beside.unlink(missing_ok=True)


def new_target(out: Path) -> Target:
    """A directory, unless the name ends in `.tar`. Raises `BackupError` when it is there."""
    if out.exists() or out.is_symlink():
        raise BackupError(f"{out} is there already: give another --out, backups are not changed")
    if not out.parent.is_dir():
        raise BackupError(f"{out.parent} is no directory: make it, or give another --out")
    return ArchiveTarget(out) if is_archive(out) else FolderTarget(out)


def is_archive(path: Path) -> bool:
    return path.suffix == ".tar"


def open_backup(path: Path) -> Backup:
    """Raises `BackupError` when there is no backup."""
    if path.is_dir():
        if not (path / MANIFEST_NAME).exists():
            raise BackupError(f"{path} is no backup: it has no {MANIFEST_NAME}")
        return FolderBackup(path)
    if not path.exists():
        raise BackupError(f"{path} is not there")
    return ArchiveBackup(path)


class FolderBackup:
    """A directory that a `FolderTarget` made."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> set[str]:
        found = (each for each in self.path.rglob("*") if not each.is_dir())
        return {each.relative_to(self.path).as_posix() for each in found}

    def open(self, place: str) -> IO[bytes]:
        try:
            return (self.path / place).open("rb")
        except OSError as error:
            raise DamagedBackupError(f"{place} cannot be read: {error.strerror}") from error

    def problems(self) -> list[str]:
        return []


class ArchiveBackup:
    """A file that an `ArchiveTarget` made. A damaged header costs its own file alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._tar = tarfile.TarFile(path, ignore_zeros=True)
            self._members = {member.name: member for member in self._tar.getmembers()}
        except (tarfile.TarError, OSError) as error:
            raise DamagedBackupError(f"{path} is no archive that can be read: {error}") from error
        self._check = self._members.pop(_CHECK_NAME, None)

    def names(self) -> set[str]:
        return set(self._members)

    def open(self, place: str) -> IO[bytes]:
        member = self._members.get(place)
        content = self._tar.extractfile(member) if member is not None else None
        if content is None:
            raise DamagedBackupError(f"{place} is not in {self.path}")
        return content

    def problems(self) -> list[str]:
        """Whether every byte is as it was written, also those that no file's checksum covers."""
        if self._check is None:
            return ["the archive has no end, or a damaged one"]
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            left = self._check.offset
            while left and (data := file.read(min(left, CHUNK_BYTES))):
                digest.update(data)
                left -= len(data)
            end = file.read()
        check = digest.hexdigest().encode()
        if not end.startswith(_member(_CHECK_NAME, len(check)).tobuf()):
            return ["the archive's end is damaged"]
        problems = []
        written, rest = end[_TAR_BLOCK : _TAR_BLOCK + len(check)], end[_TAR_BLOCK + len(check) :]
        if written != check:
            problems.append("the archive's bytes are not those that were written")
        size = self._check.offset + len(end)
        if rest.strip(b"\0") or len(rest) < 2 * _TAR_BLOCK or size % tarfile.RECORDSIZE:
            problems.append("the archive's end is damaged")
        return problems


def copy(content: Input, file: IO[bytes], size: int, name: str) -> None:
    """Copy exactly `size` bytes, durably. In steps: nobody else's sync waits for a long one."""
    left = size
    while left:
        data = content.read(min(left, CHUNK_BYTES))
        if not data:
            raise BackupError(f"{name} became shorter while it was read: try again")
        file.write(data)
        file.flush()
        os.fdatasync(file.fileno())
        left -= len(data)
    os.fsync(file.fileno())


@contextlib.contextmanager
def finished(target: _Target) -> Iterator[_Target]:
    """Commit the target at the end, abandon it when anything fails."""
    try:
        yield target
        target.commit()
    except BaseException:
        target.abandon()
        raise


class _Hashed:
    """A file that is written from its start to its end, synced in steps."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self._written = self._unsynced = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self.digest.update(data)
        self._written += len(data)
        self._unsynced += len(data)
        if self._unsynced >= CHUNK_BYTES:
            self._sync()
        return len(data)

    def tell(self) -> int:
        return self._written

    def close(self) -> None:
        if not self._file.closed:
            self._sync()
            self._file.close()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._unsynced = 0


def _member(place: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(place)
    member.size, member.mode = size, 0o600
    return member


def _beside(out: Path) -> Path:
    return out.with_name(f".{out.name}.{os.getpid()}")


def _create(path: Path) -> IO[bytes]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return os.fdopen(fd, "wb", buffering=1 << 20)

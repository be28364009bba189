"""The files that must not leak: made once, whole, readable by their owner alone.

Two processes may start at once, and either may be killed at any instant: a missing file is made
under a lock, written aside, synced and renamed, so nobody ever reads half a key or uses one that
the other then replaces.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from motorcade.identity.errors import DamagedSecretError, SecretsError

_OTHERS: Final = 0o077
_CHECK_MARK: Final = b"# sha256 "
_CHECK_BYTES: Final = len(_CHECK_MARK) + 64 + 1

logger = structlog.get_logger(__name__)


class SecretsDirectory:
    """`DIR/secrets`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        make_private(path)
        _refuse_open(path)

    def path(self, name: str) -> Path:
        """Where the secret `name` lies."""
        return self._path / name

    def read(self, name: str) -> bytes:
        """The content of a secret.

        Raises:
            SecretsError: missing, or open to others.
            DamagedSecretError: not what was written.
        """
        path = self.path(name)
        try:
            _refuse_open(path)
            stored = path.read_bytes()
        except OSError as error:
            raise SecretsError(f"cannot read {path}: {error}") from error
        content, mark = stored[:-_CHECK_BYTES], stored[-_CHECK_BYTES:]
        if not mark.startswith(_CHECK_MARK):
            return stored  # made before there were checksums
        if stored != _checked(content):
            raise DamagedSecretError(
                f"{path} is damaged, its checksum does not match: restore it from a backup"
            )
        return content

    def mark(self, name: str) -> tuple[int, int]:
        """What is another once the secret was written anew."""
        try:
            found = os.stat(f"{self._path}/{name}")  # each request asks; a path costs as much again
        except OSError as error:
            raise SecretsError(f"cannot read {self.path(name)}: {error}") from error
        return found.st_ino, found.st_mtime_ns

    def read_or_make(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The content of a secret, made by the first who asks."""
        if not self.path(name).exists():
            with self._locked():
                if not self.path(name).exists():
                    write_file(self.path(name), _checked(make()), mode=0o600)
        return self.read(name)

    def change(self, name: str, change: Callable[[bytes], bytes]) -> None:
        """Put in the secret's place what `change` makes of it. Raises as `read` does."""
        with self._locked():
            write_file(self.path(name), _checked(change(self.read(name))), mode=0o600)

    def replace_unless(
        self, name: str, good: Callable[[bytes], bool], make: Callable[[], bytes]
    ) -> None:
        """Make the secret anew when it is missing, damaged, or no longer `good`."""
        with self._locked():
            if not self._is_good(name, good):
                write_file(self.path(name), _checked(make()), mode=0o600)

    def _is_good(self, name: str, good: Callable[[bytes], bool]) -> bool:
        if not self.path(name).exists():
            return False
        try:
            return good(self.read(name))
        except DamagedSecretError as error:
            logger.warning("secret_damaged", error=str(error), hint="it is made anew")
            return False

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = os.open(self._path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _checked(content: bytes) -> bytes:
    """With a line behind it that PEM readers leave out: damaged keys are often still keys."""
    return content + _CHECK_MARK + hashlib.sha256(content).hexdigest().encode() + b"\n"


def make_private(path: Path) -> None:
    """Make a directory, if it is missing, that its owner alone enters. Raises `SecretsError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SecretsError(f"cannot make {path}: {error}; choose another --data") from error


def write_file(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that is there whole or not at all, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)  # of a killed process that had our number
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(file, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(file)
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _refuse_open(path: Path) -> None:
    mode = path.stat().st_mode & 0o777
    if mode & _OTHERS:
        raise SecretsError(
            f"{path} has mode {mode:o}, others could read it: run `chmod go= {path}`, and make "
            "new keys if others had access"
        )

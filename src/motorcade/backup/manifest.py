"""The list of all that a backup holds, with checksums. Bytes in and out, no file.

The first line is the SHA-256 of the rest, which is JSON, one file a line: `sha256sum` and an editor
are enough to check a backup by hand.
"""

import hashlib
from pathlib import PurePosixPath
from typing import Final

import msgspec

from motorcade.backup.errors import BackupError, DamagedBackupError

NAME: Final = "MANIFEST"
CONTENT: Final = "data"  # the directory that the files of the data directory lie in
FORMAT: Final = 1


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One file."""

    name: str  # in the data directory, with /
    bytes: int
    sha256: str
    mode: int  # permission bits that it had, and gets again
    sealed: bool = False  # it never changes: the next backup may share it

    @property
    def place(self) -> str:
        """Where it lies in the backup."""
        return f"{CONTENT}/{self.name}"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is."""

    format: int
    made_by: str  # the platform's version
    began_time_us: int  # every record acknowledged before this instant is in it
    ended_time_us: int
    lanes: dict[str, tuple[int, int]]  # where the log was cut: segment and offset
    notes: list[str]  # what could not be copied, and why
    files: list[FileEntry]


class _Format(msgspec.Struct):
    format: int


def pack(manifest: Manifest) -> bytes:
    body = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def unpack(data: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        DamagedBackupError: it is not what was written.
        BackupError: a newer version wrote it.
    """
    digest, _, body = data.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise DamagedBackupError(
            f"{NAME} is damaged: nothing tells what the backup should hold; use another backup"
        )
    try:
        found = msgspec.json.decode(body, type=_Format).format
        if found != FORMAT:
            raise BackupError(
                f"the backup is of format {found}, this version reads {FORMAT}: use the version "
                "that made it"
            )
        manifest = msgspec.json.decode(body, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedBackupError(f"{NAME} cannot be read: {error}") from error
    for entry in manifest.files:
        _check_name(entry.name)
    return manifest


def _check_name(name: str) -> None:
    """A backup comes from elsewhere: no name may lead out of the directory it is restored to."""
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
        raise DamagedBackupError(f"{NAME} names {name!r}, which leads out of the data directory")

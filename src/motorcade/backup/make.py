"""Makes a backup of a data directory, whether a platform runs on it or not."""

import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import IO, Final, NamedTuple

from motorcade import __version__
from motorcade.backup import contents, manifest
from motorcade.backup.contents import Item
from motorcade.backup.database import copy_database, is_database
from motorcade.backup.errors import BackupError
from motorcade.backup.manifest import FileEntry, Manifest
from motorcade.backup.places import FolderBackup, Input, Target
from motorcade.clock import Clock
from motorcade.history.copying import cut_history
from motorcade.history.manifest import NAME as MANIFEST
from motorcade.log.copying import LaneCut
from motorcade.log.files import FileLayer
from motorcade.log.watermark import PAGE_NAME

PROBE_BYTES: Final = 4_096  # head and foot tell a segment, or a history file, from every other
_PRIVATE: Final = 0o600


class Earlier(NamedTuple):
    """A backup whose files that never change can be shared."""

    backup: FolderBackup
    entries: dict[str, FileEntry]


class Made(NamedTuple):
    manifest: Manifest
    bytes_shared: int  # with the earlier backup


def earlier(path: Path) -> Earlier:
    """An earlier backup, to share files with. Raises `BackupError` when it is not a directory."""
    if not path.is_dir():
        raise BackupError(f"--since {path}: only a backup that is a directory can be shared")
    backup = FolderBackup(path)
    with backup.open(manifest.NAME) as file:
        found = manifest.unpack(file.read())
    return Earlier(backup, {entry.name: entry for entry in found.files if entry.sealed})


def make_backup(
    data: Path,
    target: Target,
    files: FileLayer,
    clock: Clock,
    *,
    room: Path,
    since: Earlier | None = None,
) -> Made:
    """Write all of `data` to `target`, the manifest last; the caller commits the target.

    Databases are put together in a private directory in `room`, one after the other.

    Raises:
        BackupError: a file cannot be copied; the text says which and why.
        OSError: the disk does not take it.
    """
    return _Making(target, room, since).run(data, files, clock)


class _Making:
    def __init__(self, target: Target, room: Path, since: Earlier | None) -> None:
        self._target, self._room, self._since = target, room, since
        self._entries: list[FileEntry] = []
        self._notes: list[str] = []
        self._lanes: dict[str, tuple[int, int]] = {}
        self._shared = 0

    def run(self, data: Path, files: FileLayer, clock: Clock) -> Made:
        began_us = clock.now_us()
        for item in contents.files_before_the_log(files, data):
            self._add_item(item)
        self._add_history(files, data / contents.HISTORY)
        for cut in contents.lanes_of_the_log(files, data):
            self._add_lane(cut)
        for item in contents.files_after_the_log(data):
            self._add_item(item)
        made = Manifest(
            format=manifest.FORMAT,
            made_by=__version__,
            began_time_us=began_us,
            ended_time_us=clock.now_us(),
            lanes=self._lanes,
            notes=self._notes,
            files=sorted(self._entries, key=lambda entry: entry.name),
        )
        packed = manifest.pack(made)
        self._target.add(manifest.NAME, len(packed), io.BytesIO(packed))
        return Made(made, self._shared)

    def _add_item(self, item: Item) -> None:
        try:
            file = item.path.open("rb")
        except FileNotFoundError:
            return  # replaced a moment ago: `contents` looks again
        with file:
            found = os.fstat(file.fileno())
            mode = found.st_mode & 0o777
            if is_database(file):
                self._add_database(item, mode)
            else:
                self._add(item.name, file, found.st_size, mode=mode)

    def _add_database(self, item: Item, mode: int) -> None:
        with tempfile.TemporaryDirectory(prefix=".motorcade-backup-", dir=self._room) as directory:
            copied = Path(directory) / "copy"
            try:
                copy_database(item.path, copied)
            except BackupError as error:
                if item.name not in contents.DERIVED:
                    raise
                self._notes.append(f"{error}; it is built anew from the log")
                return
            with copied.open("rb") as file:
                self._add(item.name, file, copied.stat().st_size, mode=mode)

    def _add_history(self, files: FileLayer, directory: Path) -> None:
        """The files of a manifest, and then that manifest.

        The writer merges meanwhile, and removes what it merged; then a newer manifest names other
        files. Those that were copied by then stay: they never change, and what the manifest does
        not name does not count.
        """
        copied: set[str] = set()
        gone: list[str] = []
        known, found = None, cut_history(files, directory)
        while found is not None and found != known:
            wanted = [name for name in found.names if name not in copied]
            gone = [name for name in wanted if not self._add_history_file(directory / name)]
            copied.update(wanted)
            copied.difference_update(gone)
            known = found
            if gone:
                found = cut_history(files, directory)
        if known is None:
            return
        if known.problem:
            self._notes.append(known.problem)
        self._notes += [f"{contents.HISTORY}/{name} is not there" for name in gone]
        packed = known.manifest
        name = f"{contents.HISTORY}/{MANIFEST}"
        self._add(name, io.BytesIO(packed), len(packed), mode=_PRIVATE)

    def _add_history_file(self, path: Path) -> bool:
        """Whether it was there."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return False
        with file:
            self._add_unchanging(f"{contents.HISTORY}/{path.name}", file)
        return True

    def _add_lane(self, cut: LaneCut) -> None:
        lane = f"{contents.LOG}/{cut.name}"
        if cut.problem:
            self._notes.append(cut.problem)
        self._lanes[cut.name] = (cut.mark.segment, cut.mark.offset)
        page = cut.page
        self._add(f"{lane}/{PAGE_NAME}", io.BytesIO(page), len(page), mode=_PRIVATE)
        for path, bytes_max in cut.segments:
            try:
                file = path.open("rb")
            except FileNotFoundError:
                return  # retired meanwhile, and all before it
            with file:
                name = f"{lane}/{path.name}"
                if bytes_max is None:
                    self._add_unchanging(name, file)
                else:
                    self._add(name, file, bytes_max, mode=_PRIVATE)

    def _add_unchanging(self, name: str, file: IO[bytes]) -> None:
        """Copy it, or share it with the earlier backup."""
        size = os.fstat(file.fileno()).st_size
        shared = self._share(name, file, size)
        if shared is None:
            self._add(name, file, size, mode=_PRIVATE, sealed=True)
        else:
            self._entries.append(shared)
            self._shared += size

    def _share(self, name: str, file: IO[bytes], size: int) -> FileEntry | None:
        """The earlier backup's entry, when that file could be taken over."""
        entry = self._since.entries.get(name) if self._since else None
        if self._since is None or entry is None or entry.bytes != size:
            return None
        with self._since.backup.open(entry.place) as other:
            if any(_probe(file, at) != _probe(other, at) for at in (0, max(0, size - PROBE_BYTES))):
                return None
        file.seek(0)
        linked = self._target.link(entry.place, self._since.backup.path / entry.place)
        return entry if linked else None

    def _add(
        self, name: str, content: Input, size: int, *, mode: int, sealed: bool = False
    ) -> None:
        hashed = HashedInput(content)
        self._target.add(f"{manifest.CONTENT}/{name}", size, hashed)
        self._entries.append(
            FileEntry(name=name, bytes=size, sha256=hashed.hexdigest(), mode=mode, sealed=sealed)
        )


class HashedInput:
    """What is read through it is added up to a SHA-256."""

    def __init__(self, content: Input) -> None:
        self._content = content
        self._digest = hashlib.sha256()
        self.bytes = 0

    def read(self, size: int, /) -> bytes:
        data = self._content.read(size)
        self._digest.update(data)
        self.bytes += len(data)
        return data

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _probe(file: IO[bytes], at: int) -> bytes:
    file.seek(at)
    return file.read(PROBE_BYTES)

"""Reads a whole backup and says what is wrong with it, file by file.

Checksums find every changed byte. Beyond them the log's frames, the databases and what must agree
between segments, history's files and what its manifest names are looked at as well, because a
damaged original is copied as it is.
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Final, NamedTuple

import numpy as np

from motorcade.backup import manifest
from motorcade.backup.contents import HISTORY, LOG
from motorcade.backup.database import is_database, opened_copy
from motorcade.backup.errors import DamagedBackupError
from motorcade.backup.make import HashedInput
from motorcade.backup.manifest import FileEntry, Manifest
from motorcade.backup.places import CHUNK_BYTES, Backup
from motorcade.events import Bytes
from motorcade.history import manifest as history
from motorcade.history.checking import check_file
from motorcade.history.columns import ENDING, index_path
from motorcade.log.checking import SegmentCheck, check_segment, goes_on
from motorcade.log.segment import SEGMENT_SUFFIX, segment_path

COUNTED: Final = {
    "registry.sqlite": ("vehicles", "SELECT count(*) FROM vehicles"),
    "accesses.sqlite": ("access log rows", "SELECT count(*) FROM accesses"),
    "audit.sqlite": ("audit rows", "SELECT count(*) FROM deeds"),
    "mqtt/sessions.sqlite": ("sessions", "SELECT count(*) FROM sessions"),
    "commands/ledger.sqlite": ("commands", "SELECT count(*) FROM commands"),
}
"""What a database is asked for, so that a person sees whether it is the right backup."""


class Damage(NamedTuple):
    name: str  # a file of the backup
    problem: str


class Report(NamedTuple):
    manifest: Manifest | None  # None: it could not be read
    counts: dict[str, int]
    damage: list[Damage]


def verify(backup: Backup) -> Report:
    """Read everything. Takes as long as the disk, and the memory of one segment."""
    damage = [Damage(backup.path.name, problem) for problem in backup.problems()]
    try:
        found = read_manifest(backup)
    except DamagedBackupError as error:
        return Report(None, {}, [*damage, Damage(manifest.NAME, str(error))])
    checking = _Checking(backup, found)
    damage += checking.run()
    return Report(found, checking.counts, damage)


def read_manifest(backup: Backup) -> Manifest:
    """Raises `DamagedBackupError`, or `BackupError` when a newer version made it."""
    with backup.open(manifest.NAME) as file:
        return manifest.unpack(file.read())


def check_content(entry: FileEntry, hashed: HashedInput) -> Iterator[str]:
    """What is wrong with a file that was read to its end through `hashed`."""
    if hashed.bytes != entry.bytes:
        yield f"it has {hashed.bytes} bytes instead of {entry.bytes}"
    elif hashed.hexdigest() != entry.sha256:
        yield "its bytes are not those that were written"


class _Checking:
    def __init__(self, backup: Backup, found: Manifest) -> None:
        self._backup, self._manifest = backup, found
        self._places = {entry.name: entry.place for entry in found.files}
        self.counts = {"files": len(found.files), "segments": 0, "records": 0}
        self._later: tuple[str, int, SegmentCheck] | None = None  # lane, number, what it holds

    def run(self) -> Iterator[Damage]:
        known = {manifest.NAME, *(entry.place for entry in self._manifest.files)}
        for place in sorted(self._backup.names() - known):
            yield Damage(place, "it is no part of the backup")
        # From the newest segment back: each tells where the one before it ends.
        for entry in sorted(self._manifest.files, key=lambda each: each.name, reverse=True):
            try:
                problems = list(self._check(entry))
            except DamagedBackupError as error:
                problems = [str(error)]
            for problem in problems:
                yield Damage(entry.place, problem)

    def _check(self, entry: FileEntry) -> Iterator[str]:
        with self._backup.open(entry.place) as file:
            if entry.name.startswith(LOG + "/") and entry.name.endswith(SEGMENT_SUFFIX):
                yield from self._check_segment(entry, file)
                return
            database = is_database(file)
            hashed = HashedInput(file)
            while hashed.read(CHUNK_BYTES):
                pass
            problems = list(check_content(entry, hashed))
            yield from problems
            file.seek(0)
            if database:
                yield from self._check_database(entry, file)
            elif entry.name.startswith(HISTORY + "/") and not problems:
                yield from self._check_history(entry, file)

    def _check_segment(self, entry: FileEntry, file: IO[bytes]) -> Iterator[str]:
        hashed = HashedInput(file)
        data = _read(hashed, entry.bytes)
        problems = list(check_content(entry, hashed))
        yield from problems
        lane, _, word = entry.name.removeprefix(LOG + "/").rpartition("/")
        number = int(word.removesuffix(SEGMENT_SUFFIX))
        checked = check_segment(data, number, self._end_of(lane, number))
        yield from checked.problems
        if not problems and not checked.problems:
            yield from self._check_order(lane, number, checked)
        self._later = (lane, number, checked)
        self.counts["segments"] += 1
        self.counts["records"] += checked.records

    def _end_of(self, lane: str, number: int) -> int | None:
        last, offset = self._manifest.lanes.get(lane, (0, 0))
        if number == last:
            return offset
        if self._later is None or self._later[:2] != (lane, number + 1):
            return None
        head = self._later[2].head
        return head.previous_end if head is not None else None

    def _check_order(self, lane: str, number: int, checked: SegmentCheck) -> Iterator[str]:
        if number == self._manifest.lanes.get(lane, (0, 0))[0]:
            return
        if self._later is None or self._later[:2] != (lane, number + 1):
            if f"{LOG}/{segment_path(Path(lane), number + 1)}" not in self._places:
                yield f"segment {number + 1} is missing: the log had a hole"
        elif not goes_on(checked, self._later[2]):
            yield f"segment {number + 1} does not begin with the positions that this one ends with"

    def _check_history(self, entry: FileEntry, file: IO[bytes]) -> Iterator[str]:
        name = entry.name.removeprefix(HISTORY + "/")
        place, beside = self._places.get(str(index_path(Path(entry.name)))), None
        if name.endswith(ENDING) and place is not None:
            with self._backup.open(place) as index:
                beside = index.read()
        problems = list(check_file(name, file, beside))
        yield from problems
        if name == history.NAME and not problems:
            file.seek(0)
            known = history.unpack(file.read(), name).manifest
            self.counts["history files"] = len(known.files)
            self.counts["history rows"] = sum(row.rows for row in known.files)
            for each in history.names_of(known):
                if f"{HISTORY}/{each}" not in self._places:
                    yield f"it names {each}, which is not there"

    def _check_database(self, entry: FileEntry, file: IO[bytes]) -> Iterator[str]:
        with tempfile.TemporaryDirectory(prefix="motorcade-verify-") as directory:
            path = Path(directory) / "copy"  # SQLite wants a file; the backup may be an archive
            with path.open("wb") as copied:
                while data := file.read(CHUNK_BYTES):
                    copied.write(data)
            try:
                with opened_copy(path) as connection:
                    word = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                    if word != "ok":
                        yield f"SQLite finds it damaged: {word}"
                    self._count(entry, connection)
            except sqlite3.Error as error:
                yield f"SQLite cannot read it: {error}"

    def _count(self, entry: FileEntry, connection: sqlite3.Connection) -> None:
        if entry.name not in COUNTED:
            return
        what, question = COUNTED[entry.name]
        with closing(connection.execute(question)) as rows:
            self.counts[what] = int(rows.fetchone()[0])


def _read(content: HashedInput, size: int) -> Bytes:
    """All of a file of about `size` bytes, from an address that is a multiple of 8."""
    target = np.empty(size // 8 + 1, np.uint64).view(np.uint8)
    filled = 0
    while data := content.read(CHUNK_BYTES):
        part = np.frombuffer(data, np.uint8)[: size - filled]
        target[filled : filled + len(part)] = part
        filled += len(part)
    return target[:filled]

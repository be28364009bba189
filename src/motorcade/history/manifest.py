"""The manifest: which files are history's, and how far along the log they reach. Replaced at once.

`manifest` holds a header (magic, serial, xxh3-64 of the body) and the body. It is the only place
that says what counts: a file that it does not name does not exist, whatever lies in the directory.
What the reader needs to go on from the cursor (duplicates' memory, the dictionary) lies in a file
of its own that the manifest names, so that merging files need not write it again.
"""

import struct
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec
import xxhash

from motorcade.durable import Files
from motorcade.history.columns import ENDING, INDEX_ENDING, RUNS_ENDING
from motorcade.history.errors import HistoryDamagedError
from motorcade.history.files import read_file, summed_body, write_file, write_summed

NAME: Final = "manifest"
READING_ENDING: Final = ".reading"
_MAGIC: Final = b"MCHIST\x00\x01"
_HEADER: Final = struct.Struct("<8sQQ")


class FileRow(msgspec.Struct, array_like=True, frozen=True):
    """One column file."""

    number: int
    rows: int
    bytes: int  # with what lies beside it
    vehicles: int
    from_us: int
    to_us: int  # its last row's time
    tier: int = 0  # how often it was merged
    moving_mps: float | None = None  # what its runs count as moving; None: it has none yet


class Manifest(msgspec.Struct, array_like=True, frozen=True):
    """Everything that counts at one instant."""

    files: list[FileRow] = []
    cursor: bytes = b""  # of the log, where the tail begins; b"": at its start
    reading: int = 0  # number of the file with what reading on needs; 0: none
    next_order: int = 0
    next_number: int = 1  # of files
    retired: list[tuple[int, int]] = []  # number of a file, and since when nobody needs it


class Reading(msgspec.Struct, array_like=True, frozen=True):
    """What goes on from the cursor."""

    dedup: bytes
    names: bytes


Part = TypeVar("Part", Manifest, Reading)


class Loaded(NamedTuple):
    serial: int  # another one after every change
    manifest: Manifest


def column_path(directory: Path, number: int) -> Path:
    return directory / f"{number:012}{ENDING}"


def reading_path(directory: Path, number: int) -> Path:
    return directory / f"{number:012}{READING_ENDING}"


def number_of(name: str) -> int | None:
    """The number that a file's name bears; `None`: it is none of history's numbered files."""
    stem, dot, ending = name.partition(".")
    known = dot + ending in (ENDING, INDEX_ENDING, RUNS_ENDING, READING_ENDING)
    return int(stem) if known and stem.isascii() and stem.isdigit() else None


def load(files: Files, directory: Path, known: Loaded | None = None) -> Loaded:
    """The manifest as it is now; an empty one where there is none. `known` if it is the same.

    Raises:
        HistoryDamagedError: it is not what was written.
        OSError: the disk failed.
    """
    path = directory / NAME
    try:
        if known is not None:
            head = read_file(files, path, _HEADER.size)
            if len(head) == _HEADER.size and _HEADER.unpack(head)[1] == known.serial:
                return known
        data = read_file(files, path)
    except FileNotFoundError:
        return Loaded(0, Manifest())
    return unpack(data, str(path))


def unpack(data: bytes, name: str) -> Loaded:
    """Raises `HistoryDamagedError`, naming the file."""
    body = data[_HEADER.size :]
    head = data[: _HEADER.size].ljust(_HEADER.size, b"\0")
    magic, serial, digest = _HEADER.unpack(head)
    if magic != _MAGIC or digest != xxhash.xxh3_64_intdigest(body):
        raise HistoryDamagedError(f"{name} is damaged: restore the folder from a backup")
    return Loaded(serial, _decoded(body, Manifest, name))


def unpack_reading(data: bytes, name: str) -> Reading:
    """What goes on from the cursor. Raises `HistoryDamagedError`, naming the file."""
    return _decoded(summed_body(data, name), Reading, name)


def _decoded(body: bytes, kind: type[Part], name: str) -> Part:
    """Its sum is right: what cannot be read is another version's."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except msgspec.DecodeError as error:
        text = f"{name} is damaged, restore the folder from a backup: {error}"
        raise HistoryDamagedError(text) from error


def names_of(manifest: Manifest) -> list[str]:
    """Every file that it names: first what the next flush replaces, then the newest first."""
    names = [f"{manifest.reading:012}{READING_ENDING}"] if manifest.reading else []
    for row in sorted(manifest.files, key=lambda row: row.number, reverse=True):
        endings = [ENDING, INDEX_ENDING]
        if row.moving_mps is not None:
            endings.append(RUNS_ENDING)
        names += [f"{row.number:012}{ending}" for ending in endings]
    return names


def store(files: Files, directory: Path, manifest: Manifest, serial: int) -> Loaded:
    """Make it the manifest. What it names is on disk, its directory may not be. `OSError`."""
    body = msgspec.msgpack.encode(manifest)
    files.sync_directory(directory)  # so that the names of its files last before it names them
    head = _HEADER.pack(_MAGIC, serial, xxhash.xxh3_64_intdigest(body))
    write_file(files, directory / NAME, head + body)
    files.sync_directory(directory)
    return Loaded(serial, manifest)


def load_reading(files: Files, directory: Path, number: int) -> Reading:
    """Raises `HistoryDamagedError` and `OSError`."""
    path = reading_path(directory, number)
    return unpack_reading(read_file(files, path), path.name)


def store_reading(files: Files, directory: Path, number: int, reading: Reading) -> None:
    """Durable but for the directory's sync. Raises `OSError`."""
    write_summed(files, reading_path(directory, number), msgspec.msgpack.encode(reading))

"""What of a data directory a backup holds, in the order in which it is read.

1. Files and databases: keys, sessions, ledger, snapshots, cursors; then history. Whatever of them
   points into the log points at something that is durable by then.
2. The log, each lane up to its watermark. So nothing points beyond its end.
3. The registry, so that it knows the vehicle of every record.

A file that nobody here knows is copied as well. What is left out is a table.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from motorcade.log.copying import LaneCut, cut_lane, lane_names
from motorcade.log.files import FileLayer

LOG: Final = "log"
HISTORY: Final = "history"
REGISTRY: Final = "registry.sqlite"
LEFT_OUT: Final = {
    "lock",
    "ready.json",
    "run",
    "log/doorbells",
    "state/writing",
    "state/kept/writing",
}
"""Who runs now, sockets, a snapshot that is being written."""

LEFT_OUT_ENDINGS: Final = (".tmp", "-wal", "-shm", "-journal", ".damaged")
"""Files on their way to another name; what SQLite keeps beside a file: its API reads those; what
was found damaged and put aside: a copy of it fails, or fails to be verified."""

DERIVED: Final = {"commands/ledger.sqlite"}
"""Databases that are built anew from the log when they are missing (decision 0008)."""

_DEPTH_MAX: Final = 32  # a directory that links to one above it ends here


class Item(NamedTuple):
    name: str  # in the data directory, with /
    path: Path


def is_left_out(name: str) -> bool:
    last = name.rpartition("/")[2]
    return name in LEFT_OUT or last.startswith(".") or last.endswith(LEFT_OUT_ENDINGS)


def files_before_the_log(files: FileLayer, data: Path) -> Iterator[Item]:
    """Files and databases of step 1. Newest names first, where they are numbered.

    The files of a directory may be replaced by others while they are read: then it is looked at
    again, so that the newest snapshot is there, whenever that was written.
    """
    lanes = {f"{LOG}/{name}" for name in lane_names(files, data / LOG)}
    yield from _walk(data, "", {*lanes, HISTORY, REGISTRY}, _DEPTH_MAX)


def lanes_of_the_log(files: FileLayer, data: Path) -> Iterator[LaneCut]:
    """Step 2: each lane is cut when it is asked for."""
    for name in lane_names(files, data / LOG):
        yield cut_lane(files, data / LOG, name)


def files_after_the_log(data: Path) -> Iterator[Item]:
    """Step 3."""
    if (data / REGISTRY).exists():
        yield Item(REGISTRY, data / REGISTRY)


def _walk(directory: Path, prefix: str, left_out: set[str], depth: int) -> Iterator[Item]:
    seen: set[str] = set()
    again = True
    while again and depth:
        again = False
        for path in sorted(_paths(directory), reverse=True):
            name = prefix + path.name
            if name in seen or name in left_out or is_left_out(name):
                continue
            seen.add(name)
            if path.is_dir():
                yield from _walk(path, name + "/", left_out, depth - 1)
            elif path.is_file():
                yield Item(name, path)
            again = again or not path.exists()


def _paths(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except FileNotFoundError:  # removed meanwhile
        return []

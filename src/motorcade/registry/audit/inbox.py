"""Deeds of other processes than the one that writes the audit: the command line's, on their way.

One process alone may write the audit's file (`registry/beside.py`). The others leave each deed as a
small file in a folder beside it, whole or not at all and lasting, and the writer takes them in: a
file goes once its rows are durable, and a row that is there already, from a writer that ended in
between, is not added again.
"""

import contextlib
import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Final

import msgspec
import structlog

from motorcade.durable import make_directory, sync_directory
from motorcade.registry.audit.port import Deed

FOLDER: Final = "audit-inbox"
FILES_MAX: Final = 1_000  # taken in at once; the rest with the next turn
FILE_BYTES_MAX: Final = 1 << 20
_numbers: Final = count()
_log = structlog.get_logger()


def leave(directory: Path, deeds: Sequence[Deed]) -> None:
    """Leave deeds for the writer; `directory` is the registry's. Durable when it returns.

    Raises:
        OSError: the disk took nothing.
    """
    folder = directory / FOLDER
    make_directory(folder)
    name = f"{deeds[0].time_us:020}-{os.getpid()}-{next(_numbers)}"
    new = folder / f"{name}.tmp"  # no backup holds it
    try:
        with open(new, "xb", opener=_private) as file:  # writes all of it, or raises
            file.write(msgspec.json.encode(deeds))
            file.flush()
            os.fsync(file.fileno())
        new.rename(folder / f"{name}.json")
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync_directory(folder)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def left(directory: Path) -> list[tuple[Path, list[Deed]]]:
    """What was left, the oldest first. What cannot be read is told in the log and put aside."""
    folder = directory / FOLDER
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    except FileNotFoundError:
        return []
    found = []
    for name in names[:FILES_MAX]:
        path = folder / name
        try:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise ValueError(f"more than {FILE_BYTES_MAX} bytes")
            found.append((path, msgspec.json.decode(path.read_bytes(), type=list[Deed])))
        except (OSError, ValueError) as error:
            _log.error("deeds_not_read", file=name, error=str(error), hint="kept as *.damaged")
            with contextlib.suppress(OSError):
                path.rename(path.with_suffix(".damaged"))
    return found

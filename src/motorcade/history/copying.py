"""What of a history a copy has to hold, beside its writer: files that never change, and a manifest.

The writer goes on meanwhile: what it merged is removed a while later, what reading on needs is
replaced by each flush. So the manifest is copied last, as it was when every file that it names had
been copied; whoever copies looks again when one was gone.
"""

from pathlib import Path
from typing import NamedTuple

from motorcade.durable import Files
from motorcade.history import manifest
from motorcade.history.errors import HistoryDamagedError
from motorcade.history.files import BESIDE, read_file


class HistoryCut(NamedTuple):
    """A history as it is now."""

    manifest: bytes
    names: list[str]  # of the files that it counts; those that go soonest first
    problem: str  # "" = none; else why it is copied as it lies there


def cut_history(files: Files, directory: Path) -> HistoryCut | None:
    """The history in `directory`; `None`: nothing was written yet. Raises `OSError`."""
    path = directory / manifest.NAME
    try:
        data = read_file(files, path)
    except FileNotFoundError:
        return None
    try:
        return HistoryCut(data, manifest.names_of(manifest.unpack(data, str(path)).manifest), "")
    except HistoryDamagedError as error:
        names = [
            name
            for name in sorted(files.names(directory), reverse=True)
            if name != manifest.NAME and not name.endswith(BESIDE)
        ]
        return HistoryCut(data, names, str(error))

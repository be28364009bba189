"""The directories of a log: one per (writer, lane), who holds it, and opening it for reading."""

from pathlib import Path
from typing import Final

from motorcade.log.errors import LogError, disk_errors
from motorcade.log.files import FileLayer
from motorcade.log.recovery import recover
from motorcade.log.topics import Lane

_LANES: Final = {lane.value: lane for lane in Lane}


def lane_name(writer: str, lane: Lane) -> str:
    """The directory's name."""
    if not writer.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"writer name {writer!r}: use letters, digits, - and _")
    return f"{writer}-{lane.value}"


def split_lane_name(name: str) -> tuple[str, Lane] | None:
    """The writer and lane of a directory's name; `None` for one that is not a lane's."""
    writer, _, word = name.rpartition("-")
    return (writer, _LANES[word]) if writer and word in _LANES else None


class LaneLock:
    """Held by the lane's one writer, in any process, or for a moment by a reader that recovers.

    Two files: `lock` is the writer's place. Who wants it first waits for `recovering`, which is
    never held for long, so a recovering reader is never taken for a second writer.

    Raises:
        OSError: the files cannot be opened.
    """

    def __init__(self, files: FileLayer, directory: Path) -> None:
        self._files = files
        gate = files.open(directory / "recovering", create=True)
        try:
            files.lock(gate, wait=True)
            self._fd = files.open(directory / "lock", create=True)
            self.held = files.lock(self._fd, wait=False)
        finally:
            files.close(gate)
        if not self.held:
            files.close(self._fd)

    def close(self) -> None:
        if self.held:
            self.held = False
            self._files.close(self._fd)


def lock_for_writing(files: FileLayer, directory: Path) -> LaneLock:
    """Raises `LogError` when another writer, in this process or another, holds the lane."""
    with disk_errors(directory):
        lock = LaneLock(files, directory)
    if not lock.held:
        raise LogError(
            f"{directory} already has a writer: stop that process, or use another writer name"
        )
    return lock


def recover_if_unused(files: FileLayer, directory: Path, partitions: int) -> None:
    """Where no writer lives, do what it would do first, so that its last words can be read.

    Otherwise a lane whose writer died, or whose machine did, could be read only up to a watermark
    that may be lost. Where one lives, its watermark says all.

    Raises:
        LogDiskError: as `recover` does; and when the files cannot be opened.
    """
    with disk_errors(directory):
        _recover_if_unused(files, directory, partitions)


def _recover_if_unused(files: FileLayer, directory: Path, partitions: int) -> None:
    gate = files.open(directory / "recovering", create=True)
    try:
        files.lock(gate, wait=True)
        fd = files.open(directory / "lock", create=True)
        try:
            if files.lock(fd, wait=False):
                recover(files, directory, partitions)
        finally:
            files.close(fd)
    finally:
        files.close(gate)

"""What can go wrong in the log, and whose fault it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LogError(Exception):
    """Any failure of the log. Engines wrap their own errors in one of these."""


class LogWriteError(LogError):
    """The records of this append are not durable: disk full, IO error, broker gone."""


class LogDiskError(LogError):
    """The disk failed while something was opened or read: nothing is lost by it, try again."""


class LogFullError(LogWriteError):
    """Nothing of this append is durable, for want of room: its sender may try again later."""


class LogBusyError(LogError):
    """The writer's queue is at `log.queue_bytes_max`; nothing of this append was taken."""


class LogClosedError(LogError):
    """The writer or reader was closed."""


class LogCorruptError(LogError):
    """Bytes at rest do not match their checksum; the text names file, offset and extent."""


class CursorError(LogError):
    """The cursor is not of this log, or what it points at has been removed by retention."""


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Wrap the disk's errors, which seldom name a file, in `LogDiskError`."""
    try:
        yield
    except OSError as error:
        raise disk_error(path, error) from error


def disk_error(path: Path, error: OSError) -> LogDiskError:
    """`error`, with the file it is about and what to do."""
    return LogDiskError(f"{path}: {error}; look at the disk, then start anew")

"""What can go wrong in the log, and whose fault it is."""


class LogError(Exception):
    """Any failure of the log. Engines wrap their own errors in one of these."""


class LogWriteError(LogError):
    """The records of this append are not durable: disk full, IO error, broker gone."""


class LogBusyError(LogError):
    """The writer's queue is at `log.queue_bytes_max`; nothing of this append was taken."""


class LogClosedError(LogError):
    """The writer or reader was closed."""


class LogCorruptError(LogError):
    """Bytes at rest do not match their checksum; the text names file, offset and extent."""


class CursorError(LogError):
    """The cursor is not of this log, or what it points at has been removed by retention."""

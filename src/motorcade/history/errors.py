"""What history raises. Whose fault it is stands in each name's text."""

from motorcade.config import HistoryConfig


class HistoryError(Exception):
    """History cannot answer; the text says why and what to do."""


class HistoryTooLargeError(HistoryError):
    """The question reaches over more than `history.rows_max`; ask for less time or for buckets."""


class HistoryBehindError(HistoryError):
    """More waits in the log than a question may read (`history.tail_bytes_max`): ask later."""


class HistoryBusyError(HistoryError):
    """As many questions as `history.queries_max` are being answered; ask again."""


class HistorySlowError(HistoryError):
    """A question took longer than `history.query_s_max`; ask for less time."""


class HistoryDamagedError(HistoryError):
    """A file of the history does not say what was written into it; the text names it."""


def too_slow(limits: HistoryConfig) -> HistorySlowError:
    """A question across vehicles that came to its limits."""
    return HistorySlowError(
        f"the question takes more than {limits.query_s_max:g} s or "
        f"{limits.query_bytes_max >> 20} MiB: ask for less time"
    )

"""Structured logs of every process: lines for people on a terminal, JSON elsewhere.

One event name per kind, in snake case; what differs from case to case are fields. A vehicle is its
token, never its VIN (P8).
"""

import logging
import sys
from pathlib import Path
from typing import Final, TextIO

import structlog

LEVELS: Final = ("debug", "info", "warning", "error")
DEFAULT_LEVEL: Final = "info"


class ForgivingStream:
    """A stream whose writes never fail: a full disk may cost lines, never the work they tell of.

    A log line is written by whoever does that work, the log's own writer thread among them; an
    error from here would end it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = 0  # lines

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):  # ValueError: closed
            self.lost += 1
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self.lost += 1


def configure(log_file: str | None, role: str, level: str = DEFAULT_LEVEL) -> None:
    """Send structlog and the standard library's logging to standard error, or to a file."""
    stream: TextIO
    stream = sys.stderr if log_file is None else Path(log_file).open("a", buffering=1)  # noqa: SIM115
    pretty = stream.isatty()
    forgiving = ForgivingStream(stream)
    structlog.configure(
        processors=[
            lambda _logger, _method, event: {**event, "role": role},
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=forgiving),  # type: ignore[arg-type]
    )
    logging.basicConfig(stream=forgiving, level=logging.WARNING, force=True)

"""Structured logs of every process: lines for people on a terminal, JSON elsewhere."""

import logging
import sys
from pathlib import Path
from typing import TextIO

import structlog


def configure(log_file: str | None, role: str) -> None:
    """Send structlog and the standard library's logging to standard error, or to a file."""
    stream: TextIO
    stream = sys.stderr if log_file is None else Path(log_file).open("a", buffering=1)  # noqa: SIM115
    pretty = stream.isatty()
    structlog.configure(
        processors=[
            lambda _logger, _method, event: {**event, "role": role},
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
    )
    logging.basicConfig(stream=stream, level=logging.WARNING, force=True)

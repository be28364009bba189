"""What one process tells whoever asks: its figures and its health. Bytes on a Unix socket.

`DATA/run/<process>.sock` answers every connection with one report in JSON and closes it. The answer
comes from the process's own event loop, so a process that is stuck gives none, and one that is dead
refuses the connection: both are told apart from a healthy one by something real.

Addresses go through `/proc/self/fd`, as the doorbell's do: a socket's path has at most 107 bytes.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import structlog

from motorcade.metrics.figures import Figure

RUN_DIRECTORY: Final = "run"
REPORT_BYTES_MAX: Final = 1 << 20

_log = structlog.get_logger()


class Check(msgspec.Struct, frozen=True):
    """One thing that must be true for the platform to serve."""

    name: str
    ok: bool
    reason: str = ""  # why not, for people


class Report(msgspec.Struct, frozen=True):
    """One process at one moment."""

    process: str
    pid: int
    figures: list[Figure]
    checks: list[Check] = []


class ReportSocket:
    """Serves `make()` to everyone who connects. Close it before the loop ends."""

    def __init__(self, data: Path, process: str, make: Callable[[], Report]) -> None:
        self._path = data / RUN_DIRECTORY / f"{process}.sock"
        self._make = make
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen, in place of an earlier process of this name."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        with unix_socket(self._path, connect=False) as listening:
            self._server = await asyncio.start_unix_server(self._answer, sock=listening)

    def close(self) -> None:
        """Answer nobody any more."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(msgspec.json.encode(self._make()))
            await writer.drain()
        except OSError:
            pass  # whoever asked is gone
        except Exception:
            _log.exception("report_failed")
        finally:
            writer.close()


async def ask(data: Path, process: str, timeout_s: float) -> Report | None:
    """A process's report; `None` when it is dead or does not answer in time."""
    try:
        async with asyncio.timeout(timeout_s):
            with unix_socket(data / RUN_DIRECTORY / f"{process}.sock", connect=True) as asked:
                reader, writer = await asyncio.open_unix_connection(sock=asked)
            try:
                content = await reader.read(REPORT_BYTES_MAX)
                while more := await reader.read(REPORT_BYTES_MAX - len(content)):
                    content += more
            finally:
                writer.close()
        return msgspec.json.decode(content, type=Report)
    except (OSError, TimeoutError, msgspec.MsgspecError):
        return None


@contextlib.contextmanager
def unix_socket(path: Path, *, connect: bool) -> Iterator[socket.socket]:
    """A socket that is connected to that path, or bound to it; closed where the body raises.

    Raises `OSError`.
    """
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        with _directory(path.parent) as fd:
            address = f"/proc/self/fd/{fd}/{path.name}"
            if connect:
                opened.connect(address)
            else:
                opened.bind(address)
        yield opened
    except BaseException:
        opened.close()
        raise


@contextlib.contextmanager
def _directory(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)

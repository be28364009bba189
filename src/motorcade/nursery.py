"""The process that the platform's processes are forked from: what they all load, it loads once.

To import numba, SQLAlchemy and the rest and to call a first kernel takes more than a second of CPU,
and each process did it for itself. Forked ones have it at once and share the memory that it takes,
and one that died is back sooner (decision 0041).

The supervisor sends what to run over a socket, with the file descriptors to hand down. The nursery
forks twice, and the one between ends: the child is an orphan then, and the supervisor adopts it, as
it said it would (`PR_SET_CHILD_SUBREAPER`, prctl(2)). So the supervisor waits for its children
itself, and the nursery's death harms none of them.

It has one thread, opens nothing and logs nothing, so a fork copies nothing that is half done. The
cyclic collector rests in it, because imports make a million objects and no garbage worth looking
for, and structlog does not find `rich`, with which it would draw tracebacks for people.
"""

import asyncio
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import structlog

from motorcade.kernel_cache import is_filled

PR_SET_CHILD_SUBREAPER: Final = 36  # prctl(2)
START_THRESHOLD: Final = 1_000_000  # allocations between collections; a role sets its own later
REQUEST_BYTES_MAX: Final = 64 << 10
REPLY_BYTES_MAX: Final = 1 << 10
FDS_MAX: Final = 64  # handed down to one child
RESTART_S: Final = 5.0  # after it died, and nobody needed it
ADOPTED_POLL_S: Final = 0.0005
END_S_MAX: Final = 5.0

_log = structlog.get_logger("supervisor")


class NurseryError(Exception):
    """Nothing can be forked. The text says why."""


@dataclass(slots=True)
class ForkedProcess:
    """A child of the supervisor's, though the nursery forked it."""

    pid: int
    returncode: int | None = None  # negative: the signal that ended it
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _pidfd: int = -1

    def watch(self) -> None:
        """Begin to wait for its end, in the running loop."""
        self._pidfd = os.pidfd_open(self.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The supervisor's side. It starts at once, so that it loads while others get ready."""

    def __init__(self, preloaded: Sequence[str] = ()) -> None:
        """`preloaded`: modules to import. Raises `OSError`."""
        self._preloaded = preloaded
        self._turn = asyncio.Lock()  # one question at a time
        self._pidfd = -1
        self._closed = False
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno()), *self._preloaded]
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        ours.setblocking(False)
        self._channel = ours

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self) -> None:
        """Start it again when it dies, from now on, in the running loop."""
        self._pidfd = os.pidfd_open(self._process.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._died)

    def _died(self) -> None:
        _log.info("nursery_ended", code=self._process.wait(), wait_s=RESTART_S)
        self._unwatch()
        asyncio.get_running_loop().call_later(RESTART_S, self._start_again, self._process)

    def _unwatch(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1

    def _start_again(self, dead: "subprocess.Popen[bytes]") -> None:
        if self._closed or self._process is not dead:  # somebody needed it meanwhile
            return
        if self._pidfd >= 0:
            self._unwatch()
        self._channel.close()
        dead.kill()
        dead.wait()
        self._start()
        self.watch()

    async def fork(
        self, name: str, module: str, told: Mapping[str, Any], handed: Mapping[str, int]
    ) -> ForkedProcess:
        """Run `module` as the main program of a new process that is called `name`.

        Its only argument is `told` as JSON, and in it `handed`: file descriptors by their names, as
        numbers of the new process.

        Raises:
            NurseryError: the system gives no process, or the nursery dies again and again.
        """
        request = {"name": name, "module": module, "told": told, "handed": list(handed)}
        message = json.dumps(request).encode()
        async with self._turn:
            try:
                said = await self._ask(message, list(handed.values()))
                if not said:  # it has died: once more
                    self._start_again(self._process)
                    said = await self._ask(message, list(handed.values()))
            except asyncio.CancelledError:  # the answer would be taken for the next one's
                self._process.kill()
                raise
        if not said.isdigit():
            raise NurseryError(said.decode() or "the process that forks ended; see what it printed")
        process = ForkedProcess(int(said))
        process.watch()
        return process

    async def _ask(self, message: bytes, fds: Sequence[int]) -> bytes:
        """What the nursery answers; nothing when it is dead."""
        try:
            socket.send_fds(self._channel, [message], fds)
            return await asyncio.get_running_loop().sock_recv(self._channel, REPLY_BYTES_MAX)
        except (BrokenPipeError, ConnectionResetError):
            return b""

    def close(self) -> None:
        """End it. What it has forked goes on."""
        self._closed = True
        self._channel.close()
        try:
            self._process.wait(END_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


# The nursery's own side.


def main() -> None:
    """Serve until the supervisor is gone; in a child, run what was asked for."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the supervisor decides
    _prepare(sys.argv[2:])
    while True:
        message, fds, _, _ = socket.recv_fds(channel, REQUEST_BYTES_MAX, FDS_MAX)
        if not message:
            return
        request = json.loads(message)
        try:
            is_child = _fork(channel)
        except OSError as error:
            channel.send(f"cannot start {request['name']}: {error.strerror}".encode())
            is_child = False
        if is_child:
            break
        for fd in fds:
            os.close(fd)
    channel.close()
    _become(request, fds)


def _prepare(modules: Sequence[str]) -> None:
    import setproctitle

    setproctitle.setproctitle("motorcade nursery")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's: its threads would not be forked
    gc.set_threshold(START_THRESHOLD)
    cast(dict[str, Any], sys.modules)["rich"] = None  # "not installed", to whoever imports it
    for name in modules:
        importlib.import_module(name)
    compiled = sys.modules.get("motorcade.compiled")
    if compiled is not None and is_filled():  # else they are being compiled just now
        compiled.warm_imported()
    gc.freeze()  # collections in children would copy every page of it


def _fork(channel: socket.socket) -> bool:
    """Whether this is the child. In the nursery the supervisor has been told its pid, or why not.

    Raises `OSError` in the nursery.
    """
    sys.stdout.flush()
    read, write = os.pipe()
    if not (between := os.fork()):
        above = os.getpid()
        try:
            child = os.fork()
        except OSError as error:
            os.write(write, str(error).encode())
            os._exit(1)
        if child:
            os.write(write, str(child).encode())
            os._exit(0)
        os.close(read)
        os.close(write)
        while os.getppid() == above:
            time.sleep(ADOPTED_POLL_S)
        return True
    os.close(write)
    os.waitpid(between, 0)  # then the child is the supervisor's
    channel.send(os.read(read, REPLY_BYTES_MAX))
    os.close(read)
    return False


def _become(request: Mapping[str, Any], fds: Sequence[int]) -> None:
    import setproctitle

    setproctitle.setproctitle(f"motorcade {request['name']}")
    handed = dict(zip(request["handed"], fds, strict=True))
    sys.argv[1:] = [json.dumps({**request["told"], "handed": handed})]
    sys.modules.pop(request["module"], None)  # it may have been preloaded: it runs as the main one
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

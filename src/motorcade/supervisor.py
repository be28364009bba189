"""Starts the platform's processes, heals the one that dies, stops all of them in order.

The supervisor opens every listening socket and hands them down, so addresses outlive a process: a
peer that connects while its process restarts waits in the listen queue instead of being refused.
They are forked from a process that has loaded what all of them need (`nursery.py`), and are its own
children all the same. Each holds the read end of a lifeline pipe; when the supervisor dies, however
it dies, the child reads end-of-file there and drains. A child that does not serve yet has nothing
to drain: the kernel ends it with its parent. No child outlives its supervisor.

The orderly stop: every door closes at once, then the children drain one after the other, the last
in the list first. The first one, the gateway, goes on serving the peers it has until then, so that
a car can still answer the command that an app is waiting for.

A child that comes late is started once the others serve: it takes no CPU from their start, and when
it fails it is tried again as if it had died.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from motorcade.config import SupervisorConfig
from motorcade.nursery import ForkedProcess, Nursery, NurseryError

LISTEN_BACKLOG: Final = 16_384  # connections waiting in one listen queue; cut to net.core.somaxconn
SHARE_OF_REST: Final = 0.6  # of the drain's time left, for each child but the last
STEADY_S: Final = 30.0  # a child that ran this long starts its restart waits anew

PR_SET_PDEATHSIG: Final = 1  # prctl(2)
READY: Final = "ready"  # the pipes that are handed to a child beside its sockets
LIFELINE: Final = "lifeline"
ENTER_NO_MORE: Final = b"q"  # written into a lifeline: close the doors, serve those who are in

_log = structlog.get_logger("supervisor")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One process to keep running: its role, what it is told, the sockets it is handed."""

    name: str  # its role: gateway, api, ...
    module: str  # run as the main program, with what it is told as its argument
    options: Mapping[str, Any]
    sockets: Mapping[str, socket.socket] = field(default_factory=dict)
    late: bool = False  # nobody waits for it to be ready


class ChildFailedError(Exception):
    """A child did not become ready at the first start. The text is what it said."""


def open_listener(host: str, port: int) -> socket.socket:
    """Listen on `host:port` (0: the system chooses). Raises `OSError` naming the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _bind(listener, host, port)
    listener.listen(LISTEN_BACKLOG)
    listener.setblocking(False)
    return listener


def reserve(host: str, port: int) -> socket.socket:
    """Hold `host:port` (0: the system chooses) for a server that binds it itself, and bind it only.

    Connections go to sockets that listen, so this one takes none; it keeps others from the port
    while the server is away. Raises `OSError` naming the address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    _bind(held, host, port)
    return held


def _bind(opened: socket.socket, host: str, port: int) -> None:
    try:
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        reason = f"cannot listen on {host}:{port}: {error.strerror}; use --ports auto or free it"
        raise OSError(error.errno, reason) from error


class Child:
    """One supervised process: started, awaited, started again."""

    def __init__(self, spec: ChildSpec, config: SupervisorConfig, nursery: Nursery) -> None:
        self.spec = spec
        self._config, self._nursery = config, nursery
        self.process: ForkedProcess | None = None
        self._lifeline: int | None = None
        self.restarts = 0
        self.ready_s = 0.0  # loop time; 0: it is not ready

    async def start(self) -> None:
        """Start the process and wait until it says it is ready.

        Raises:
            ChildFailedError: it ended, or stayed silent for `supervisor.ready_s_max`.
        """
        ready_read, ready_write = os.pipe()
        life_read, self._lifeline = os.pipe()
        handed = {name: listener.fileno() for name, listener in self.spec.sockets.items()}
        handed |= {READY: ready_write, LIFELINE: life_read}
        told = {**self.spec.options, "supervisor_pid": os.getpid()}
        try:
            self.process = await self._nursery.fork(self.spec.name, self.spec.module, told, handed)
        except NurseryError as error:
            os.close(ready_read)
            raise ChildFailedError(f"{self.spec.name}: {error}") from error
        finally:
            os.close(ready_write)
            os.close(life_read)
        try:
            said = await asyncio.wait_for(_read_all(ready_read), self._config.ready_s_max)
        except TimeoutError as error:
            self.process.kill()
            limit = self._config.ready_s_max
            raise ChildFailedError(f"{self.spec.name}: not ready after {limit} s") from error
        if said != b"ready":
            code = await self.process.wait()
            raise ChildFailedError(f"{self.spec.name}: ended with {code} before it was ready")
        self.ready_s = asyncio.get_running_loop().time()

    async def ended(self) -> int:
        """Wait for the end of the process; return its exit code."""
        assert self.process is not None  # only after start
        code = await self.process.wait()
        self.ready_s = 0.0
        self._drop_lifeline()
        return code

    def close_doors(self) -> None:
        """Tell it to accept nothing new, and drop our own hold on its listening sockets."""
        for listener in self.spec.sockets.values():
            listener.close()
        if self._lifeline is not None:
            with contextlib.suppress(OSError):  # it has just died: its doors are closed
                os.write(self._lifeline, ENTER_NO_MORE)

    async def stop(self, limit_s: float) -> None:
        """SIGTERM, then SIGKILL after `limit_s`."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), limit_s)
        except TimeoutError:
            _log.error("child_killed_undrained", child=self.spec.name, limit_s=limit_s)
            self.process.kill()
            await self.process.wait()
        self._drop_lifeline()

    def _drop_lifeline(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


class Supervisor:
    """Runs children until told to stop. See the module's text."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        config: SupervisorConfig,
        nursery: Nursery,
        *,
        heals: bool = True,
    ) -> None:
        """Without `heals`, the death of one child is the end of all."""
        self._children = [Child(spec, config, nursery) for spec in specs]
        self._nursery = nursery
        self._heals = heals
        self._failed = ""
        self._config = config
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin the orderly stop; `run` returns after it. Safe in a signal handler of the loop."""
        self._stopping.set()

    async def run(self, on_ready: Callable[[], Awaitable[None]]) -> None:
        """Start all children at once, call `on_ready`, then start the late ones; heal until `stop`,
        then stop in order.

        Raises:
            ChildFailedError: a child failed at its first start, or later where nothing heals.
        """
        keepers: list[asyncio.Task[None]] = []
        self._nursery.watch()
        try:
            if await self._started():
                await on_ready()
                keepers = [asyncio.create_task(self._keep(child)) for child in self._children]
                await self._stopping.wait()
                if self._failed:
                    raise ChildFailedError(self._failed)
        finally:
            self._stopping.set()
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await self._drain()

    async def _started(self) -> bool:
        """Start all children but the late ones at once; `False` when told to stop meanwhile."""
        first = [child for child in self._children if not child.spec.late]
        starts = [asyncio.create_task(self._first_start(child)) for child in first]
        stopping = asyncio.create_task(self._stopping.wait())
        started: asyncio.Future[list[None]] = asyncio.gather(*starts)
        waited: list[asyncio.Future[Any]] = [started, stopping]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if started.done():
                await started  # raises what failed
            return started.done()
        finally:
            for task in (*starts, stopping):
                task.cancel()
            await asyncio.gather(*starts, started, stopping, return_exceptions=True)

    def children_counts(self) -> dict[str, tuple[int, float]]:
        """By child: how often it was started again, and for how many seconds it has been ready."""
        now_s = asyncio.get_running_loop().time()
        return {
            child.spec.name: (child.restarts, now_s - child.ready_s if child.ready_s else 0.0)
            for child in self._children
        }

    async def _first_start(self, child: Child) -> None:
        await child.start()
        _log.info("child_ready", child=child.spec.name, pid=_pid(child))

    async def _drain(self) -> None:
        """Close all doors, then stop the last child first: see the module's text."""
        for child in self._children:
            child.close_doors()
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._config.drain_s_max
        for left in range(len(self._children), 0, -1):
            share_s = (end_s - loop.time()) * (SHARE_OF_REST if left > 1 else 1.0)
            await self._children[left - 1].stop(max(share_s, 0.0))

    async def _keep(self, child: Child) -> None:
        wait_s = self._config.restart_s
        loop = asyncio.get_running_loop()
        if child.spec.late:
            try:
                await self._first_start(child)
            except ChildFailedError as error:
                _log.error("child_start_failed", child=child.spec.name, error=str(error))
        while True:
            began_s = loop.time()
            code = await child.ended()
            if not self._heals:
                self._failed = f"{child.spec.name}: ended with {code}"
                self._stopping.set()
                return
            if loop.time() - began_s > STEADY_S:
                wait_s = self._config.restart_s
            _log.warning("child_ended", child=child.spec.name, code=code, wait_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self._config.restart_s_max)
            child.restarts += 1
            try:
                await child.start()
                _log.info("child_ready_again", child=child.spec.name, pid=_pid(child))
            except ChildFailedError as error:
                _log.error("child_restart_failed", child=child.spec.name, error=str(error))


def _pid(child: Child) -> int | None:
    return child.process.pid if child.process else None


async def _read_all(fd: int) -> bytes:
    """Read a pipe to its end without blocking the loop; closes it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
    )
    try:
        return await reader.read()
    finally:
        transport.close()


@dataclass(frozen=True, slots=True)
class ChildLink:
    """The child's side: what the supervisor told it, and how to answer."""

    options: Mapping[str, Any]

    @staticmethod
    def from_argument(argument: str) -> "ChildLink":
        return ChildLink(json.loads(argument))

    def listener(self, name: str) -> socket.socket:
        """The listening socket handed down under `name`."""
        handed = socket.socket(fileno=self.options["handed"][name])
        handed.setblocking(False)
        return handed

    def end_with_supervisor(self) -> None:
        """Until `ready`, SIGTERM and the supervisor's death end this process at once."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the supervisor decides
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != self.options["supervisor_pid"]:
            sys.exit(1)  # it died before that

    def ready(self, events: "StopEvents") -> None:
        """Say that this process serves; from now on the supervisor is listened to."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, events.stop)
        lifeline = self.options["handed"][LIFELINE]

        def told() -> None:
            if os.read(lifeline, 1) == ENTER_NO_MORE:
                events.doors_closed.set()
                return
            loop.remove_reader(lifeline)  # the supervisor is gone
            events.stop()

        loop.add_reader(lifeline, told)
        ready = self.options["handed"][READY]
        os.write(ready, b"ready")
        os.close(ready)


@dataclass(frozen=True, slots=True)
class StopEvents:
    """What a child waits for: first the one, then the other, or both at once."""

    doors_closed: asyncio.Event = field(default_factory=asyncio.Event)  # accept nothing new
    stopping: asyncio.Event = field(default_factory=asyncio.Event)  # drain, and exit 0

    def stop(self) -> None:
        """SIGTERM came, or the supervisor is gone, or the role cannot go on."""
        self.doors_closed.set()
        self.stopping.set()

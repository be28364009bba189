"""A whole API on real sockets and a real log, with stand-ins for what lies beyond the ports.

The gateway and the car are a few lines here: tail the log's commands, answer as the test says.
"""

import asyncio
import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pyarrow as pa
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from motorcade.api.build import build_api
from motorcade.api.counter import Counter
from motorcade.api.inside import Health
from motorcade.api.server import Listener, listen, serve
from motorcade.clock import Clock, SystemClock
from motorcade.commands.entries import Downlink
from motorcade.commands.ledger import Ledger
from motorcade.commands.runner import CommandRunner
from motorcade.config import Config, RegistryConfig
from motorcade.events import (
    Encoding,
    Flags,
    Record,
    RecordBatch,
    Topic,
    VehicleToken,
    partition_of,
)
from motorcade.history.embedded import EmbeddedHistory
from motorcade.identity.errors import InvalidTokenError, TokenExpiredError
from motorcade.identity.port import PAGE_CLIENT, AccessToken
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.files import OsFiles
from motorcade.log.port import Edge
from motorcade.log.topics import Lane
from motorcade.log.writer import EmbeddedWriter
from motorcade.meters.embedded import EmbeddedMeters
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.state.port import ONLINE, Callback, Handle, SignalValue, VehicleState
from motorcade.streams.chain import ByArrival
from motorcade.streams.dedup import Dedup
from motorcade.wire.command.answers import write_up
from motorcade.wire.command.messages import Answer, Command, UpMessage
from motorcade.wire.command.records import (
    HANDED_OVER,
    TRANSITION,
    UNDELIVERED,
    read_transition,
)
from motorcade.wire.command.signing import verify

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC_KEYS = {"k1": KEY.public_key()}
VINS = ("5YJ3E1EA7KF000001", "5YJ3E1EA7KF000002", "5YJ3E1EA7KF000003")
TOKENS = tuple(VehicleToken(f"IABCDEFGHJKLMNP{n:02d}") for n in range(3))
ALL_SCOPES = (
    "vehicle_device_data",
    "vehicle_location",
    "vehicle_cmds",
    "vehicle_charging_cmds",
)
CarScript = Callable[[Command], Answer | None]


def executes(command: Command) -> Answer:
    return Answer(id=command.id, state="executed", time_us=1, counter=command.counter)


def open_registry(directory: Path, clock: Clock) -> EmbeddedRegistry:
    """A real one with three vehicles, their ids and tokens known to the tests."""
    path, config = directory / "registry.sqlite", RegistryConfig(password_passes=1)
    registry = EmbeddedRegistry(path, account_key=bytes(32), clock=clock, config=config)
    with sqlite3.connect(path) as file:
        for n, (vin, token) in enumerate(zip(VINS, TOKENS, strict=True)):
            file.execute("INSERT OR IGNORE INTO keys VALUES (?, NULL, 0)", (n + 1,))
            row = (1_000 + n, vin, token, f"Car {n}", n + 1)
            own = "INSERT OR IGNORE INTO vehicles VALUES (?, ?, ?, ?, ?, 0, NULL, 'owner')"
            file.execute(own, row)
    file.close()
    return registry


class FakeTokens:
    """Bearer `subject:scope+scope[:expired]`, or a short name for one; `:page`: the page's own."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.clients: dict[str, str] = {}  # by bearer; the others are of `test`

    def generation(self) -> int:
        return 0

    def verify(self, bearer: str) -> AccessToken:
        subject, _, rest = self.names.get(bearer, bearer).partition(":")
        scopes, _, note = rest.partition(":")
        if note == "expired":
            raise TokenExpiredError("over")
        if not scopes:
            raise InvalidTokenError("not ours")
        client = self.clients.get(bearer, PAGE_CLIENT if note == "page" else "test")
        return AccessToken(subject, frozenset(scopes.split("+")), 1 << 60, client)

    def page(self, subject: str = "owner", *scopes: str) -> dict[str, str]:
        """The header of a token of the platform's own page, where people have roles."""
        header = bearer(subject, *scopes)["Authorization"] + ":page"
        return {"Authorization": header}


def offline_state() -> VehicleState:
    return VehicleState({}, online=False, last_received_us=0)


class FakeLive:
    def __init__(self) -> None:
        self.states: dict[str, VehicleState] = {}
        self.callbacks: dict[Handle, tuple[str, Callback]] = {}
        self._seen: dict[str, tuple[VehicleState | None, int]] = {}
        self._handles = count()

    def read(self, token: VehicleToken) -> VehicleState:
        return self.states.get(token, offline_state())

    def online(self, token: VehicleToken) -> bool:
        return self.read(token).online

    def value(self, token: VehicleToken, signal: str) -> SignalValue | None:
        return self.read(token).signals.get(signal)

    def version(self, token: VehicleToken) -> int:
        """Tests put states in as they like: another object is another version."""
        state = self.states.get(token)
        seen, number = self._seen.get(token, (None, 0))
        if state is not seen:
            number += 1
            self._seen[token] = state, number
        return number

    def subscribe(self, token: VehicleToken, callback: Callback) -> Handle:
        handle = Handle(next(self._handles))
        self.callbacks[handle] = (token, callback)
        return handle

    def unsubscribe(self, handle: Handle) -> None:
        del self.callbacks[handle]

    def change(self, token: str, **values: Any) -> None:
        """What the follower's thread does: apply, then tell. `online` is presence."""
        before = self.states.get(token, offline_state())
        changes = [(name, SignalValue(value, 5, "")) for name, value in values.items()]
        signals = before.signals | {name: value for name, value in changes if name != ONLINE}
        self.states[token] = VehicleState(signals, bool(values.get(ONLINE, True)), 5)
        for watched, callback in list(self.callbacks.values()):
            if watched == token:
                callback(changes)


class FakeGateway:
    """Tails COMMANDS and answers for every car by `script`; `online` says who is connected."""

    def __init__(self, log: EmbeddedLog, config: Config, clock: Clock) -> None:
        self._writer = log.writer("gateway", Lane.FAST)
        self._reader = log.reader(frozenset({Topic.COMMANDS}), Edge.LATEST)
        self._partitions, self._clock = config.log.partitions, clock
        self.script: CarScript = executes
        self.online = True
        self.seen: list[Command] = []
        self.waiting: list[Command] = []

    def poll(self) -> None:
        for piece in self._reader.poll(0):
            for record in piece.batch:
                if record.name == TRANSITION:
                    self._deliver(record)

    def expire(self) -> None:
        """Say of what could not be delivered that it never was."""
        for command in self.waiting:
            self._write(command.vehicle, b"", UNDELIVERED, command.id)
        self.waiting = []

    def send(self, vehicle: str, message: UpMessage) -> None:
        self._write(vehicle, write_up(message))

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def _deliver(self, record: Record) -> None:
        transition = read_transition(record.payload)
        if transition.state != "requested":
            return
        command = verify(bytes(transition.message), PUBLIC_KEYS, record.vehicle)
        assert isinstance(command, Command)
        self.seen.append(command)
        if not self.online:
            self.waiting.append(command)
            return
        self._write(record.vehicle, b"", HANDED_OVER, command.id)
        answer = self.script(command)
        if answer is not None:
            self.send(record.vehicle, answer)

    def _write(self, vehicle: str, payload: bytes, name: bytes = b"", stream: str = "") -> None:
        now_us = self._clock.now_us()
        token = VehicleToken(vehicle)
        record = Record(
            vehicle=token,
            topic=Topic.COMMAND_ANSWERS,
            payload=payload,
            received_time_us=now_us,
            event_time_us=now_us,
            encoding=Encoding.COMMAND,
            name=name,
            stream=stream.encode(),
            flags=Flags.QOS_1,
            partition=partition_of(token, self._partitions),
        )
        self._writer.append(RecordBatch.of([record]))


class Platform:
    """The API with its router, in a thread and loop of its own."""

    def __init__(
        self, directory: Path, config: Config, *, tls: Any = None, rpc: bool = False
    ) -> None:
        self.rpc_port = 0
        self._rpc = rpc
        self.health: dict[str, str] = {"log": ""}  # what is looked at, and why it is not well
        self.config, self.clock = config, SystemClock()
        self.registry = open_registry(directory, self.clock)
        self.live, self.tokens = FakeLive(), FakeTokens()
        self.bearers = self.tokens.names
        self.failures: list[Exception] = []
        self.has_room = True
        self.log = EmbeddedLog(directory / "log", config.log, self.clock)
        self.gateway = FakeGateway(self.log, config, self.clock)
        self._writer = self.log.writer("api", Lane.FAST)
        self._ledger = Ledger(directory / "commands" / "ledger.sqlite")
        self.meters = EmbeddedMeters(directory / "meters" / "ledger.sqlite")
        self.past = EmbeddedHistory(
            directory / "history",
            config,
            self.log,
            lambda: Dedup(config.dedup),
            self.clock,
            OsFiles(),
            lambda path: pa.memory_map(str(path)),
        )
        self.runner = CommandRunner(
            config,
            self.log,
            self._writer,
            self._ledger,
            Downlink("k1", KEY, config.commands.message_expires_s),
            self.clock,
            os.urandom,
            self.failures.append,
            lambda: self.has_room,
        )
        self._listeners = [listen("127.0.0.1", 0)]
        if tls is not None:
            self._listeners.append(Listener(listen("127.0.0.1", 0).socket, tls))
        self.url = f"http://127.0.0.1:{self._listeners[0].port}"
        self.tls_url = f"https://localhost:{self._listeners[-1].port}"
        self.ws_url = self.url.replace("http", "ws")
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._main()))

    def history(self) -> EmbeddedHistory:
        return self.past

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._writer.close()
        self.gateway.close()
        self._ledger.close()
        self.meters.close()
        self.log.close()
        self.registry.close()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run something on the platform's loop."""

        async def run() -> Any:
            return function(*arguments)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self.counter = Counter(
            self.config,
            self.clock,
            self.registry,
            self.tokens,
            self.runner,
            self.live,
            os.urandom,
            people=self.registry.people,
            sharing=self.registry.sharing,
            signing=self.registry.signing,
            meters=self.meters,
            history=self.history,
            privacy=self.registry.privacy,
            access_log=self.registry.access_log,
            audit_log=self.registry.audit,
            work_notes=self.registry.work,
            records=ByArrival(self.log, self.config, self.clock),
        )
        self.runner.start()
        bell = self.gateway._reader.doorbell_fd
        assert bell is not None
        self.loop.add_reader(bell, self.gateway.poll)
        server = await serve(build_api(self.counter), self._listeners)
        rpc = await self._serve_rpc() if self._rpc else None
        self._ready.set()
        await self._stopping.wait()
        if rpc is not None:
            ending = asyncio.create_task(rpc.stop(2.0))
            await self.counter.streams.close(1.0)
            await ending
        await server.stop()
        await self.runner.stop()
        self.loop.remove_reader(bell)

    async def _serve_rpc(self) -> Any:
        from motorcade.api.rpc.publishing import SampleLane
        from motorcade.api.rpc.server import Address, RpcServer

        self.counter.inside = FakeInside(self.health)

        def open_samples() -> EmbeddedWriter:
            self.samples = self.log.writer("api", Lane.BULK)
            return self.samples

        lane = SampleLane(open_samples, 0.01)
        rpc = RpcServer(self.counter, lane)
        (self.rpc_port,) = await rpc.start([Address("127.0.0.1", 0)])
        return rpc


class FakeInside:
    """Healthy but for what `checks` says; it is shared with the test."""

    def __init__(self, checks: dict[str, str]) -> None:
        self._checks = checks

    async def ready(self) -> Health:
        return Health(not any(self._checks.values()), dict(self._checks))

    async def live(self) -> Health:
        return await self.ready()

    async def metrics(self) -> bytes:
        return b""


@contextlib.contextmanager
def running(
    directory: Path, *settings: str, tls: Any = None, rpc: bool = False
) -> Iterator[Platform]:
    """A platform while the block runs; with `rpc`, gRPC on `rpc_port`."""
    config = Config().with_overrides(list(settings))
    platform = Platform(directory, config, tls=tls, rpc=rpc)
    platform.start()
    try:
        yield platform
        assert platform.failures == []
    finally:
        platform.stop()


def bearer(subject: str = "owner", *scopes: str) -> dict[str, str]:
    """The header of a token of `FakeTokens`."""
    return {"Authorization": f"Bearer {subject}:{'+'.join(scopes or ALL_SCOPES)}"}


def fetch(method: str, url: str, **options: Any) -> httpx.Response:
    """An answer; without its body where that has no end."""
    with httpx.stream(method, url, timeout=20, **options) as answer:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            answer.read()
        return answer


def members(payload: bytes | str) -> Any:
    return msgspec.json.decode(payload)

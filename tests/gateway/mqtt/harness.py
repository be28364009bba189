"""An MQTT door on a real embedded log, in a thread of its own, for real clients to talk to."""

import asyncio
import os
import shutil
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from motorcade.clock import SystemClock
from motorcade.config import Config
from motorcade.events import Record, RecordBatch, Topic, VehicleToken, make_token
from motorcade.gateway.intake import Intake
from motorcade.gateway.mqtt import kernels
from motorcade.gateway.mqtt.door import MqttDoor
from motorcade.gateway.mqtt.payload import kernels as payload_kernels
from motorcade.gateway.mqtt.store import SqliteSessionStore
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.errors import LogError, LogWriteError
from motorcade.log.port import Edge, LogWriter
from motorcade.log.topics import Lane
from motorcade.registry.port import Principal, PrincipalKind
from motorcade.wire.mqtt import kernels as wire_kernels
from motorcade.wire.websocket import kernels as web_kernels

Result = TypeVar("Result")

TOKEN = make_token(bytes(range(16)))
OTHER = make_token(bytes(range(50, 66)))
PASSWORD = "a-password"
OPERATOR = "ops"
DENIED = "denied/+"


class FakeRegistry:
    """Two vehicles and an operator; what the door asks of `registry.port.Registry`."""

    def __init__(self) -> None:
        self.vehicles: dict[str, VehicleToken] = {"VIN0": TOKEN, "VIN1": OTHER}
        self.version = 0

    def remove(self, vin: str) -> None:
        del self.vehicles[vin]
        self.version += 1

    def authenticate(self, username: str, password: bytes) -> Principal | None:
        if password != PASSWORD.encode():
            return None
        if username == OPERATOR:
            return Principal(PrincipalKind.OPERATOR, OPERATOR, deny_subscribe=(DENIED,))
        return self._principal(VehicleToken(username))

    def principal_of_vin(self, vin: str, serial: str = "") -> Principal | None:
        return self._principal(self.vehicles.get(vin))

    def vehicle_by_token(self, token: str) -> object | None:
        return token if token in self.vehicles.values() else None

    def changes(self) -> int:
        return self.version

    def _principal(self, token: VehicleToken | None) -> Principal | None:
        if token not in self.vehicles.values() or token is None:
            return None
        return Principal(PrincipalKind.VEHICLE, token, token, key_id=7)


class FakePresence:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def connected(self, token: VehicleToken, connection_id: str, network_interface: str) -> None:
        self.told.append(("connected", token))

    def disconnected(self, token: VehicleToken, connection_id: str, network_interface: str) -> None:
        self.told.append(("disconnected", token))


class GatedWriter:
    """A log writer whose commits a test can hold back or let fail."""

    def __init__(self, inner: LogWriter) -> None:
        self._inner = inner
        self._held: list[tuple[RecordBatch, Future[RecordBatch]]] | None = None
        self._lock = threading.Lock()
        self.appended = threading.Event()

    def hold(self) -> None:
        self.appended.clear()
        self._held = []

    def release(self) -> None:
        with self._lock:
            held, self._held = self._held or [], None
            for batch, outer in held:
                self._inner.append(batch).add_done_callback(lambda f, o=outer: _copy(f, o))

    def fail(self, error: LogError | None = None) -> None:
        with self._lock:
            held, self._held = self._held or [], None
        for _, outer in held:
            outer.set_exception(error or LogWriteError("the test broke the disk"))

    def append(self, batch: RecordBatch) -> Future[RecordBatch]:
        with self._lock:
            if self._held is None:
                return self._inner.append(batch)
            outer: Future[RecordBatch] = Future()
            self._held.append((batch, outer))
            self.appended.set()
            return outer

    def close(self) -> None:
        self._inner.close()


def _copy(source: Future[RecordBatch], target: Future[RecordBatch]) -> None:
    error = source.exception()
    if error is not None:
        target.set_exception(error)
    else:
        target.set_result(source.result())


def small(config: Config) -> Config:
    """Buffers that fit a test."""
    log = replace(config.log, batch_records_max=4_096, batch_bytes_max=4 << 20)
    gateway = replace(config.gateway, connections_max=64)
    return replace(config, log=log, gateway=gateway)


class RunningDoor:
    """Context manager: a door that serves on loopback until the block ends."""

    def __init__(
        self,
        directory: Path,
        config: Config | None = None,
        ssl_context: ssl.SSLContext | None = None,
        guest: Principal | None = None,
    ) -> None:
        self._given = config
        self.config = small(config or Config())
        self.registry = FakeRegistry()
        self.presence = FakePresence()
        self.directory = directory
        self.clock = SystemClock()
        self.log = EmbeddedLog(directory / "log", self.config.log, self.clock)
        self.writer = GatedWriter(self.log.writer("gateway", Lane.BULK))
        self.fast_writer = GatedWriter(self.log.writer("gateway", Lane.FAST))
        self.port = self.tls_port = self.ws_port = self.wss_port = 0
        self._guest = guest
        self._ssl_context = ssl_context
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.door: MqttDoor
        self.rest: Callable[[float, Collection[int]], Collection[int]] = lambda *_: ()
        """Called in the loop's rests, in its thread; returns who was readable."""

    def __enter__(self) -> "RunningDoor":
        wire_kernels.warm()
        payload_kernels.warm()
        kernels.warm()
        web_kernels.warm()
        self._thread.start()
        self.call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self.door.drain())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self.writer.close()
        self.fast_writer.close()
        self.log.close()

    def crashed(self, directory: Path) -> "RunningDoor":
        """A door on a copy of what is on disk now: what a process that was killed leaves."""
        shutil.copytree(self.directory, directory, ignore=shutil.ignore_patterns("doorbells"))
        return RunningDoor(directory, self._given)

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run something in the door's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def records(self, topic: Topic) -> list[Record]:
        """Everything the log holds of a topic."""
        reader = self.log.reader(frozenset({topic}), Edge.EARLIEST)
        found: list[Record] = []
        while slices := reader.poll(0.0):
            found += [record for each in slices for record in each.batch]
        reader.close()
        return found

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def _start(self) -> None:
        lanes = {}
        for lane, writer in ((Lane.BULK, self.writer), (Lane.FAST, self.fast_writer)):
            lanes[lane] = Intake(
                writer,
                self.loop,
                records_max=self.config.log.batch_records_max,
                bytes_max=self.config.log.batch_bytes_max,
            )
        self.door = MqttDoor(
            loop=self.loop,
            config=self.config,
            clock=self.clock,
            registry=self.registry,  # type: ignore[arg-type]
            log=self.log,
            store=SqliteSessionStore(self.directory / "mqtt"),
            bulk=lanes[Lane.BULK],
            fast=lanes[Lane.FAST],
            presence=self.presence,
            entropy=os.urandom,
            rest=lambda rest_s, urgent: self.rest(rest_s, urgent),
            guest=self._guest,
        )
        plain, tls, ws, wss = (socket.create_server(("127.0.0.1", 0)) for _ in range(4))
        self.port, self.tls_port = plain.getsockname()[1], tls.getsockname()[1]
        self.ws_port, self.wss_port = ws.getsockname()[1], wss.getsockname()[1]
        await self.door.start(plain, tls, self._ssl_context, ws, wss)


async def eventually(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 10) -> None:
    """Wait until `condition` holds; fail when it never does."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)

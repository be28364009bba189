"""The car's program against a broker that nobody here wrote, through tunnels and a kill -9."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from tests.engines.install import mosquitto
from tests.vehicle.cloud import TOKEN, VIN

S_MAX = 30.0  # for anything to happen; nothing is timed


@contextlib.asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[int]:
    """A Mosquitto that lets everybody in; gives its port."""
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]  # free a moment ago: Mosquitto cannot choose
    server.close()
    await server.wait_closed()
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
    process = await asyncio.create_subprocess_exec(
        str(mosquitto()), "-c", str(config), stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(500):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.02)
        yield port
    finally:
        process.terminate()
        await process.wait()


class Tunnel:
    """A TCP relay that can go dark."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.port = 0
        self.dark = False

    async def __aenter__(self) -> "Tunnel":
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.enter()

    def enter(self) -> None:
        """Cut everything; whoever knocks is turned away."""
        self.dark = True
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.dark:
            writer.transport.abort()
            return
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, to_writer]
        await asyncio.gather(
            self._copy(reader, to_writer), self._copy(to_reader, writer), return_exceptions=True
        )

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.transport.abort()


class Listener:
    """Collects what arrives at the broker, in order."""

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.streams: set[str] = set()
        self.news = asyncio.Condition()

    async def listen(self, port: int, ready: asyncio.Event) -> None:
        async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
            await client.subscribe(f"v/{TOKEN}/telemetry", qos=1)
            ready.set()
            async for message in client.messages:
                properties: Any = message.properties
                user = dict(properties.UserProperty)
                assert properties.ContentType == "application/json"
                assert json.loads(message.payload)["time_us"] > 0  # type: ignore[arg-type]
                self.streams.add(user["stream"])
                self.sequences.append(int(user["sequence"]))
                async with self.news:
                    self.news.notify_all()

    async def reach(self, sequence: int) -> None:
        async with asyncio.timeout(S_MAX), self.news:
            await self.news.wait_for(lambda: max(self.sequences, default=0) >= sequence)

    @property
    def last(self) -> int:
        return max(self.sequences, default=0)


def vehicle_json(folder: Path, port: int) -> Path:
    path = folder / "vehicle.json"
    access = {"client_id": TOKEN, "username": TOKEN, "password": "secret"}
    topics = {"publish_topic_prefix": f"v/{TOKEN}", "command_topic": f"v/{TOKEN}/commands"}
    files = {"cert_file": "cert.pem", "key_file": "key.pem", "ca_file": "ca.pem"}
    servers = {"mqtt": {"host": "127.0.0.1", "port": port}}
    path.write_text(
        json.dumps(
            {"vin": VIN, "token": TOKEN, "mqtt": access | topics, "servers": servers} | files
        )
    )
    return path


async def start_car(file: Path) -> asyncio.subprocess.Process:
    command = ("-m", "motorcade.cli.main", "drive", "--vehicle", str(file), "--rate", "50")
    car = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE
    )
    assert car.stdout is not None
    assert b"of 1 online" in await car.stdout.readline()  # from here on it listens to signals
    return car


async def drive_through_tunnels(folder: Path) -> Listener:
    listener, ready = Listener(), asyncio.Event()
    async with broker(folder) as port, Tunnel(port) as tunnel:
        hearing = asyncio.ensure_future(listener.listen(port, ready))
        await ready.wait()
        car = await start_car(vehicle_json(folder, tunnel.port))
        for _ in range(2):
            await listener.reach(listener.last + 30)
            tunnel.enter()
            await asyncio.sleep(0.5)  # the length of the tunnel
            tunnel.dark = False
        await listener.reach(listener.last + 30)
        car.kill()
        await car.wait()
        car = await start_car(folder / "vehicle.json")
        await listener.reach(listener.last + 30)
        car.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(car.wait(), S_MAX) == 0
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
    return listener


@pytest.mark.timeout(120)
def test_nothing_is_missing_and_everything_is_in_order(tmp_path: Path) -> None:
    listener = asyncio.run(drive_through_tunnels(tmp_path))
    assert len(listener.streams) == 1
    once = list(dict.fromkeys(listener.sequences))
    assert once == list(range(1, len(once) + 1))
    assert len(once) >= 120

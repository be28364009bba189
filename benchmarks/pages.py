"""Pages on sockets: what open streams cost a running platform, and its memory, beside the gateway.

A world drives on the streets of the city and publishes by gRPC, as `motorcade demo` has it do,
which the API's process takes in; cars by MQTT keep the gateway at its work beside it. A process of
its own holds the sockets and looks at parts of the city at 2 Hz. Printed for each number of pages:
CPU of the API's process more than without pages, memory per page, frames per page and second, how
long the slowest waited for one, and what an ack took meanwhile.
`python -m benchmarks.pages [--world N] [--messages N] [--pages 50 1000] [--seconds N]`.
"""

import argparse
import asyncio
import base64
import json
import multiprocessing
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

from benchmarks.machine import MachineTimes, cpu_us, describe, name_of
from benchmarks.recovery import load
from tests.platform_process import Platform, add_vehicles

MIDDLE: Final = (8.685, 49.407)  # of the city, longitude and latitude
WAYS: Final = {"street": 0.012, "city quarter": 0.05, "everything": 1.0}  # of a side, degrees
RATE_HZ: Final = 2.0
SETTLE_S: Final = 4.0
OPEN_AT_ONCE: Final = 50
VINS: Final = [f"5YJ3E1EA7KF{number:06d}" for number in range(20)]  # they speak MQTT


class Page(asyncio.Protocol):
    """One socket: counts what comes and reads nothing of it."""

    def __init__(self, token: str, way: str, chance: random.Random) -> None:
        side = WAYS[way]
        spread = 0.03 if way == "street" else 0.01
        lon, lat = (place + chance.uniform(-spread, spread) for place in MIDDLE)
        bounds = [lon - side, lat - side * 0.6, lon + side, lat + side * 0.6]
        self.first = {"type": "hello", "token": token}
        self.view: dict[str, Any] = {
            "type": "view",
            "bounds": bounds,
            "zoom": 13,
            "rate_hz": RATE_HZ,
        }
        self.frames = self.bytes = 0
        self.last_s = self.wait_s_max = 0.0
        self.open = True
        self._buffer = b""
        self._left = 0  # bytes of the message that is under way
        self._upgraded = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            b"GET /api/2/fleet/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: " + key.encode() + b"\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        data = self._buffer + data
        self._buffer = b""
        if not self._upgraded:
            head, ended, rest = data.partition(b"\r\n\r\n")
            if not ended:
                self._buffer = data
                return
            assert b" 101 " in head, head
            self._upgraded, data = True, rest
            self._say(self.first)
        while data:
            if self._left:
                taken = min(self._left, len(data))
                self._left -= taken
                data = data[taken:]
                continue
            short = data[1] if len(data) > 1 else 127
            size = {126: 4, 127: 10}.get(short, 2)
            if len(data) < size:
                self._buffer = data
                return
            self._left = int.from_bytes(data[2:size], "big") if size > 2 else short
            self._message(data[0] & 15)
            data = data[size:]

    def _message(self, kind: int) -> None:
        now_s = time.monotonic()
        if kind == 9:
            self.transport.write(struct.pack(">BB4s", 0x8A, 0x80, bytes(4)))
        elif kind == 1 and self.view:  # the welcome
            self._say(self.view)
            self.view = {}
        elif kind == 2:
            self.frames += 1
            if self.last_s:
                self.wait_s_max = max(self.wait_s_max, now_s - self.last_s)
            self.last_s = now_s

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False

    def _say(self, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode().ljust(126)  # lengths below have another form
        self.transport.write(struct.pack(">BBH4s", 0x81, 0x80 | 126, len(body), bytes(4)) + body)


async def look(port: int, token: str, way: str, count: int, seconds: float, told: Any) -> None:
    """Open so many pages, say when they stand, count for so long."""
    loop, chance, pages = asyncio.get_running_loop(), random.Random(1), []
    for number in range(count):
        _, page = await loop.create_connection(lambda: Page(token, way, chance), "127.0.0.1", port)
        pages.append(page)
        if number % OPEN_AT_ONCE == OPEN_AT_ONCE - 1:
            await asyncio.sleep(0.1)
    await asyncio.sleep(SETTLE_S)
    for page in pages:
        page.frames = page.bytes = 0
        page.wait_s_max = 0.0
    told.send("stands")
    await asyncio.sleep(seconds)
    waits = sorted(page.wait_s_max for page in pages)
    told.send(
        {
            "open": sum(page.open for page in pages),
            "frames_per_s": sum(page.frames for page in pages) / count / seconds,
            "kib_per_s": sum(page.bytes for page in pages) / count / seconds / 1024,
            "wait_s_p50": waits[count // 2],
            "wait_s_max": waits[-1],
        }
    )


def looking(port: int, token: str, way: str, count: int, seconds: float, told: Any) -> None:
    asyncio.run(look(port, token, way, count, seconds, told))


def rss_kib(pid: int) -> int:
    line = next(
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return int(line.split()[1])


def ask(platform: Platform, path: str) -> Any:
    request = urllib.request.Request(
        platform.ready["api"]["url"] + path,
        headers={"Authorization": f"Bearer {platform.ready['admin_token']}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def measure(platform: Platform, api: int, way: str, count: int, seconds: float) -> None:
    """One row: CPU without pages, then with them."""
    port = int(platform.ready["api"]["url"].rsplit(":", 1)[1])
    memory = rss_kib(api)
    begun = cpu_us(api)
    time.sleep(seconds)
    alone = (cpu_us(api) - begun) / seconds / 1e4
    here, there = multiprocessing.Pipe()
    words = (port, platform.ready["admin_token"], way, count, seconds, there)
    process = multiprocessing.get_context("spawn").Process(target=looking, args=words)
    process.start()
    assert here.recv() == "stands"
    begun, times = cpu_us(api), MachineTimes.read()
    told = here.recv()
    spent = (cpu_us(api) - begun) / seconds / 1e4
    machine = MachineTimes.read().since(times, spent * seconds * 1e4)
    grown = rss_kib(api) - memory
    process.join(30)
    print(
        f"{way:12}  {count:5}  {alone:6.1f}  {spent:6.1f}  {(spent - alone) * 50 / count:6.2f}  "
        f"{grown / count:7.0f}  {told['frames_per_s']:8.2f}  {told['kib_per_s']:7.1f}  "
        f"{told['wait_s_p50']:5.2f} {told['wait_s_max']:5.2f}  {told['open']:5}  {machine}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", type=int, default=5_000)
    parser.add_argument("--messages", type=float, default=5_000, help="by MQTT, per second")
    parser.add_argument("--pages", type=int, nargs="*", default=[50, 1_000])
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--seconds", type=float, default=10.0)
    asked = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        files = add_vehicles(data, VINS, Path(folder) / "vehicles")
        platform = Platform(data)
        platform.start()
        accounts = [file["mqtt"] for file in files.values()]
        loader = multiprocessing.get_context("spawn").Process(
            target=load, args=(platform.ready, accounts, asked.messages), daemon=True
        )
        loader.start()
        words = ("-m", "motorcade.cli.main", "drive", "--world", str(asked.world), "--data", data)
        with (Path(folder) / "drive.log").open("wb") as log:
            world = subprocess.Popen([sys.executable, *map(str, words)], stdout=log, stderr=log)
        try:
            api = next(pid for pid in platform.children() if name_of(pid) == "api")
            deadline_s = time.monotonic() + 240
            while ask(platform, "/api/2/fleet/vehicles?limit=1&state=moving")["count"] == 0:
                assert world.poll() is None, (Path(folder) / "drive.log").read_text()
                assert time.monotonic() < deadline_s, "no car moves"
                time.sleep(1)
            time.sleep(15)  # more of them set out
            moving = ask(platform, "/api/2/fleet/vehicles?limit=1&state=moving")["count"]
            print(
                f"{asked.world} cars, {moving} of them moving; {RATE_HZ:g} Hz; {asked.seconds} s; "
                f"{asked.messages:g} messages/s by MQTT"
            )
            print(
                "view          pages  API % of a core: without, with, per 50;  KiB/page  "
                "frames/s  KiB/s  longest wait s: p50, max  open"
            )
            for way in asked.ways:
                for count in asked.pages:
                    measure(platform, api, way, count, asked.seconds)
            told = ask(platform, "/api/2/system")["response"]
            print(f"acks meanwhile: p50 {told['ack_ms_p50']} ms, p99 {told['ack_ms_p99']} ms")
            assert loader.is_alive()
        finally:
            loader.kill()
            world.terminate()
            world.wait(30)
            platform.stop()


if __name__ == "__main__":
    main()

"""Commands while the vehicle's link is cut again and again: does any execute twice, or late, or end
in a state that the car's own journal contradicts?

`make link-audit COMMANDS=10000` runs it long; the suite runs it short. Real cars
(`motorcade drive`) talk through a proxy that cuts where it hurts: when a command is on its way
down, when the answer is on its way up (between execution and answer), when the answer's PUBACK is
on its way down.
"""

import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.http_link import HttpLink
from tests.platform_process import MOTORCADE, Platform, add_vehicles

CARS = 8
SENDERS_PER_CAR = 3
EXPIRES_S = 8
FINAL_WAIT_S = 90.0
CUT_PAUSE_S = 0.4  # between cuts of one car: a link that is only ever cut carries nothing
NAMES = ("honk_horn", "flash_lights", "honk_horn", "flash_lights", "honk_horn", "door_lock")
PUBLISH, PUBACK = 3, 4


@dataclass
class Findings:
    """What the audit saw."""

    commands: int = 0
    cuts: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    twice: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    contradicted: list[str] = field(default_factory=list)
    not_final: list[str] = field(default_factory=list)

    def text(self) -> str:
        return (
            f"{self.commands} commands, {self.cuts.total()} cuts {dict(self.cuts)}, "
            f"ends {dict(self.states)}; executed twice {len(self.twice)}, late {len(self.late)}, "
            f"contradicted by the journal {len(self.contradicted)}, "
            f"not final {len(self.not_final)}"
        )

    def clean(self) -> bool:
        return not (self.twice or self.late or self.contradicted or self.not_final)


class CuttingProxy:
    """A TCP proxy for one car that knows just enough MQTT to cut at the worst moment."""

    def __init__(self, chance: random.Random, rates: dict[str, float], cuts: Counter[str]) -> None:
        self._chance, self._rates, self._cuts = chance, rates, cuts
        self.upstream: tuple[str, int] = ("", 0)
        self._cut_s = 0.0

    async def start(self) -> int:
        """Listen on a port of the system's choice."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self.upstream)
        except OSError:
            writer.close()
            return
        pumps = [
            asyncio.create_task(self._pump(reader, server_writer, self._up)),
            asyncio.create_task(self._pump(server_reader, writer, self._down)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        for side in (writer, server_writer):
            side.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, judge: Any
    ) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                packet = await self._packet(reader)
                where, now_s = judge(packet), asyncio.get_running_loop().time()
                paused = now_s < self._cut_s + CUT_PAUSE_S
                if where and not paused and self._chance.random() < self._rates[where]:
                    self._cuts[where] += 1
                    self._cut_s = now_s
                    return  # the packet is lost, and the connection with it
                writer.write(packet)

    @staticmethod
    async def _packet(reader: asyncio.StreamReader) -> bytes:
        head = await reader.readexactly(2)
        size, shift = head[-1] & 0x7F, 7
        while head[-1] & 0x80:
            head += await reader.readexactly(1)
            size |= (head[-1] & 0x7F) << shift
            shift += 7
        return head + await reader.readexactly(size)

    @staticmethod
    def _up(packet: bytes) -> str:
        if packet[0] >> 4 == PUBLISH and b'"type":"answer"' in packet:
            return "answer going up"
        return ""

    @staticmethod
    def _down(packet: bytes) -> str:
        if packet[0] >> 4 == PUBLISH and b'"type":"command"' in packet:
            return "command going down"
        return "puback going down" if packet[0] >> 4 == PUBACK else ""


def judge(findings: Findings, journal_file: Path, ends: dict[str, dict[str, Any]]) -> None:
    """Hold one car's journal, line by line as it was written, against the API's ends."""
    begun: Counter[str] = Counter()
    outcome: dict[str, dict[str, Any]] = {}
    for line in journal_file.read_text().splitlines():
        entry = json.loads(line[9:]).get("entry")
        if entry is None:
            continue
        begun[entry["id"]] += entry["state"] == "started"
        outcome[entry["id"]] = entry
    for command_id, end in ends.items():
        state = end["state"]
        findings.states[state] += 1
        entry = outcome.get(command_id, {"state": "absent", "time_us": 0})
        executed = entry["state"] in ("executed", "started")
        if begun[command_id] > 1:
            findings.twice.append(command_id)
        if executed and entry["time_us"] > end["expires_time_us"]:
            findings.late.append(command_id)
        if not end["final"]:
            findings.not_final.append(f"{command_id} {state}, journal {entry['state']}")
        elif (state == "executed") != executed:
            findings.contradicted.append(f"{command_id} {state}, journal {entry['state']}")


async def send_all(
    ready: dict[str, Any], vin: str, count: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Send `count` commands to a car; return each command as the API shows it, once final."""
    left = list(range(count))
    ids: list[str] = []
    base = f"/api/1/vehicles/{vin}"
    headers = {"X-Command-Expires-S": str(EXPIRES_S)}

    async def sender(number: int) -> None:
        link = HttpLink(ready["api"]["url"], ready["admin_token"])
        chance = random.Random(seed * 1_000 + number)
        while left:
            left.pop()
            path = f"{base}/command/{chance.choice(NAMES)}"
            answer = await link.request("POST", path, {}, headers)
            assert answer.status in (200, 408), f"{answer.status} {answer.body}"
            ids.append(answer.headers["x-command-id"])
        link.close()

    await asyncio.gather(*(sender(number) for number in range(SENDERS_PER_CAR)))
    link = HttpLink(ready["api"]["url"], ready["admin_token"])
    ends: dict[str, dict[str, Any]] = {}
    deadline = asyncio.get_running_loop().time() + FINAL_WAIT_S
    for command_id in ids:
        while True:
            shown = (await link.request("GET", f"{base}/commands/{command_id}")).body["response"]
            if shown["final"] or asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.2)
        ends[command_id] = shown
    link.close()
    return ends


async def run_cars(
    directory: Path, platform: Platform, files: dict[str, dict[str, Any]], count: int, seed: int
) -> Findings:
    """All cars, all commands, all cuts."""
    findings = Findings(count)
    rates = {"answer going up": 0.2, "command going down": 0.1, "puback going down": 0.04}
    place = platform.ready["mqtt"]
    proxies, cars = [], []
    try:
        for number, (vin, file) in enumerate(files.items()):
            proxy = CuttingProxy(random.Random(seed + number), rates, findings.cuts)
            proxy.upstream = (place["host"], place["port"])
            file["servers"]["mqtt"] = {"host": "127.0.0.1", "port": await proxy.start()}
            path = directory / "vehicles" / vin / "vehicle.json"
            path.write_text(json.dumps(file))
            cars.append(
                await asyncio.create_subprocess_exec(
                    MOTORCADE,
                    "drive",
                    "--vehicle",
                    str(path),
                    "--buffer",
                    str(directory / "buffers" / vin),
                    stdout=subprocess.DEVNULL,
                )
            )
            proxies.append(proxy)
        await wait_online(platform.ready, list(files))
        share = count // len(files)
        ends = await asyncio.gather(
            *(send_all(platform.ready, vin, share, seed + n) for n, vin in enumerate(files))
        )
    finally:
        for car in cars:
            with contextlib.suppress(ProcessLookupError):
                car.terminate()
        await asyncio.gather(*(car.wait() for car in cars))
    for vin, end in zip(files, ends, strict=True):
        [journal] = (path for path in directory.glob(f"*/{vin}/**/journal") if path.is_file())
        judge(findings, journal, end)
    return findings


async def wait_online(ready: dict[str, Any], vins: list[str]) -> None:
    """Until the API takes every car for online."""
    link = HttpLink(ready["api"]["url"], ready["admin_token"])
    async with asyncio.timeout(60):
        for vin in vins:
            while True:
                answer = await link.request("GET", f"/api/1/vehicles/{vin}")
                if answer.body["response"]["state"] == "online":
                    break
                await asyncio.sleep(0.1)
    link.close()


def audit(directory: Path, commands: int, seed: int) -> Findings:
    """Run it in `directory`."""
    data = directory / "data"
    vins = [f"5YJ3E1EA7KF{number:06d}" for number in range(CARS)]
    platform = Platform(data)
    add_vehicles(data, vins, directory / "vehicles")
    platform.start()
    try:
        files = {
            vin: json.loads((directory / "vehicles" / vin / "vehicle.json").read_text())
            for vin in vins
        }
        for file in files.values():
            file["servers"] = {name: platform.ready[name] for name in ("mqtt", "mqtts")}
        return asyncio.run(run_cars(directory, platform, files, commands, seed))
    finally:
        platform.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        findings = audit(Path(directory), options.commands, options.seed)
    print(findings.text())
    troubles = [*findings.twice, *findings.late, *findings.contradicted, *findings.not_final]
    for line in troubles[:20]:
        print(" ", line)
    sys.exit(0 if findings.clean() else 1)


if __name__ == "__main__":
    main()

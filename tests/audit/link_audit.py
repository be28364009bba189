"""Commands while the vehicles' links are cut again and again: does any execute twice, or late, or
end in a state that the car's own journal contradicts?

`make link-audit COMMANDS=10000` runs it long; the suite runs it short. Cars talk through a proxy
that cuts where it hurts: when a command is on its way down, when its answer is on its way up
(between execution and answer), when the answer comes again, when a PUBACK is on its way. Now and
then it holds a command until it is too late. What the cars did is told by their journals and
by a witness that sees each execution.
"""

import argparse
import asyncio
import contextlib
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.http_link import HttpLink
from tests.platform_process import Platform, add_vehicles, platform

CARS = 16
SENDERS_PER_CAR = 3
EXPIRES_S = 4
HOLD_S = 4.5  # a command that is held comes too late
FINAL_WAIT_S = 90.0
NAMES = ("honk_horn", "flash_lights", "honk_horn", "flash_lights", "honk_horn", "door_lock")
PUBLISH, PUBACK = 3, 4
COMMAND, ANSWER, AGAIN, ACK = (
    "command going down",
    "between execution and answer",
    "answer going up again",
    "PUBACK",
)
RATES = {COMMAND: 0.05, ANSWER: 0.1, AGAIN: 0.1, ACK: 0.02}
HOLD_RATE = 0.004


@dataclass
class Findings:
    """What the audit saw."""

    commands: int = 0
    cuts: Counter[str] = field(default_factory=Counter)
    held: int = 0
    states: Counter[str] = field(default_factory=Counter)
    twice: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    contradicted: list[str] = field(default_factory=list)
    not_final: list[str] = field(default_factory=list)

    def text(self) -> str:
        return (
            f"{self.commands} commands, {self.cuts.total()} cuts {dict(self.cuts)}, "
            f"{self.held} held until too late, ends {dict(self.states)}; "
            f"executed twice {len(self.twice)}, late {len(self.late)}, "
            f"contradicted by the journal {len(self.contradicted)}, "
            f"not final {len(self.not_final)}"
        )

    def clean(self) -> bool:
        return not (self.twice or self.late or self.contradicted or self.not_final)


class CuttingProxy:
    """A TCP proxy for cars that knows just enough MQTT to cut at the worst moment."""

    def __init__(
        self, upstream: dict[str, Any], chance: random.Random, hold_rate: float, findings: Findings
    ) -> None:
        self._upstream = (upstream["host"], upstream["port"])
        self._chance, self._hold_rate = chance, hold_rate
        self._findings = findings
        self._answered: set[bytes] = set()  # ids whose answers got through here

    async def start(self) -> int:
        """Listen on a port of the system's choice."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.close()
            return
        pumps = [
            asyncio.create_task(self._pump(reader, server_writer)),
            asyncio.create_task(self._pump(server_reader, writer)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        for side in (writer, server_writer):
            side.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                packet = await self._packet(reader)
                where, command_id = self._place(packet)
                if where and self._chance.random() < RATES[where]:
                    self._findings.cuts[where] += 1
                    return  # the packet is lost, and the connection with it
                if where == COMMAND and self._chance.random() < self._hold_rate:
                    self._findings.held += 1
                    await asyncio.sleep(HOLD_S)
                if writer.is_closing():
                    return
                if where == ANSWER:
                    self._answered.add(command_id)
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

    def _place(self, packet: bytes) -> tuple[str, bytes]:
        """Which of the places that hurt this is, and the command's id."""
        kind = packet[0] >> 4
        if kind == PUBACK:
            return ACK, b""  # either way it leaves a message to be sent again
        found = re.search(rb'"id":"([^"]+)"', packet) if kind == PUBLISH else None
        if found is None:
            return "", b""
        if b'"type":"command"' in packet:
            return COMMAND, found[1]
        if b'"type":"answer"' in packet:
            return (AGAIN if found[1] in self._answered else ANSWER), found[1]
        return "", b""


@dataclass
class CarsSaw:
    """What the cars know of their commands."""

    journal: dict[str, dict[str, Any]] = field(default_factory=dict)  # the last entry of each id
    begun: Counter[str] = field(default_factory=Counter)  # in journals
    executed_us: dict[str, list[int]] = field(default_factory=dict)  # seen by the witness

    @staticmethod
    def read(journals: Sequence[Path], witness: Path) -> "CarsSaw":
        """Line by line, as they were written."""
        saw = CarsSaw()
        for journal in journals:
            for line in journal.read_text().splitlines():
                entry = json.loads(line[9:]).get("entry")
                if entry is not None:
                    saw.begun[entry["id"]] += entry["state"] == "started"
                    saw.journal[entry["id"]] = entry
        for line in witness.read_text().splitlines():
            command_id, time_us = line.split()
            saw.executed_us.setdefault(command_id, []).append(int(time_us))
        return saw


def judge(findings: Findings, saw: CarsSaw, ends: dict[str, dict[str, Any]]) -> None:
    """Hold what the cars did against what the API says of each command."""
    for command_id, end in ends.items():
        state = end["state"]
        findings.states[state] += 1
        noted = saw.journal.get(command_id, {"state": "absent"})["state"]
        times_us = saw.executed_us.get(command_id, [])
        told = f"{command_id} {state}, journal {noted}, executed {len(times_us)} times"
        if len(times_us) > 1 or saw.begun[command_id] > 1:
            findings.twice.append(told)
        if any(time_us > end["expires_time_us"] for time_us in times_us):
            findings.late.append(told)
        if not end["final"]:
            findings.not_final.append(told)
        elif not (state == "executed") == (noted == "executed") == bool(times_us):
            findings.contradicted.append(told)


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


async def wait_online(ready: dict[str, Any], vins: Sequence[str]) -> None:
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


async def run(
    ready: dict[str, Any],
    places: dict[str, Path],
    commands: int,
    seed: int,
    hold_rate: float,
    flaw: str,
) -> Findings:
    """Cars by VIN, their commands, the cuts, the judgement."""
    findings = Findings(commands)
    proxy = CuttingProxy(ready["mqtt"], random.Random(seed), hold_rate, findings)
    witness = next(iter(places.values())).parent / "witness"
    order = {
        "places": [str(place) for place in places.values()],
        "port": await proxy.start(),
        "witness": str(witness),
        "flaw": flaw,
    }
    cars = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.audit.audited_cars", json.dumps(order)
    )
    try:
        await wait_online(ready, list(places))
        share = commands // len(places)
        every = await asyncio.gather(
            *(send_all(ready, vin, share, seed + n) for n, vin in enumerate(places))
        )
    finally:
        with contextlib.suppress(ProcessLookupError):
            cars.terminate()
        await cars.wait()
    saw = CarsSaw.read([place / "journal" / "journal" for place in places.values()], witness)
    for ends in every:
        judge(findings, saw, ends)
    return findings


def audit(
    up: Platform,
    directory: Path,
    commands: int,
    seed: int,
    *,
    cars: int = CARS,
    hold_rate: float = HOLD_RATE,
    flaw: str = "",
) -> Findings:
    """Add new cars to a running platform, with their files in `directory`, and audit them."""
    vins = [f"5YJ3E1EA7KF{seed:02d}{number:04d}" for number in range(cars)]
    add_vehicles(up.data, vins, directory)
    places = {vin: directory / vin for vin in vins}
    return asyncio.run(run(up.ready, places, commands, seed, hold_rate, flaw))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with platform(directory / "data") as up:
            findings = audit(up, directory / "cars", options.commands, options.seed)
    print(findings.text())
    troubles = [*findings.twice, *findings.late, *findings.contradicted, *findings.not_final]
    for line in troubles[:20]:
        print(" ", line)
    sys.exit(0 if findings.clean() else 1)


if __name__ == "__main__":
    main()

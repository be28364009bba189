"""Everything at once, at random, under load: processes killed and frozen, clocks stepped, links cut
and left half open, cars killed. Then every ledger is held against what is stored.

`make torture FAULTS=500` runs it long, the suite runs it short. Prints five numbers that must be
zero: acked and not stored, duplicates at read, order violations, commands lost, commands doubled.
One seed gives one order of faults; what they hit depends on the machine, as in the world.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.audit.callers import Caller, CommandFindings, journal_of
from tests.audit.callers import judge as judge_commands
from tests.audit.flaky_link import FlakyLink
from tests.audit.kill_audit import SETTINGS, Findings, judge, stored_numbers
from tests.audit.senders import MqttSender, Sender, TelemetrySender
from tests.audit.stepped_clock_up import FILE_VARIABLE, write_offset
from tests.platform_process import MOTORCADE, Platform, add_vehicles

MQTT_VEHICLES, TELEMETRY_VEHICLES, CARS = 3, 2, 2
BUILD = (sys.executable, str(Path(__file__).parent / "stepped_clock_up.py"))
ACK_S_MAX = 4.0  # a sender without an ack for so long takes its link for dead
PROGRESS_S_MAX = 240.0  # until every sender has an ack again; longer is an outage, and fails
FREEZE_S = (0.1, 3.0)
# Steps reach from one end to the other, so they stay below `dedup.horizon_s`: that is one of
# received time, and a Tesla record resent across a longer step is not known again.
STEP_S = (-1_700.0, 1_700.0)
STALL_S = (0.2, 3.0)
BURST = 0.4  # the chance that a fault does not wait until the one before is over

WEIGHTS = {
    "process killed": 22,
    "everything killed": 3,
    "process frozen": 20,
    "supervisor frozen": 5,
    "clock stepped": 15,
    "link cut": 15,
    "link half open": 15,
    "car killed": 5,
}


@dataclass
class Torture:
    """One run: who is there, and what has been done to them."""

    directory: Path
    platform: Platform
    chance: random.Random
    clock_file: Path
    senders: list[Sender]
    callers: list[Caller]
    links: dict[str, FlakyLink] = field(default_factory=dict)
    cars: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    frozen: dict[int, asyncio.TimerHandle] = field(default_factory=dict)  # pid -> its thaw

    async def open_links(self) -> None:
        """Everybody but the apps comes in through links that can break."""
        for name in ("mqtt", "telemetry"):
            self.links[name] = FlakyLink()
        places = {name: await link.start() for name, link in self.links.items()}
        for sender in self.senders:
            sender.ack_s_max = ACK_S_MAX
            sender.aim(places)
        self.places = places
        self.aim()

    def aim(self) -> None:
        """The platform has started: its ports are new."""
        for name, link in self.links.items():
            link.aim(self.platform.ready[name])
        for caller in self.callers:
            caller.aim(self.platform.ready)

    def start_car(self, vin: str) -> "subprocess.Popen[bytes]":
        arguments = [MOTORCADE, "drive", "--vehicle"]
        arguments += [str(self.directory / "vehicles" / vin / "vehicle.json")]
        arguments += ["--buffer", str(self.buffer(vin))]
        log = (self.directory / f"{vin}.log").open("ab")
        with log:
            return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=log)

    def buffer(self, vin: str) -> Path:
        return self.directory / "buffers" / vin

    async def progress(self) -> None:
        """Until every sender has an ack that it had not."""
        before = [len(sender.acked) for sender in self.senders]
        end_s = asyncio.get_running_loop().time() + PROGRESS_S_MAX
        while any(len(s.acked) <= b for s, b in zip(self.senders, before, strict=True)):
            assert asyncio.get_running_loop().time() < end_s, f"no acks: {self.platform.log()}"
            await asyncio.sleep(0.02)

    # The faults. Each returns whether it hit something.

    async def kill_process(self) -> bool:
        alive = self.platform.children()
        if not alive:  # all are being restarted
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.chance.choice(alive), signal.SIGKILL)
        return True

    async def kill_everything(self) -> bool:
        self.thaw()
        await asyncio.to_thread(self.platform.kill_all)
        await asyncio.to_thread(self.platform.start)
        self.aim()
        return True

    async def freeze_process(self) -> bool:
        alive = self.platform.children()
        return bool(alive) and self._freeze(self.chance.choice(alive))

    async def freeze_supervisor(self) -> bool:
        return self._freeze(self.platform.pid)

    def _freeze(self, pid: int) -> bool:
        if pid in self.frozen:
            return False
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            return False
        loop = asyncio.get_running_loop()
        self.frozen[pid] = loop.call_later(self.chance.uniform(*FREEZE_S), self._thaw, pid)
        return True

    def _thaw(self, pid: int) -> None:
        self.frozen.pop(pid).cancel()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def thaw(self) -> None:
        """Let nobody stay frozen."""
        for pid in list(self.frozen):
            self._thaw(pid)

    async def step_clock(self) -> bool:
        write_offset(self.clock_file, self.chance.uniform(*STEP_S))
        return True

    async def cut_link(self) -> bool:
        return self.chance.choice(list(self.links.values())).cut() > 0

    async def stall_link(self) -> bool:
        return self.chance.choice(list(self.links.values())).stall() > 0

    async def kill_car(self) -> bool:
        index = self.chance.randrange(len(self.cars))
        self.cars[index].kill()
        await asyncio.to_thread(self.cars[index].wait)
        self.cars[index] = self.start_car(self.callers[index].vin)
        return True

    async def inflict(self, faults: int) -> None:
        """So many faults, some while the one before still hurts."""
        acts: dict[str, Callable[[], Awaitable[bool]]] = {
            "process killed": self.kill_process,
            "everything killed": self.kill_everything,
            "process frozen": self.freeze_process,
            "supervisor frozen": self.freeze_supervisor,
            "clock stepped": self.step_clock,
            "link cut": self.cut_link,
            "link half open": self.stall_link,
            "car killed": self.kill_car,
        }
        began_s = asyncio.get_running_loop().time()
        while self.done.total() < faults:
            if self.chance.random() >= BURST:
                await self.progress()
            await asyncio.sleep(self.chance.random() * 0.4)
            name = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            if await acts[name]():
                self.done[name] += 1
                passed_s = asyncio.get_running_loop().time() - began_s
                print(f"{passed_s:7.1f} s  {self.done.total():4d}  {name}", file=sys.stderr)


async def run(torture: Torture, faults: int) -> list[dict[str, dict[str, Any]]]:
    """Load and faults; return each caller's commands as they ended."""
    await torture.open_links()
    for caller in torture.callers:
        path = torture.directory / "vehicles" / caller.vin / "vehicle.json"
        point_at(path, torture.places["mqtt"])
        torture.cars.append(torture.start_car(caller.vin))
    workers: Sequence[Sender | Caller] = [*torture.senders, *torture.callers]
    runs = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        await torture.progress()
        await torture.inflict(faults)
        torture.thaw()
        write_offset(torture.clock_file, 0.0)
        for worker in workers:
            worker.stop_sending()
        await asyncio.wait_for(asyncio.gather(*runs), 180)
        return await asyncio.gather(*(caller.ends() for caller in torture.callers))
    finally:
        torture.thaw()
        for run in runs:
            run.cancel()
        for car in torture.cars:
            car.terminate()
        for car in torture.cars:
            await asyncio.to_thread(car.wait)
        for link in torture.links.values():
            await link.stop()


def point_at(file: Path, place: dict[str, Any]) -> None:
    """Send a car through a link."""
    vehicle = json.loads(file.read_text())
    vehicle["servers"] = {"mqtt": place}
    file.write_text(json.dumps(vehicle))


@dataclass
class Verdict:
    """Both ledgers."""

    done: Counter[str]
    records: Findings
    commands: CommandFindings

    def text(self) -> str:
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.done.items()))
        return (
            f"{self.done.total()} faults ({faults})\n"
            f"records: {self.records.text()}\ncommands: {self.commands.text()}"
        )

    def troubles(self) -> list[str]:
        records, commands = self.records, self.commands
        # A car carries out one command at a time, so a kill interrupts one at most.
        unexplained = commands.interrupted[self.done["car killed"] :]
        return [
            *(f"acked and not stored: {each}" for each in records.acked_not_stored),
            *(f"duplicate: {each}" for each in records.duplicates),
            *(f"out of order: {each}" for each in records.out_of_order),
            *(f"command lost: {each}" for each in commands.lost),
            *(f"command lost: {each}" for each in unexplained),
            *(f"command doubled: {each}" for each in commands.doubled),
        ]


def audit(directory: Path, faults: int, seed: int, build: Sequence[str] = BUILD) -> Verdict:
    """Run a platform in `directory` through `faults` faults and judge it."""
    data = directory / "data"
    count = MQTT_VEHICLES + TELEMETRY_VEHICLES + CARS
    vins = [f"5YJ3E1EA7KF{number:06d}" for number in range(count)]
    files = add_vehicles(data, vins, directory / "vehicles")
    clock_file = directory / "clock"
    write_offset(clock_file, 0.0)
    os.environ[FILE_VARIABLE] = str(clock_file)
    platform = Platform(data, SETTINGS, build)
    senders: list[Sender] = [MqttSender(files[vin]) for vin in vins[:MQTT_VEHICLES]]
    senders += [TelemetrySender(files[vin]) for vin in vins[MQTT_VEHICLES:-CARS]]
    callers = [Caller(vin) for vin in vins[-CARS:]]
    torture = Torture(directory, platform, random.Random(seed), clock_file, senders, callers)
    try:
        platform.start()
        ends = asyncio.run(run(torture, faults))
    finally:
        platform.stop()
    verdict = Verdict(torture.done, Findings(torture.done["process killed"]), CommandFindings())
    for sender in senders:
        judge(verdict.records, sender, stored_numbers(data, sender))
    for caller, end in zip(callers, ends, strict=True):
        judge_commands(verdict.commands, caller, end, journal_of(directory, caller.vin))
    return verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        verdict = audit(Path(directory), options.faults, options.seed)
    print(verdict.text())
    for line in verdict.commands.interrupted:
        print("  interrupted in the car:", line)
    troubles = verdict.troubles()
    for line in troubles[:40]:
        print(" ", line)
    sys.exit(1 if troubles else 0)


if __name__ == "__main__":
    main()

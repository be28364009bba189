"""Cars in one process, each execution witnessed beside the journal, and on demand with a flaw.

Not a test: `link_audit.py` runs it. A flaw is planted to prove that the audit catches it:
"forgetful" cars carry out again what is delivered again, "slow clock" cars carry out what is late.
"""

import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from motorcade.clock import SystemClock
from motorcade.config import VehicleConfig
from motorcade.vehicle import agent as agent_module
from motorcade.vehicle.assembly import LinkKind, World, assemble
from motorcade.vehicle.commands import Decision
from motorcade.vehicle.disk import DirectoryDisk, MemoryDisk
from motorcade.vehicle.fleet import Fleet, Member
from motorcade.vehicle.journal import Journal
from motorcade.vehicle.server_time import ServerNow, ServerTimeKeeper
from motorcade.vehicle.vehicle_file import Address, read_vehicle_file
from motorcade.wire.command.messages import Command

SLOW_US = 60_000_000


def forgetful() -> None:
    """The journal's memory does not last until the next delivery."""
    decide = agent_module.decide

    def forgetting(command: Command, journal: Journal, *rest: Any) -> Decision:
        journal._entries.pop(command.id, None)
        journal._counters.discard(command.counter)
        return decide(command, journal, *rest)

    agent_module.decide = forgetting  # type: ignore[attr-defined]


def slow_clock() -> None:
    """The server's time is taken for a minute earlier than it is."""
    now = ServerTimeKeeper.now

    def earlier(self: ServerTimeKeeper, monotonic_s: float) -> ServerNow | None:
        told = now(self, monotonic_s)
        if told is None:
            return None
        latest_us = told.latest_us - SLOW_US
        return replace(told, earliest_us=told.earliest_us - SLOW_US, latest_us=latest_us)

    ServerTimeKeeper.now = earlier  # type: ignore[method-assign]


FLAWS = {"forgetful": forgetful, "slow clock": slow_clock}


def members(places: list[str], port: int, witness: Path) -> list[Member]:
    """The cars, with journals on disk."""
    lines = witness.open("a", buffering=1)

    def executed(command: Command, _now_us: int) -> None:
        lines.write(f"{command.id} {time.time_ns() // 1_000}\n")

    address = Address("127.0.0.1", port)
    world = World(
        LinkKind.MQTT, False, lambda _: address, SystemClock(), VehicleConfig(), os.urandom
    )
    cars = []
    for seed, place in enumerate(places):
        car = assemble(
            read_vehicle_file(Path(place) / "vehicle.json"),
            world,
            seed=seed,
            buffer_disk=MemoryDisk(),
            journal_disk=DirectoryDisk(Path(place) / "journal"),
        )
        car.agent._parts.executed = executed
        cars.append(car)
    return cars


async def drive(cars: list[Member]) -> None:
    """Until SIGTERM."""
    fleet = Fleet(
        cars,
        sample_s=1.0,
        connect_spread_s=0.1,
        sleep=asyncio.sleep,
        clock=SystemClock(),
        failed=lambda agent, error: print(f"{agent.vin}: {error}", file=sys.stderr),
    )
    running = asyncio.ensure_future(fleet.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    await asyncio.gather(running, return_exceptions=True)


def main() -> None:
    order = json.loads(sys.argv[1])
    if order["flaw"]:
        FLAWS[order["flaw"]]()
    asyncio.run(drive(members(order["places"], order["port"], Path(order["witness"]))))


if __name__ == "__main__":
    main()

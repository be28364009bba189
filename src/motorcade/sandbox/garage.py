"""The cars' process of the sandbox: worlds of cars, changed by what comes over `control.py`."""

import asyncio
import gc
import os
import sys
from pathlib import Path
from typing import Any, Final

import structlog
import uvloop

from motorcade import logs
from motorcade.clock import SystemClock
from motorcade.config import Config
from motorcade.sandbox.car import SPEED_MAX, Shared, Stall
from motorcade.sandbox.control import (
    Add,
    CarView,
    Change,
    Message,
    Pace,
    Remove,
    Renew,
    Reply,
    serve_lines,
)
from motorcade.supervisor import ChildLink, StopEvents
from motorcade.vehicle.errors import VehicleError
from motorcade.vehicle.vehicle_file import Address

GC_THRESHOLD: Final = 10_000  # allocations between collections: cars that left are cycles
SKIP_S_MAX: Final = 7 * 86_400.0
_SAMPLE_S: Final = 3_600.0  # of a skip: the car says how it is this often
_STEP_S: Final = 300.0  # of a skip: some 10 ms of a core, then others have their turn

_log = structlog.get_logger()


class Garage:
    """Every car, by world."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._worlds: dict[str, list[Stall]] = {}

    async def answer(self, message: Message) -> Reply:
        """Do what is asked."""
        try:
            return Reply(cars=await self._do(message))
        except (VehicleError, LookupError, ValueError) as error:
            return Reply(error=str(error))
        except Exception as error:
            _log.exception("garage_failed")
            return Reply(error=f"{type(error).__name__}: {error}")

    async def stop(self) -> None:
        """Take every car off the road."""
        for world in list(self._worlds):
            await self._do(Remove(world))

    async def _do(self, message: Message) -> list[CarView]:
        match message:
            case Add(world=world, cars=cars, speed=speed):
                stalls = [Stall(spec, self._shared, speed) for spec in cars]
                self._worlds[world] = stalls
                for stall in stalls:
                    stall.start()
                return [stall.view(sampled=stall.sample()) for stall in stalls]
            case Renew(world=world, cars=cars, speed=speed):
                stalls = self._stalls(world)
                for stall, spec in zip(stalls, cars, strict=True):
                    stall.renew(spec, speed)
                return [stall.view(sampled=stall.sample()) for stall in stalls]
            case Remove(world=world):
                stalls = self._worlds.pop(world, [])
                await asyncio.gather(*(stall.stop() for stall in stalls))
                return []
            case Pace(world=world):
                return await self._pace(message, self._stalls(world))
            case Change():
                stall = self._stall(message.vin)
                stall.change(message)
                return [stall.view(sampled=stall.sample())]

    async def _pace(self, message: Pace, stalls: list[Stall]) -> list[CarView]:
        if message.speed is not None and not 0 <= message.speed <= SPEED_MAX:
            raise VehicleError(f"speed: must be 0 to {SPEED_MAX:g}")
        if not 0 <= message.skip_s <= SKIP_S_MAX:
            raise VehicleError(f"advance_s: must be 0 to {SKIP_S_MAX:g}")
        begun_s = self._shared.clock.monotonic_s()
        for stall in stalls:
            stall.pace(message.speed, 0.0)
            lived_s = 0.0
            while lived_s < message.skip_s:
                step_s = min(message.skip_s - lived_s, _STEP_S)
                stall.pace(None, step_s, say=lived_s % _SAMPLE_S == 0)
                lived_s += step_s
                # As long as the step took: what others ask takes some turns of the loop.
                await asyncio.sleep(self._shared.clock.monotonic_s() - begun_s)
                begun_s = self._shared.clock.monotonic_s()
                if self._worlds.get(message.world) is not stalls:
                    raise VehicleError("the world was reset or let go before the time had passed")
        return [stall.view(sampled=stall.sample()) for stall in stalls]

    def _stalls(self, world: str) -> list[Stall]:
        if world not in self._worlds:
            raise VehicleError(f"no world {world!r} has cars")
        return self._worlds[world]

    def _stall(self, vin: str) -> Stall:
        for stalls in self._worlds.values():
            for stall in stalls:
                if stall.spec.vin == vin:
                    return stall
        raise VehicleError(f"no car {vin!r} is on the road")


async def _run(options: dict[str, Any], link: ChildLink, data: Path) -> None:
    config = Config().with_overrides(list(options["settings"])).vehicle
    servers = {name: Address(host, port) for name, (host, port) in options["places"].items()}
    garage = Garage(Shared(SystemClock(), config, os.urandom, servers))
    server = await serve_lines(data, garage.answer)
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    ends = StopEvents()
    link.ready(ends)
    await ends.stopping.wait()
    server.close()
    await garage.stop()


def main() -> None:
    """Run the cars until told to stop."""
    link = ChildLink.from_argument(sys.argv[1])
    link.end_with_supervisor()
    options = dict(link.options)
    logs.configure(options["log_file"], options["role"], options["log_level"])
    os.umask(0o077)
    uvloop.run(_run(options, link, Path(options["data"])))


if __name__ == "__main__":
    main()

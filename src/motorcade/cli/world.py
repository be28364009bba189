"""`motorcade drive --world N`, `--drives FILE`: cars in columns, by gRPC, one sender of them all.

The world's seconds are the machine's. What is not acknowledged yet is kept and sent again on the
next connection: the server reads each once, by stream and sequence. When too much waits, the world
stands still until the server has caught up; nothing is dropped.
"""

import asyncio
import contextlib
import signal
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
from grpc import aio

from motorcade.cli.data import RECORDED_VIN, WORLD_VIN, opened_registry, require_server
from motorcade.cli.render import CommandError, print_json_line
from motorcade.clock import Clock, SystemClock
from motorcade.identity.authority import open_authority
from motorcade.simulation.drives import DrivesError, Recorded, read_drives
from motorcade.simulation.fleet import STEP_S, Fleet
from motorcade.simulation.kernels import CHARGING, MOVING
from motorcade.simulation.kernels import warm as warm_kernels
from motorcade.simulation.reports import LEVELS, PLACE, SPEED, STATE, Reporter, Reports, World
from motorcade.simulation.streets import read_streets
from motorcade.wire.rpc.proto import message_class
from motorcade.wire.rpc.schema import SERVICE

WAITING_MAX: Final = 50_000  # messages that the server has not acknowledged
RETRY_S: Final = 1.0
STATUS_S: Final = 5.0
DRAIN_S: Final = 3.0
CENTIMETRES: Final = 7  # digits of a degree

SampleBatch: Final = message_class("SampleBatch")
PublishAck: Final = message_class("PublishAck")


def register(data: Path, count: int, form: str = WORLD_VIN) -> list[str]:
    """The VINs of the world's cars; those the platform lacks are added, without certificates: they
    have no door of their own."""
    vins = [form.format(number) for number in range(1, count + 1)]
    with opened_registry(data, open_authority(data)) as registry:
        missing = [vin for vin in vins if registry.vehicle_by_vin(vin) is None]
        if missing:
            registry.add_vehicles(missing)
    return vins


class Sender:
    """Turns reports into messages, and keeps them until they are durable."""

    def __init__(self, vins: list[str], start_us: int) -> None:
        self._vins, self._start_us = vins, start_us
        self._stream = f"world-{start_us}"  # a new run is a new stream: its sequences begin again
        self._sequence = [0] * len(vins)
        self._waiting: deque[bytes] = deque()
        self._unacked: deque[bytes] = deque()
        self._moved = asyncio.Event()
        self.acknowledged = 0
        self.reason = ""  # why it is not connected; "" when it is

    @property
    def backlog(self) -> int:
        return len(self._waiting) + len(self._unacked)

    def add(self, reports: Reports) -> None:
        """Queue a step's reports, in their order."""
        self._waiting.extend(self.messages(reports))
        self._moved.set()

    def messages(self, reports: Reports) -> Iterator[bytes]:
        """Each report as a `SampleBatch`."""
        columns = [column.tolist() for column in reports]
        for car, time_s, what, lon, lat, heading, speed, state, soc, odometer, power, error in zip(
            *columns, strict=True
        ):
            self._sequence[car] += 1
            batch = SampleBatch(
                vehicle=self._vins[car], stream=self._stream, sequence=self._sequence[car]
            )
            time_us = self._start_us + round(time_s * 1e6)
            add = batch.samples.add
            if what & PLACE:
                add(signal="latitude", number=round(lat, CENTIMETRES), time_us=time_us)
                add(signal="longitude", number=round(lon, CENTIMETRES), time_us=time_us)
                add(signal="gps_heading", number=round(heading, 1), time_us=time_us)
            if what & SPEED:
                add(signal="vehicle_speed", number=round(speed, 2), time_us=time_us)
            if what & STATE:
                charging = state == CHARGING
                word = "Charging" if charging else "Disconnected"
                add(signal="gear", text="D" if state == MOVING else "P", time_us=time_us)
                add(signal="detailed_charge_state", text=word, time_us=time_us)
                watts = max(-power, 0.0) if charging else 0.0
                add(signal="ac_charging_power", number=round(watts), time_us=time_us)
            if what & LEVELS:
                add(signal="soc", number=round(soc, 2), time_us=time_us)
                add(signal="odometer", number=round(odometer, 1), time_us=time_us)
                if what & PLACE:
                    add(signal="gps_accuracy", number=round(error, 1), time_us=time_us)
            yield batch.SerializeToString()

    async def room(self) -> None:
        """Wait until less than `WAITING_MAX` is under way."""
        while self.backlog >= WAITING_MAX:
            self._moved.clear()
            await self._moved.wait()

    async def run(self, data: Path) -> None:
        """Connect and send, for ever. Raises `CommandError`: the server ended."""
        while True:
            ready = require_server(data)
            place = ready["grpc"]
            async with aio.insecure_channel(f"{place['host']}:{place['port']}") as channel:
                method = channel.stream_stream(
                    f"/{SERVICE}/PublishSamples", response_deserializer=PublishAck.FromString
                )
                call = method(metadata=(("authorization", f"Bearer {ready['admin_token']}"),))
                await self._carry(call)
            await asyncio.sleep(RETRY_S)

    async def _carry(self, call: Any) -> None:
        """One call, until it ends; then `reason` says why."""
        self._waiting.extendleft(reversed(self._unacked))
        self._unacked.clear()
        hearing = asyncio.create_task(self._hear(call))
        telling = asyncio.create_task(self._tell(call))
        try:
            await asyncio.wait((hearing, telling), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (hearing, telling):
                task.cancel()
            await asyncio.gather(hearing, telling, return_exceptions=True)
            call.cancel()
        self.reason = await call.details() or str(await call.code())
        if await call.code() == grpc.StatusCode.INVALID_ARGUMENT:
            raise RuntimeError(f"the server refuses what the world says: {self.reason}")

    async def _tell(self, call: Any) -> None:
        while True:
            while not self._waiting:
                self._moved.clear()
                await self._moved.wait()
            message = self._waiting.popleft()
            self._unacked.append(message)
            await call.write(message)

    async def _hear(self, call: Any) -> None:
        known = 0
        async for ack in call:
            self.reason = ""
            for _ in range(ack.batches - known):
                self._unacked.popleft()
            self.acknowledged += ack.batches - known
            known = ack.batches
            self._moved.set()


def run_world(
    data: Path, count: int, seed: int, *, drives: Path | None = None, as_json: bool
) -> None:
    """Until SIGTERM: simulated cars, or those of recorded drives.

    Raises:
        CommandError: no server runs here, or it ended; no recorded drives are in the file.
    """
    import uvloop

    require_server(data)
    warm_kernels()
    fleet: World
    if drives is None:
        fleet = Fleet(read_streets(), count, seed)
    else:
        try:
            fleet = Recorded(read_drives(drives), seed)
        except (DrivesError, OSError) as error:
            raise CommandError(f"--drives {drives}: {error}") from error
    vins = register(data, fleet.count, WORLD_VIN if drives is None else RECORDED_VIN)
    uvloop.run(_until_told(data, fleet, vins, seed, SystemClock(), as_json=as_json))


async def _until_told(
    data: Path, fleet: World, vins: list[str], seed: int, clock: Clock, *, as_json: bool
) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    sender = Sender(vins, clock.now_us())
    tasks = [
        asyncio.create_task(sender.run(data)),
        asyncio.create_task(_live(fleet, Reporter(fleet, seed), sender, clock)),
        asyncio.create_task(_show(fleet, sender, as_json=as_json)),
    ]
    telling = asyncio.create_task(told.wait())
    await asyncio.wait((*tasks, telling), return_when=asyncio.FIRST_COMPLETED)
    if telling.done():
        tasks[1].cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while sender.backlog and not tasks[0].done():
                    await asyncio.sleep(0.05)
    for task in (*tasks, telling):
        task.cancel()
    for end in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(end, Exception):
            raise end


async def _live(fleet: World, reporter: Reporter, sender: Sender, clock: Clock) -> None:
    """A second of the world once it is over; a machine that is too slow gives it less."""
    due_s = clock.monotonic_s()
    while True:
        due_s = max(due_s + STEP_S, clock.monotonic_s())
        await asyncio.sleep(due_s - clock.monotonic_s())
        fleet.step()
        sender.add(reporter.reports())
        await sender.room()


async def _show(fleet: World, sender: Sender, *, as_json: bool) -> None:
    while True:
        status = {
            "vehicles": fleet.count,
            "moving": int((fleet.cars.state == MOVING).sum()),
            "acknowledged": sender.acknowledged,
            "backlog": sender.backlog,
            "offline": sender.reason,
        }
        if as_json:
            print_json_line(status)
        else:
            print(
                f"{status['moving']} of {status['vehicles']} move, "
                f"{status['acknowledged']} reports durable, {status['backlog']} waiting"
                + (f"; offline: {sender.reason}" if sender.reason else ""),
                flush=True,
            )
        await asyncio.sleep(STATUS_S)

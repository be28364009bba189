"""A platform with something to see: a world that has driven for a day, agents, trouble, people.

All of it comes in by the doors that anybody uses: the day before by `PublishSamples`, as history;
the world from then on as `motorcade drive --world` sends it, agents by MQTT, commands and people by
the API and the registry. Places and trouble follow from a seed; the clock is the machine's.
"""

import asyncio
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
import numpy as np

from motorcade.cli.data import WORLD_VIN, opened_registry
from motorcade.cli.world import SampleBatch, Sender, register
from motorcade.clock import SystemClock
from motorcade.identity.authority import open_authority
from motorcade.simulation import kernels
from motorcade.simulation.fleet import STEP_S, Fleet
from motorcade.simulation.reports import Reporter
from motorcade.simulation.streets import read_streets
from motorcade.wire.rpc.proto import message_class
from motorcade.wire.rpc.schema import SERVICE
from tests.platform_process import Platform

MIKA: Final = ("mika@example.org", "correct donkey")
AGENTS: Final = 6
HOUR_US: Final = 3_600_000_000
DAY_S: Final = 86_400
TOLD_S: Final = 360  # how often cars told of the day before: twice in a bucket of the timeline
TOLD_AT_ONCE: Final = 10  # samples of a batch: an hour's
SILENT_S: Final = 75.0  # the world's cars speak each minute
HUSHED: Final = 37
AGENT_VIN: Final = "MTRCDSM00{:08d}"


@dataclass
class Stage:
    """See the module."""

    platform: Platform
    cars: int
    seed: int = 8
    hot: str = ""  # id of the vehicle that is in trouble
    _ends: list[Any] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return str(self.platform.ready["dashboard"]["url"]).rstrip("/")

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """As the admin's program."""
        parts = urlsplit(self.platform.ready["api"]["url"])
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        headers["Content-Type"] = "application/json"
        headers["Authorization"] = f"Bearer {self.platform.ready['admin_token']}"
        connection.request(method, path, json.dumps(body or {}), headers)
        answer = connection.getresponse()
        told = answer.read()
        connection.close()
        return answer.status, json.loads(told) if told else None

    def add_people(self) -> None:
        with opened_registry(self.platform.data, open_authority(self.platform.data)) as registry:
            for email, name, role in (
                (MIKA[0], "Mika", "admin"),
                ("aino@example.org", "Aino", "operator"),
                ("veikko@example.org", "Veikko", "viewer"),
            ):
                registry.people.add_person(email, name, MIKA[1], name.lower())
                registry.people.set_role(email, role)

    def begin(self) -> None:
        """Agents set out, the world tells its day and drives on."""
        data = self.platform.data
        words = ("-m", "motorcade.cli.main", "drive", "-n", str(AGENTS), "--data", str(data))
        with (data / "drive.log").open("ab") as log:
            self._ends.append(subprocess.Popen([sys.executable, *words], stdout=log, stderr=log))
        self.until("/api/2/fleet/vehicles?limit=1&state=moving", lambda told: told["count"] > 0)
        vins = register(data, self.cars)
        kernels.warm()
        hour = SHOWN_HOUR * 3600.0
        fleet = Fleet(read_streets(), self.cars, self.seed, start_of_day_s=hour)
        clock = SystemClock()
        start_us = clock.now_us() - DAY_S * 1_000_000
        self.publish(_day(fleet, vins, start_us))
        driving = threading.Thread(
            target=asyncio.run, args=(self._drive(fleet, vins, clock),), daemon=True
        )
        driving.start()
        self._ends.append(driving)
        third = self.cars // 5
        self.until("/api/2/fleet/vehicles?limit=1&state=moving", lambda told: told["count"] > third)

    def trouble(self) -> None:
        """A hot battery, a flat tyre, commands that failed and one that was done."""
        agent = AGENT_VIN.format(1)
        self.hot = self.id_of(agent)
        now_us = SystemClock().now_us()
        self.publish(iter(_hot(agent, now_us)))
        flat = SampleBatch(vehicle=WORLD_VIN.format(self.cars), stream="stage", sequence=1)
        flat.samples.add(signal="tpms_hard_warning_front_left", number=1.0, time_us=now_us)
        self.publish(iter([flat]))
        self.command(agent, "set_charge_limit", percent=80)
        self.command(AGENT_VIN.format(2), "charge_start")
        self.command(WORLD_VIN.format(871), "door_unlock", expires_s="1")
        queue = "/api/2/work?open=true"
        self.until(queue, lambda told: "together" in json.dumps(told), 2 * SILENT_S + 60)

    def command(self, vin: str, name: str, expires_s: str = "20", **body: Any) -> None:
        path = f"/api/1/vehicles/{vin}/command/{name}"
        status, told = self.ask("POST", path, body, **{"X-Command-Expires-S": expires_s})
        assert status in (200, 408), told

    def id_of(self, vin: str) -> str:
        with opened_registry(self.platform.data, open_authority(self.platform.data)) as registry:
            vehicle = registry.vehicle_by_vin(vin)
        assert vehicle is not None
        return str(vehicle.id)

    def until(self, path: str, good: Any, within_s: float = 240.0) -> None:
        deadline_s = time.monotonic() + within_s
        while True:
            status, told = self.ask("GET", path)
            if status == 200 and good(told):
                return
            assert time.monotonic() < deadline_s, f"not within {within_s} s: {path}: {told}"
            time.sleep(1)

    def publish(self, batches: Iterator[Any]) -> None:
        """Bring samples in, durable when this returns."""
        place = self.platform.ready["grpc"]
        with grpc.insecure_channel(f"{place['host']}:{place['port']}") as channel:
            method = channel.stream_stream(
                f"/{SERVICE}/PublishSamples",
                request_serializer=lambda batch: batch.SerializeToString(),
                response_deserializer=message_class("PublishAck").FromString,
            )
            token = f"Bearer {self.platform.ready['admin_token']}"
            for _ in method(batches, metadata=(("authorization", token),)):
                pass

    async def _drive(self, fleet: Fleet, vins: list[str], clock: SystemClock) -> None:
        """As `motorcade drive --world`, but for those who fall silent where they are."""
        sender = Sender(vins, clock.now_us() - round(fleet.now_s * 1e6))
        sending = asyncio.create_task(sender.run(self.platform.data))
        reporter = Reporter(fleet, self.seed)
        begun_s, steps = clock.monotonic_s(), 0
        hushed = np.zeros(0, np.int64)
        while not self._stop.is_set() and not sending.done():
            fleet.step()
            steps += 1
            reports = reporter.reports()
            if steps == 70:
                hushed = _near(fleet, HUSHED)
            sender.add(reports.rows(~np.isin(reports.car, hushed)))
            await sender.room()
            await asyncio.sleep(max(0.0, begun_s + steps * STEP_S - clock.monotonic_s()))
        sending.cancel()

    def end(self) -> None:
        self._stop.set()
        for one in reversed(self._ends):
            if isinstance(one, threading.Thread):
                one.join(20)
            else:
                one.terminate()
                one.wait(20)


SHOWN_HOUR: Final = 14
"""The hour on the wall where the pictures are taken: of the machine's clock, in another zone."""


def zone_of_hour(now_us: int) -> str:
    """A time zone in which it is `SHOWN_HOUR` now."""
    east = (SHOWN_HOUR - now_us // HOUR_US % 24 + 12) % 24 - 12
    return f"Etc/GMT{-east:+d}"


def _day(fleet: Fleet, vins: list[str], start_us: int) -> Iterator[Any]:
    """What the cars tell of the day before: how fast they are, now and then."""
    times_us, speeds = [], []
    for second in range(DAY_S):
        fleet.step()
        if second % TOLD_S == TOLD_S // 2:
            times_us.append(start_us + second * 1_000_000)
            speeds.append(fleet.cars.speed_mps.round(2).tolist())
    for first in range(0, len(times_us), TOLD_AT_ONCE):
        span = range(first, first + TOLD_AT_ONCE)
        for car, vin in enumerate(vins):
            batch = SampleBatch(vehicle=vin)
            for at in span:
                number = speeds[at][car]
                batch.samples.add(signal="vehicle_speed", number=number, time_us=times_us[at])
            yield batch


def _near(fleet: Fleet, count: int) -> np.ndarray:
    """The cars on the road that are nearest to one of them."""
    place = fleet.positions()
    moving = np.flatnonzero(fleet.cars.state == kernels.MOVING)
    middle = moving[0]
    away = np.hypot(
        place.lon_deg[moving] - place.lon_deg[middle], place.lat_deg[moving] - place.lat_deg[middle]
    )
    return moving[np.argsort(away)[:count]]


def _hot(vin: str, now_us: int) -> list[Any]:
    """Half an hour of a battery that warms, and what the car says of itself at its end."""
    chance = np.random.default_rng(3)
    batch = SampleBatch(vehicle=vin, stream="stage", sequence=1)
    for second in range(-1_800, 1, 15):
        warm = 31.2 + max(0.0, second + 600) / 600 * 21.2 + chance.normal(0, 0.12)
        batch.samples.add(
            signal="module_temp_max", number=round(warm, 1), time_us=now_us + second * 1_000_000
        )
    for name, value in (("tpms_pressure_fl", 260_000.0), ("tpms_pressure_fr", 262_000.0)):
        batch.samples.add(signal=name, number=value, time_us=now_us - 900_000_000)
    batch.samples.add(signal="bms_state", text="Fault", time_us=now_us)
    return [batch]


@contextmanager
def stages(folder: Path, cars: int) -> Iterator[Stage]:
    """A platform without a vehicle; `begin` fills it."""
    limits = folder / "limits.json"
    limits.write_text(json.dumps({"module_temp_max": {"high": 50}}))
    settings = [f"dashboard.silent_s={SILENT_S}", f"dashboard.limits_file={limits}"]
    platform = Platform(folder / "data", settings=settings)
    stage = Stage(platform, cars)
    try:
        platform.start()  # within: one that is not ready in time is ended, too
        yield stage
    finally:
        stage.end()
        platform.stop()

"""`motorcade drive --world`: what the fleet in columns sends, and that a real platform shows it."""

import asyncio
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motorcade.cli.data import RECORDED_VIN, WORLD_VIN
from motorcade.cli.world import PublishAck, SampleBatch, Sender, register
from motorcade.registry.vin import check_vin
from motorcade.signals.catalogue import BY_NAME
from motorcade.simulation.fleet import Fleet
from motorcade.simulation.kernels import CHARGING, MOVING
from motorcade.simulation.reports import LEVELS, PLACE, SPEED, STATE, Reporter, Reports
from motorcade.simulation.streets import read_streets
from tests.platform_process import MOTORCADE, Platform, run_motorcade, stored

START_US = 1_790_000_000_000_000
VINS = [WORLD_VIN.format(number) for number in range(1, 4)]


def reports(*rows: tuple[int, float, int, int]) -> Reports:
    """(car, time, what, state), the rest made up."""
    car, at, what, state = (np.array(column) for column in zip(*rows, strict=True))
    ones = np.ones(len(rows))
    return Reports(
        car, at, what, 8.68 * ones, 49.41 * ones, 90.0 * ones, 12.345 * ones, state, 55.5 * ones,
        1_000.0 * ones, -11_000.0 * ones, 3.25 * ones,
    )  # fmt: skip


def read(messages: Any) -> list[Any]:
    return [SampleBatch.FromString(message) for message in messages]


def values(batch: Any) -> dict[str, Any]:
    return {one.signal: getattr(one, one.WhichOneof("value")) for one in batch.samples}


def test_a_report_says_what_it_tells_of_in_catalogue_names() -> None:
    sender = Sender(VINS, START_US)
    whole = PLACE | SPEED | STATE | LEVELS
    sent = read(sender.messages(reports((1, 2.0, whole, MOVING), (0, 2.0, whole, CHARGING))))
    assert [batch.vehicle for batch in sent] == [VINS[1], VINS[0]]
    moving, charging = values(sent[0]), values(sent[1])
    assert (moving["latitude"], moving["longitude"], moving["gps_heading"]) == (49.41, 8.68, 90.0)
    assert (moving["gear"], charging["gear"]) == ("D", "P")
    assert moving["gps_accuracy"] == 3.2
    assert (moving["detailed_charge_state"], moving["ac_charging_power"]) == ("Disconnected", 0)
    assert charging["ac_charging_power"] == 11_000
    assert charging["detailed_charge_state"] == "Charging"
    assert all(name in BY_NAME for name in moving)
    assert {one.time_us for one in sent[0].samples} == {START_US + 2_000_000}
    (hidden,) = read(sender.messages(reports((1, 3.0, SPEED, MOVING))))
    assert values(hidden) == {"vehicle_speed": 12.35}


def test_sequences_rise_per_car_in_a_stream_of_the_run() -> None:
    sender = Sender(VINS, START_US)
    sent = read(sender.messages(reports(*((car, 1.0, SPEED, MOVING) for car in (0, 1, 0, 0)))))
    assert [(batch.vehicle, batch.sequence) for batch in sent] == [
        (VINS[0], 1),
        (VINS[1], 1),
        (VINS[0], 2),
        (VINS[0], 3),
    ]
    assert len({batch.stream for batch in sent}) == 1
    (later,) = read(Sender(VINS, START_US + 1).messages(reports((0, 1.0, SPEED, MOVING))))
    assert later.stream != sent[0].stream


class Call:
    """A call that acknowledges the first `taken` messages and then breaks."""

    def __init__(self, taken: int) -> None:
        self.taken, self.got = taken, []

    async def write(self, message: bytes) -> None:
        self.got.append(message)

    def __aiter__(self) -> "Call":
        return self

    async def __anext__(self) -> Any:
        if self.taken is None:
            raise StopAsyncIteration
        while len(self.got) < self.taken:
            await asyncio.sleep(0)
        ack, self.taken = PublishAck(batches=self.taken), None
        return ack

    def cancel(self) -> None:
        pass

    async def code(self) -> int:
        return 14

    async def details(self) -> str:
        return "gone"


def test_what_was_not_acknowledged_is_sent_again_first_and_in_order() -> None:
    async def talk() -> tuple[list[bytes], list[bytes], int]:
        sender = Sender(VINS, START_US)
        rows = reports(*((0, float(second), SPEED, MOVING) for second in range(5)))
        sender.add(rows)
        first, second = Call(3), Call(2)
        await sender._carry(first)
        assert sender.reason == "gone"
        await sender._carry(second)
        return first.got, second.got, sender.acknowledged

    first, second, acknowledged = asyncio.run(talk())
    assert [batch.sequence for batch in read(first)][:3] == [1, 2, 3]
    assert [batch.sequence for batch in read(second)] == [4, 5]
    assert acknowledged == 5


def test_the_worlds_cars_are_added_once(tmp_path: Path) -> None:
    assert register(tmp_path / "data", 2) == VINS[:2]
    assert register(tmp_path / "data", 3) == VINS
    assert all(check_vin(vin) for vin in VINS)


def test_backlog_of_a_fleet_is_all_its_reports() -> None:
    fleet = Fleet(read_streets(), 50, 1)
    reporter = Reporter(fleet, 1)
    sender = Sender([WORLD_VIN.format(n) for n in range(50)], START_US)
    count = 0
    for _ in range(20):
        fleet.step()
        made = reporter.reports()
        count += len(made)

        async def add(made: Reports = made) -> None:
            sender.add(made)

        asyncio.run(add())
    assert sender.backlog == count > 50


@pytest.mark.slow
def test_a_platform_stores_what_the_world_says(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data")
    platform.start()
    try:
        register(platform.data, 40)
        command = [MOTORCADE, "drive", "--world", "40", "--json", "--data", str(platform.data)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                seen = wait_for_cars(platform, 40)
            finally:
                process.send_signal(signal.SIGTERM)
                out, _ = process.communicate(timeout=20)
            assert process.returncode == 0
        said = [json.loads(line) for line in out.splitlines()]
        assert said[-1]["vehicles"] == 40
        assert sum(speed > 0 for _, _, speed in seen) >= 5
        for latitude, longitude, _ in seen:
            assert 49.32 < latitude < 49.50
            assert 8.55 < longitude < 8.86
    finally:
        platform.stop()


@pytest.mark.slow
def test_a_platform_stores_what_recorded_cars_say(tmp_path: Path) -> None:
    """And a file of something else is refused before any car is added."""
    platform = Platform(tmp_path / "data")
    platform.start()
    try:
        steps = [
            f'<timestep time="{second}">'
            f'<vehicle id="one" x="{8.69 + second * 1e-4}" y="49.41" angle="90" speed="7.3"/>'
            f'<vehicle id="two" x="8.69" y="{49.41 + second * 1e-4}" angle="0" speed="11.1"/>'
            "</timestep>"
            for second in range(300)
        ]
        file = tmp_path / "drives.xml"
        file.write_text(f"<fcd-export>{''.join(steps)}</fcd-export>")
        data_words = ("--data", str(platform.data))
        command = [MOTORCADE, "drive", *data_words, "--drives"]
        wrong = subprocess.run([*command, __file__], capture_output=True, text=True)
        assert wrong.returncode == 1
        assert "no whole XML" in wrong.stderr
        assert json.loads(run_motorcade("vehicle", "list", "--json", *data_words)) == []
        play = [*command, str(file), "--json"]
        with subprocess.Popen(play, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert json.loads(process.stdout.readline())["vehicles"] == 2
                seen = wait_for_cars(platform, 2, RECORDED_VIN)
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=20)
            assert process.returncode == 0
        (lat, lon, speed), (other_lat, other_lon, other_speed) = seen
        assert (lat, other_lon, speed, other_speed) == (49.41, 8.69, 7.3, 11.1)
        assert lon > 8.69
        assert other_lat > 49.41
    finally:
        platform.stop()


def wait_for_cars(
    platform: Platform, count: int, form: str = WORLD_VIN
) -> list[tuple[float, float, float]]:
    """(latitude, longitude, speed) of all, once all have a place in the log. The Fleet API would
    not say: they have no connection of their own, so it calls them offline."""
    waiting = [form.format(number) for number in range(1, count + 1)]
    seen = []
    deadline = time.monotonic() + 60
    while waiting and time.monotonic() < deadline:
        vin = waiting[0]
        said: dict[str, Any] = {}
        for record in stored(platform.data, vin, decoded=True):
            for part in record["decoded"]:
                said |= part["signals"]
        if "latitude" not in said:
            time.sleep(0.5)
            continue
        seen.append((said["latitude"], said["longitude"], said["vehicle_speed"]))
        del waiting[0]
    assert not waiting
    return seen

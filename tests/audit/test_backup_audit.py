"""A backup of the loaded platform, a kill, a restore, and on: the platform goes on without a gap.

What was acknowledged before the backup began is there, nothing twice, nothing out of order; what
is acknowledged after the restart as well. Sessions, idempotency keys and counters hold.
"""

import asyncio
import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.audit.kill_audit import MQTT_VEHICLES, SETTINGS, Findings, judge, stored_numbers
from tests.audit.link_audit import wait_online
from tests.audit.senders import MqttSender, Sender, TelemetrySender
from tests.interop.clients import Paho, Way
from tests.interop.town import Town, Vehicle
from tests.platform_process import MOTORCADE, Platform, add_vehicles, run_motorcade

TELEMETRY_VEHICLES = 2
VINS = [f"5YJ3E1EA7KF{number:06d}" for number in range(MQTT_VEHICLES + TELEMETRY_VEHICLES)]
ROTATING = (*SETTINGS, "log.segment_bytes_max=200000", "log.segment_allocate_bytes=65536")
GAP_S_MAX = 2.0  # between two acks of any sender while the backup is made; a pause would be longer


async def acks_after(senders: list[Sender], count: int) -> None:
    """Until every sender has so many more acks."""
    before = [len(sender.acked) for sender in senders]
    async with asyncio.timeout(60):
        while any(len(s.acked) < b + count for s, b in zip(senders, before, strict=True)):
            await asyncio.sleep(0.01)


async def longest_silence_s(senders: list[Sender], until: asyncio.Future[Any]) -> float:
    """The longest time in which nobody got an ack, until `until` is done."""
    longest_s, last, since_s = 0.0, -1, time.monotonic()
    while not until.done():
        acked = sum(len(sender.acked) for sender in senders)
        now_s = time.monotonic()
        if acked != last:
            last, since_s = acked, now_s
        longest_s = max(longest_s, now_s - since_s)
        await asyncio.sleep(0.005)
    return longest_s


def make_backup(data: Path, out: Path, *more: str) -> dict[str, Any]:
    words = ("backup", "--data", str(data), "--out", str(out), "--json", *more)
    made: dict[str, Any] = json.loads(run_motorcade(*words))
    return made


@pytest.mark.parametrize("form", ["archive", "shared"])
def test_a_restored_platform_goes_on_where_the_backup_ends(tmp_path: Path, form: str) -> None:
    data, out = tmp_path / "data", tmp_path / ("b.tar" if form == "archive" else "b")
    files = add_vehicles(data, VINS, tmp_path / "vehicles")
    platform = Platform(data, ROTATING)
    platform.start()
    senders: list[Sender] = [MqttSender(files[vin]) for vin in VINS[:MQTT_VEHICLES]]
    senders += [TelemetrySender(files[vin]) for vin in VINS[MQTT_VEHICLES:]]

    async def before() -> None:
        for sender in senders:
            sender.aim(platform.ready)
        runs = [asyncio.create_task(sender.run()) for sender in senders]
        more: tuple[str, ...] = ()
        await acks_after(senders, 200)
        if form == "shared":
            made = await asyncio.to_thread(make_backup, data, tmp_path / "earlier")
            await acks_after(senders, 200)
            more = ("--since", str(tmp_path / "earlier"))
        kept = [set(sender.acked) for sender in senders]
        making = asyncio.ensure_future(asyncio.to_thread(make_backup, data, out, *more))
        silence_s = await longest_silence_s(senders, making)
        made = await making
        assert silence_s < GAP_S_MAX
        assert (made["bytes_shared"] > 0) == (form == "shared")
        await acks_after(senders, 50)  # These are lost: the backup is older.
        await asyncio.to_thread(platform.kill_all)
        for sender, acked in zip(senders, kept, strict=True):
            sender.acked = acked
        await asyncio.to_thread(shutil.rmtree, data)
        checked = await asyncio.to_thread(run_motorcade, "verify", str(out), "--json")
        assert json.loads(checked)["records"] >= sum(map(len, kept))
        await asyncio.to_thread(run_motorcade, "restore", str(out), "--data", str(data))
        await asyncio.to_thread(platform.start)
        for sender in senders:
            sender.aim(platform.ready)
        await acks_after(senders, 100)
        for sender in senders:
            sender.stop_sending()
        await asyncio.wait_for(asyncio.gather(*runs), 60)

    try:
        asyncio.run(before())
    finally:
        assert platform.stop() == 0, platform.log()
    findings = Findings()
    for sender in senders:
        judge(findings, sender, stored_numbers(data, sender))
    print(findings.text())
    assert findings.clean(), findings.text()
    assert findings.acked > 1_500


WAY = Way("5", "tcp")


def publish(town: Town, vehicle: Vehicle, payload: bytes) -> None:
    """As the vehicle, acknowledged."""
    with Paho(town, WAY, vehicle["mqtt"]) as car:
        topic = f"{vehicle['mqtt']['publish_topic_prefix']}/telemetry"
        assert not car.publish(topic, payload).is_failure


def honk(town: Town, vehicle: Vehicle, key: str) -> tuple[int, str]:
    """Send a command under an idempotency key; its answer's status and its id."""
    path = f"/{vehicle['vin']}/command/honk_horn"
    answer = town.ask("POST", path, {}, headers={"Idempotency-Key": key})
    return answer.status, answer.headers["x-command-id"]


@contextlib.contextmanager
def driven(town: Town, directory: Path, vehicle: Vehicle) -> Iterator[None]:
    """A real car, whose journal outlives it, online."""
    words = ("drive", "--data", str(town.platform.data), "--buffer", str(directory / "buffer"))
    file = directory / "vehicles" / vehicle["vin"] / "vehicle.json"
    car = subprocess.Popen([MOTORCADE, *words, "--vehicle", str(file)], stdout=subprocess.DEVNULL)
    try:
        asyncio.run(wait_online(town.platform.ready, [vehicle["vin"]]))
        yield
    finally:
        car.terminate()
        car.wait(30)


def test_sessions_keys_and_counters_hold_after_a_restore(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "backup"
    files = add_vehicles(data, VINS[:2], tmp_path / "vehicles")
    car, own = (files[vin] for vin in VINS[:2])
    platform = Platform(data)
    town = Town(platform, iter([]), [])
    platform.start()
    with driven(town, tmp_path, car):
        account = {**town.operator("reader"), "client_id": "reader"}
        with Paho(town, WAY, account, resume=True) as reader:
            reader.subscribe(f"{own['mqtt']['publish_topic_prefix']}/telemetry")
        publish(town, own, b"1")
        first = honk(town, car, "key-1")
        make_backup(data, out)
        lost = honk(town, car, "key-2")
    platform.kill_all()
    shutil.rmtree(data)
    run_motorcade("restore", str(out), "--data", str(data))
    platform.start()
    try:
        with driven(town, tmp_path, car):
            assert honk(town, car, "key-1") == first
            later = honk(town, car, "key-3")  # refused, if its counter had not risen
        assert (first[0], lost[0], later[0]) == (200, 200, 200)
        publish(town, own, b"2")
        with Paho(town, WAY, account, resume=True) as reader:
            assert reader.present
            reader.wait(lambda: len(reader.messages) >= 2)
            assert [message.payload for message in reader.messages] == [b"1", b"2"]
    finally:
        assert platform.stop() == 0, platform.log()

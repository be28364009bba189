"""The command line as outsiders rely on it: files, keys, modes, exit codes, and kills."""

import asyncio
import base64
import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.http_link import HttpLink
from tests.interop.clients import Paho, Way
from tests.interop.town import S_MAX, Town
from tests.platform_process import (
    MOTORCADE,
    Platform,
    add_vehicles,
    descendants,
    export,
    run_motorcade,
)

VIN = "5YJ3E1EA7KF000001"
WAY = Way("5", "tcp")
BACK_S_MAX = 15.0  # the contract's: a dead process is running again


def publish(running: Platform, vehicle: dict[str, Any], *payloads: bytes) -> None:
    """Publish as the vehicle at QoS 1; every one must be acknowledged."""
    town = Town(running, iter([vehicle]), [vehicle["vin"]])
    with Paho(town, WAY, vehicle["mqtt"]) as car:
        for payload in payloads:
            topic = f"{vehicle['mqtt']['publish_topic_prefix']}/telemetry"
            assert not car.publish(topic, payload).is_failure


def get(running: Platform, path: str, token: str) -> Any:
    """(status, body) of a GET."""

    async def ask() -> tuple[int, Any]:
        link = HttpLink(running.ready["api"]["url"], token)
        answer = await link.request("GET", path)
        link.close()
        return answer.status, answer.body

    return asyncio.run(ask())


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- up ------------------------------------------------------------------------------------------


def test_the_ready_file(town: Town) -> None:
    ready = town.platform.ready
    assert set(ready) == {
        *("pid", "mqtt", "mqtts", "mqtt_ws", "mqtt_wss", "telemetry", "api", "api_tls"),
        *("grpc", "grpc_tls"),
        *("dashboard", "ca_file", "admin_token", "region", "fleet_base_url"),
    }
    assert ready["pid"] == town.platform.pid
    for door in ("mqtt", "mqtts", "mqtt_ws", "mqtt_wss", "telemetry", "grpc", "grpc_tls"):
        assert set(ready[door]) == {"host", "port"}
        assert ready[door]["host"] == "127.0.0.1"
        assert isinstance(ready[door]["port"], int)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", ready["api"]["url"])
    assert re.fullmatch(r"https://127\.0\.0\.1:\d+", ready["api_tls"]["url"])
    assert set(ready["dashboard"]) == {"url"}
    assert Path(ready["ca_file"]).is_absolute()
    assert b"BEGIN CERTIFICATE" in Path(ready["ca_file"]).read_bytes()
    copy = town.platform.data / "ready.json"
    assert json.loads(copy.read_text()) == ready
    given = town.platform.data.parent / f"{town.platform.data.name}-ready.json"
    for file in (given, copy, *(town.platform.data / "secrets").rglob("*")):
        if file.is_file():
            assert permissions(file) == 0o600, file
    assert permissions(town.platform.data) & 0o077 == 0


def test_a_second_platform_on_the_same_directory_is_refused(town: Town) -> None:
    words = [MOTORCADE, "up", "--data", str(town.platform.data), "--ports", "auto"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert str(town.platform.pid) in done.stderr


@pytest.mark.parametrize("setting", ["mqtt.no_such=1", "mqtt.keep_alive_s_max=soon", "nonsense"])
def test_a_wrong_setting_is_told(tmp_path: Path, setting: str) -> None:
    words = [MOTORCADE, "up", "--data", str(tmp_path / "data"), "--ports", "auto", "--set", setting]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert setting in done.stderr


def test_settings_kills_stops_and_exports(tmp_path: Path) -> None:
    """One data directory through its life: before, beside, after a kill and after a stop."""
    data = tmp_path / "data"
    vehicle = add_vehicles(data, [VIN], tmp_path / "before")[VIN]  # no server has run yet
    running = Platform(data, ["mqtt.keep_alive_s_max=30"])
    running.start()
    try:
        town = Town(running, iter([vehicle]), [VIN])
        with Paho(town, WAY, vehicle["mqtt"]) as car:
            assert car.connack_properties.ServerKeepAlive == 30  # it asked for 60
        publish(running, vehicle, b'{"signals":{"Soc":50}}', b"one", b"two")
        beside = export(data, VIN, decoded=True)
        assert [base64.b64decode(line["payload_base64"])[-5:] for line in beside] == [
            *(b"50}}"[-5:].rjust(5, b":"), b"one", b"two"),
        ]

        for dying in running.children():  # each once, by itself
            os.kill(dying, signal.SIGKILL)
            killed_s = time.monotonic()
            while True:
                with contextlib.suppress(AssertionError, OSError, EOFError):
                    status, _ = get(running, "/api/1/vehicles", running.ready["admin_token"])
                    publish(running, vehicle, b"again")
                    assert status == 200
                    if dying not in running.children():  # while the reader is away all is served
                        break
            assert time.monotonic() - killed_s < BACK_S_MAX
            assert set(running.children()) == set(descendants(running.ready["pid"]))
            assert dying not in running.children()
        beside = export(data, VIN, decoded=True)

        running.kill_all()
        assert export(data, VIN, decoded=True) == beside
        running.start()
        assert export(data, VIN, decoded=True) == beside
        publish(running, vehicle, b"three")
    finally:
        assert running.stop() == 0, running.log()
    after = export(data, VIN, decoded=True)
    assert after[:-1] == beside
    assert base64.b64decode(after[-1]["payload_base64"]) == b"three"
    assert not (data / "ready.json").exists()


# --- accounts ------------------------------------------------------------------------------------


def test_vehicle_json(town: Town, tmp_path: Path) -> None:
    vin = "5YJ3E1EA7KG000001"
    data = str(town.platform.data)
    run_motorcade("vehicle", "add", "--data", data, "--vin", vin, "--out", str(tmp_path / "car"))
    file = tmp_path / "car" / "vehicle.json"
    vehicle = json.loads(file.read_text())
    assert set(vehicle) >= {"vin", "token", "mqtt", "cert_file", "key_file", "ca_file"}
    assert vehicle["vin"] == vin
    assert re.fullmatch(r"[0-9A-Z]{17}", vehicle["token"])
    assert set(vehicle["token"]) & set("IOQ")
    assert set(vehicle["mqtt"]) == {
        *("client_id", "username", "password"),
        *("publish_topic_prefix", "command_topic"),
    }
    for name in ("cert_file", "key_file", "ca_file"):
        assert Path(vehicle[name]).is_absolute()
        assert Path(vehicle[name]).exists()
    assert permissions(file) == permissions(Path(vehicle["key_file"])) == 0o600
    shown = json.loads(run_motorcade("vehicle", "show", vin, "--data", data, "--json"))
    assert shown["token"] == vehicle["token"]
    publish(town.platform, vehicle, b"new")  # at once, though the server ran before it was added
    run_motorcade("vehicle", "remove", vin, "--data", data)
    with Paho(Town(town.platform, iter(()), []), WAY, vehicle["mqtt"]) as gone:
        assert gone.connack.is_failure


def test_a_thousand_vehicles_beside_the_running_server(town: Town, tmp_path: Path) -> None:
    vins = [f"5YJ3E1EA7KH{number:06d}" for number in range(1_000)]
    files = add_vehicles(town.platform.data, vins, tmp_path / "fleet")
    assert len({vehicle["token"] for vehicle in files.values()}) == 1_000
    assert len({vehicle["mqtt"]["password"] for vehicle in files.values()}) == 1_000
    publish(town.platform, files[vins[-1]], b"the last one")
    words = ["vehicle", "list", "--data", str(town.platform.data), "--json", "--limit", "2000"]
    listed = json.loads(run_motorcade(*words))
    assert set(vins) <= {vehicle["vin"] for vehicle in listed}


def test_what_a_subject_sees(town: Town) -> None:
    data = str(town.platform.data)
    vehicle = town.vehicle()

    def token(*more: str) -> str:
        words = ["token", "--data", data, "--scopes", "vehicle_device_data", *more]
        return str(json.loads(run_motorcade(*words))["access_token"])

    path = f"/api/1/vehicles/{vehicle['vin']}"
    status, body = get(town.platform, path, token("--subject", "owner", "--ttl", "600"))
    assert status == 200
    assert body["response"]["vin"] == vehicle["vin"]
    stranger = token("--subject", "stranger")
    assert get(town.platform, path, stranger)[0] == 404
    status, body = get(town.platform, "/api/1/vehicles", stranger)
    assert (status, body["response"]) == (200, [])
    assert get(town.platform, path, "nonsense")[0] == 401
    denied = town.ask("POST", f"/{vehicle['vin']}/command/honk_horn", {}, token())
    assert denied.status == 403


# --- cars ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def started(*words: str, **more: Any) -> Iterator["subprocess.Popen[str]"]:
    """A command that runs until SIGTERM, and then exits with 0."""
    process = subprocess.Popen([MOTORCADE, *words], stdout=subprocess.PIPE, text=True, **more)
    try:
        yield process
        process.terminate()
        assert process.wait(S_MAX) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def line_with(process: "subprocess.Popen[str]", text: str) -> str:
    """The first line that holds `text`; the suite's own timeout ends a vain wait."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"it ended without {text!r}")


def test_send_and_watch_a_driving_car(town: Town) -> None:
    data, vehicle = str(town.platform.data), town.vehicle()
    vin = vehicle["vin"]
    file = Path(vehicle["cert_file"]).parent / "vehicle.json"
    environment = {**os.environ, "MOTORCADE_DATA": data}
    with started("drive", "--vehicle", str(file), "--data", data) as car:
        line_with(car, "1 of 1 online")
        watch = subprocess.Popen(
            [MOTORCADE, "watch", vin, "--json"], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert json.loads(line_with(watch, "snapshot"))["vehicle"]["vin"] == vin
        sent = json.loads(run_motorcade("send", vin, "flash_lights", "--data", data, "--json"))
        assert (sent["name"], sent["state"], sent["final"]) == ("flash_lights", "executed", True)
        assert sent["timeline"][0]["state"] == "requested"
        heard = json.loads(line_with(watch, '"executed"'))["command"]
        assert heard["id"] == sent["id"]
        assert json.loads(line_with(watch, '"type":"signals"'))["signals"]
        watch.terminate()
        watch.wait(S_MAX)
        assert watch.stdout is not None
        watch.stdout.close()
    offline = [MOTORCADE, "send", vin, "honk_horn", "--data", data, "--expires", "1"]
    assert subprocess.run(offline, capture_output=True, timeout=60, check=False).returncode == 3
    lines = export(town.platform.data, vin)
    positions = [line["sender_sequence"] for line in lines]
    assert positions == sorted(set(positions))
    assert positions


def test_five_cars_drive_until_they_are_told_to_stop(town: Town) -> None:
    data = town.platform.data
    with started("drive", "-n", "5", "--data", str(data)) as cars:
        line_with(cars, "5 of 5 online")
    vins = [car.name for car in (data / "simulated").iterdir()]
    assert len(vins) == 5
    assert all(export(data, vin) for vin in vins)


def test_demo_shows_moving_cars(tmp_path: Path) -> None:
    with started("demo", "--cars", "3", "--data", str(tmp_path / "data")) as demo:
        positions: set[str] = set()
        while len(positions) < 4:  # three cars, and one of them has moved
            positions.add(line_with(demo, "km/h").split("  ")[4])
        ready = json.loads((tmp_path / "data" / "ready.json").read_text())
        assert ready["pid"] == demo.pid
    assert not descendants(demo.pid)

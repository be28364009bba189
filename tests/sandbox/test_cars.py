"""What can be done to a car, each by what the app sees of it."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from motorcade.sandbox.client import Sandbox, SandboxError, World
from motorcade.wire.tesla_command.faults import Fault
from motorcade.wire.tesla_command.messages import VCSEC
from tests.sandbox.app import App, Signed, done, fault, reason
from tests.vehicle.signed.car import LOCK

S_MAX = 20.0


def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + S_MAX
    while not true():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.05)


def test_a_sleeping_car_answers_to_wake_up_alone(world: World, app: App) -> None:
    world.speed_up(20)  # waking takes a car 3 s
    assert app.state() == "online"
    world.vehicle.sleep()
    assert app.state() == "asleep"
    assert app.get("/vehicle_data").status_code == 408
    assert app.command("honk_horn").status_code == 408
    assert app.post("/wake_up").status_code == 200
    until(lambda: app.state() == "online")
    assert app.command("honk_horn").json()["response"]["result"]
    world.vehicle.sleep()
    world.vehicle.wake()
    assert app.state() == "online"


def test_a_driving_car_refuses_what_would_be_dangerous_and_parks(world: World, app: App) -> None:
    world.vehicle.drive()
    until(lambda: (app.data("drive_state")["speed"] or 0) > 0)
    assert app.data("drive_state")["shift_state"] == "D"
    refused = app.command("actuate_trunk", which_trunk="rear").json()["response"]
    assert refused == {"result": False, "reason": "vehicle_is_driving"}
    world.vehicle.park()
    assert app.data("drive_state")["shift_state"] in (None, "P")
    assert app.command("actuate_trunk", which_trunk="rear").json()["response"]["result"]


def test_a_car_charges_as_it_is_told(world: World, app: App) -> None:
    world.vehicle.set_battery(40)
    world.vehicle.charge()
    charging = app.data("charge_state")
    assert charging["charging_state"] == "Charging"
    assert charging["battery_level"] == 40
    refused = app.command("charge_start").json()["response"]
    assert refused == {"result": False, "reason": "charging"}
    world.vehicle.park()
    assert app.data("charge_state")["charging_state"] == "Stopped"


def test_a_car_without_network_is_offline_until_it_is_back(world: World, app: App) -> None:
    world.vehicle.lose_network()
    assert app.state() == "offline"
    assert app.get("/vehicle_data").status_code == 408
    assert app.command("honk_horn").status_code == 408
    session = Signed(app)
    assert session.post(session_hello(session)).status_code == 408
    world.vehicle.regain_network()
    assert app.state() == "online"
    assert app.command("honk_horn").json()["response"]["result"]


def session_hello(session: Signed) -> object:
    """Any signed message."""
    from tesla_protocol.command.universal_message_pb2 import RoutableMessage

    from tests.api.test_signed import message

    return RoutableMessage.FromString(message())


def test_a_car_refuses_as_often_as_it_was_told(world: World, app: App) -> None:
    world.vehicle.refuse("door_lock", "could_not_lock", times=2)
    for _ in range(2):
        said = app.command("door_lock").json()["response"]
        assert said == {"result": False, "reason": "could_not_lock"}
    assert app.command("door_lock").json()["response"]["reason"] != "could_not_lock"
    world.vehicle.refuse(reason="not today", times=None)
    session = Signed(app)
    session.begin()
    assert reason(session.ask()) == "not today"
    assert app.command("flash_lights").json()["response"]["reason"] == "not today"
    world.vehicle.obey()
    assert done(session.ask())
    assert app.command("flash_lights").json()["response"]["result"]


def test_signed_commands_need_the_paired_key(world: World, app: App) -> None:
    session, doors = Signed(app), Signed(app, VCSEC)
    assert (session.begin(), doors.begin()) == (0, 0)
    assert done(session.ask())
    assert fault(doors.ask(LOCK)) == 0
    assert paired(app) == [app.vin]
    world.vehicle.unpair()
    assert fault(session.ask()) == Fault.UNKNOWN_KEY_ID
    assert Signed(app).begin() == 1  # key not on the list
    assert paired(app) == []
    world.vehicle.pair()
    assert paired(app) == [app.vin]
    assert done(session.ask())


def paired(app: App) -> list[str]:
    answer = app.http.post("/api/1/vehicles/fleet_status", json={"vins": [app.vin]})
    found: list[str] = answer.json()["response"]["key_paired_vins"]
    return found


def test_firmware_without_signed_commands_and_one_that_requires_them(
    world: World, app: App
) -> None:
    session = Signed(app)
    session.begin()
    world.vehicle.set_signed_commands("none")
    answer = session.post(session.message())
    assert answer.status_code == 422
    assert answer.json()["error"] == "vehicle does not support signed commands"
    assert app.command("honk_horn").json()["response"]["result"]
    world.vehicle.set_signed_commands("required")
    answer = app.command("honk_horn")
    assert answer.status_code == 403
    assert answer.json()["error"].startswith("Tesla Vehicle Command Protocol required")
    assert done(session.ask())


def test_a_skewed_clock_shows_in_telemetry_and_in_signed_sessions(world: World, app: App) -> None:
    session = Signed(app)
    session.begin()
    assert done(session.ask())
    world.vehicle.skew_clock(120)
    ahead_s = app.data("drive_state")["timestamp"] / 1e3 - time.time()
    assert 100 < ahead_s < 130
    late = session.ask()
    assert fault(late) == Fault.TIME_EXPIRED
    session.take(late)  # its session info, by which clients resynchronise
    assert done(session.ask())


def test_what_cannot_be_changes_nothing(sandbox: Sandbox, world: World) -> None:
    for body, text in (
        ({"doing": "flying"}, "doing"),
        ({"battery_percent": 140}, "battery_percent"),
        ({"network": "slow"}, "network"),
        ({"clock_skew_s": 1e9}, "clock_skew_s"),
        ({"signed_commands": "maybe"}, "signed_commands"),
        ({"wheels": 3}, "wheels"),
    ):
        with pytest.raises(SandboxError, match=f"400.*{text}"):
            sandbox.call("POST", f"/vehicles/{world.vehicle.vin}", body)
    with pytest.raises(SandboxError, match="404"):
        sandbox.call("POST", "/vehicles/5YJ3E1EA0SB999999", {"doing": "parked"})
    with pytest.raises(SandboxError, match=r"400.*role"):
        world.vehicle.pair(role="king")
    with pytest.raises(SandboxError, match=r"400.*public_key_pem"):
        world.vehicle.pair("no key")


def test_a_charge_is_in_the_history_once_it_has_ended(world: World, app: App) -> None:
    """From the car's stream through the log and the ledger to all three views."""
    history, sessions = "/api/1/dx/charging/history", "/api/1/dx/charging/sessions"
    assert app.http.get(history).json()["response"]["data"] == []
    world.vehicle.set_battery(40)
    world.vehicle.charge()
    world.advance(1_800)
    world.vehicle.park()  # unplugs nothing: the session ends all the same
    end_s = time.monotonic() + 60
    found: list[dict[str, Any]] = []
    while not found and time.monotonic() < end_s:
        found = app.http.get(history).json()["response"]["data"]
        time.sleep(0.2)
    (charged,) = found
    assert charged["vin"] == world.vehicle.vin
    assert charged["chargeStartDateTime"] <= charged["chargeStopDateTime"]
    (fee,) = charged["fees"]
    assert 3 < fee["usageBase"] < 7  # half an hour at 11 kW, kWh
    (session,) = app.http.get(sessions).json()["data"]
    assert session["total_energy"] == fee["usageBase"]
    with Sandbox(world.api_url).world() as other:
        theirs = App(other)
        assert theirs.http.get(history).json()["response"]["data"] == []
        theirs.close()

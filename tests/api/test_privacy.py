"""A car in a zone, every route and stream asked with every scope: no answer says where it is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tesla_protocol.command.car_server_pb2 import Action
from websockets.sync.client import ClientConnection, connect

from motorcade.api.charging_places import ChargingPlace
from motorcade.api.rights import LOCATION, RIGHTS, VEHICLE, Token
from motorcade.identity.scopes import SCOPES
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.privacy.port import EVERY_APP
from motorcade.state.port import SignalValue, VehicleState
from motorcade.vehicle.model import Car
from motorcade.vehicle.sensors import signals_of
from tests.api.standins import TOKENS, VINS, Platform, bearer, fetch, members, running
from tests.api.test_signed import body, message
from tests.vehicle.actions.cars import do
from tests.vehicle.actions.test_charging import SCHEDULE

CAR = f"/api/1/vehicles/{VINS[0]}"
CAR_ID = 1_000
ALL = bearer("owner", *SCOPES)
OWNERS = "owner:" + "+".join(SCOPES) + ":own"
EVERYTHING = "vehicle_data_combo;location_data"
RADIUS_M = 300.0


def parked() -> Car:
    """Says where it is in every way it can."""
    car = Car(1)
    here = {"lat": car.place.latitude_deg, "lon": car.place.longitude_deg}
    do(car, "add_charge_schedule", **SCHEDULE | here)
    do(car, "navigation_gps_request", **here)
    return car


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    settings = ("commands.response_s_max=2", "rates.data_per_minute=0")
    with running(tmp_path, *settings) as platform:
        platform.tokens.clients[OWNERS] = "motorcade"
        stand(platform, parked())
        here = parked().place
        near = {"latitude_deg": here.latitude_deg, "longitude_deg": here.longitude_deg}
        platform.counter.places = (ChargingPlace(name="Near", stalls=4, fast=True, **near),)
        yield platform


def stand(platform: Platform, car: Car) -> None:
    told = {name: SignalValue(value, 5, "") for name, value in signals_of(car).items()}
    platform.live.states[TOKENS[0]] = VehicleState(told, True, 5)


def protect(registry: EmbeddedRegistry, car: Car) -> int:
    place = car.place.latitude_deg, car.place.longitude_deg
    return registry.privacy.add_zone(CAR_ID, "home", *place, RADIUS_M).id


def tells_place(text: str, car: Car) -> list[str]:
    """Numbers in a text that are near one of the car's coordinates, to a kilometre or so."""
    return [
        number
        for number in re.findall(r"-?\d+\.\d+", text)
        for degrees in (car.place.latitude_deg, car.place.longitude_deg)
        if abs(float(number) - degrees) < 0.02
    ]


def answers(platform: Platform, headers: dict[str, str]) -> dict[str, str]:
    """Every answer about the car, by route, its stream's snapshot and a change included."""
    there = {"lat": parked().place.latitude_deg, "lon": parked().place.longitude_deg, "order": 1}
    sent = httpx.post(
        f"{platform.url}{CAR}/command/navigation_gps_request", headers=headers, json=there
    )
    found = {}
    for row in RIGHTS.values():
        if not row.path.startswith(VEHICLE) or row.method == "POST" or row.token is Token.PARTNER:
            continue
        path = row.path.replace("{tag}", VINS[0])
        path = path.replace("{command_id}", sent.headers["x-command-id"])
        if row.path.endswith("/vehicle_data"):
            path += f"?endpoints={EVERYTHING}"
        if row.method == "WS":
            found[row.path] = follow(platform, path, headers)
        elif row.path.endswith("/stream"):
            found["events"] = first_event(platform, path, headers)
        elif row.method == "GET":
            answer = fetch("GET", platform.url + path, headers=headers)
            assert answer.status_code == 200, (path, answer.text)
            found[row.path] = answer.text
    listed = "/api/1/vehicles", "/api/1/products"
    return found | {
        path: fetch("GET", platform.url + path, headers=headers).text for path in listed
    }


def follow(platform: Platform, path: str, headers: dict[str, str]) -> str:
    with connect(platform.ws_url + path, additional_headers=headers, proxy=None) as stream:
        frames = [str(stream.recv(timeout=10))]
        state = platform.live.states[TOKENS[0]].signals
        places = {n: said.value for n, said in state.items() if n in ("latitude", "longitude")}
        platform.live.change(TOKENS[0], vehicle_speed=1.0, **places)
        return "".join([*frames, str(stream.recv(timeout=10))])


def first_event(platform: Platform, path: str, headers: dict[str, str]) -> str:
    with httpx.stream("GET", platform.url + path, headers=headers, timeout=10) as answer:
        return next(answer.iter_text())


def test_inside_a_zone_no_answer_holds_a_coordinate_and_outside_they_do(platform: Platform) -> None:
    car = parked()
    open_answers = answers(platform, ALL)
    tell = {route for route, text in open_answers.items() if tells_place(text, car)}
    assert tell == {
        f"{VEHICLE}/vehicle_data",
        f"{VEHICLE}/nearby_charging_sites",
        f"{VEHICLE}/commands",
        f"{VEHICLE}/commands/{{command_id}}",
        f"{VEHICLE}/stream",
        "events",
    }
    protect(platform.registry, car)
    for route, text in answers(platform, ALL).items():
        assert tells_place(text, car) == [], route
        assert "located_at_home" not in text, route
    owners = {"Authorization": f"Bearer {OWNERS}"}
    assert {r for r, text in answers(platform, owners).items() if tells_place(text, car)} == tell


def test_inside_a_zone_members_are_as_without_the_scope(platform: Platform) -> None:
    url = f"{platform.url}{CAR}/vehicle_data?endpoints={EVERYTHING}"
    unscoped = bearer("owner", *(scope for scope in SCOPES if scope != LOCATION))
    without = httpx.get(url, headers=unscoped).json()
    assert httpx.get(url, headers=ALL).json() != without
    zone = protect(platform.registry, parked())
    assert httpx.get(url, headers=ALL).json() == without
    platform.registry.privacy.remove_zone(CAR_ID, zone)
    assert httpx.get(url, headers=ALL).json() != without


def test_a_grid_holds_for_its_app_or_for_all(platform: Platform) -> None:
    car, privacy = parked(), platform.registry.privacy
    url = f"{platform.url}{CAR}/vehicle_data?endpoints=location_data"

    def latitude() -> float:
        place = httpx.get(url, headers=ALL).json()["response"]["location_data"]
        assert place["heading"] is None or not privacy.limits(CAR_ID).grids_m
        return float(place["latitude"])

    exact = latitude()
    privacy.set_grid(CAR_ID, EVERY_APP, 10_000)
    coarse = latitude()
    assert abs(coarse - car.place.latitude_deg) < 0.05
    assert coarse != exact
    for text in answers(platform, ALL).values():
        assert f"{car.place.latitude_deg:.3f}" not in text
    privacy.set_grid(CAR_ID, EVERY_APP, 0)
    assert latitude() == exact


def receive(stream: ClientConnection) -> Any:
    return members(stream.recv(timeout=10))


def test_a_stream_hears_of_a_zone_s_edge_and_of_a_zone_made_meanwhile(platform: Platform) -> None:
    away, home = {"latitude": 1.0, "longitude": 1.0}, {"latitude": 2.0, "longitude": 2.0}
    platform.registry.privacy.add_zone(CAR_ID, "home", 2.0, 2.0, 100.0)
    platform.live.change(TOKENS[0], **away)
    with connect(platform.ws_url + CAR + "/stream", additional_headers=ALL, proxy=None) as stream:
        assert receive(stream)["signals"]["latitude"]["value"] == 1.0
        platform.live.change(TOKENS[0], **home, soc=5.0)
        snapshot = receive(stream)
        assert (snapshot["type"], snapshot["signals"]["soc"]["value"]) == ("snapshot", 5.0)
        assert "latitude" not in snapshot["signals"]
        platform.live.change(TOKENS[0], latitude=2.0001, soc=6.0)
        assert receive(stream)["signals"].keys() == {"soc"}
        platform.live.change(TOKENS[0], **away)
        assert receive(stream)["signals"]["latitude"]["value"] == 1.0
        platform.registry.privacy.add_zone(CAR_ID, "work", 1.0, 1.0, 100.0)
        platform.live.change(TOKENS[0], soc=7.0, **away)
        shut = receive(stream)
        assert (shut["type"], "latitude" in shut["signals"]) == ("snapshot", False)
        last = shut["resume"].split(".")[0] + ".1"  # frames that told the place are told no more
    with connect(
        platform.ws_url + CAR + f"/stream?resume={last}", additional_headers=ALL, proxy=None
    ) as again:
        assert "latitude" not in receive(again)["signals"]


def test_a_car_s_own_signed_word_of_where_it_is_is_refused(platform: Platform) -> None:
    ask = Action()
    ask.vehicleAction.getVehicleData.getLocationState.SetInParent()
    sent = body(message(ask.SerializeToString()))
    url = f"{platform.url}{CAR}/signed_command"
    assert "missing scopes" not in httpx.post(url, headers=ALL, json=sent, timeout=20).text
    protect(platform.registry, parked())
    refused = httpx.post(url, headers=ALL, json=sent)
    assert (refused.status_code, refused.json()["error"]) == (
        403,
        f"Unauthorized missing scopes {LOCATION}",
    )

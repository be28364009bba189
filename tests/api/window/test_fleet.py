"""The fleet over HTTP: the list is the map's twin, and each sees what is theirs to see."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from motorcade.api.limits import Limit
from motorcade.api.window.model import model_of
from motorcade.identity.port import PAGE_CLIENT
from motorcade.state.embedded import EmbeddedLiveState
from tests.api.standins import TOKENS, VINS, Platform, bearer
from tests.api.window.fleet import fleet, tell

Fleet = tuple[Platform, EmbeddedLiveState]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("fleet")) as (platform, live):
        told = {"latitude": 52.5, "longitude": 13.4, "vehicle_speed": 20.0, "gear": "D"}
        tell(platform, live, TOKENS[0], **told, own_word="x", soc=50)
        tell(platform, live, TOKENS[1], latitude=40.0, longitude=-3.0, gear="P")
        yield platform, live


def ask(running: Fleet, path: str, *scopes: str, subject: str = "owner") -> Any:
    answer = httpx.get(running[0].url + path, headers=bearer(subject, *scopes))
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(running: Fleet, query: str = "", **more: Any) -> list[str]:
    listed = ask(running, f"/api/2/fleet/vehicles?{query}", **more)["response"]
    return [car["name"] for car in listed]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Car 0", "Car 1", "Car 2"]),
        ("state=moving", ["Car 0"]),
        ("state=parked&state=silent", ["Car 1", "Car 2"]),
        ("q=car+2", ["Car 2"]),
        (f"q={VINS[1][-6:].lower()}", ["Car 1"]),
        (f"q={VINS[1][-3:]}", []),  # too short an end to search VINs by
        ("bounds=13,52,14,53", ["Car 0"]),
        ("bounds=0,0,1,1", []),
    ],
)
def test_the_list_holds_what_matches(running: Fleet, query: str, expected: list[str]) -> None:
    assert names(running, query) == expected


def test_the_list_in_pieces_is_the_list(running: Fleet) -> None:
    cursor, found, rounds = "0", [], 0
    while cursor is not None:
        piece = ask(running, f"/api/2/fleet/vehicles?limit=1&cursor={cursor}")
        found += [car["name"] for car in piece["response"]]
        cursor, rounds = piece["cursor"], rounds + 1
        assert piece["count"] == 3
    assert (found, rounds) == (["Car 0", "Car 1", "Car 2"], 3)


def test_an_entry_says_where_and_since_when_or_null(running: Fleet) -> None:
    first, _, third = ask(running, "/api/2/fleet/vehicles")["response"]
    assert (first["lon"], first["lat"], first["state"]) == (13.4, 52.5, "moving")
    assert first["slot"] == running[1].slot(TOKENS[0])
    assert (third["slot"], third["last_received_us"], third["state"]) == (None, None, "silent")


def test_without_the_right_no_place_is_told(running: Fleet) -> None:
    first = ask(running, "/api/2/fleet/vehicles", "vehicle_device_data")["response"][0]
    assert (first["lon"], first["lat"]) == (None, None)
    assert names(running, "bounds=13,52,14,53") == ["Car 0"]
    listed = ask(running, "/api/2/fleet/vehicles?bounds=13,52,14,53", "vehicle_device_data")
    assert listed["response"] == []  # else the bounds would tell
    shown = ask(running, f"/api/2/vehicles/{first['id']}", "vehicle_device_data")["response"]
    assert not {"latitude", "own_word"} & {signal["name"] for signal in shown["signals"]}


def test_slots_have_names_and_others_get_none(running: Fleet) -> None:
    slot = running[1].slot(TOKENS[1])
    (named,) = ask(running, f"/api/2/fleet/cars?slots={slot},77")["response"]
    assert (named["name"], named["state"], named["slot"]) == ("Car 1", "parked", slot)
    assert ask(running, f"/api/2/fleet/cars?slots={slot}", subject="somebody")["response"] == []
    assert names(running, subject="somebody") == []


def test_a_vehicle_has_every_signal_with_unit_range_and_class(running: Fleet) -> None:
    listed = ask(running, "/api/2/fleet/vehicles")["response"]
    shown = ask(running, f"/api/2/vehicles/{listed[0]['id']}")["response"]
    assert (shown["state"], shown["slot"], shown["online"]) == ("moving", listed[0]["slot"], False)
    signals = {signal["name"]: signal for signal in shown["signals"]}
    speed = signals["vehicle_speed"]
    assert (speed["value"], speed["unit"], speed["min"], speed["max"]) == (20.0, "m/s", 0, 120)
    assert (speed["class"], signals["latitude"]["class"]) == ("behaviour", "location")
    assert (signals["gear"]["value"], signals["gear"]["max"]) == ("D", None)
    assert signals["own_word"]["class"] == "unknown"
    assert VINS[0] not in str(shown)


def test_an_operator_s_limits_stand_in_the_range_s_place(
    running: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, _ = running
    limits = {"vehicle_speed": Limit(high=36.0), "own_word": Limit(low=1.0)}
    monkeypatch.setattr(platform.counter, "limits", limits)
    (listed, *_) = ask(running, "/api/2/fleet/vehicles")["response"]
    shown = ask(running, f"/api/2/vehicles/{listed['id']}")["response"]["signals"]
    ranges = {signal["name"]: (signal["min"], signal["max"]) for signal in shown}
    assert ranges["vehicle_speed"] == (0, 36)
    assert ranges["own_word"] == (1, None)


def test_commands_are_listed_with_their_transitions(running: Fleet) -> None:
    platform, _ = running
    vehicle_id = ask(running, "/api/2/fleet/vehicles")["response"][0]["id"]
    url = f"{platform.url}/api/1/vehicles/{vehicle_id}/command/honk_horn"
    assert httpx.post(url, headers=bearer()).status_code == 200
    (command,) = ask(running, f"/api/2/vehicles/{vehicle_id}/commands?limit=1")["response"]
    assert (command["name"], command["timeline"][0]["state"]) == ("honk_horn", "requested")


@pytest.mark.parametrize(
    "path",
    [
        "/api/2/fleet/cars?slots=a",
        "/api/2/fleet/cars?slots=1,",
        "/api/2/fleet/vehicles?state=flying",
        "/api/2/fleet/vehicles?bounds=1,2,3",
        "/api/2/fleet/vehicles?bounds=a,b,c,d",
        "/api/2/fleet/vehicles?bounds=nan,0,1,1",
        "/api/2/fleet/vehicles?limit=0",
        "/api/2/fleet/vehicles?cursor=x",
    ],
)
def test_what_cannot_be_asked_is_400(running: Fleet, path: str) -> None:
    answer = httpx.get(running[0].url + path, headers=bearer())
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_field")


def test_the_owners_page_sees_all_that_is_theirs(running: Fleet) -> None:
    platform, _ = running
    token = bearer()["Authorization"].removeprefix("Bearer ")
    platform.tokens.clients[token + "+openid"] = PAGE_CLIENT
    vehicle = platform.registry.vehicle_by_token(TOKENS[1])
    assert vehicle is not None
    zone = platform.registry.privacy.add_zone(vehicle.id, "home", 40.0, -3.0, 500.0)
    try:
        for scopes, lon in (((), None), (("openid",), -3.0)):
            headers = {"Authorization": "+".join((f"Bearer {token}", *scopes))}
            url = f"{platform.url}/api/2/fleet/vehicles?state=parked"
            end_s = time.monotonic() + 5  # the list is half a second old at most
            while httpx.get(url, headers=headers).json()["response"][0]["lon"] != lon:
                assert time.monotonic() < end_s, scopes
                time.sleep(0.05)
    finally:
        platform.registry.privacy.remove_zone(vehicle.id, zone.id)


def test_the_model_is_what_the_car_says_else_what_its_vin_says() -> None:
    assert model_of("5YJ3E1EA7KF000001") == "Model 3"
    assert model_of("5YJ3E1EA7KF000001", "ModelY") == "Model Y"
    assert model_of("7SAYE1EA7KF000001", "Unknown") == "Model Y"
    assert model_of("WVW3E1EA7KF000001") is None  # another maker's code

"""The three views of charging sessions: whose, which page, and who may know where."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from motorcade import zones
from motorcade.api.charging_history import session_id
from motorcade.api.charging_places import ChargingPlace, name_at
from motorcade.api.counter import Counter
from motorcade.meters.embedded import EmbeddedMeters
from motorcade.meters.port import ChargeSession
from tests.api.standins import TOKENS, VINS, Platform, bearer, running

HISTORY, SESSIONS = "/api/1/dx/charging/history", "/api/1/dx/charging/sessions"
BY_DAY = f"/api/1/vehicles/{VINS[0]}/charge_history"
HOUR_US = 3_600 * 1_000_000
DAY_US = 24 * HOUR_US


def sessions(now_us: int) -> tuple[ChargeSession, ChargeSession, ChargeSession]:
    """Today's, by direct current; one of two days ago, at home; another car's of long ago."""
    today_us = now_us // DAY_US * DAY_US
    first = ChargeSession(
        vehicle=TOKENS[0],
        start_us=today_us,
        end_us=today_us + HOUR_US,
        energy_j=36_000_000,
        direct_current=True,
        start_soc=20.0,
        end_soc=33.5,
        place="Depot",
    )
    second = replace(
        first,
        start_us=today_us - 2 * DAY_US,
        end_us=today_us - 2 * DAY_US + 2 * HOUR_US,
        energy_j=3_600_000,
        direct_current=False,
        place="",
        home=True,
    )
    third = replace(first, vehicle=TOKENS[1], start_us=today_us - 90 * DAY_US, energy_j=None)
    return first, second, third


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running(tmp_path) as platform:
        platform.meters.put_sessions(sessions(platform.counter.clock.now_us()), 100)
        yield platform


@pytest.fixture
def client(platform: Platform) -> Iterator[httpx.Client]:
    headers = bearer("owner", "vehicle_charging_cmds", "vehicle_location")
    with httpx.Client(base_url=platform.url, headers=headers) as client:
        yield client


CHARGING_ALONE = bearer("owner", "vehicle_charging_cmds")


def test_the_history_in_tesla_s_shape(client: httpx.Client, platform: Platform) -> None:
    answer = client.get(HISTORY, params={"vin": VINS[0]}).json()
    first, second, _ = sessions(platform.counter.clock.now_us())
    history = answer.pop("response")
    assert answer == history
    assert (history["totalResults"], history["hasMoreData"]) == (2, False)
    shown, older = history["data"]
    assert (shown["sessionId"], shown["vin"]) == (session_id(first), VINS[0])
    assert 0 < shown["sessionId"] < 2**53
    assert (shown["chargeStartDateTime"], shown["chargeStopDateTime"]) == (
        zones.shown(first.start_us),
        zones.shown(first.end_us),
    )
    assert (shown["siteLocationName"], older["siteLocationName"]) == ("Depot", "")
    fee = shown["fees"][0]
    assert (fee["feeType"], fee["usageBase"], fee["uom"], fee["totalDue"]) == (
        "CHARGING",
        10.0,
        "kwh",
        0.0,
    )
    assert older["sessionId"] == session_id(second)


def test_pages_orders_and_spans(client: httpx.Client, platform: Platform) -> None:
    first, second, third = sessions(platform.counter.clock.now_us())

    def starts(**query: str | int) -> tuple[list[str], bool]:
        history = client.get(HISTORY, params=query).json()["response"]
        found = [one["chargeStartDateTime"] for one in history["data"]]
        return found, history["hasMoreData"]

    newest, middle, oldest = (zones.shown(one.start_us) for one in (first, second, third))
    assert starts() == ([newest, middle, oldest], False)
    assert starts(pageSize=2) == ([newest, middle], True)
    assert starts(pageSize=2, pageNo=2) == ([oldest], False)
    assert starts(pageSize=2, sortOrder="ASC") == ([oldest, middle], True)
    assert starts(startTime=middle, endTime=newest) == ([middle], False)
    assert starts(vin=VINS[1]) == ([oldest], False)
    assert client.get(HISTORY, params={"vin": VINS[1]}).json()["data"][0]["fees"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"pageSize": 101},
        {"pageNo": 0},
        {"sortBy": "vin"},
        {"sortOrder": "up"},
        {"startTime": "now"},
        {"endTime": "2026-13-01"},
    ],
)
def test_a_query_that_is_wrong_is_named(client: httpx.Client, query: dict[str, str]) -> None:
    answer = client.get(HISTORY, params=query)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_field")
    assert next(iter(query)) in answer.json()["error_description"]


def test_sessions_in_the_words_of_operators(client: httpx.Client, platform: Platform) -> None:
    first, _, _ = sessions(platform.counter.clock.now_us())
    shown = client.get(SESSIONS, params={"limit": 1}).json()["data"]
    assert [one["id"] for one in shown] == [str(session_id(first))]
    assert (shown[0]["total_energy"], shown[0]["total_time"]) == (10.0, 1.0)
    assert shown[0]["location"] == {"country": None, "name": "Depot"}
    rest = client.get(SESSIONS, params={"offset": 1, "date_to": zones.shown(first.start_us)})
    assert [one["total_energy"] for one in rest.json()["data"]] == [None]


def test_what_was_charged_by_day(client: httpx.Client) -> None:
    shown = client.post(BY_DAY).json()["response"]
    assert (shown["total_charged"]["value"], shown["total_charged"]["raw_value"]) == ("11.0", 11.0)
    points = shown["charging_history_graph"]["data_points"]
    assert len(points) == 31
    values = [[value["raw_value"] for value in point["values"]] for point in points]
    assert values[-3:] == [[1.0, 1.0, 0.0, 0.0], [0.0] * 4, [10.0, 0.0, 10.0, 0.0]]
    names = ("home", "super_charger", "other")
    kinds = [shown["total_charged_breakdown"][name]["raw_value"] for name in names]
    assert kinds == [1.0, 10.0, 0.0]
    hidden = client.post(BY_DAY, headers=CHARGING_ALONE).json()["response"]
    kinds = [hidden["total_charged_breakdown"][name]["raw_value"] for name in names]
    assert kinds == [0.0, 10.0, 1.0]


def test_where_it_charged_is_told_with_the_location_s_scope_alone(client: httpx.Client) -> None:
    data = client.get(HISTORY, headers=CHARGING_ALONE).json()["data"]
    assert len(data) == 3
    assert not any("siteLocationName" in one for one in data)
    data = client.get(SESSIONS, headers=CHARGING_ALONE).json()["data"]
    assert len(data) == 3
    assert not any("location" in one for one in data)


def test_others_see_nothing_of_it(client: httpx.Client) -> None:
    eve = bearer("eve")
    assert client.get(HISTORY, headers=eve).json()["data"] == []
    for answer in (
        client.get(HISTORY, params={"vin": VINS[0]}, headers=eve),
        client.get(SESSIONS, params={"vin": VINS[0]}, headers=eve),
        client.post(BY_DAY, headers=eve),
    ):
        assert answer.status_code == 404


def test_the_place_that_a_car_stands_at() -> None:
    near, far = (
        ChargingPlace(name=name, latitude_deg=at, longitude_deg=13.0, stalls=1, fast=True)
        for name, at in (("near", 52.0), ("far", 52.004))
    )
    at = partial(name_at, [far, near], radius_m=250.0)
    assert [at(52.0005, 13.0), at(52.0035, 13.0), at(52.1, 13.0)] == ["near", "far", ""]
    assert [at(float("nan"), 13.0), at(1e300, 13.0)] == ["", ""]


def test_ledger_and_registry_are_read_in_threads(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All other answers wait for what the loop does itself."""
    read: list[str] = []

    def off_the_loop(name: str, look_up: Callable[..., Any]) -> Callable[..., Any]:
        def looked(*asked: Any) -> Any:
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            read.append(name)
            return look_up(*asked)

        return looked

    for owner, name in (
        (Counter, "vehicles"),
        (EmbeddedMeters, "sessions"),
        (EmbeddedMeters, "alerts"),
    ):
        monkeypatch.setattr(owner, name, off_the_loop(name, getattr(owner, name)))
    assert client.get(HISTORY).json()["response"]["totalResults"] == 3
    headers = bearer("owner", "vehicle_device_data")
    url = f"/api/1/vehicles/{VINS[0]}/recent_alerts"
    assert client.get(url, headers=headers).json() == {"response": {"recent_alerts": []}}
    assert read == ["vehicles", "sessions", "alerts"]


def test_who_may_ask_no_more_reads_no_vehicles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, "rates.data_per_minute=1") as platform:
        read: list[int] = []
        vehicles = Counter.vehicles

        def noted(*asked: Any) -> Any:
            read.append(1)
            return vehicles(*asked)

        monkeypatch.setattr(Counter, "vehicles", noted)
        with httpx.Client(base_url=platform.url, headers=CHARGING_ALONE) as client:
            statuses = [client.get(HISTORY).status_code for _ in range(3)]
        assert statuses.count(200) == len(read) < 3
        assert statuses[-1] == 429

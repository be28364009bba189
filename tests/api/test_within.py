"""Who was in an area, over HTTP: by right, by the owner's zones and grid, noted for the owner."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from motorcade.api.past_sight import told_places
from motorcade.api.sight import Sight
from motorcade.events import RecordBatch
from motorcade.log.topics import Lane
from motorcade.registry.privacy.port import Zone
from tests.api.standins import TOKENS, Platform, bearer
from tests.api.window.fleet import fleet
from tests.state.records import START_US, signals

SPAN = {"from_us": START_US, "to_us": START_US + 60_000_000}
HELSINKI = "24.9,60.1;25.0,60.1;25.0,60.2;24.9,60.2"
HOME = (60.15, 24.95)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    directory = tmp_path_factory.mktemp("within")
    with fleet(directory, "rates.data_per_minute=0", "history.area_corners_max=6") as (platform, _):
        writer = platform.log.writer("gateway", Lane.BULK)
        said = [
            signals(TOKENS[0], second * 1_000_000, latitude=HOME[0], longitude=HOME[1])
            for second in range(3)
        ]
        said.append(signals(TOKENS[1], 5_000_000, latitude=60.11, longitude=24.91))
        said.append(signals(TOKENS[2], 5_000_000, latitude=61.0, longitude=24.95))
        writer.append(RecordBatch.of(said)).result(10)
        yield platform


def ask(
    platform: Platform, *scopes: str, area: str = HELSINKI, subject: str = "owner"
) -> httpx.Response:
    url = f"{platform.url}/api/2/fleet/within"
    headers = bearer(subject, *scopes)
    return httpx.get(url, params=SPAN | {"area": area}, headers=headers, timeout=60)


def found(answer: httpx.Response) -> list[str]:
    return [visit["id"] for visit in answer.json()["response"]]


def test_who_was_there_is_told_the_latest_first(platform: Platform) -> None:
    answer = ask(platform).json()
    assert answer == {
        "response": [
            {
                "id": "1001",
                "name": "Car 1",
                "first_us": START_US + 5_000_000,
                "last_us": START_US + 5_000_000,
                "fixes": 1,
            },
            {
                "id": "1000",
                "name": "Car 0",
                "first_us": START_US,
                "last_us": START_US + 2_000_000,
                "fixes": 3,
            },
        ],
        "count": 2,
        "share": 1.0,
    }


def test_it_wants_the_right_to_location(platform: Platform) -> None:
    assert ask(platform, "vehicle_device_data").status_code == 403
    assert ask(platform, "vehicle_location").status_code == 403


def test_of_others_vehicles_nothing_is_told(platform: Platform) -> None:
    assert found(ask(platform, subject="mika")) == []


def test_a_zone_hides_its_fixes_and_a_grid_moves_them(platform: Platform) -> None:
    privacy = platform.registry.privacy
    zone = privacy.add_zone(1_000, "home", *HOME, 300.0)
    try:
        assert found(ask(platform)) == ["1001"]
        assert found(httpx.get(f"{platform.url}/api/2/fleet/within", **owners())) == [
            "1001",
            "1000",
        ]
    finally:
        privacy.remove_zone(1_000, zone.id)
    privacy.set_grid(1_002, "", 100_000)  # from 61 degrees north to the parallel at 61.15
    try:
        assert found(ask(platform, area="0,61.1;60,61.1;60,61.2;0,61.2")) == ["1002"]
    finally:
        privacy.set_grid(1_002, "", 0)


def owners() -> dict[str, Any]:
    return {"params": SPAN | {"area": HELSINKI}, "headers": {"Authorization": "Bearer own"}}


@pytest.fixture(autouse=True)
def own_page(platform: Platform) -> None:
    platform.bearers["own"] = "owner:vehicle_device_data+vehicle_location"
    platform.tokens.clients["own"] = "motorcade-page"


@pytest.mark.parametrize(
    "area",
    ["", "1,2", "1,2;3,4", "a,b;c,d;e,f", "1,2;3,4;5", "1,2;3,4;5,91", ";".join(["1,2"] * 7)],
)
def test_what_is_no_area_is_400(platform: Platform, area: str) -> None:
    assert ask(platform, area=area).status_code == 400


def test_it_is_noted_for_those_who_are_told_of(platform: Platform) -> None:
    def times() -> list[int]:
        notes = platform.counter.accesses
        asyncio.run_coroutine_threadsafe(notes.flush(), platform.loop).result(10)
        log = platform.registry.access_log
        cars = (1_000, 1_001, 1_002)
        return [sum(row.times for row in log.accesses(car, 100)) for car in cars]

    before = times()
    assert len(found(ask(platform))) == 2
    assert [after - once for after, once in zip(times(), before, strict=True)] == [1, 1, 0]


ZONES = (Zone(1, "a", 60.0, 24.0, 500.0), Zone(2, "b", 0.0, 180.0, 2_000.0))
near = st.one_of(
    st.tuples(st.floats(59.99, 60.01), st.floats(23.98, 24.02)),
    st.tuples(st.floats(-0.03, 0.03), st.floats(-180, -179.97) | st.floats(179.97, 180)),
    st.tuples(st.floats(), st.floats()),
)


@settings(deadline=None)
@given(st.lists(near, max_size=10), st.sampled_from([0, 1_000]))
@example([(180.0, 0.0)], 0)  # over the pole, in the zone
@example([(0.0, 1.7e308), (-1.7e308, 0.0)], 1_000)  # divided by a step of the grid: infinite
def test_columns_of_places_are_told_as_each_place_is(
    places: list[tuple[float, float]], grid_m: int
) -> None:
    sight = Sight(True, ZONES, grid_m)
    told = told_places(sight, *(np.array([place[at] for place in places]) for at in (0, 1)))
    wanted = [sight.place(place) or (np.nan, np.nan) for place in places]
    np.testing.assert_equal(list(zip(*told, strict=True)), wanted)

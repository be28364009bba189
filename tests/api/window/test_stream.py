"""The page's stream, as a page reads it: counts, cars, density, who may see what, how it ends."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from motorcade.state.columns import STATES
from motorcade.state.embedded import EmbeddedLiveState
from tests.api.standins import TOKENS, Platform
from tests.api.window.fleet import fleet, page, tell, token_of

BERLIN = {"latitude": 52.5, "longitude": 13.4}
HERE = [13.0, 52.0, 14.0, 53.0]
MOVING = STATES.index("moving")
Fleet = tuple[Platform, EmbeddedLiveState]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(tmp_path) as (platform, live):
        tell(platform, live, TOKENS[0], **BERLIN, vehicle_speed=20.5, gear="D", gps_heading=90.25)
        tell(platform, live, TOKENS[1], latitude=40.0, longitude=-3.0, gear="P")
        yield platform, live


def test_a_page_is_welcomed_counted_and_shown_what_is_in_view(running: Fleet) -> None:
    platform, live = running
    told = {"vehicle_speed": 20.5, "gear": "D", "gps_heading": 90.25}
    tell(platform, live, TOKENS[0], **BERLIN, **told)  # anew: a loaded machine takes its time
    with page(platform, token_of()) as seen:
        seen.view(HERE)
        seen.until(lambda p: p.counts.get("total") == 3 and p.cars)
        assert tuple(seen.welcome["states"]) == STATES
        assert seen.welcome["rights"] == {"location": True, "commands": False, "people": False}
        car = seen.cars[live.slot(TOKENS[0])]
        assert (car["lon"], car["lat"]) == (134_000_000, 525_000_000)
        assert (car["speed"], car["heading"], car["state"]) == (2050, 9025, MOVING)
        assert car["flags"] == 4
        assert car["age_ms"] < 5_000
        assert len(seen.cars) == 1
        # Two told something, the third never did.
        assert seen.counts["states"] == [1, 0, 1, 0, 0, 1, 0]
        assert sum(seen.counts["states"]) == seen.counts["total"]


def test_the_welcome_tells_where_one_has_to_look_and_only_to_whom_it_may(running: Fleet) -> None:
    platform, live = running
    vehicle = platform.registry.vehicle_by_token(TOKENS[0])
    assert vehicle is not None
    tell(platform, live, TOKENS[0], **BERLIN)
    tell(platform, live, TOKENS[1], latitude=40.0, longitude=-3.0)
    with page(platform, token_of()) as seen:
        seen.until(lambda p: p.welcome)
        assert seen.welcome["bounds"] == [-3.0, 40.0, 13.4, 52.5]
    with page(platform, token_of("owner", "vehicle_device_data")) as seen:
        seen.until(lambda p: p.welcome)
        assert seen.welcome["bounds"] is None
    with page(platform, token_of("somebody")) as seen:
        seen.until(lambda p: p.welcome)
        assert seen.welcome["bounds"] is None
    platform.registry.privacy.add_zone(vehicle.id, "home", 52.5, 13.4, 500.0)
    time.sleep(0.6)  # a picture half a second old may be told of
    with page(platform, token_of()) as seen:
        seen.until(lambda p: p.welcome)
        assert seen.welcome["bounds"] == [-3.0, 40.0, -3.0, 40.0]


def test_what_changes_comes_and_what_stands_does_not(running: Fleet) -> None:
    platform, live = running
    with page(platform, token_of()) as seen:
        seen.view(rate_hz=4)
        seen.until(lambda p: len(p.cars) == 2)
        before = len(seen.frames)
        with pytest.raises(TimeoutError):
            seen.drain(1.0)
        assert len(seen.frames) == before
        tell(platform, live, TOKENS[0], latitude=52.6, longitude=13.4)
        seen.until(lambda p: p.cars[live.slot(TOKENS[0])]["lat"] == 526_000_000)
        assert seen.frames[-1] == (1, False, 1)


def test_a_car_that_leaves_the_view_is_gone(running: Fleet) -> None:
    platform, live = running
    with page(platform, token_of()) as seen:
        seen.view(HERE, rate_hz=4)
        seen.until(lambda p: p.cars)
        tell(platform, live, TOKENS[0], latitude=10.0, longitude=10.0)
        seen.until(lambda p: not p.cars)
        seen.view([-4.0, 39.0, -2.0, 41.0], rate_hz=4)
        seen.until(lambda p: list(p.cars) == [live.slot(TOKENS[1])])


def test_a_filter_marks_who_matches_and_counts_them(running: Fleet) -> None:
    platform, live = running
    with page(platform, token_of()) as seen:
        seen.view(filter={"state": ["parked"]})
        seen.until(lambda p: len(p.cars) == 2 and p.counts.get("shown") == 1)
        matching = [slot for slot, car in seen.cars.items() if car["flags"] & 4]
        assert matching == [live.slot(TOKENS[1])]
        seen.view(filter={"q": "car 0"})
        seen.until(lambda p: len(p.frames) == 2)
        matching = [slot for slot, car in seen.cars.items() if car["flags"] & 4]
        assert matching == [live.slot(TOKENS[0])]
        assert seen.counts["total"] == 3


def test_a_view_across_the_date_line(running: Fleet) -> None:
    platform, live = running
    tell(platform, live, TOKENS[2], latitude=-17.0, longitude=-179.9)
    with page(platform, token_of()) as seen:
        seen.view([179.0, -20.0, -179.0, -10.0])
        seen.until(lambda p: list(p.cars) == [live.slot(TOKENS[2])])


def test_without_the_right_to_location_there_are_counts_and_no_position(running: Fleet) -> None:
    platform, _ = running
    with page(platform, token_of("owner", "vehicle_device_data")) as seen:
        seen.view()
        seen.until(lambda p: p.counts and p.frames)
        assert seen.welcome["rights"]["location"] is False
        assert seen.counts["total"] == 3
        assert seen.cars == {}


def test_a_car_in_its_owners_zone_has_no_position_for_an_app(running: Fleet) -> None:
    platform, live = running
    vehicle = platform.registry.vehicle_by_token(TOKENS[0])
    assert vehicle is not None
    with page(platform, token_of()) as seen:
        seen.view(rate_hz=4)
        seen.until(lambda p: len(p.cars) == 2)
        platform.registry.privacy.add_zone(vehicle.id, "home", 52.5, 13.4, 500.0)
        seen.until(lambda p: live.slot(TOKENS[0]) not in p.cars)
        tell(platform, live, TOKENS[0], latitude=52.6, longitude=13.4)
        seen.until(lambda p: live.slot(TOKENS[0]) in p.cars)
        platform.registry.privacy.set_grid(vehicle.id, "", 10_000)
        tell(platform, live, TOKENS[0], latitude=52.61, longitude=13.41)
        seen.until(lambda p: p.cars[live.slot(TOKENS[0])]["heading"] == 65535)
        assert seen.cars[live.slot(TOKENS[0])]["lat"] != 526_100_000


def test_others_see_their_own_alone(running: Fleet) -> None:
    platform, _ = running
    with page(platform, token_of("somebody")) as seen:
        seen.view()
        seen.until(lambda p: p.counts and p.frames)
        assert seen.counts["total"] == 0
        assert seen.cars == {}


def test_many_in_view_come_as_density_that_sums_to_them(tmp_path: Path) -> None:
    with fleet(tmp_path, "dashboard.view_cars_max=1") as (platform, live):
        tell(platform, live, TOKENS[0], **BERLIN, vehicle_speed=20.5, gear="D")
        tell(platform, live, TOKENS[1], **BERLIN, gear="P")
        with page(platform, token_of()) as seen:
            seen.view(HERE, zoom=10, rate_hz=4)
            seen.until(lambda p: p.cells)
            (cell,) = seen.cells
            assert (cell["count"], cell["states"]) == (2, [1, 0, 1, 0, 0, 0, 0])
            assert abs(cell["lon"] - 134_000_000) <= cell["size"] // 2 + 1
            assert abs(cell["lat"] - 525_000_000) <= cell["size"] // 2 + 1
            tell(platform, live, TOKENS[1], latitude=0.0, longitude=0.0)
            seen.until(lambda p: list(p.cars) == [live.slot(TOKENS[0])])
            assert seen.cells == []


def test_cars_beyond_the_bandwidth_come_with_the_next_frames(tmp_path: Path) -> None:
    room = 24 + 22  # one car per frame, at 4 Hz
    with fleet(tmp_path, f"dashboard.viewer_bytes_per_s_max={4 * room}") as (platform, live):
        for token in TOKENS:
            tell(platform, live, token, **BERLIN, gear="P")
        with page(platform, token_of()) as seen:
            seen.view(rate_hz=4)
            seen.until(lambda p: len(p.cars) == 3)
            assert [count for _, _, count in seen.frames] == [1, 1, 1]


def test_who_never_rests_gets_frames_at_the_highest_rate(running: Fleet) -> None:
    platform, _ = running
    elsewhere = [0.0, 0.0, 1.0, 1.0]
    with page(platform, token_of()) as seen:
        seen.view(HERE)
        seen.until(lambda p: p.cars)
        before, begun_s = len(seen.frames), time.monotonic()
        for number in range(60):
            seen.view(elsewhere if number % 2 else HERE)
            time.sleep(0.02)
        with pytest.raises(TimeoutError):
            seen.drain(0.7)
        took_s = time.monotonic() - begun_s
        assert 1 <= len(seen.frames) - before <= 4 * took_s + 1


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"type": "view"}, 1008),
        ({"type": "hello"}, 1008),
        ({"type": "hello", "token": "wrong"}, 4401),
        ({"type": "hello", "token": token_of("owner", "user_data")}, 4403),
        ({"type": "hello", "token": token_of() + ":expired"}, 4401),
        ("not json", 1008),
        ([], 1008),
    ],
)
def test_who_may_not_come_in_is_told_by_the_code(running: Fleet, first: Any, code: int) -> None:
    platform, _ = running
    with connect(f"{platform.ws_url}/api/2/fleet/stream", proxy=None) as socket:
        socket.send(first if isinstance(first, str) else json.dumps(first))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code


def test_who_says_nothing_is_closed(tmp_path: Path) -> None:
    with (
        fleet(tmp_path, "dashboard.hello_s_max=0.2") as (platform, _),
        connect(f"{platform.ws_url}/api/2/fleet/stream", proxy=None) as socket,
        pytest.raises(ConnectionClosed) as closed,
    ):
        socket.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize(
    "view",
    [
        {"bounds": [1, 2, 3]},
        {"bounds": [0, 50, 1, 40]},
        {"bounds": ["a", 2, 3, 4]},
        {"bounds": [0, 0, 1, 1], "filter": {"state": ["flying"]}},
        {"bounds": [0, 0, 1, 1], "filter": {"q": "x" * 101}},
    ],
)
def test_a_view_that_cannot_be_is_named_and_the_stream_goes_on(running: Fleet, view: Any) -> None:
    platform, _ = running
    with page(platform, token_of()) as seen:
        seen.say(type="view", **view)
        seen.until(lambda p: p.problems)
        seen.view()
        seen.until(lambda p: len(p.cars) == 2)


def test_the_end_of_a_token_ends_its_stream(running: Fleet) -> None:
    platform, _ = running
    with page(platform, token_of()) as seen:
        seen.until(lambda p: p.welcome)
        (ended,) = platform.counter.standing._watched
        platform.call(ended)
        with pytest.raises(ConnectionClosed) as closed:
            seen.drain()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
    assert platform.call(lambda: platform.counter.standing._watched) == {}


def test_the_server_says_goodbye(running: Fleet) -> None:
    platform, _ = running
    with page(platform, token_of()) as seen:
        seen.until(lambda p: p.welcome)
        platform.call(platform.counter.viewers.close)
        with pytest.raises(ConnectionClosed) as closed:
            seen.drain()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001


def test_a_removed_vehicle_leaves_the_picture(running: Fleet, tmp_path: Path) -> None:
    platform, live = running
    with page(platform, token_of()) as seen:
        seen.view(rate_hz=4)
        seen.until(lambda p: len(p.cars) == 2)
        vehicle = platform.registry.vehicle_by_token(TOKENS[0])
        assert vehicle is not None
        platform.registry.remove_vehicle(vehicle.vin)
        seen.until(lambda p: list(p.cars) == [live.slot(TOKENS[1])])
        seen.until(lambda p: p.counts["total"] == 2)

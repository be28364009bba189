"""A past instant on the page's stream: still, playing, refused, and who may see what of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from motorcade import compiled
from motorcade.clock import SystemClock
from motorcade.log.files import OsFiles
from motorcade.log.topics import Lane
from motorcade.state.columns import STATES
from motorcade.state.embedded import EmbeddedLiveState
from motorcade.state.kept import KeptSnapshots
from motorcade.state.past import Past
from motorcade.streams.dedup import Dedup
from tests.api.standins import TOKENS, Platform, bearer
from tests.api.window.fleet import WORLD, fleet, page, tell, token_of
from tests.state.records import START_US, batch, signals

ONE, TWO = TOKENS[0], TOKENS[1]
SECOND_US = 1_000_000
Fleet = tuple[Platform, EmbeddedLiveState]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Fleet]:
    compiled.warm_imported()
    with fleet(tmp_path) as (platform, live):
        writer = platform.log.writer("gateway", Lane.BULK)
        writer.append(
            batch(
                signals(ONE, SECOND_US, latitude=10.0, longitude=20.0, gear="P"),
                signals(TWO, 2 * SECOND_US, latitude=30.0, longitude=40.0, gear="P"),
                signals(ONE, 4 * SECOND_US, latitude=11.0, longitude=20.0, gear="D"),
            )
        ).result(10)
        config, clock = platform.config, SystemClock()
        kept = KeptSnapshots(tmp_path / "kept", OsFiles(), config.past, age_s=1)
        past = Past(config, platform.log, kept, lambda: Dedup(config.dedup), clock)
        platform.counter.past = platform.counter.viewers.past = past
        tell(platform, live, TWO, latitude=-30.0, longitude=-40.0, gear="P")
        tell(platform, live, ONE, latitude=-10.0, longitude=-20.0, gear="P")
        yield platform, live
        past.close()
        writer.close()


def places(seen: Any) -> dict[int, tuple[int, int]]:
    """Latitude and longitude of the cars that the page holds, whole degrees."""
    cars = seen.cars.items()
    return {slot: (car["lat"] // 10_000_000, car["lon"] // 10_000_000) for slot, car in cars}


def at(seen: Any, seconds: float, **more: Any) -> None:
    seen.say(type="at", at_us=START_US + round(seconds * 1e6), **more)


def test_a_past_instant_replaces_the_fleet_until_it_is_live_again(running: Fleet) -> None:
    platform, live = running
    one, two = live.slot(ONE), live.slot(TWO)
    assert (two, one) == (0, 1), "live state met them the other way round than the log"
    now = {one: (-10, -20), two: (-30, -40)}
    with page(platform, token_of()) as seen:
        seen.view(WORLD)
        seen.until(lambda p: places(p) == now)
        at(seen, 1.5)
        seen.until(lambda p: places(p) == {one: (10, 20)})
        seen.until(lambda p: p.counts["at_us"] == START_US + 1_500_000)
        assert seen.counts["states"] == [0, 0, 1, 0, 0, 2, 0], "one parked, two that had not sent"
        assert seen.cars[one]["age_ms"] == 500
        at(seen, 4.5, mode="corrected")
        seen.until(lambda p: places(p) == {one: (11, 20), two: (30, 40)})
        assert seen.cars[one]["state"] == STATES.index("idle")
        seen.view([19.0, 9.0, 21.0, 12.0])
        seen.until(lambda p: places(p) == {one: (11, 20)})
        seen.say(type="at", at_us=None)
        seen.view(WORLD)
        seen.until(lambda p: places(p) == now)
        assert seen.problems == []


def test_the_list_shows_the_fleet_as_it_was(running: Fleet) -> None:
    platform, live = running
    url, asked = f"{platform.url}/api/2/fleet/vehicles", {"at": START_US + 1_500_000}
    answer = httpx.get(url, params=asked, headers=bearer("owner"), timeout=30).json()
    by_slot = {row["slot"]: row for row in answer["response"]}
    one, two = by_slot[live.slot(ONE)], by_slot[live.slot(TWO)]
    assert (one["lat"], one["lon"], one["state"]) == (10.0, 20.0, "parked")
    assert one["last_received_us"] == START_US + SECOND_US
    assert (two["lat"], two["state"], two["last_received_us"]) == (None, "silent", None)
    assert answer["count"] == 3
    refused = httpx.get(url, params={"at": START_US}, headers=bearer("owner"), timeout=30)
    assert refused.status_code == 400
    assert "the log begins" in refused.text


def test_an_instant_plays_on(running: Fleet) -> None:
    platform, live = running
    one, two = live.slot(ONE), live.slot(TWO)
    with page(platform, token_of()) as seen:
        seen.view(WORLD, rate_hz=4)
        at(seen, 1.5, speed=4)
        seen.until(lambda p: places(p) == {one: (10, 20)})
        seen.until(lambda p: places(p) == {one: (11, 20), two: (30, 40)})
        told_us = seen.counts["at_us"]
        seen.until(lambda p: p.counts["at_us"] >= told_us + 2 * SECOND_US)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"at_us": -1}, "at_us"),
        ({"at_us": "now"}, "at_us"),
        ({"at_us": START_US, "mode": "guessed"}, "mode"),
        ({"at_us": START_US, "speed": 61}, "speed"),
        ({"at_us": START_US}, "the log begins"),
        ({"at_us": 4_000_000_000_000_000}, "still ahead"),
    ],
)
def test_an_instant_that_cannot_be_shown_is_named(
    running: Fleet, message: dict[str, Any], said: str
) -> None:
    platform, live = running
    with page(platform, token_of()) as seen:
        seen.view(WORLD)
        seen.say(type="at", **message)
        seen.until(lambda p: p.problems)
        assert said in seen.problems[0]
        seen.say(type="at", at_us=None)
        tell(platform, live, ONE, latitude=5.0, longitude=6.0)
        seen.until(lambda p: places(p).get(live.slot(ONE)) == (5, 6))


def test_who_may_not_know_where_cars_are_does_not_in_the_past(running: Fleet) -> None:
    platform, _ = running
    with page(platform, token_of("owner", "vehicle_device_data")) as seen:
        seen.view(WORLD)
        at(seen, 1.5)
        seen.until(lambda p: p.counts.get("at_us") == START_US + 1_500_000)
        assert seen.counts["states"][STATES.index("parked")] == 1
        with pytest.raises(TimeoutError):
            seen.drain(0.7)
        assert seen.cars == {}

"""`at=` over HTTP: a vehicle as it was, by today's rights and zones; what is refused, and how."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import httpx
import pytest

from motorcade import compiled
from motorcade.api.counter import Counter
from motorcade.api.errors import ApiError
from motorcade.api.past import instant_us
from motorcade.clock import SystemClock
from motorcade.log.files import OsFiles
from motorcade.log.topics import Lane
from motorcade.state.errors import PastBusyError, PastTimeoutError
from motorcade.state.kept import KeptSnapshots
from motorcade.state.past import Past
from motorcade.streams.dedup import Dedup
from tests.api.standins import TOKENS, VINS, Platform, bearer
from tests.api.window.fleet import fleet
from tests.state.records import START_US, batch, presence, signals

CAR, CAR_ID = TOKENS[0], 1_000
SECOND_US = 1_000_000


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    directory = tmp_path_factory.mktemp("past")
    compiled.warm_imported()  # a first compilation takes longer than a client waits
    with fleet(directory) as (platform, state):
        writer = platform.log.writer("gateway", Lane.BULK)
        records = [
            presence(CAR, "a", 1, 0),
            signals(CAR, SECOND_US, soc=50.0, latitude=1.0, longitude=1.0),
            signals(CAR, 2 * SECOND_US, soc=60.0, own="word"),
            signals(CAR, 1_500_000, soc=55.0),  # late: received after the one of 2 s
        ]
        writer.append(batch(*records[:3])).result(10)
        late = batch(records[3])
        late.rows["received_time_us"] = START_US + 3 * SECOND_US
        writer.append(late).result(10)
        config = platform.config
        kept = KeptSnapshots(directory / "kept", OsFiles(), config.past, age_s=1)
        clock = SystemClock()
        past = Past(config, platform.log, kept, lambda: Dedup(config.dedup), clock)
        counter: Counter = platform.counter
        counter.past = past
        state.apply(batch(signals(CAR, 5 * SECOND_US, soc=99.0)), "gateway")
        yield platform
        past.close()
        writer.close()


def ask(platform: Platform, query: str = "", *scopes: str, tag: str = VINS[0]) -> httpx.Response:
    url = f"{platform.url}/api/2/vehicles/{tag}{query}"
    return httpx.get(url, headers=bearer("owner", *scopes), timeout=30)


def told(platform: Platform, query: str = "", *scopes: str) -> dict[str, Any]:
    answer = ask(platform, query, *scopes)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["response"])


def values(view: dict[str, Any]) -> dict[str, Any]:
    return {signal["name"]: signal["value"] for signal in view["signals"]}


def at(seconds: float, mode: str = "") -> str:
    return f"?at={START_US + round(seconds * 1e6)}" + (f"&mode={mode}" if mode else "")


def test_without_at_it_is_live(platform: Platform) -> None:
    view = told(platform)
    assert (view["at_us"], view["mode"], view["online"]) == (None, None, False)
    assert values(view) == {"soc": 99.0}
    (soc,) = view["signals"]
    assert (soc["min"], soc["max"], soc["class"], soc["unit"]) == (0, 100, "none", "%")
    assert view["id"] == str(CAR_ID)
    assert view["state"] == "silent"
    assert told(platform) == dict(ask(platform, tag=str(CAR_ID)).json()["response"])


def test_an_instant_as_it_had_arrived_and_as_it_is_known_now(platform: Platform) -> None:
    arrived, corrected = told(platform, at(1.7)), told(platform, at(1.7, "corrected"))
    assert (values(arrived)["soc"], values(corrected)["soc"]) == (50.0, 55.0)
    assert (arrived["mode"], corrected["mode"]) == ("arrived", "corrected")
    assert arrived["online"]
    assert arrived["state"] == "parked", "judged by the instant, not by now"
    assert arrived["last_received_us"] == START_US + SECOND_US
    assert corrected["last_received_us"] == START_US + 1_500_000
    later = told(platform, at(2.5))
    assert values(later) == {"soc": 60.0, "own": "word", "latitude": 1.0, "longitude": 1.0}


def test_an_instant_may_be_written_in_words(platform: Platform) -> None:
    assert told(platform, "?at=2025-10-09T08:53:21.700Z") == told(platform, at(1.7))


def test_todays_rights_and_zones_hold_for_the_past(platform: Platform) -> None:
    assert "latitude" not in values(told(platform, at(2.5), "vehicle_device_data"))
    zone = platform.registry.privacy.add_zone(CAR_ID, "home", 1.0, 1.0, 100.0)
    try:
        assert "latitude" not in values(told(platform, at(2.5)))
    finally:
        platform.registry.privacy.remove_zone(CAR_ID, zone.id)
    assert ask(platform, at(2.5), "vehicle_cmds").status_code == 403


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?at=yesterday", "at: must be an instant"),
        ("?at=2025-10-09T08:53:21", "at: must be an instant"),
        ("?at=1760000000", "at: must be an instant"),
        ("?at=99999999999999999999", "at: must be an instant"),
        (f"?at={START_US}&mode=guessed", "mode: must be arrived or corrected"),
        ("?mode=arrived", "only together with at"),
        (f"?at={START_US + 40 * 365 * 86_400 * SECOND_US}", "is still ahead"),
        (f"?at={START_US - 1}", "the log begins at 2025-10-09T08:53:20.000Z"),
    ],
)
def test_what_is_no_instant_of_ours_is_400(platform: Platform, query: str, words: str) -> None:
    answer = ask(platform, query)
    assert answer.status_code == 400
    assert words in answer.json()["error_description"]


class RefusingPast:
    """A `Past` that fails with this."""

    def __init__(self, error: Exception, *, at_once: bool) -> None:
        self._error, self._at_once = error, at_once

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        if self._at_once:
            raise self._error
        future: Future[Any] = Future()
        future.set_exception(self._error)
        return future


@pytest.mark.parametrize("at_once", [True, False])
def test_a_crowd_is_429_and_a_long_replay_503(platform: Platform, at_once: bool) -> None:
    real = platform.counter.past
    try:
        platform.counter.past = RefusingPast(PastBusyError("many"), at_once=at_once)  # type: ignore[assignment]
        answer = ask(platform, at(1))
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
        platform.counter.past = RefusingPast(PastTimeoutError("long"), at_once=at_once)  # type: ignore[assignment]
        answer = ask(platform, at(1))
        assert answer.status_code == 503
        assert answer.json()["error_description"] == "long"
    finally:
        platform.counter.past = real


def test_instants_keep_their_microseconds_and_zones() -> None:
    assert instant_us("2025-10-09T10:53:20.000001+02:00") == START_US + 1
    assert instant_us(str(START_US + 1)) == START_US + 1
    with pytest.raises(ApiError):
        instant_us("9" * 41)


def test_another_limit_of_time_is_kept(platform: Platform) -> None:
    """A replay that may take no time at all is refused, with what to do."""
    config = platform.config
    config = replace(config, past=replace(config.past, open_s_max=0.0))
    kept = KeptSnapshots(platform_path(platform), OsFiles(), config.past, age_s=1)
    past = Past(config, platform.log, kept, lambda: Dedup(config.dedup), SystemClock())
    with pytest.raises((PastTimeoutError, PastBusyError)):
        past.open(START_US + SECOND_US)
    past.close()


def platform_path(platform: Platform) -> Any:
    return platform.log._directory / "none"

"""Why a value is so: its records by place, what became of each, and who is told nothing."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from motorcade.clock import SimulatedClock
from motorcade.config import Config, HistoryConfig
from motorcade.events import RecordBatch
from motorcade.log.topics import Lane
from motorcade.state import kernels
from motorcade.state.embedded import EmbeddedLiveState
from motorcade.streams.chain import ByArrival, ChainBusyError
from tests.api.standins import TOKENS, VINS, Platform, bearer, running
from tests.state.records import START_US, signals, telemetry

S_US = 1_000_000
HOME = (60.17, 24.94)
PATH = f"/api/2/vehicles/{VINS[0]}/explain"


def sent(second: int, received: int, sequence: int, **values: object) -> Any:
    """Said of one second, arrived in another."""
    whole = signals(TOKENS[0], second * S_US, **values)
    return telemetry(
        TOKENS[0], whole.payload, second * S_US,
        encoding=whole.encoding, received_us=received * S_US, sequence=sequence,
    )  # fmt: skip


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A car whose third reading came late and whose fourth came twice; between them, another's."""
    kernels.warm()
    records = [
        sent(10, 10, 1, soc=50.0, own="x"),
        sent(30, 31, 2, soc=52.0),
        sent(20, 500, 3, soc=51.0, latitude=HOME[0], longitude=HOME[1]),
        sent(600, 601, 4, soc=53.0),
        sent(600, 602, 4, soc=53.0),
    ]
    with running(tmp_path_factory.mktemp("explain"), "rates.data_per_minute=0") as platform:
        live = EmbeddedLiveState(Config())
        writer = platform.log.writer("gateway", Lane.BULK)
        for record in records:
            other = signals(TOKENS[1], record.received_time_us - START_US, soc=9.0)
            batch = writer.append(RecordBatch.of([other, record])).result(10)
            live.apply(batch, "gateway")
        for number in range(13):  # the first is the value, though twelve came after it
            late = signals(TOKENS[2], (700 - number) * S_US, soc=float(number))
            record = telemetry(
                TOKENS[2], late.payload, (700 - number) * S_US,
                encoding=late.encoding, received_us=(701 + number) * S_US,
            )  # fmt: skip
            live.apply(writer.append(RecordBatch.of([record])).result(10), "gateway")
        platform.counter.state = live
        yield platform
        writer.close()


def ask(platform: Platform, signal: str = "soc", *scopes: str, **query: Any) -> httpx.Response:
    query = {"signal": signal} | query
    headers = bearer("owner", *scopes)
    return httpx.get(platform.url + PATH, params=query, headers=headers, timeout=60)


def test_the_records_of_a_value_newest_first_each_with_its_fate(platform: Platform) -> None:
    told = ask(platform).json()["response"]
    assert (told["value"], told["unit"], told["missing"]) == (53.0, "%", 0)
    assert told["why"][0].startswith("the value is 53.0")
    shown = [
        ((row["received_us"] - START_US) // S_US, row["value"], row["position"])
        for row in told["records"]
    ]
    assert [one[:2] for one in shown] == [(601, 53.0), (500, 51.0), (31, 52.0), (10, 50.0)]
    assert len({one[2] for one in shown}) == 4
    fates = [row["fate"] for row in told["records"]]
    assert fates[0] == "is the value"
    assert fates[1] == "late by 10.000 s: a newer value stood already"
    assert set(fates[2:]) == {"was the value until a newer one came"}
    assert {row["topic"] for row in told["records"]} == {"telemetry"}


def test_the_values_own_record_is_told_though_many_came_late_after_it(platform: Platform) -> None:
    path = f"{platform.url}/api/2/vehicles/{VINS[2]}/explain"
    answer = httpx.get(path, params={"signal": "soc"}, headers=bearer(), timeout=60)
    told = answer.json()["response"]
    assert (told["value"], told["missing"], len(told["records"])) == (0.0, 0, 10)
    fates = [row["fate"] for row in told["records"]]
    assert fates[-1] == "is the value"
    assert all(fate.startswith("late by") for fate in fates[:-1])


def test_a_word_of_the_cars_own_and_what_it_never_said(platform: Platform) -> None:
    (row,) = ask(platform, "own").json()["response"]["records"]
    assert row["value"] == "x"
    never = ask(platform, "gear").json()["response"]
    assert (never["has_value"], never["records"]) == (False, [])


def test_places_want_the_scope_and_that_nothing_is_kept_back(platform: Platform) -> None:
    assert ask(platform, "latitude").json()["response"]["value"] == HOME[0]
    for signal in ("latitude", "own"):  # nobody can judge a name that a car made up
        answer = ask(platform, signal, "vehicle_device_data")
        assert answer.status_code == 403
        assert answer.json()["error"] == "Unauthorized missing scopes vehicle_location"
    assert ask(platform, "soc", "vehicle_device_data").status_code == 200
    privacy = platform.registry.privacy
    zone = privacy.add_zone(1_000, "home", 0.0, 0.0, 300.0)  # elsewhere, even
    try:
        assert ask(platform, "latitude").status_code == 403
        assert ask(platform, "soc").status_code == 200
    finally:
        privacy.remove_zone(1_000, zone.id)


@pytest.mark.parametrize("signal", ["", "x" * 129])
def test_what_is_no_name_is_refused(platform: Platform, signal: str) -> None:
    assert ask(platform, signal).status_code == 400


def test_another_persons_car_is_not_there(platform: Platform) -> None:
    answer = httpx.get(platform.url + PATH, params={"signal": "soc"}, headers=bearer("mika"))
    assert answer.status_code == 404


def test_records_that_the_log_has_no_more_are_counted(platform: Platform) -> None:
    by_arrival = ByArrival(platform.log, platform.config, platform.clock)
    at = [START_US + second * S_US for second in (10, 100, 601, 9_000)]
    found, missing = by_arrival.find(TOKENS[0], "soc", at)
    assert (found.carried, missing) == (2, 2)


def test_when_time_is_up_what_was_not_found_is_counted(platform: Platform) -> None:
    class Hasty(SimulatedClock):
        def monotonic_s(self) -> float:
            self.advance(2.0)
            return super().monotonic_s()

    config = Config(history=HistoryConfig(explain_s_max=1.0))
    found, missing = ByArrival(platform.log, config, Hasty(START_US)).find(
        TOKENS[0], "soc", [START_US + 10 * S_US, START_US + 601 * S_US]
    )
    assert (found.carried, missing) == (0, 2)


def test_no_more_at_once_than_may_be(platform: Platform) -> None:
    config = Config(history=HistoryConfig(explains_max=0))
    with pytest.raises(ChainBusyError):
        ByArrival(platform.log, config, platform.clock).find(TOKENS[0], "soc", [START_US])

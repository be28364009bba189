"""How often an app may ask: the arithmetic, what is kept of it, and what the API answers."""

import re
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.api.rates import PERIOD_US, Pace, Rates
from motorcade.api.rights import RIGHTS, VEHICLE, Right
from motorcade.cli.data import CLI_CLIENT
from motorcade.config import RatesConfig
from motorcade.registry.port import SiteDescription
from motorcade.state.port import VehicleState
from tests.api.standins import ALL_SCOPES, TOKENS, VINS, Platform, bearer, fetch, running

PACED = [row for row in RIGHTS.values() if row.pace not in (None, Pace.REGISTRATION)]
SITES: list[str] = []
OF_THE_APP = {"/api/2/fleet/timeline", "/api/2/fleet/within"} | {
    row.path for row in PACED if row.role and "{tag}" not in row.path
}
"""One allowance, whatever the vehicle."""


def rates(**settings: int) -> Rates:
    return Rates(RatesConfig(**settings))


def test_a_minutes_worth_at_once_then_one_at_a_time() -> None:
    counted = rates(data_per_minute=3)
    told = [counted.take("app", "1", Pace.DATA, 0) for _ in range(4)]
    assert [row.remaining for row in told] == [2, 1, 0, 0]
    assert [row.retry_s for row in told] == [0, 0, 0, 20]
    assert [row.reset_s for row in told] == [20, 40, 60, 60]
    assert counted.take("app", "1", Pace.DATA, 19_999_999).retry_s == 1
    assert counted.take("app", "1", Pace.DATA, 20_000_000).retry_s == 0
    assert counted.take("app", "1", Pace.DATA, 20_000_000).retry_s == 20


def test_each_app_vehicle_and_kind_has_its_own() -> None:
    counted = rates(data_per_minute=1, wakes_per_minute=1)
    for key in (
        ("a", "1", Pace.DATA),
        ("a", "2", Pace.DATA),
        ("b", "1", Pace.DATA),
        ("a", "1", Pace.WAKE),
    ):
        assert counted.take(*key, 0).retry_s == 0
        assert counted.take(*key, 0).retry_s == 60


def test_zero_is_no_limit() -> None:
    counted = rates(commands_per_minute=0)
    assert {counted.take("a", "1", Pace.COMMAND, 0) for _ in range(1_000)} == {(0, 0, 0, 0)}
    assert len(counted) == 0


@given(
    limit=st.integers(1, 50),
    gaps_us=st.lists(st.integers(0, 10_000_000), min_size=1, max_size=150),
)
def test_no_window_passes_more_than_its_share_and_a_minutes_worth(
    limit: int, gaps_us: list[int]
) -> None:
    counted = rates(data_per_minute=limit)
    now_us, passed = 0, []
    for gap_us in gaps_us:
        now_us += gap_us
        told = counted.take("a", "1", Pace.DATA, now_us)
        if told.retry_s == 0:
            passed.append(now_us)
        else:  # and what is said about coming again is true, and not too late
            assert rates_after(counted, now_us + told.retry_s * 1_000_000)
            assert told.retry_s <= -(-60 // limit)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            share = (passed[last] - passed[first]) * limit / PERIOD_US
            assert last - first + 1 <= limit + share + 1e-6


def rates_after(counted: Rates, time_us: int) -> bool:
    copy = rates()
    copy._limits, copy._full_us = counted._limits, dict(counted._full_us)
    return copy.take("a", "1", Pace.DATA, time_us).retry_s == 0


def test_what_is_kept_is_bounded_and_the_most_recent_stay() -> None:
    counted = rates(data_per_minute=1, entries_max=10)
    for app in range(100):
        counted.take(f"app{app}", "1", Pace.DATA, 0)
        assert len(counted) <= 10
    assert counted.take("app99", "1", Pace.DATA, 0).retry_s == 60
    assert counted.take("app1", "1", Pace.DATA, 0).retry_s == 0


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings = [f"rates.{pace.value}_per_minute=2" for pace in Pace]
    with running(tmp_path_factory.mktemp("rates"), *settings) as platform:
        for token in TOKENS:
            platform.live.states[token] = VehicleState({}, True, 5)
        home = SiteDescription("Home", "Europe/Berlin", 1, 5_000, wall_connector=False)
        SITES[:] = [str(platform.registry.add_site(home).site.id) for _ in range(2)]
        yield platform


@pytest.fixture
def forgotten(platform: Platform) -> None:
    """Every test has its own allowance."""
    platform.counter.rates = Rates(platform.config.rates)


def ask(
    platform: Platform, row: Right, vin: str = VINS[0], subject: str = "owner"
) -> httpx.Response:
    site_id = SITES[vin != VINS[0]]
    given = {"tag": vin, "name": "honk_horn", "site_id": site_id}
    path = re.sub(r"\{(\w+)\}", lambda found: given.get(found[1], "1"), row.path)
    scopes = (*ALL_SCOPES, "energy_device_data", "energy_cmds")
    headers = (platform.tokens.page if row.role else bearer)(subject, *scopes)
    return fetch(row.method, platform.url + path, params={"vin": vin}, headers=headers)


def test_every_route_of_a_vehicle_is_counted() -> None:
    of_a_vehicle = [row for row in RIGHTS.values() if row.path.startswith(VEHICLE)]
    assert [row.path for row in of_a_vehicle if row.method != "WS" and row.pace is None] == []


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("row", PACED, ids=lambda row: f"{row.method} {row.path}")
def test_one_too_many_is_429_with_the_headers_clients_read(platform: Platform, row: Right) -> None:
    first = ask(platform, row)
    assert first.status_code != 429
    assert first.headers["ratelimit-limit"] == "2"
    assert first.headers["ratelimit-remaining"] == "1"
    assert ask(platform, row).status_code != 429
    refused = ask(platform, row)
    assert refused.status_code == 429
    retry_s = int(refused.headers["retry-after"])
    assert 28 <= retry_s <= 30
    assert refused.json()["error"] == f"Retry in {retry_s} seconds"
    assert refused.headers["ratelimit-remaining"] == "0"
    assert 58 <= int(refused.headers["ratelimit-reset"]) <= 60
    assert (ask(platform, row, VINS[1]).status_code == 429) == (row.path in OF_THE_APP)


@pytest.mark.usefixtures("forgotten")
def test_a_vehicle_by_id_is_the_same_vehicle(platform: Platform) -> None:
    row = RIGHTS["GET", VEHICLE]
    told = [ask(platform, row, tag).status_code for tag in (VINS[0], "1000", VINS[0], "1000")]
    assert told == [200, 200, 429, 429]


@pytest.mark.usefixtures("forgotten")
def test_a_vehicle_that_is_not_the_callers_takes_nothing(platform: Platform) -> None:
    for _ in range(5):
        answer = ask(platform, RIGHTS["GET", VEHICLE], subject="stranger")
        assert (answer.status_code, "ratelimit-limit" in answer.headers) == (404, False)


@pytest.mark.usefixtures("forgotten")
def test_tokens_of_the_command_line_are_no_apps(platform: Platform) -> None:
    platform.bearers["ours"] = "owner:vehicle_device_data"
    platform.tokens.clients["ours"] = CLI_CLIENT
    url, headers = f"{platform.url}/api/1/vehicles/{VINS[0]}", {"Authorization": "Bearer ours"}
    answers = [httpx.get(url, headers=headers) for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit-limit" not in answers[0].headers

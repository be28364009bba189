"""The history of a vehicle over HTTP: files and tail, buckets, what a privacy zone keeps back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from motorcade.api.past_sight import told
from motorcade.api.sight import COORDINATES, Sight
from motorcade.events import RecordBatch
from motorcade.history.writer import HistoryWriter
from motorcade.log.files import OsFiles
from motorcade.log.topics import Lane
from motorcade.registry.privacy.port import Zone
from motorcade.streams.dedup import Dedup
from tests.api.standins import TOKENS, VINS, Platform, bearer, running
from tests.history.deployment import CONFIG, EVER, Deployment, shown
from tests.state.records import FLEET, START_US, signals

HOME = (60.17, 24.94)
HOME_ZONE = Zone(1, "home", *HOME, 300.0)
CAR = f"/api/2/vehicles/{VINS[0]}/history"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    directory = tmp_path_factory.mktemp("history")
    with running(directory, "rates.data_per_minute=0") as platform:
        writer = platform.log.writer("gateway", Lane.BULK)
        early = [
            signals(TOKENS[0], second * 1_000_000, soc=second, gear="D", own="x" * second)
            for second in range(10)
        ]
        writer.append(RecordBatch.of(early)).result(10)
        failed: list[Exception] = []
        history = HistoryWriter(
            directory / "history",
            platform.config,
            platform.log,
            lambda: Dedup(platform.config.dedup),
            platform.clock,
            OsFiles(),
            lambda path: pa.memory_map(str(path)),
            failed=failed.append,
        )
        history.open()
        history.read_on()
        history.flush()
        history.close()
        late = [
            signals(TOKENS[0], 20_000_000, soc=20, latitude=HOME[0], longitude=HOME[1], own=True)
        ]
        writer.append(RecordBatch.of(late)).result(10)
        yield platform


def ask(platform: Platform, *scopes: str, **query: Any) -> httpx.Response:
    span = {"from_us": START_US, "to_us": START_US + 30_000_000}
    headers = bearer("owner", *scopes)
    return httpx.get(platform.url + CAR, params=span | query, headers=headers, timeout=60)


def test_raw_samples_come_from_files_and_from_the_tail(platform: Platform) -> None:
    answer = ask(platform, signals="soc,gear").json()
    seconds = [(time_us - START_US) // 1_000_000 for time_us in answer["time_us"]]
    assert seconds == [*range(10), 20]
    assert answer["signals"]["soc"] == {"unit": "%", "value": [float(each) for each in seconds]}
    assert answer["signals"]["gear"]["value"] == ["D"] * 10 + [None]


def test_buckets_keep_gaps(platform: Platform) -> None:
    answer = ask(platform, signals="soc,own", buckets=3).json()
    assert answer["time_us"] == [START_US + first * 10_000_000 for first in range(3)]
    assert answer["signals"]["soc"] == {
        "unit": "%",
        "min": [0.0, None, 20.0],
        "max": [9.0, None, 20.0],
        "mean": [4.5, None, 20.0],
        "last": [9.0, None, 20.0],
        "count": [10, 0, 1],
    }
    assert answer["signals"]["own"]["last"] == ["x" * 9, None, True]
    assert "min" not in answer["signals"]["own"]


def test_what_arrived_later_is_not_known_then(platform: Platform) -> None:
    answer = ask(platform, signals="soc", at=START_US + 5_000_000).json()
    assert answer["signals"]["soc"]["value"] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_positions_want_the_scope(platform: Platform) -> None:
    assert ask(platform).json()["signals"]["latitude"]["value"][-1] == HOME[0]
    told = ask(platform, "vehicle_device_data").json()["signals"]
    assert told.keys() == {"soc", "gear"}  # nobody can judge a name that a car made up


def test_a_zone_keeps_its_positions_from_apps(platform: Platform) -> None:
    zone = platform.registry.privacy.add_zone(1_000, "home", *HOME, 300.0)
    try:
        assert ask(platform).json()["signals"].keys() == {"soc", "gear"}
    finally:
        platform.registry.privacy.remove_zone(1_000, zone.id)
    assert "latitude" in ask(platform).json()["signals"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"from_us": START_US + 30_000_000}, 400),
        ({"to_us": START_US + 367 * 86_400_000_000}, 400),
        ({"from_us": "yesterday"}, 400),
        ({"buckets": 0}, 400),
        ({"buckets": 10_001}, 400),
        ({"signals": ","}, 400),
        ({"signals": "a" * 129}, 400),
        ({"at": -1}, 400),
        ({"signals": "never_said"}, 200),
    ],
)
def test_what_cannot_be_asked_is_refused(
    platform: Platform, query: dict[str, Any], status: int
) -> None:
    assert ask(platform, **query).status_code == status


def test_another_persons_car_is_not_there(platform: Platform) -> None:
    assert httpx.get(platform.url + CAR, headers=bearer("mika")).status_code == 404


def test_a_history_is_judged_as_the_live_state_was(tmp_path: Path) -> None:
    """Against `Sight.of` asked at each instant of a drive through the zone."""
    deployment = Deployment(tmp_path, CONFIG)
    try:
        steps = range(-8, 9)
        drive = [
            signals(
                FLEET[0],
                100 + step,
                latitude=HOME[0] + step * 0.001,
                longitude=HOME[1],
                gps_heading=90,
                soc=step,
                own=1,
            )
            for step in steps
        ]
        deployment.append(drive)
        found = deployment.history().read(FLEET[0], None, EVER)
        coordinates = {name: found[name] for name in COORDINATES & found.keys()}
        seen = shown(told(Sight(True, (HOME_ZONE,)), found, coordinates))
        outside = [step for step in steps if abs(step) > 2]  # 0.001 degrees are 111 m
        at = [(START_US + 100 + step, HOME[0] + step * 0.001) for step in outside]
        assert [(time, value) for time, _, value in seen["latitude"]] == at
        assert [time for time, _, _ in seen["gps_heading"]] == [time for time, _ in at]
        assert len(seen["soc"]) == len(steps)
        assert "own" not in seen
        on_grid = shown(told(Sight(True, (), 10_000), found, coordinates))
        assert len({value for _, _, value in on_grid["latitude"]}) <= 2
        assert "gps_heading" not in on_grid
        assert "latitude" not in told(Sight(False), found, {})
    finally:
        deployment.close()


def test_a_timeline_counts_the_callers_vehicles(platform: Platform) -> None:
    query: dict[str, Any] = {"from_us": START_US, "to_us": START_US + 30_000_000, "buckets": 3}
    url = f"{platform.url}/api/2/fleet/timeline"
    answer = httpx.get(url, params=query, headers=bearer(), timeout=60).json()
    assert (answer["moving"], answer["alarms"]) == ([0, None, 0], [0, None, 0])
    assert answer["time_us"] == [START_US + first * 10_000_000 for first in range(3)]
    strangers = httpx.get(url, params=query, headers=bearer("mika"), timeout=60).json()
    assert strangers["moving"] == [None, None, None]
    assert httpx.get(url, params=query | {"buckets": 0}, headers=bearer()).status_code == 400

"""The meters' ledger: what is kept, again and again, bounded, and after damage."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from motorcade.clock import SystemClock
from motorcade.config import Config
from motorcade.events import Encoding, Record, RecordBatch, Topic, VehicleToken, make_token
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.topics import Lane
from motorcade.meters.embedded import EmbeddedMeters
from motorcade.meters.follower import MetersFollower
from motorcade.meters.port import METERS, SLOT_US, Point, Span
from motorcade.meters.readings import News, Readings
from tests.vehicle.site.running import until

SITE = make_token(b"a site for tests!")
OTHER = make_token(b"one more for them")
START_US = 1_790_000_000_000_000 // SLOT_US * SLOT_US


def record(seconds: float, site: VehicleToken = SITE, **signals: Any) -> Record:
    time_us = START_US + round(seconds * 1e6)
    payload = json.dumps({"time_us": time_us, "signals": signals}).encode()
    return Record(site, Topic.ENERGY, payload, time_us, time_us, Encoding.JSON_SIGNALS)


def meters(value: int) -> dict[str, int]:
    return dict.fromkeys(METERS, value)


def point(seconds: float, value: int) -> Point:
    return Point(START_US + round(seconds * 1e6), (value,) * len(METERS))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[EmbeddedMeters]:
    made = EmbeddedMeters(tmp_path / "meters" / "ledger.sqlite")
    yield made
    made.close()


def apply(ledger: EmbeddedMeters, *records: Record) -> None:
    news = News()
    readings = Readings()
    for known in ledger.last():
        readings.resume(*known)
    readings.read(records, news)
    ledger.apply(news, b"cursor")


SAMPLES = [
    record(0, **meters(10)),
    record(100, solar_to_house_energy=20),  # the others are as before
    record(299, **meters(30)),
    record(301, **meters(31)),
    record(2_000, **meters(90)),
    record(2_001, outage_start=500, outage_duration=10),
    record(2_002, outage_duration=25, wall_charge_start=700, wall_charge_duration=5),
    record(2_003, wall_charge_energy=9_000),
]


def held(ledger: EmbeddedMeters) -> Any:
    times = [START_US, START_US + 2_000_000_000]
    return (
        ledger.around(SITE, times),
        ledger.outages(SITE, 0, 1_000_000_000, 10),
        ledger.charges(SITE, 0, 1_000_000_000, 10),
    )


def test_a_slot_keeps_its_last_point_whatever_is_applied_again(ledger: EmbeddedMeters) -> None:
    apply(ledger, *SAMPLES)
    before = held(ledger)
    assert before == (
        [point(0, 10), point(299, 30), point(301, 31), point(2_003, 90)],
        ([Span(500, 25)], 1),
        ([Span(700, 5, 9_000)], 1),
    )
    for cut in range(len(SAMPLES)):
        apply(ledger, *SAMPLES[cut:])
        assert held(ledger) == before
    assert ledger.around(OTHER, [START_US]) == []


def test_any_batching_gives_the_same_ledger(tmp_path: Path) -> None:
    found = []
    for number, size in enumerate((1, 3, len(SAMPLES))):
        ledger = EmbeddedMeters(tmp_path / str(number) / "ledger.sqlite")
        for start in range(0, len(SAMPLES), size):
            apply(ledger, *SAMPLES[start : start + size])
        found.append(held(ledger))
        ledger.close()
    assert all(one == other for one, other in itertools.pairwise(found))


def test_a_site_whose_meters_are_not_all_known_has_no_point(ledger: EmbeddedMeters) -> None:
    apply(ledger, record(0, solar_to_house_energy=5), record(1, solar_power=3))
    assert ledger.around(SITE, [START_US]) == []


@pytest.mark.parametrize("wrong", [-1, 1e300, True, "x", None, [1], float(1 << 63)])
def test_what_is_no_meter_reading_changes_nothing(ledger: EmbeddedMeters, wrong: Any) -> None:
    apply(ledger, record(0, **meters(10)), record(1, solar_to_house_energy=wrong))
    assert ledger.around(SITE, [START_US + SLOT_US])[-1].joules == (10,) * len(METERS)
    apply(ledger, record(2, outage_start=wrong, time_of_use_tariff=wrong))
    broken = Record(SITE, Topic.ENERGY, b"{", 0, 0, Encoding.JSON_SIGNALS)
    apply(ledger, broken)


def test_the_newest_tariff_is_kept(ledger: EmbeddedMeters) -> None:
    assert ledger.tariff(SITE) == "null"
    apply(ledger, record(5, time_of_use_tariff='{"a":1}'))
    apply(ledger, record(4, time_of_use_tariff="null"))
    assert ledger.tariff(SITE) == '{"a":1}'


def test_the_past_is_forgotten_at_its_limit(ledger: EmbeddedMeters) -> None:
    apply(ledger, *SAMPLES)
    ledger.purge(START_US + 2 * SLOT_US)
    points, (outages, _), _ = held(ledger)
    assert points == [point(2_003, 90)]
    assert outages == []


def test_a_damaged_file_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = EmbeddedMeters(path)
    apply(ledger, *SAMPLES)
    ledger.close()
    path.write_bytes(b"x" * 4_096)
    ledger = EmbeddedMeters(path)
    assert ledger.around(SITE, [START_US]) == []
    assert ledger.cursor() is None
    ledger.close()
    assert path.with_name("ledger.sqlite.damaged").read_bytes() == b"x" * 4_096


def test_the_follower_goes_on_after_a_restart(tmp_path: Path, ledger: EmbeddedMeters) -> None:
    config = Config().with_overrides(["energy.ledger_commit_s=0.05"])
    log = EmbeddedLog(tmp_path / "log", config.log, SystemClock())
    writer = log.writer("gateway", Lane.BULK)
    failed: list[Exception] = []

    def follow() -> MetersFollower:
        follower = MetersFollower(
            config.energy,
            log,
            ledger,
            SystemClock(),
            failed=failed.append,
        )
        follower.start()
        return follower

    def write(*records: Record) -> None:
        writer.append(RecordBatch.of(records)).result(10)

    def shows(value: int) -> Callable[[], bool]:
        later = [START_US + 100 * SLOT_US]
        return lambda: any(one.joules[0] == value for one in ledger.around(SITE, later))

    follower = follow()
    write(*SAMPLES[:3])
    until(shows(30), 10)
    follower.stop()
    write(*SAMPLES[3:5])
    follower = follow()
    until(shows(90), 10)
    follower.stop()
    writer.close()
    log.close()
    assert not failed


def test_what_is_older_or_shorter_never_takes_a_row_s_place(ledger: EmbeddedMeters) -> None:
    apply(ledger, *SAMPLES)
    before = held(ledger)
    old = News()
    late = [record(2_000, outage_start=500, outage_duration=3)]
    late += [record(2_000, wall_charge_start=700, wall_charge_duration=1)]
    Readings().read([*SAMPLES[:2], *late], old)  # as one who knows nothing of what came since
    ledger.apply(old, b"cursor")
    points, *spans = held(ledger)
    assert spans == list(before[1:])
    assert points == before[0]


def test_a_resend_between_newer_samples_is_left_out(ledger: EmbeddedMeters) -> None:
    apply(ledger, record(0, **meters(10)), record(100, **meters(20)), record(50, **meters(15)))
    assert ledger.around(SITE, [START_US]) == [point(0, 10), point(100, 20)]

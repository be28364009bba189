"""A long history is read, summed and encoded beside the loop: commands do not wait for it (P6)."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from motorcade.api.energy import history
from motorcade.events import VehicleToken
from motorcade.meters.port import METERS, SLOT_US, Point, Span
from motorcade.registry.port import SiteDescription
from tests.api.standins import Platform, bearer, running

INTERVALS = 2_016
SPANS = 1_000


class LongMeters:
    """A site that has told of everything; notes which threads asked."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def around(self, site: VehicleToken, times_us: Sequence[int]) -> list[Point]:
        self.threads.add(threading.get_ident())
        return [Point(time_us, (time_us // SLOT_US,) * len(METERS)) for time_us in times_us]

    def outages(
        self, site: VehicleToken, from_us: int, until_us: int, limit: int
    ) -> tuple[list[Span], int]:
        self.threads.add(threading.get_ident())
        return [Span(2_000 - number, 5, 7_200) for number in range(SPANS)], SPANS

    charges = outages

    def tariff(self, site: VehicleToken) -> str:
        return "null"


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running(tmp_path) as platform:
        yield platform


def ask(
    platform: Platform, meters: LongMeters, monkeypatch: pytest.MonkeyPatch, path: str, query: str
) -> httpx.Response:
    described = SiteDescription("Home", "Europe/Berlin", 1, 5_000, wall_connector=True)
    site = platform.registry.add_site(described).site
    platform.counter.meters = meters
    encoded = history._encoded

    def noted(rows: object) -> object:
        meters.threads.add(threading.get_ident())
        return encoded(rows)  # type: ignore[arg-type]

    monkeypatch.setattr(history, "_encoded", noted)
    url = f"{platform.url}/api/1/energy_sites/{site.id}/{path}?{query}"
    return httpx.get(url, headers=bearer("owner", "energy_device_data"), timeout=20)


@pytest.mark.parametrize(
    ("path", "query", "member", "count"),
    [
        (
            "calendar_history",
            "kind=energy&period=day&start_date=2026-05-22T20:25:00Z&end_date=2026-05-29T20:25:00Z",
            "time_series",
            INTERVALS,
        ),
        ("calendar_history", "kind=backup&period=lifetime", "events", SPANS),
        ("telemetry_history", "kind=charge", "charge_history", SPANS),
    ],
)
def test_none_of_it_happens_on_the_loop(
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    query: str,
    member: str,
    count: int,
) -> None:
    meters = LongMeters()
    answer = ask(platform, meters, monkeypatch, path, query)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["response"][member]
    assert len(rows) == count
    assert len(meters.threads) == 1
    assert platform._thread.ident not in meters.threads

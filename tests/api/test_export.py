"""Exports over HTTP: the file's name and type, what may be told, places, and slow readers."""

import asyncio
import contextlib
import csv
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from motorcade.events import RecordBatch
from motorcade.log.topics import Lane
from motorcade.registry.audit.port import DeedsAsked, What
from tests.api.standins import TOKENS, VINS, Platform, bearer, running
from tests.state.records import START_US, signals

HOME = (60.17, 24.94)
CAR = f"/api/2/vehicles/{VINS[0]}/export"
SPAN = {"from_us": START_US, "to_us": START_US + 3 * 3_600_000_000}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings = ("rates.data_per_minute=0", "history.exports_max=2")
    with running(tmp_path_factory.mktemp("export"), *settings) as platform:
        writer = platform.log.writer("gateway", Lane.BULK)
        away = {"latitude": 60.5, "longitude": 24.94}
        home = {"latitude": HOME[0], "longitude": HOME[1]}
        said = [
            signals(TOKENS[0], 0, soc=50, own="x" * 900, **home),
            signals(TOKENS[0], 3_600_000_000, soc=49, **away),
        ]
        said += [
            signals(
                TOKENS[1], second * 1_000_000, **{f"n{n}": f"{second}{n}" * 99 for n in range(9)}
            )
            for second in range(2, 6_000, 2)
        ]
        writer.append(RecordBatch.of(said)).result(10)
        yield platform


def ask(platform: Platform, *scopes: str, path: str = CAR, **query: Any) -> httpx.Response:
    headers = bearer("owner", *scopes)
    return httpx.get(platform.url + path, params=SPAN | query, headers=headers, timeout=60)


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


@pytest.mark.parametrize(
    ("format_", "media", "begin"),
    [
        ("csv", "text/csv; charset=utf-8", b"time,"),
        ("gpx", "application/gpx+xml", b"<?xml"),
        ("parquet", "application/vnd.apache.parquet", b"PAR1"),
    ],
)
def test_a_file_has_a_name_and_a_type(
    platform: Platform, format_: str, media: str, begin: bytes
) -> None:
    answer = ask(platform, format=format_)
    assert answer.headers["content-type"] == media
    name = f'attachment; filename="vehicle-1000-20251009T085320Z.{format_}"'
    assert answer.headers["content-disposition"] == name
    assert answer.content.startswith(begin)
    assert answer.headers["transfer-encoding"] == "chunked"


def test_who_took_a_file_is_in_the_audit(platform: Platform) -> None:
    assert ask(platform, format="gpx").status_code == 200
    (deed,) = platform.registry.audit.deeds(DeedsAsked(limit=1))
    assert (deed.what, deed.subject, deed.vehicle_id) == (What.EXPORTED, "owner", 1000)
    assert deed.text == "vehicle-1000-20251009T085320Z.gpx"


def test_places_want_the_scope(platform: Platform) -> None:
    first = rows(ask(platform, format="csv"))[0]
    assert (first["latitude [deg]"], first["own"]) == (str(HOME[0]), "x" * 900)
    told = rows(ask(platform, "vehicle_device_data", format="csv"))
    assert [row.keys() - {"time"} for row in told] == [{"soc [%]"}] * 2
    assert ask(platform, "vehicle_device_data", format="gpx").status_code == 403


def test_a_zone_keeps_its_rows_places_alone(platform: Platform) -> None:
    zone = platform.registry.privacy.add_zone(1_000, "home", *HOME, 300.0)
    try:
        told = rows(ask(platform, format="csv"))
        assert [row["latitude [deg]"] for row in told] == ["", "60.5"]
        assert [row["soc [%]"] for row in told] == ["50", "49"]
        assert "own" not in told[0]
        assert ask(platform, format="gpx").text.count("<trkpt") == 1
    finally:
        platform.registry.privacy.remove_zone(1_000, zone.id)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"format": "xls"}, 400),
        ({"format": "gpx", "signals": "soc"}, 400),
        ({"format": "csv", "from_us": SPAN["to_us"]}, 400),
        ({"format": "csv", "signals": "soc"}, 200),
    ],
)
def test_what_cannot_be_asked_is_refused(
    platform: Platform, query: dict[str, Any], status: int
) -> None:
    assert ask(platform, **query).status_code == status


def test_another_persons_car_is_not_there(platform: Platform) -> None:
    answer = httpx.get(platform.url + CAR, headers=bearer("mika"), params={"format": "csv"})
    assert answer.status_code == 404


def test_who_does_not_read_holds_a_place_and_nothing_else(platform: Platform) -> None:
    big = f"/api/2/vehicles/{VINS[1]}/export"
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            slow = httpx.stream(
                "GET", platform.url + big, params=SPAN | {"format": "csv"}, headers=bearer()
            )
            assert stack.enter_context(slow).status_code == 200
        assert ask(platform, format="csv").status_code == 503
        history = ask(platform, path=f"/api/2/vehicles/{VINS[0]}/history", signals="soc")
        assert len(history.json()["time_us"]) == 2  # others are answered
    for _ in range(100):  # they are gone: their places come back
        if ask(platform, format="csv").status_code == 200:
            return
    raise AssertionError("the places of clients that are gone are held")


def test_it_is_noted_for_the_owner(platform: Platform) -> None:
    assert ask(platform, format="csv").status_code == 200
    notes = platform.counter.accesses
    asyncio.run_coroutine_threadsafe(notes.flush(), platform.loop).result(10)
    assert "export" in {row.kind for row in platform.registry.access_log.accesses(1_000, 100)}

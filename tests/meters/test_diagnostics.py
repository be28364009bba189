"""Alerts and errors that cars stream: read from their records, kept once, the newest, for long."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tesla_protocol.telemetry.vehicle_alert_pb2 import VehicleAlerts
from tesla_protocol.telemetry.vehicle_error_pb2 import VehicleErrors

from motorcade.events import Encoding, Record, Topic, VehicleToken, make_token
from motorcade.meters import embedded
from motorcade.meters.embedded import EmbeddedMeters
from motorcade.meters.port import TOLD_MAX, Alert, StreamError
from motorcade.meters.readings import News, Readings

CAR = make_token(b"a car for testing")
OTHER = make_token(b"one more of those")


def _record(payload: bytes, encoding: Encoding, car: VehicleToken = CAR) -> Record:
    return Record(car, Topic.DIAGNOSTICS, payload, 5, 5, encoding)


def alerts(*rows: tuple[str, int, int], car: VehicleToken = CAR) -> Record:
    """Each with its name, start and end, s; an end of 0: it is on."""
    message = VehicleAlerts(vin="5YJ3E1EA7KF000001")
    for name, start_s, end_s in rows:
        alert = message.alerts.add(name=name, audiences=[1, 3, 99])  # type: ignore[list-item]
        alert.started_at.FromMilliseconds(start_s * 1_000)
        if end_s:
            alert.ended_at.FromSeconds(end_s)
    return _record(message.SerializeToString(), Encoding.TESLA_ALERTS, car)


def errors(*rows: tuple[str, int, str], car: VehicleToken = CAR) -> Record:
    message = VehicleErrors()
    for name, at_s, body in rows:
        error = message.errors.add(name=name, body=body, tags={"k": "v"})
        error.created_at.FromSeconds(at_s)
    return _record(message.SerializeToString(), Encoding.TESLA_ERRORS, car)


def apply(ledger: EmbeddedMeters, *records: Record) -> None:
    news = News()
    Readings().read(records, news)
    assert bool(news) is bool(news.alerts or news.errors)
    ledger.apply(news, b"cursor")


def test_what_cars_told_is_kept_once_the_newest_first(tmp_path: Path) -> None:
    ledger = EmbeddedMeters(tmp_path / "ledger.sqlite")
    begun = alerts(("VCFRONT_a1", 100, 0), ("BMS_b2", 200, 0))
    over = alerts(("VCFRONT_a1", 100, 150), ("other", 1, 0), car=OTHER)
    apply(ledger, begun, begun, over)
    apply(ledger, alerts(("VCFRONT_a1", 100, 160)), begun)
    audiences = ("customer", "service-fix")
    expected = [
        Alert("BMS_b2", 200_000_000, 0, audiences),
        Alert("VCFRONT_a1", 100_000_000, 160_000_000, audiences),
    ]
    assert ledger.alerts(CAR) == expected
    assert [alert.name for alert in ledger.alerts(OTHER)] == ["VCFRONT_a1", "other"]
    apply(ledger, errors(("cloud_unreachable", 7, "no route"), ("x", 9, "")))
    told = [StreamError("x", 9_000_000), StreamError("cloud_unreachable", 7_000_000, "no route")]
    assert ledger.errors(CAR) == told
    ledger.close()
    again = EmbeddedMeters(tmp_path / "ledger.sqlite")
    assert (again.alerts(CAR), again.errors(CAR)) == (expected, told)
    again.purge(150_000_000)
    assert ([alert.name for alert in again.alerts(CAR)], again.errors(CAR)) == (["BMS_b2"], [])
    again.close()


def test_of_each_car_so_many_are_kept(tmp_path: Path) -> None:
    ledger = EmbeddedMeters(tmp_path / "ledger.sqlite")
    apply(ledger, alerts(("mine", 5, 0), car=OTHER))
    for first in (1, 1 + TOLD_MAX):
        apply(ledger, alerts(*((f"a{n}", n, 0) for n in range(first, first + TOLD_MAX))))
        apply(ledger, errors(*((f"e{n}", n, "") for n in range(first, first + TOLD_MAX))))
    kept = [alert.name for alert in ledger.alerts(CAR)]
    assert kept == [f"a{n}" for n in range(2 * TOLD_MAX, TOLD_MAX, -1)]
    assert len(ledger.errors(CAR)) == TOLD_MAX
    assert len(ledger.alerts(OTHER)) == 1
    ledger.close()


def test_what_is_none_or_has_no_time_is_left_out(tmp_path: Path) -> None:
    ledger = EmbeddedMeters(tmp_path / "ledger.sqlite")
    timeless = VehicleAlerts()
    timeless.alerts.add(name="never")
    late = timeless.alerts.add(name="too late")
    late.started_at.seconds = 1 << 62
    junk: list[Any] = [
        _record(timeless.SerializeToString(), Encoding.TESLA_ALERTS),
        _record(b"\xff", Encoding.TESLA_ALERTS),
        _record(b"\xff", Encoding.TESLA_ERRORS),
        _record(b"{}", Encoding.JSON_SIGNALS),
        _record(alerts(("a", 1, 0)).payload, Encoding.TESLA_METRICS),
        alerts(("nobody's", 1, 0), car=VehicleToken("")),
    ]
    apply(ledger, *junk)
    apply(ledger, alerts(("n" * 9_999, 1, 0)), errors(("n", 1, "b" * 9_999)))
    assert [len(alert.name) for alert in ledger.alerts(CAR)] == [256]
    assert [len(error.body) for error in ledger.errors(CAR)] == [2_048]
    ledger.close()


def test_a_ledger_of_the_first_version_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    EmbeddedMeters(path).close()
    with closing(sqlite3.connect(path)) as file:
        file.executescript(
            "DROP TABLE alerts; DROP TABLE errors; DROP TABLE sessions; PRAGMA user_version = 1;"
            "INSERT INTO cursors VALUES ('energy', x'01')"
        )
    embedded.at_rest.forget(path)
    ledger = EmbeddedMeters(path)
    assert ledger.cursor() == b"\x01"
    apply(ledger, alerts(("a", 1, 0)))
    assert len(ledger.alerts(CAR)) == 1
    ledger.close()
    assert not path.with_name("ledger.sqlite.damaged").exists()

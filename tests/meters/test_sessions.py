"""Cars' charging sessions in the ledger: once each, the newest of each car."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from motorcade import at_rest
from motorcade.events import make_token
from motorcade.meters.embedded import SCHEMA_VERSION, EmbeddedMeters
from motorcade.meters.port import ChargesAsked, ChargeSession

CAR, OTHER = make_token(b"a car for testing"), make_token(b"one more of those")
ALL = ChargesAsked([CAR], 0, 1 << 60, limit=100)


def session(start_s: int, end_s: int, energy_j: int | None = 5) -> ChargeSession:
    return ChargeSession(
        CAR, start_s * 1_000_000, end_s * 1_000_000, energy_j, True, 1.5, None, "Depot", True
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[EmbeddedMeters]:
    ledger = EmbeddedMeters(tmp_path / "ledger.sqlite")
    yield ledger
    ledger.close()


def test_told_again_a_session_is_the_same_and_more_energy_is_kept(ledger: EmbeddedMeters) -> None:
    first, second = session(10, 20), session(30, 40, None)
    for told in (first, second, session(10, 20, 4), first, session(10, 20, 7), second):
        ledger.put_sessions([told], 100)
    assert ledger.sessions(ALL) == ([second, session(10, 20, 7)], 2)


def test_the_tail_of_a_known_session_is_no_other(ledger: EmbeddedMeters) -> None:
    whole, tail = session(10, 20), session(15, 20)
    ledger.put_sessions([whole, tail, session(20, 25)], 100)
    assert [one.start_us for one in ledger.sessions(ALL)[0]] == [20_000_000, 10_000_000]
    ledger.put_sessions([session(35, 40), session(30, 40)], 100)  # ... whichever comes first
    assert next(one.start_us for one in ledger.sessions(ALL)[0]) == 30_000_000


def test_which_sessions_in_which_order(ledger: EmbeddedMeters) -> None:
    others = replace(session(25, 26), vehicle=OTHER)
    ledger.put_sessions([others, *(session(n, n + 5) for n in (10, 20, 30))], 100)
    both = replace(ALL, vehicles=[CAR, OTHER], from_us=20_000_000, until_us=30_000_000)
    assert ledger.sessions(both) == ([others, session(20, 25)], 2)
    pages = [ledger.sessions(replace(ALL, limit=2, offset=at, newest_first=False)) for at in (0, 2)]
    assert pages == [([session(10, 15), session(20, 25)], 3), ([session(30, 35)], 3)]
    assert ledger.sessions(replace(ALL, vehicles=[])) == ([], 0)


def test_of_each_car_the_newest_stay_and_none_that_is_too_old(ledger: EmbeddedMeters) -> None:
    ledger.put_sessions([replace(session(1, 2), vehicle=OTHER)], 2)
    ledger.put_sessions([session(n, n + 1) for n in (10, 30, 20)], 2)
    kept = replace(ALL, vehicles=[CAR, OTHER])
    assert [one.start_us // 1_000_000 for one in ledger.sessions(kept)[0]] == [30, 20, 1]
    ledger.purge(21_000_001)
    assert [one.start_us // 1_000_000 for one in ledger.sessions(kept)[0]] == [30]


@pytest.mark.parametrize("version", [1, 2])
def test_a_ledger_of_an_earlier_version_goes_on(tmp_path: Path, version: int) -> None:
    path = tmp_path / "ledger.sqlite"
    EmbeddedMeters(path).close()
    newer = ["sessions"] if version == 2 else ["sessions", "alerts", "errors"]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for table in newer:
            connection.execute(f"DROP TABLE {table}")
        connection.execute(f"PRAGMA user_version = {version}")
    at_rest.seal(path, alone=True)
    ledger = EmbeddedMeters(path)
    ledger.put_sessions([session(10, 20)], 5)
    assert ledger.sessions(ALL) == ([session(10, 20)], 1)
    assert (ledger.alerts(CAR), SCHEMA_VERSION) == ([], 3)
    ledger.close()
    assert [file.name for file in tmp_path.glob("*.damaged")] == []


def test_who_reads_many_cars_keeps_nobody_else_waiting(ledger: EmbeddedMeters) -> None:
    """A sort across all cars takes long; the alerts of one are asked for meanwhile."""
    ledger.put_sessions([session(n, n + 1) for n in range(0, 1_000, 10)], 1_000)
    begun, over, told = threading.Event(), threading.Event(), threading.Event()

    def slowly() -> None:
        begun.set()
        over.wait(10)

    ledger._reading_many.set_progress_handler(slowly, 1)
    many = threading.Thread(target=ledger.sessions, args=(ALL,))
    many.start()
    assert begun.wait(10)

    def one() -> None:
        ledger.alerts(CAR)
        ledger.errors(CAR)
        told.set()

    other = threading.Thread(target=one)
    other.start()
    try:
        assert told.wait(5)
    finally:
        over.set()
        many.join()
        other.join()

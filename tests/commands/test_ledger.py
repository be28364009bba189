"""The ledger: an index that equals the log up to its cursor, and can always be built anew."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from motorcade.commands.entries import Entry
from motorcade.commands.ledger import Ledger
from motorcade.commands.port import Step
from motorcade.commands.states import State
from motorcade.events import VehicleToken
from motorcade.wire.command.records import Transition

CAR = VehicleToken("IABCDEFGHJKLMNPRS")
OTHER_CAR = VehicleToken("OABCDEFGHJKLMNPRS")


def requested(
    command_id: str, *, at: int = 1, key: str = "", counter: int = 1, vehicle: VehicleToken = CAR
) -> Entry:
    payload = Transition(
        id=command_id,
        state="requested",
        time_us=at,
        expires_time_us=at + 30,
        name="set_charge_limit",
        parameters={"percent": 80},
        counter=counter,
        account="owner",
        idempotency_key=key or command_id,
    )
    return Entry(vehicle, at, payload)


def entered(command_id: str, state: str, *, at: int = 2, reason: str = "") -> Entry:
    return Entry(CAR, at, Transition(id=command_id, state=state, time_us=at, reason=reason))


def apply(ledger: Ledger, *entries: Entry, cursor: bytes = b"c") -> list[str]:
    return ledger.apply([entry.record(64) for entry in entries], {"commands": cursor})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "commands" / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    ledger = Ledger(path)
    yield ledger
    ledger.close()


def test_a_timeline(ledger: Ledger) -> None:
    assert apply(ledger, requested("a")) == []
    assert apply(ledger, entered("a", "refused", reason="driving 'fast'")) == ["a"]
    view = ledger.find("a")
    assert view is not None
    assert view.timeline == (
        Step(State.REQUESTED, 1),
        Step(State.REFUSED, 2, "driving 'fast'"),
    )
    assert (view.vehicle, view.name, view.parameters) == (CAR, "set_charge_limit", {"percent": 80})
    assert ledger.find("b") is None


def test_by_key_and_by_vehicle(ledger: Ledger) -> None:
    apply(ledger, requested("a", at=1, key="k"), requested("b", at=2), requested("c", at=3))
    apply(ledger, requested("d", at=4, vehicle=OTHER_CAR))
    found = ledger.find_key("owner", "k")
    assert found is not None
    assert found.id == "a"
    assert ledger.find_key("admin", "k") is None
    assert [view.id for view in ledger.recent(CAR, 2)] == ["c", "b"]


def test_what_is_not_final_with_its_counter(ledger: Ledger) -> None:
    apply(ledger, requested("a", counter=7), requested("b", counter=8), requested("c", counter=9))
    apply(ledger, entered("a", "executed"), entered("b", "outcome_unknown"))
    assert {view.id: counter for view, counter in ledger.not_final()} == {"b": 8, "c": 9}


def test_counters_never_fall_and_outlive_their_commands(ledger: Ledger) -> None:
    apply(ledger, requested("a", counter=7), requested("b", counter=5))
    assert (ledger.counter(CAR), ledger.counter(OTHER_CAR)) == (7, 0)
    ledger.purge(100)
    assert ledger.find("a") is None
    assert ledger.counter(CAR) == 7


def test_rows_and_cursor_change_together(ledger: Ledger, path: Path) -> None:
    apply(ledger, requested("a"), cursor=b"1")
    broken = requested("b").record(64)
    with pytest.raises(ValueError, match="not a transition"):
        ledger.apply(
            [requested("c").record(64), type(broken)(**{**_fields(broken), "payload": b"{"})],
            {"commands": b"2"},
        )
    assert ledger.find("c") is None
    assert ledger.cursor("commands") == b"1"


def test_it_is_there_after_opening_again(path: Path) -> None:
    first = Ledger(path)
    apply(first, requested("a"), cursor=b"1")
    first.close()
    second = Ledger(path)
    assert second.find("a") is not None
    assert second.cursor("commands") == b"1"
    second.close()


@pytest.mark.parametrize(
    "damage", [b"", b"not a database at all", b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_damaged_file_is_built_anew(path: Path, damage: bytes) -> None:
    first = Ledger(path)
    apply(first, requested("a"))
    first.close()
    path.write_bytes(damage)
    second = Ledger(path)
    assert second.cursor("commands") is None
    assert second.find("a") is None
    second.close()


def test_a_condemned_file_is_built_anew_once(path: Path) -> None:
    for found in (True, False, True):
        ledger = Ledger(path)
        assert (ledger.cursor("commands") is None) == found
        apply(ledger, requested("a"))
        if not found:
            ledger.condemn()
        ledger.close()


def _fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__slots__}  # type: ignore[attr-defined]


def test_failed_are_those_that_no_later_one_made_good(path: Path) -> None:
    ledger = Ledger(path)
    for number, name in enumerate("abcdef"):
        vehicle = OTHER_CAR if name == "e" else CAR
        apply(ledger, requested(name, at=number, vehicle=vehicle))
    for name, state in zip("abcde", ("refused", "executed", "expired", "refused", ""), strict=True):
        if state:
            apply(ledger, entered(name, state))
    apply(ledger, entered("e", "executed"))  # of another car: makes nothing good here
    assert [view.id for view in ledger.failed(0, 9)] == ["d", "c"]
    assert [view.id for view in ledger.failed(3, 9)] == ["d"]
    assert [view.id for view in ledger.failed(0, 1)] == ["d"]
    apply(ledger, entered("f", "executed"))
    assert ledger.failed(0, 9) == []
    ledger.close()


def test_a_ledger_of_before_gets_the_index_that_finds_failures(path: Path) -> None:
    Ledger(path).close()
    with sqlite3.connect(path) as file:
        file.execute("DROP INDEX by_failure")
    file.close()
    again = Ledger(path)
    apply(again, requested("a"), entered("a", "refused"))
    assert [view.id for view in again.failed(0, 9)] == ["a"]
    again.close()

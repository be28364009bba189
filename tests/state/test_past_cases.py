"""Past instants, one rule at a time: what a snapshot may hold, what is read, what is refused."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from motorcade.events import Record
from motorcade.state.errors import PastBusyError, PastInstantError
from motorcade.state.kept import Kept
from motorcade.state.past import Past
from motorcade.state.port import Mode
from motorcade.state.replaying import EVER, Leg, legs
from tests.state.records import FLEET, START_US, presence, signals
from tests.state.voyage import Step, Voyage, with_past

CAR = FLEET[0]


@pytest.fixture
def voyage(tmp_path: Path) -> Iterator[Voyage]:
    with Voyage(tmp_path, with_past(opened_max=2)) as made:
        yield made


def step(gap_us: int, *records: Record, keep: bool = True) -> Step:
    return Step("gateway", gap_us, list(records), keep, restart=False)


def sent(number: int, time_us: int, value: float) -> Record:
    return msgspec.structs.replace(signals(CAR, time_us, soc=value), stream=b"s", sequence=number)


def soc(past: Past, at: int, mode: Mode = Mode.ARRIVED) -> object:
    said = past.open(START_US + at, mode).read(CAR).signals.get("soc")
    return said.value if said is not None else None


def test_duplicates_are_known_from_before_the_snapshot(voyage: Voyage) -> None:
    voyage.run([step(0, sent(1, 1, 10.0)), step(5, sent(1, 3, 99.0), keep=False)])
    past = voyage.past()
    assert soc(past, 7) == 10.0
    assert past.open(START_US + 7).read(CAR).last_received_us == START_US + 1


def test_as_corrected_takes_no_snapshot_with_events_of_later(voyage: Voyage) -> None:
    voyage.run([step(0, signals(CAR, 0, soc=1.0)), step(2, signals(CAR, 9, soc=2.0))])
    past = voyage.past()
    assert soc(past, 5) == 2.0, "its clock ran ahead, and live state showed it"
    assert soc(past, 5, Mode.CORRECTED) == 1.0
    assert soc(past, 9, Mode.CORRECTED) == 2.0


def test_as_corrected_finds_what_came_late_and_passes_over_the_rest(voyage: Voyage) -> None:
    later = [step(10, signals(CAR, 10 * n, soc=50.0)) for n in range(1, 6)]
    late = step(10, signals(CAR, 3, soc=7.0))
    tail = [step(10, signals(CAR, 10 * n, soc=60.0)) for n in range(7, 10)]
    voyage.run([step(1, signals(CAR, 1, soc=1.0)), *later, late, *tail])
    past = voyage.past()
    opened = past.open(START_US + 5, Mode.CORRECTED)
    said = opened.read(CAR).signals["soc"]
    assert (said.value, said.time_us) == (7.0, START_US + 3)
    assert opened.records == 1, "the one stretch that holds something of then"


def test_presence_is_found_where_all_samples_are_of_later(voyage: Voyage) -> None:
    voyage.run(
        [
            step(0, signals(CAR, 0, soc=1.0)),
            step(2, presence(CAR, "a", 1, 2), signals(CAR, 50, soc=2.0)),
            step(60, signals(CAR, 60, soc=3.0)),
        ]
    )
    opened = voyage.past().open(START_US + 4, Mode.CORRECTED)
    assert opened.online(CAR)
    assert opened.read(CAR).signals["soc"].value == 1.0


def kept(number: int, received: int, event_min: int) -> Kept:
    return Kept(number, received, received, received, event_min, 1)


@pytest.mark.parametrize("mode", Mode)
def test_presence_that_two_writers_tell_of_one_connection_keeps_its_order(
    voyage: Voyage, mode: Mode
) -> None:
    told = [("gateway", 1), ("api", 2), ("gateway", 1), ("api", 2)]
    voyage.run(
        [
            Step(writer, 1, [presence(CAR, "a", status)], keep=False, restart=False)
            for writer, status in told
        ]
    )
    past = voyage.past()
    seen = [past.open(START_US + at, mode).read(CAR).online for at in range(1, 5)]
    assert seen == [True, False, True, False]


def test_stretches_that_hold_nothing_are_passed_over() -> None:
    base, quiet, late, last = kept(1, 10, 0), kept(2, 20, 15), kept(3, 30, 5), kept(4, 40, 35)
    assert legs(base, [quiet, late, last], 12) == [Leg(quiet, 30), Leg(last, EVER)]
    assert legs(base, [quiet, late, last], 50) == [Leg(base, EVER)]
    assert legs(base, [quiet, last], 12) == [Leg(last, EVER)]
    assert legs(None, [quiet, last], 12) == [Leg(None, 20), Leg(last, EVER)]
    assert legs(base, [], 12) == [Leg(base, EVER)]


def test_what_is_not_to_be_had_is_refused_with_what_is(voyage: Voyage) -> None:
    with pytest.raises(PastInstantError, match="the log is empty"):
        voyage.past().open(START_US)
    voyage.run([step(7, signals(CAR, 1, soc=1.0))])
    with pytest.raises(PastInstantError, match=r"begins at 2025-10-09T08:53:20\.000Z"):
        voyage.past().open(START_US + 6)
    with pytest.raises(PastInstantError, match="still ahead"):
        voyage.past().open(1 << 61)


def test_states_in_memory_are_few_and_shared(voyage: Voyage) -> None:
    voyage.run([step(1, signals(CAR, n, soc=float(n))) for n in range(1, 6)])
    past = voyage.past()
    first = past.open(START_US + 1)
    assert past.open(START_US + 1) is first
    past.open(START_US + 2)
    past.open(START_US + 3)
    assert past.open(START_US + 1) is not first, "the one unused longest went"
    playing = [past.open(START_US + 1, own=True) for _ in range(2)]
    with pytest.raises(PastBusyError, match=r"past\.opened_max"):
        past.open(START_US + 1, own=True)
    with pytest.raises(ValueError, match="open it instead"):
        past.advance(playing[0], START_US)
    assert past.advance(playing[0], START_US + 4) is playing[0]
    assert playing[0].read(CAR).signals["soc"].value == 4.0
    assert playing[1].read(CAR).signals["soc"].value == 1.0
    del playing
    past.open(START_US + 1, own=True)

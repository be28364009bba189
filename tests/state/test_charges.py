"""Charging sessions out of a stream: begin, end, energy, place, whatever the cuts."""

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.config import Config, StateConfig
from motorcade.events import Record
from motorcade.meters.port import ChargeSession
from motorcade.signals.catalogue import BY_NAME
from motorcade.signals.samples import SampleBatch
from motorcade.state.charges import ChargePorts, ChargeWatch
from motorcade.state.embedded import EmbeddedLiveState
from tests.state.records import FLEET, SMALL, START_US, any_record, batch, signals

CAR, OTHER = FLEET[:2]
KWH = 3_600_000
WIDE = Config(state=StateConfig(vehicles_max=100, signals_per_vehicle_max=200))


class Watched:
    """Live state, and what it told of sessions: the last word on each."""

    def __init__(self, config: Config = WIDE) -> None:
        self.told: list[ChargeSession] = []
        self.asked: list[tuple[float, float]] = []
        self.live = EmbeddedLiveState(config, ChargePorts(self.told.append, self.place_of))

    def place_of(self, *place: float) -> str:
        self.asked.append(place)
        return "Depot" if place == (52.5, 13.4) else ""

    def apply(self, *records: Record) -> "Watched":
        self.live.apply(batch(*records), "gateway")
        return self

    @property
    def sessions(self) -> list[ChargeSession]:
        last = {(one.vehicle, one.start_us): one for one in self.told}
        return [last[key] for key in sorted(last)]


def state(time_s: int, name: str, **more: Any) -> Record:
    return signals(CAR, time_s * 1_000_000, detailed_charge_state=name, **more)


def session(begin_s: int, end_s: int, kwh: float | None, **more: Any) -> ChargeSession:
    return ChargeSession(
        vehicle=CAR,
        start_us=START_US + begin_s * 1_000_000,
        end_us=START_US + end_s * 1_000_000,
        energy_j=None if kwh is None else round(kwh * KWH),
        **{"direct_current": False, "start_soc": None, "end_soc": None, **more},
    )


NIGHT = (
    state(1, "Disconnected", soc=40, charge_energy_added=9 * KWH, latitude=52.5, longitude=13.4),
    state(10, "Charging", charge_energy_added=0),
    signals(CAR, 20_000_000, charge_energy_added=5 * KWH, soc=50),
    state(30, "Stopped", charge_energy_added=6 * KWH),
    signals(CAR, 31_000_000, charge_energy_added=int(6.5 * KWH)),  # its meter comes a bit later
    state(40, "Starting"),
    state(41, "Charging"),
    state(50, "Complete", charge_energy_added=8 * KWH, soc=55),
    state(90, "Disconnected"),
    signals(CAR, 94_000_000, latitude=1.0),
    state(95, "Charging", charge_energy_added=KWH),
    state(99, "Disconnected"),
)
EXPECTED = [
    session(10, 30, 6.5, start_soc=40.0, end_soc=50.0, place="Depot"),
    session(41, 50, 1.5, start_soc=50.0, end_soc=55.0, place="Depot"),
    session(95, 99, 1.0, start_soc=55.0, end_soc=55.0),
]


def test_a_session_is_from_charging_to_another_state() -> None:
    watched = Watched()
    for record in NIGHT:
        watched.apply(record)
    assert [one for one in watched.sessions if one.end_us] == EXPECTED


@given(st.sets(st.integers(1, len(NIGHT) - 1)))
def test_cuts_between_batches_and_restarts_change_no_session(cuts: set[int]) -> None:
    whole = Watched().apply(*NIGHT)
    assert whole.sessions == EXPECTED
    saved, told = None, []
    for first, last in itertools.pairwise([0, *sorted(cuts), len(NIGHT)]):
        watched = Watched()
        watched.live.restore(saved)
        watched.apply(*NIGHT[first:last])
        saved = watched.live.save()
        told = watched.sessions  # a restart tells again: the last process alone knows all
    assert told == EXPECTED
    assert saved == whole.live.save()


def test_late_states_and_unknown_ones_change_nothing() -> None:
    watched = Watched().apply(
        state(10, "Charging"),
        state(5, "Complete"),  # older than the state that is known
        state(12, "Unknown"),
        state(13, "Calibrating"),
        signals(CAR, 14_000_000, detailed_charge_state=None),
        signals(OTHER, 15_000_000, detailed_charge_state="Complete"),
    )
    assert watched.told == []
    watched.apply(state(20, "Complete"), state(21, "Stopped"))
    assert watched.sessions == [session(10, 20, None)]


@pytest.mark.parametrize(
    ("told", "kwh", "direct"),
    [
        ({"dc_charging_energy_in": 7 * KWH, "ac_charging_energy_in": 0}, 7, True),
        ({"ac_charging_energy_in": 7 * KWH, "dc_charging_energy_in": 0}, 7, False),
        ({"ac_charging_energy_in": 7 * KWH, "charge_energy_added": 6 * KWH}, 6, False),
        ({"fast_charger_present": True}, None, True),
        ({"charge_energy_added": 1e12}, None, False),  # no car holds that: out of range
    ],
)
def test_what_a_car_tells_of_its_energy(told: dict[str, Any], kwh: float, direct: bool) -> None:
    watched = Watched().apply(
        state(1, "Disconnected"),
        state(2, "Charging"),
        signals(CAR, 3_000_000, located_at_home=True, **told),
        state(4, "Complete"),
    )
    assert watched.sessions == [session(2, 4, kwh, direct_current=direct)]


def test_who_charges_at_home() -> None:
    home = signals(CAR, 0, located_at_home=True)
    watched = Watched().apply(home, state(1, "Charging"), state(4, "Complete"))
    assert [one.home for one in watched.sessions] == [True]


@given(st.lists(any_record(), max_size=20), st.integers(0, 20))
def test_any_records_leave_the_same_bytes_whatever_the_cuts(records: list[Record], at: int) -> None:
    whole, cut = Watched(SMALL).apply(*records), Watched(SMALL)
    for part in (records[:at], records[at:]):
        cut.apply(*part)
    assert cut.live.save() == whole.live.save()


def test_a_snapshot_of_a_version_without_sessions_is_read() -> None:
    before = EmbeddedLiveState(WIDE)
    before.apply(batch(*NIGHT), "gateway")
    old = msgspec.msgpack.decode(before.save())[:-1]
    watched = Watched()
    watched.live.restore(msgspec.msgpack.encode(old))
    assert watched.apply(state(100, "Charging"), state(101, "Stopped")).sessions == [
        session(100, 101, None, start_soc=55.0, end_soc=55.0)
    ]


def test_where_no_state_changes_nothing_is_looked_at() -> None:
    watch = ChargeWatch(ChargePorts(lambda _: None, lambda _a, _b: ""))
    watch.grow(4)
    assert BY_NAME["detailed_charge_state"].enum is not None
    away = float(BY_NAME["detailed_charge_state"].enum.numbers["Disconnected"])

    def samples(names: Sequence[str], value: float) -> SampleBatch:
        ids = np.array([BY_NAME[name].id for name in names], np.int32)
        count = len(ids)
        slots, times = np.zeros(count, np.int32), np.zeros(count, np.int64)
        return SampleBatch(slots, times, ids, np.full(count, value))

    assert watch.turns(samples(["soc", "detailed_charge_state"], away)) == []
    assert watch.turns(samples(["soc", "detailed_charge_state"], away + 3)) == [(2, 0)]

"""A fleet as columns: what each read says, and one state per car by the order of precedence."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.config import Config, DashboardConfig
from motorcade.events import Record, unpack_token
from motorcade.signals.catalogue import BY_NAME
from motorcade.state import kernels
from motorcade.state.columns import ALARM_TEXTS, STATES
from motorcade.state.embedded import EmbeddedLiveState
from tests.state.records import FLEET, SMALL, START_US, batch, presence, signals

S = 1_000_000
DRIVES: dict[str, Any] = {"gear": "D", "vehicle_speed": 20.0}


def fleet(*records: Record, now_s: float = 1.0) -> Any:
    state = EmbeddedLiveState(SMALL)
    state.apply(batch(*records), "gateway")
    return state.fleet(START_US + int(now_s * S))


def state_of(now_s: float = 1.0, **told: Any) -> str:
    columns = fleet(signals(FLEET[0], 0, **told), now_s=now_s)
    return STATES[columns.state[0]]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (DRIVES, "moving"),
        ({"gear": "D", "vehicle_speed": 0.0}, "idle"),
        ({"gear": "R"}, "idle"),
        ({"gear": "P", "vehicle_speed": 0.0}, "parked"),
        ({"gear": "P", "vehicle_speed": 20.0}, "parked"),  # the speed is an old one's rest
        ({"gear": None}, "parked"),
        ({"soc": 5}, "parked"),
        ({**DRIVES, "charge_state": "Charging"}, "charging"),
        ({"charge_state": "Starting"}, "charging"),
        ({"charge_state": "Complete", "gear": "P"}, "parked"),
        ({"detailed_charge_state": "Charging"}, "charging"),
        (
            {"charge_state": "Charging", "software_update_installation_percent_complete": 40},
            "updating",
        ),
        ({"software_update_installation_percent_complete": 100}, "parked"),
        ({**DRIVES, "sentry_mode": "Panic"}, "alarm"),
        ({**DRIVES, "sentry_mode": "Armed"}, "moving"),
        ({"bms_state": "Fault"}, "alarm"),
        ({"hvil": "Fault"}, "alarm"),
        ({"tpms_hard_warning_rear_left": True}, "alarm"),
        ({"tpms_hard_warning_rear_left": False}, "parked"),
    ],
)
def test_a_car_has_the_first_state_that_fits(told: dict[str, Any], expected: str) -> None:
    assert state_of(**told) == expected


@pytest.mark.parametrize(
    ("told", "silent_after_s"),
    [
        (DRIVES, DashboardConfig().silent_s),
        ({"charge_state": "Charging"}, DashboardConfig().silent_s),
        ({"gear": "P"}, DashboardConfig().silent_resting_s),
        ({**DRIVES, "asleep": True}, DashboardConfig().silent_resting_s),
    ],
)
def test_silence_is_judged_by_what_the_car_did(told: dict[str, Any], silent_after_s: float) -> None:
    assert state_of(silent_after_s - 1, **told) != "silent"
    assert state_of(silent_after_s + 1, **told) == "silent"


def test_only_an_alarm_beats_silence() -> None:
    late_s = 1e6
    assert state_of(late_s, **DRIVES, sentry_mode="Panic") == "alarm"
    assert state_of(late_s, software_update_installation_percent_complete=40) == "silent"


def test_a_car_that_never_sent_telemetry_is_silent() -> None:
    columns = fleet(presence(FLEET[0], "c", 1))
    assert (STATES[columns.state[0]], columns.online[0]) == ("silent", True)
    assert np.isnan(columns.latitude[0])


def test_half_a_position_or_one_off_the_globe_is_none() -> None:
    one, two, three = FLEET[:3]
    columns = fleet(
        signals(one, 0, latitude=52.5),
        signals(two, 0, latitude=52.5, longitude=13.4),
        signals(three, 0, latitude=52.5, longitude=None),
    )
    assert np.isnan(columns.longitude).tolist() == [True, False, True]
    assert (columns.latitude[1], columns.longitude[1]) == (52.5, 13.4)
    assert columns.placed_us.tolist() == [0, START_US, 0]


def test_presence_comes_and_goes_and_outlives_a_restart() -> None:
    state = EmbeddedLiveState(SMALL)
    state.apply(batch(presence(FLEET[0], "a", 1), presence(FLEET[1], "b", 1)), "gateway")
    state.apply(batch(presence(FLEET[0], "a", 2, 1)), "gateway")
    assert state.fleet(START_US).online.tolist() == [False, True]
    again = EmbeddedLiveState(SMALL)
    again.restore(state.save())
    assert again.fleet(START_US).online.tolist() == [False, True]


told = st.fixed_dictionaries(
    {},
    optional={
        "vehicle_speed": st.none() | st.floats(0, 40),
        "gear": st.sampled_from([None, "P", "R", "N", "D", "SNA", "Invalid"]),
        "charge_state": st.sampled_from(["Disconnected", "Starting", "Charging", "Complete"]),
        "software_update_installation_percent_complete": st.integers(0, 100),
        "asleep": st.booleans(),
        "sentry_mode": st.sampled_from(["Armed", "Panic"]),
        "hvil": st.sampled_from(["OK", "Fault"]),
    },
)


def by_oracle(seen: dict[str, Any], age_s: float) -> str:
    """The rule in plain words."""
    config = DashboardConfig()
    speed, gear = seen.get("vehicle_speed") or 0.0, seen.get("gear")
    moves = speed > config.moving_speed_mps and gear != "P"
    charges = seen.get("charge_state") in ("Starting", "Charging")
    in_gear = gear in ("R", "N", "D")
    rests = seen.get("asleep") or not (moves or charges or in_gear)
    if seen.get("sentry_mode") == "Panic" or seen.get("hvil") == "Fault":
        return "alarm"
    if age_s > (config.silent_resting_s if rests else config.silent_s):
        return "silent"
    if 0 < seen.get("software_update_installation_percent_complete", 0) < 100:
        return "updating"
    if charges:
        return "charging"
    return "moving" if moves else "idle" if in_gear else "parked"


@given(
    st.lists(told, min_size=1, max_size=5), st.sampled_from([1.0, 299.0, 301.0, 21_599.0, 22_000.0])
)
def test_states_equal_the_oracle_and_columns_what_is_read(
    cars: list[dict[str, Any]], now_s: float
) -> None:
    state = EmbeddedLiveState(Config())
    records = [signals(FLEET[n], 0, soc=1, **car) for n, car in enumerate(cars)]
    state.apply(batch(*records), "gateway")
    columns = state.fleet(START_US + int(now_s * S))
    assert len(columns) == len(cars)
    for slot in range(len(columns)):
        token = unpack_token(int(columns.token_high[slot]), int(columns.token_low[slot]))
        assert state.slot(token) == slot
        read = state.read(token)
        seen = {name: value.value for name, value in read.signals.items()}
        assert STATES[columns.state[slot]] == by_oracle(seen, now_s)
        assert columns.received_us[slot] == read.last_received_us
        assert columns.version[slot] == state.version(token)
        speed = seen.get("vehicle_speed")
        assert (
            np.isnan(columns.speed_mps[slot]) if speed is None else columns.speed_mps[slot] == speed
        )


def test_the_kernels_numbers_are_the_catalogues() -> None:
    def number(signal: str, name: str) -> int:
        enum = BY_NAME[signal].enum
        assert enum is not None
        return enum.numbers[name]

    assert (number("gear", "P"), number("gear", "SNA")) == (kernels.GEAR_PARK, kernels.GEAR_NONE)
    for signal in ("charge_state", "detailed_charge_state"):
        assert number(signal, "Starting") == kernels.CHARGE_STARTING
        assert number(signal, "Charging") == kernels.CHARGE_ON
    faults = number("sentry_mode", "Panic"), number("bms_state", "Fault"), number("hvil", "Fault")
    assert faults == (kernels.SENTRY_PANIC, kernels.BMS_FAULT, kernels.HVIL_FAULT)
    names = ["MOVING", "IDLE", "PARKED", "CHARGING", "UPDATING", "SILENT", "ALARM"]
    assert tuple(name.lower() for name in names) == STATES
    assert [getattr(kernels, name) for name in names] == list(range(7))
    assert sum(ALARM_TEXTS) == 15


def test_slots_of_another_state_have_another_epoch() -> None:
    state = EmbeddedLiveState(SMALL)
    state.apply(batch(signals(FLEET[0], 0, soc=1)), "gateway")
    before = state.epoch()
    state.apply(batch(signals(FLEET[1], 0, soc=1)), "gateway")
    assert state.epoch() == before
    state.restore(state.save())
    assert state.epoch() != before

"""`charge_schedule_data` and `preconditioning_schedule_data`, from the vehicle's signals. No IO.

Each schedule comes in a signal of its own, as the JSON that is shown, and its place in another one,
because a place is for holders of the location alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from motorcade.api.ground import read_place
from motorcade.signals.table import SCHEDULE_SLOTS
from motorcade.state.port import SignalValue

Signals = Mapping[str, SignalValue]


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two sections."""

    signal: str  # the first part of its signals' names
    members: str  # what the list is called
    count: str  # what the limit is called


SECTIONS: Final[dict[str, Kind]] = {
    "charge_schedule_data": Kind("charge_schedule", "charge_schedules", "max_num_charge_schedules"),
    "preconditioning_schedule_data": Kind(
        "precondition_schedule", "precondition_schedules", "max_num_precondition_schedules"
    ),
}

SCHEDULES: Final = frozenset(
    f"{kind.signal}_{slot}" for kind in SECTIONS.values() for slot in range(SCHEDULE_SLOTS)
)
"""The signals that hold a schedule's JSON."""

MEMBERS: Final = frozenset(
    {
        *("id", "name", "days_of_week", "enabled", "one_time", "precondition_time"),
        *("start_enabled", "start_time", "end_enabled", "end_time"),
    }
)
"""Of a schedule, what says no place. A car may send any others: those are told where places are."""


def section(name: str, signals: Signals, *, located: bool) -> dict[str, Any]:
    """The section of this name. `located`: the places may be told."""
    kind = SECTIONS[name]
    schedules = []
    newest_us = 0
    for slot in range(SCHEDULE_SLOTS):
        told = signals.get(f"{kind.signal}_{slot}")
        if told is None:
            continue
        newest_us = max(newest_us, told.time_us)
        schedule = _read(told.value)
        if schedule is not None:
            if located:
                schedule |= _read_place(signals.get(f"{kind.signal}_{slot}_place"))
            schedules.append(schedule if located else _placeless(schedule))
    return {
        kind.members: schedules,
        kind.count: SCHEDULE_SLOTS,
        "next_schedule": any(schedule.get("enabled") is True for schedule in schedules),
        "timestamp": newest_us // 1_000,  # ms
    }


def placeless(said: SignalValue) -> SignalValue:
    """One of SCHEDULES without what may say a place; of what is no schedule, the empty text."""
    schedule = _read(said.value)
    if schedule is None:
        return said if said.value is None else said._replace(value="")
    kept = _placeless(schedule)
    if kept == schedule:
        return said
    return said._replace(value=msgspec.json.encode(kept).decode())


def _placeless(schedule: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in schedule.items()
        if name in MEMBERS and not isinstance(value, dict | list)
    }


def _read(value: object) -> dict[str, Any] | None:
    """Any vehicle may send any text by this name: what is no schedule is not shown."""
    if not isinstance(value, str) or not value:
        return None
    try:
        schedule = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return None
    return schedule if isinstance(schedule, dict) else None


def _read_place(told: SignalValue | None) -> dict[str, float]:
    place = read_place(told.value) if told is not None else None
    return {} if place is None else {"latitude": place[0], "longitude": place[1]}

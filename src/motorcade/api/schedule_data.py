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
            place = signals.get(f"{kind.signal}_{slot}_place") if located else None
            schedules.append(schedule | _read_place(place))
    return {
        kind.members: schedules,
        kind.count: SCHEDULE_SLOTS,
        "next_schedule": any(schedule.get("enabled") is True for schedule in schedules),
        "timestamp": newest_us // 1_000,  # ms
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

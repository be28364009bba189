"""Fleets and failed commands to derive items from."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from motorcade.api.work.causes import State
from motorcade.commands.port import CommandView, Step
from motorcade.commands.states import State as Stands
from motorcade.config import DashboardConfig, WorkConfig
from motorcade.events import make_token, pack_token
from motorcade.registry.port import Vehicle
from motorcade.state.columns import empty_columns, judged

SECOND = 1_000_000
NOW_US = 2_000_000_000 * SECOND
CONFIG = WorkConfig(fold_s=60, fold_cars_min=3, silent_s_max=86_400)
SIGHT = DashboardConfig(silent_s=100, silent_resting_s=1_000)


def vehicle(number: int) -> Vehicle:
    token = make_token(number.to_bytes(16, "big"))
    return Vehicle(1_000 + number, f"VIN{number}", token, f"Car {number}", number, 0)


def fleet(ages_s: Sequence[int], **columns: Sequence[Any]) -> State:
    """Cars that were heard so long ago; 0: never. They drove, unless `gear` says another."""
    vehicles = [vehicle(number) for number in range(len(ages_s))]
    halves = np.array([pack_token(one.token) for one in vehicles], np.uint64).reshape(-1, 2)
    gathered = list(empty_columns(len(ages_s)))
    for column in gathered:
        column[:] = 0
    gathered[6][:] = columns.get("gear", [4] * len(ages_s))
    gathered[12][:] = columns.get("alarms", [0] * len(ages_s))
    gathered[13][:] = [NOW_US - age * SECOND if age else 0 for age in ages_s]
    seen = judged(halves[:, 0], halves[:, 1], tuple(gathered), NOW_US, SIGHT)
    known = np.ones(len(ages_s), np.uint8)
    since = dict.fromkeys(np.flatnonzero(gathered[12]).tolist(), NOW_US - 5 * SECOND)
    return State(seen, vehicles, known, since, [], SIGHT.moving_speed_mps)


def failed(number: int, ended_s: int, name: str = "door_unlock") -> tuple[CommandView, Vehicle]:
    of = vehicle(number)
    steps = (Step(Stands.REQUESTED, 0), Step(Stands.EXPIRED, NOW_US - ended_s * SECOND, "offline"))
    view = CommandView(f"{number:04}{ended_s:08}", of.token, name, {}, "o", "k", 0, steps)
    return view, of

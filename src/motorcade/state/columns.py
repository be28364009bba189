"""A whole fleet at one instant, as columns by slot, and the state of each car. Decides, reads no
clock.

One state per car, the first that fits: **alarm** (its own supervision says so: sentry mode panics,
the battery or its interlock reports a fault, a tyre is flat), **silent** (nothing received for too
long), **updating**, **charging**, **moving**, **idle** (in gear, standing), **parked**.

How long is too long depends on what the car did last: one that drove or charged tells at least each
minute, one that rests may sleep for hours. A car that never sent telemetry is silent.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from motorcade.config import DashboardConfig
from motorcade.signals.catalogue import BY_NAME, HOT_IDS
from motorcade.state.kernels import (
    CHARGE_ON,
    CHARGE_STARTING,
    GEAR_NONE,
    GEAR_PARK,
    judge_fleet,
)
from motorcade.state.port import FleetColumns

STATES: Final = ("moving", "idle", "parked", "charging", "updating", "silent", "alarm")
ALARM, SILENT = STATES.index("alarm"), STATES.index("silent")
ALARM_TEXTS: Final = {
    1: "sentry mode panics",
    2: "the battery reports a fault",
    4: "the high-voltage interlock reports a fault",
    8: "a tyre has lost its pressure",
}
"""What the bits of `FleetColumns.alarms` mean."""

_SIGNALS: Final = (  # in the order of the kernel's columns
    *("latitude", "longitude", "vehicle_speed", "gps_heading", "gear"),
    *("charge_state", "detailed_charge_state", "software_update_installation_percent_complete"),
    *("asleep", "sentry_mode", "bms_state", "hvil"),
    *(f"tpms_hard_warning_{place}" for place in ("front_left", "front_right")),
    *(f"tpms_hard_warning_{place}" for place in ("rear_left", "rear_right")),
)
_FIRST: Final = tuple(BY_NAME[name].id for name in _SIGNALS)
COLUMN_IDS: Final = (*_FIRST, *(hot for hot in HOT_IDS if hot not in _FIRST))
"""The hot signals by column of live state. Those that `gather_fleet` reads stand first: in a row of
416 bytes they lie on 2 or 3 lines of the cache, else on 6, and a look at 100,000 cars is a walk
through memory."""
STEP_SLOTS: Final = 4_096  # per hold of the gate: some 0.2 ms


_KINDS: Final = (
    *("f8", "f8", "i8", "f8", "i8", "f8", "i1", "i8", "i1", "f8", "?", "?", "u1", "i8", "i8"),
)


def empty_columns(count: int) -> tuple[npt.NDArray[np.generic], ...]:
    """Room for what `gather_fleet` writes: the columns from `latitude` to `version`."""
    return tuple(np.empty(count, kind) for kind in _KINDS)


def judged(
    token_high: npt.NDArray[np.uint64],
    token_low: npt.NDArray[np.uint64],
    gathered: tuple[npt.NDArray[np.generic], ...],
    now_us: int,
    config: DashboardConfig,
) -> FleetColumns:
    """The fleet with the state of each car as of `now_us`."""
    states = np.empty(len(token_high), np.uint8)
    speed, speed_us, gear, gear_us, charge, installed, asleep = (
        gathered[index] for index in (3, 4, 6, 7, 8, 9, 10)
    )
    alarms, received = gathered[12], gathered[13]
    judge_fleet(
        (speed, speed_us, gear, gear_us, charge, installed, asleep, alarms, received),
        now_us,
        config.moving_speed_mps,
        int(config.silent_s * 1e6),
        int(config.silent_resting_s * 1e6),
        states,
    )
    columns: tuple[Any, ...] = (token_high, token_low, *gathered, states, now_us)
    return FleetColumns(*columns)


def rested(fleet: FleetColumns, moving_speed_mps: float) -> npt.NDArray[np.bool_]:
    """Whether each car neither drove nor charged when it was last heard: `judge_fleet`'s rule."""
    in_park = (fleet.gear == GEAR_PARK) & (fleet.gear_us >= fleet.speed_us)
    moves = (fleet.speed_mps > moving_speed_mps) & ~in_park
    in_gear = (fleet.gear > GEAR_PARK) & (fleet.gear < GEAR_NONE)
    charges = (fleet.charge_state == CHARGE_STARTING) | (fleet.charge_state == CHARGE_ON)
    rests: npt.NDArray[np.bool_] = fleet.asleep | ~(moves | in_gear | charges)
    return rests

"""How often an app may ask about one vehicle, command it, wake it. No IO, no clock.

Each allowance refills steadily (the generic cell rate algorithm, ITU-T I.371 annex A): a minute's
worth at once, then one each `60 s / n`, so no window of any length passes more than its share and a
minute's worth. Kept is one number per app, vehicle and kind.
"""

from enum import Enum
from typing import Final, NamedTuple

from motorcade.config import RatesConfig

PERIOD_US: Final = 60_000_000
_SECOND_US: Final = 1_000_000


class Pace(Enum):
    """What is counted apart."""

    DATA = "data"
    COMMAND = "commands"
    WAKE = "wakes"
    REGISTRATION = "registrations"  # of no vehicle: of the app itself


class Allowance(NamedTuple):
    """What became of one request, and what is left. All 0 where nothing is limited."""

    retry_s: int  # 0: let pass; else refused, and the same would pass then
    limit: int  # in a minute
    remaining: int  # at once, from now
    reset_s: int  # until the whole limit is there again


class Rates:
    """Counts. One per process: it is used on its loop only."""

    def __init__(self, config: RatesConfig) -> None:
        self._limits = {
            Pace.DATA: config.data_per_minute,
            Pace.COMMAND: config.commands_per_minute,
            Pace.WAKE: config.wakes_per_minute,
            Pace.REGISTRATION: config.registrations_per_minute,
        }
        self._entries_max = config.entries_max
        self._full_us: dict[tuple[str, str, Pace], float] = {}  # when all is there again

    def take(self, app: str, token: str, pace: Pace, now_us: int) -> Allowance:
        """Count one request for the vehicle or site of this token, or for none ("").

        One too many costs nothing.
        """
        limit = self._limits[pace]
        if not limit:
            return Allowance(0, 0, 0, 0)
        key = (app, token, pace)
        interval_us = PERIOD_US / limit
        owed_us = max(self._full_us.pop(key, 0.0) - now_us, 0.0)
        retry_us = owed_us + interval_us - PERIOD_US
        refused = retry_us > 0.5  # less is the rounding of thirds of a microsecond
        if not refused:
            owed_us += interval_us
        if len(self._full_us) >= self._entries_max:
            del self._full_us[next(iter(self._full_us))]  # the one not asked for longest
        self._full_us[key] = now_us + owed_us
        remaining = int((PERIOD_US - owed_us) / interval_us + 1e-6)
        retry_s = _whole_s(retry_us) if refused else 0
        return Allowance(retry_s, limit, remaining, _whole_s(owed_us))

    def __len__(self) -> int:
        return len(self._full_us)


def _whole_s(duration_us: float) -> int:
    return int(-(-duration_us // _SECOND_US))

"""A past instant in place of the live fleet, for one page: still, or played on.

Each replay has a picture of its own, made in a thread that live viewers do not use. Its rows stand
by the slots of live state, so a car has one number whatever instant is shown.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from motorcade.api.window.picture import FleetSource, Picture
from motorcade.api.window.views import ViewError
from motorcade.clock import Clock
from motorcade.events import VehicleToken, unpack_token
from motorcade.state.columns import SILENT
from motorcade.state.port import FleetColumns, Mode, Past, PastView

SPEED_MAX: Final = 60.0
DRAG_S: Final = 0.15  # somebody who drags the timeline asks for many instants: the last one counts
SETTLE_US: Final = 2_000_000  # playing stops so long before now: nothing is waited for
INSTANT_US_MAX: Final = 253_402_300_799 * 1_000_000  # the last second of the year 9999
_BLANK: Final = {
    **dict.fromkeys(("latitude", "longitude", "speed_mps", "heading_deg"), np.nan),
    "installed_percent": np.nan,
    **dict.fromkeys(("gear", "charge_state"), -1),
    "state": SILENT,
}
"""What stands in a row of a car that had not sent anything yet; 0 in other columns."""


class AtAsked(msgspec.Struct, frozen=True):
    """`at` of the protocol."""

    at_us: int | None = None
    mode: Mode = Mode.ARRIVED
    speed: float = 0.0

    def checked(self) -> "AtAsked":
        """Raises `ViewError`."""
        if self.at_us is not None and not 0 <= self.at_us <= INSTANT_US_MAX:
            raise ViewError("at_us: microseconds since 1970, or null for live")
        if not (math.isfinite(self.speed) and 0 <= self.speed <= SPEED_MAX):
            raise ViewError(f"speed: from 0 (still) to {SPEED_MAX:g} times")
        return self


class AlignedPast:
    """The fleet of a past instant by the slots of live state: what a `Picture` looks at."""

    def __init__(self, live: FleetSource, past: PastView) -> None:
        self._live, self._past = live, past
        self._slots: npt.NDArray[np.int64] = np.zeros(0, np.int64)  # live, by slot of the past
        self._epoch = -1

    def epoch(self) -> int:
        """Of live state: its slots count."""
        return self._live.epoch()

    def slot(self, token: VehicleToken) -> int:
        """As live state has it."""
        return self._live.slot(token)

    def fleet(self, at_us: int) -> FleetColumns:
        """As `LiveState.fleet`; who had not sent anything yet is silent and nowhere."""
        epoch, live, then = self._live.epoch(), self._live.fleet(at_us), self._past.fleet(at_us)
        if epoch != self._epoch:
            self._epoch, self._slots = epoch, np.zeros(0, np.int64)
        self._place(live, then)
        had = self._slots >= 0
        columns: tuple[Any, ...] = live.token_high, live.token_low
        for name in FleetColumns.__dataclass_fields__:
            if name in ("token_high", "token_low", "at_us"):
                continue
            told = getattr(then, name)
            column = np.full(len(live), _BLANK.get(name, 0), told.dtype)
            column[self._slots[had]] = told[had]
            columns += (column,)
        columns += (at_us,)
        return FleetColumns(*columns)

    def _place(self, live: FleetColumns, then: FleetColumns) -> None:
        """Find the live slots of those of the past that are new; mostly they are the same."""
        first, end = len(self._slots), len(then)
        slots = np.arange(first, end)
        both = min(end, len(live))
        same = np.zeros(end - first, np.bool_)
        if both > first:
            same[: both - first] = (then.token_high[first:both] == live.token_high[first:both]) & (
                then.token_low[first:both] == live.token_low[first:both]
            )
        for place in np.flatnonzero(~same).tolist():
            high, low = int(then.token_high[first + place]), int(then.token_low[first + place])
            slot = self._live.slot(unpack_token(high, low))
            slots[place] = slot if slot < len(live) else -1
        self._slots = np.concatenate((self._slots, slots))


def past_picture(live: Picture, past: PastView) -> Picture:
    """A picture of a past instant, by the registry and the zones of today."""
    return Picture(AlignedPast(live.state, past), live.registry, live.privacy)


@dataclass(slots=True)
class Replay:
    """What a page shows instead of the live fleet; `run` is its task."""

    asked: AtAsked
    live: Picture
    past: Past
    clock: Clock
    show: Callable[[Picture, int], Awaitable[bool]]
    """Take the picture as of the instant, send what the page lacks of it; whether it was cars."""
    rest: Callable[[bool], Awaitable[None]]
    """Until the next picture is wanted; told whether the last one may have left something over."""

    def __post_init__(self) -> None:
        assert self.asked.at_us is not None  # null is no replay

    async def run(self) -> None:
        """Until it is cancelled.

        Raises:
            PastError: the instant cannot be shown; the text says why.
        """
        asked, at_us = self.asked, self.asked.at_us or 0
        await asyncio.sleep(DRAG_S)
        plays = asked.speed > 0
        opened = await asyncio.wrap_future(self.past.submit(at_us, asked.mode, own=plays))
        picture = past_picture(self.live, opened)
        begun_s = self.clock.monotonic_s()
        while True:
            await self.rest(await self.show(picture, opened.at_us))
            if not plays:
                continue
            passed_us = round((self.clock.monotonic_s() - begun_s) * asked.speed * 1e6)
            to_us = min(at_us + passed_us, self.clock.now_us() - SETTLE_US)
            if to_us > opened.at_us:
                moved = await asyncio.wrap_future(self.past.submit_advance(opened, to_us))
                if moved is not opened:  # as-corrected reads on from time to time
                    opened, picture = moved, past_picture(self.live, moved)

"""All open streams of pages: one look at the fleet per tick for all of them, and how they end.

The looking and the making of frames run in one thread of their own, so neither holds up a command
(P6). A viewer whose page has not taken its last frame gets none until it has: nothing is kept up.
"""

import asyncio
import contextlib
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from typing import Any, Final

import msgspec
import structlog

from motorcade.api.window.picture import Looker, Picture
from motorcade.api.window.views import View, Viewer
from motorcade.clock import Clock
from motorcade.config import DashboardConfig
from motorcade.registry.errors import RegistryError

COUNTS_S: Final = 1.0  # counts are told at most so often
_JSON: Final = msgspec.json.Encoder()
_log = structlog.get_logger()


class Close(IntEnum):
    """Close codes of the stream."""

    GOING_AWAY = 1001
    MISUSED = 1008
    FULL = 1013
    ENDED = 4401  # the token is over or was revoked
    REFUSED = 4403


class Seat:
    """One connection's place. On the loop but for `viewer`, which the ticker's thread uses."""

    def __init__(self, viewer: Viewer, rate_hz: float) -> None:
        self.viewer = viewer
        self.rate_hz = rate_hz
        self.due_s = 0.0
        self.counts_due_s = 0.0
        self.made_s = -math.inf  # when its last frames were made
        self.end: tuple[Close, str] | None = None
        self.waiting: list[bytes | str] = []  # made, not yet taken
        self._wake = asyncio.Event()

    def finish(self, code: Close, reason: str) -> None:
        """End it; the first reason counts."""
        if self.end is None:
            self.end = code, reason
            self._wake.set()

    def put(self, frames: list[bytes | str]) -> None:
        self.waiting += frames
        self._wake.set()

    async def take(self) -> list[bytes | str]:
        """What to send; none: the connection is to be closed, `end` says why."""
        while not self.waiting and self.end is None:
            self._wake.clear()
            await self._wake.wait()
        return [] if self.end is not None else list(self.waiting)

    def sent(self) -> None:
        """What was taken is on its way."""
        self.waiting.clear()

    @property
    def ready(self) -> bool:
        """Whether its page has taken what there was."""
        return not self.waiting and self.end is None


class Viewers:
    """See the module. On the loop."""

    def __init__(self, picture: Picture, clock: Clock, config: DashboardConfig) -> None:
        self._picture, self._clock, self._config = picture, clock, config
        self._seats: set[Seat] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fleet")
        self._ticking: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self.closing = False
        self.ticks = 0

    @property
    def open(self) -> int:
        return len(self._seats)

    @property
    def full(self) -> bool:
        return len(self._seats) >= self._config.viewers_max

    @contextlib.contextmanager
    def seat(self, looker: Looker, *, by_vin: bool) -> Iterator[Seat]:
        """A place while the block runs; the ticker runs while anybody sits."""
        seat = Seat(Viewer(looker, self._config, by_vin), self._config.rate_default_hz)
        self._seats.add(seat)
        if self.closing:
            seat.finish(Close.GOING_AWAY, "the server is shutting down; connect again")
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._run())
        self._hurry.set()
        try:
            yield seat
        finally:
            self._seats.discard(seat)

    def look(self, seat: Seat, view: View, rate_hz: float) -> None:
        """This page looks at something else now: it is shown it soon.

        No sooner than the highest rate allows: one that never rests would take everybody's thread.
        """
        seat.viewer.view = view
        if rate_hz > 0:
            seat.rate_hz = min(max(rate_hz, 0.1), self._config.rate_max_hz)
        soon_s = seat.made_s + 1 / self._config.rate_max_hz
        seat.due_s = min(seat.due_s, soon_s)
        seat.counts_due_s = min(seat.counts_due_s, soon_s)
        self._hurry.set()

    async def epoch(self) -> int:
        """The picture's epoch, once there is a picture."""
        if self._picture.columns is None:
            await self.read(lambda picture: None)
        return self._picture.epoch

    async def read(self, question: Any, age_s_max: float = 0.5) -> Any:
        """Ask the picture something, in its thread, at most so old."""

        def ask() -> Any:
            columns, now_us = self._picture.columns, self._clock.now_us()
            if columns is None or now_us - columns.at_us > age_s_max * 1e6:
                self._picture.take(now_us)
            return question(self._picture)

        return await asyncio.get_running_loop().run_in_executor(self._thread, ask)

    def close(self) -> None:
        """Have every page hear that the server stops."""
        self.closing = True
        for seat in self._seats:
            seat.finish(Close.GOING_AWAY, "the server is shutting down; connect again")
        if self._ticking is not None:
            self._ticking.cancel()
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        looked_s = 0.0
        while self._seats:
            now_s = self._clock.monotonic_s()
            ready = [seat for seat in self._seats if seat.ready]
            due = [seat for seat in ready if seat.due_s <= now_s]
            if due:
                fresh = now_s - looked_s >= 0.9 / self._config.rate_max_hz
                looked_s = now_s if fresh else looked_s
                told = await loop.run_in_executor(self._thread, self._make, due, now_s, fresh)
                for seat, frames in told:
                    if frames:
                        seat.put(frames)
                self.ticks += 1
            await self._rest(now_s)

    async def _rest(self, now_s: float) -> None:
        """Until somebody is due or hurries; a slow page is looked at again with its next turn."""
        next_s = min((seat.due_s for seat in self._seats), default=now_s)
        wait_s = max(next_s - self._clock.monotonic_s(), 0.02)
        self._hurry.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), wait_s)

    def _make(
        self, due: list[Seat], now_s: float, fresh: bool
    ) -> list[tuple[Seat, list[bytes | str]]]:
        """In the thread: a look at the fleet, and the frames of who is due."""
        if fresh or self._picture.columns is None:
            try:
                self._picture.take(self._clock.now_us())
            except RegistryError as error:  # they see what there was; next time it is asked again
                _log.warning("fleet_not_read", error=str(error))
        return [(seat, self._frames(seat, now_s)) for seat in due]

    def _frames(self, seat: Seat, now_s: float) -> list[bytes | str]:
        since_s = min(now_s - seat.made_s, 1 / seat.rate_hz)
        seat.made_s, seat.due_s = now_s, now_s + 1 / seat.rate_hz
        room_bytes = int(self._config.viewer_bytes_per_s_max * since_s)
        frames: list[bytes | str] = []
        if now_s >= seat.counts_due_s:
            seat.counts_due_s = now_s + COUNTS_S
            counts = seat.viewer.counts(self._picture)
            if counts is not None:
                frames.append(_JSON.encode(counts).decode())
        frame = seat.viewer.frame(self._picture, room_bytes)
        if frame is not None:
            frames.append(frame)
        return frames

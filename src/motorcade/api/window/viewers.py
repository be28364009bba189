"""All open streams of pages: one look at the fleet per tick for all of them, and how they end.

The looking and the making of frames run in one thread of their own, so neither holds up a command
(P6). Viewers of one rate are due together, so that the fleet is looked at as often as one of them
is shown it; they are served a few at a time, between which the loop does other things. A viewer
whose page has not taken its last frame gets none until it has: nothing is kept up.
"""

import asyncio
import contextlib
import math
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from functools import partial
from typing import Any, Final

import msgspec
import structlog

from motorcade.api.window.picture import Looker, Picture
from motorcade.api.window.replay import AtAsked, Replay, past_picture
from motorcade.api.window.views import View, Viewer
from motorcade.clock import Clock
from motorcade.config import DashboardConfig
from motorcade.registry.errors import RegistryError
from motorcade.state.errors import PastError
from motorcade.state.port import Past, PastView

COUNTS_S: Final = 1.0  # counts are told at most so often
AT_ONCE: Final = 16  # frames that go to the loop together: sending so many takes some milliseconds
_JSON: Final = msgspec.json.Encoder()
_log = structlog.get_logger()


class Close(IntEnum):
    """Close codes of the stream."""

    GOING_AWAY = 1001
    MISUSED = 1008
    FAILED = 1011
    FULL = 1013
    ENDED = 4401  # the token is over or was revoked
    REFUSED = 4403


class Seat:
    """One connection's place. On the loop but for `viewer`, which threads use, under `lock`."""

    def __init__(self, viewer: Viewer, rate_hz: float) -> None:
        self.viewer = viewer
        self.rate_hz = rate_hz
        self.due_s = 0.0
        self.counts_due_s = 0.0
        self.made_s = -math.inf  # when its last frames were made
        self.end: tuple[Close, str] | None = None
        self.waiting: list[bytes | str] = []  # made, not yet taken
        self.lock = threading.Lock()
        self.shown: Picture | None = None  # what the page's cars are of
        self.replay: asyncio.Task[None] | None = None  # makes its frames in place of the ticker
        self.looked = asyncio.Event()  # its page looks elsewhere since that was cleared
        self._taken = asyncio.Event()
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
        self._taken.set()

    async def until_ready(self) -> None:
        """Wait until its page has taken what there was."""
        while not self.ready:
            self._taken.clear()
            await self._taken.wait()

    @property
    def ready(self) -> bool:
        """Whether its page has taken what there was."""
        return not self.waiting and self.end is None


class Viewers:
    """See the module. On the loop."""

    def __init__(
        self, picture: Picture, past: Past | None, clock: Clock, config: DashboardConfig
    ) -> None:
        self._picture, self._clock, self._config = picture, clock, config
        self.past = past
        self._seats: set[Seat] = set()
        self._guests: Counter[int] = Counter()  # by shared link
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fleet")
        self._past_thread = ThreadPoolExecutor(1, thread_name_prefix="fleet-past")
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

    def is_crowded(self, share_id: int) -> bool:
        """Whether as many watch by this shared link as may: it may be known to everybody."""
        return self._guests[share_id] >= self._config.share_viewers_max

    @contextlib.contextmanager
    def seat(self, looker: Looker, *, by_vin: bool, share_id: int = 0) -> Iterator[Seat]:
        """A place while the block runs; the ticker runs while anybody sits. `share_id`: of the
        shared link by which they watch."""
        with self._guest(share_id), self._seat(looker, by_vin) as seat:
            yield seat

    @contextlib.contextmanager
    def _guest(self, share_id: int) -> Iterator[None]:
        if not share_id:
            yield
            return
        self._guests[share_id] += 1
        try:
            yield
        finally:
            self._guests[share_id] -= 1
            if not self._guests[share_id]:
                del self._guests[share_id]

    @contextlib.contextmanager
    def _seat(self, looker: Looker, by_vin: bool) -> Iterator[Seat]:
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
            self._hurry.set()
            if seat.replay is not None:
                seat.replay.cancel()

    def look(self, seat: Seat, view: View, rate_hz: float) -> None:
        """This page looks at something else now: it is shown it soon.

        No sooner than the highest rate allows: one that never rests would take everybody's thread.
        """
        first = seat.viewer.view is None
        seat.viewer.view = view
        if rate_hz > 0:
            seat.rate_hz = min(max(rate_hz, 0.1), self._config.rate_max_hz)
        soon_s = seat.made_s + (0.0 if first else 1 / self._config.rate_max_hz)
        seat.due_s = min(seat.due_s, soon_s)
        seat.counts_due_s = min(seat.counts_due_s, soon_s)
        seat.looked.set()
        self._hurry.set()

    def travel(self, seat: Seat, asked: AtAsked) -> None:
        """This page is shown another instant now, or live again."""
        if seat.replay is not None:
            seat.replay.cancel()
            seat.replay = None
        if asked.at_us is not None:
            seat.replay = asyncio.create_task(self._replay(seat, asked))
        self._hurry.set()

    async def _replay(self, seat: Seat, asked: AtAsked) -> None:
        try:
            if self.past is None:
                raise PastError("this server keeps no past")
            show, rest = partial(self._show, seat, asked), partial(self._pause, seat, asked)
            await Replay(asked, self._picture, self.past, self._clock, show, rest).run()
        except PastError as error:
            problem = {"type": "problem", "code": "at", "text": str(error)}
            seat.put([_JSON.encode(problem).decode()])
        except Exception:  # whatever it is: a page that waits for nothing must not look alive
            _log.exception("replay_failed")
            seat.finish(Close.FAILED, "the replay failed; connect again")

    async def _show(self, seat: Seat, asked: AtAsked, picture: Picture, at_us: int) -> bool:
        """Send what the page lacks of this instant; whether it was cars."""
        seat.looked.clear()

        def make() -> list[bytes | str]:
            try:
                picture.take(at_us)
            except RegistryError as error:
                _log.warning("fleet_not_read", error=str(error))
            if asked.speed > 0:
                seat.viewer.tell_counts()
            return self._frames(seat, picture, self._clock.monotonic_s())

        loop = asyncio.get_running_loop()
        frames = await loop.run_in_executor(self._past_thread, make)
        if frames:
            seat.put(frames)
        return any(isinstance(frame, bytes) for frame in frames)

    async def _pause(self, seat: Seat, asked: AtAsked, more: bool) -> None:
        """Until the next picture of a replay is wanted, and the page has taken the last one."""
        plays = asked.speed > 0
        await asyncio.sleep(1 / (seat.rate_hz if plays else self._config.rate_max_hz))
        await seat.until_ready()
        if not plays and not more:
            await seat.looked.wait()

    async def first_look(self, looker: Looker) -> tuple[int, list[float] | None]:
        """The picture's epoch, and where what they see is, once there is a picture."""

        def ask(picture: Picture) -> tuple[int, list[float] | None]:
            return picture.epoch, picture.extent(looker)

        try:
            told: tuple[int, list[float] | None] = await self.read(ask)
        except RegistryError as error:  # what owners keep back now is not known: no place is told
            _log.warning("fleet_not_read", error=str(error))
            told = await self.read(lambda picture: (picture.epoch, None), math.inf)
        return told

    async def read(self, question: Any, age_s_max: float = 0.5) -> Any:
        """Ask the picture something, in its thread, at most so old."""

        def ask() -> Any:
            columns, now_us = self._picture.columns, self._clock.now_us()
            if columns is None or now_us - columns.at_us > age_s_max * 1e6:
                self._picture.take(now_us)
            return question(self._picture)

        return await asyncio.get_running_loop().run_in_executor(self._thread, ask)

    async def read_past(self, past: PastView, question: Any) -> Any:
        """Ask the picture of a past instant something, in a thread."""
        picture = past_picture(self._picture, past)

        def ask() -> Any:
            picture.take(past.at_us)
            return question(picture)

        return await asyncio.get_running_loop().run_in_executor(self._past_thread, ask)

    def close(self) -> None:
        """Have every page hear that the server stops."""
        self.closing = True
        for seat in self._seats:
            seat.finish(Close.GOING_AWAY, "the server is shutting down; connect again")
            if seat.replay is not None:
                seat.replay.cancel()
        if self._ticking is not None:
            self._ticking.cancel()
        for thread in (self._thread, self._past_thread):
            thread.shutdown(wait=False)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        looked_s = 0.0
        while self._seats:
            now_s = self._clock.monotonic_s()
            ready = [seat for seat in self._seats if seat.ready and seat.replay is None]
            due = [seat for seat in ready if seat.due_s <= now_s]
            if due:
                if now_s - looked_s >= 0.9 / max(seat.rate_hz for seat in ready):
                    looked_s = now_s
                    await loop.run_in_executor(self._thread, self._look)
                for first in range(0, len(due), AT_ONCE):
                    some = due[first : first + AT_ONCE]
                    told = await loop.run_in_executor(self._thread, self._make, some, now_s)
                    for seat, frames in told:
                        if frames:
                            seat.put(frames)
                self.ticks += 1
            await self._rest(now_s)

    async def _rest(self, now_s: float) -> None:
        """Until somebody is due or hurries; a slow page is looked at again with its next turn."""
        live = [seat.due_s for seat in self._seats if seat.replay is None]
        wait_s = max(min(live) - self._clock.monotonic_s(), 0.02) if live else None
        self._hurry.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), wait_s)

    def _look(self) -> None:
        """In the thread: a look at the fleet."""
        try:
            self._picture.take(self._clock.now_us())
        except RegistryError as error:  # they see what there was; next time it is asked again
            _log.warning("fleet_not_read", error=str(error))

    def _make(self, due: list[Seat], now_s: float) -> list[tuple[Seat, list[bytes | str]]]:
        """In the thread: the frames of who is due."""
        return [(seat, self._frames(seat, self._picture, now_s)) for seat in due]

    def _frames(self, seat: Seat, picture: Picture, now_s: float) -> list[bytes | str]:
        with seat.lock:
            if seat.shown is not picture:
                seat.shown = picture
                seat.viewer.restart()
                seat.counts_due_s = now_s
            return self._made(seat, picture, now_s)

    def _made(self, seat: Seat, picture: Picture, now_s: float) -> list[bytes | str]:
        since_s = min(now_s - seat.made_s, 1 / seat.rate_hz)
        seat.made_s, seat.due_s = now_s, (math.floor(now_s * seat.rate_hz) + 1) / seat.rate_hz
        room_bytes = int(self._config.viewer_bytes_per_s_max * since_s)
        frames: list[bytes | str] = []
        if now_s >= seat.counts_due_s:
            seat.counts_due_s = now_s + COUNTS_S
            counts = seat.viewer.counts(picture)
            if counts is not None:
                frames.append(_JSON.encode(counts).decode())
        frame = seat.viewer.frame(picture, room_bytes)
        if frame is not None:
            frames.append(frame)
        return frames

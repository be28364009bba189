"""Past instants, opened: how many at once, for how long, and which stay open for others to read.

What a past instant shows decides `replaying.py`.
"""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.state.errors import PastBusyError, PastInstantError, PastTimeoutError
from motorcade.state.follower import Deduplicator
from motorcade.state.kept import KeptSnapshots
from motorcade.state.merging import LaneLog
from motorcade.state.port import Mode
from motorcade.state.replaying import PastState, Replays, iso

_WAIT_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class _Opened:
    state: PastState
    made_us: int


class Past:
    """Opens past instants. Thread-safe; `open` and `advance` block, for at most `open_s_max`."""

    def __init__(
        self,
        config: Config,
        log: LaneLog,
        kept: KeptSnapshots,
        make_dedup: Callable[[], Deduplicator],
        clock: Clock,
    ) -> None:
        self._limits = config.past
        self._replays, self._clock = Replays(config, log, kept, make_dedup, clock), clock
        self._lock = threading.Lock()
        self._opened: OrderedDict[tuple[int, Mode], _Opened] = OrderedDict()
        self._owned: weakref.WeakSet[PastState] = weakref.WeakSet()
        self._opening = threading.Semaphore(self._limits.replays_max)
        self._moving = threading.Semaphore(self._limits.replays_max)
        self._waiting = 0
        self._closing = threading.Event()
        self._openers = ThreadPoolExecutor(self._limits.replays_max, "past-open")
        self._movers = ThreadPoolExecutor(self._limits.replays_max, "past-move")
        self._submitted = 0

    def close(self) -> None:
        """End what is under way."""
        self._closing.set()
        for pool in (self._openers, self._movers):
            pool.shutdown(wait=True, cancel_futures=True)

    def submit(
        self, at_us: int, mode: Mode = Mode.ARRIVED, *, own: bool = False
    ) -> "Future[PastState]":
        """`open` on a thread of this object's. Raises `PastBusyError` when too many wait."""
        found = None if own else self._find(at_us, mode)
        if found is not None:
            done: Future[PastState] = Future()
            done.set_result(found)
            return done
        return self._submit(self._openers, lambda: self.open(at_us, mode, own=own))

    def submit_advance(self, opened: PastState, to_us: int) -> "Future[PastState]":
        """`advance` on a thread of this object's. Raises `PastBusyError` when too many wait."""
        return self._submit(self._movers, lambda: self.advance(opened, to_us))

    def _submit(
        self, pool: ThreadPoolExecutor, work: Callable[[], PastState]
    ) -> "Future[PastState]":
        with self._lock:
            self._demand_patience(self._submitted)
            self._submitted += 1
        future = pool.submit(work)
        future.add_done_callback(lambda _: self._submitted_ended())
        return future

    def _submitted_ended(self) -> None:
        with self._lock:
            self._submitted -= 1

    def _demand_patience(self, waiting: int) -> None:
        if waiting >= self._limits.waiting_max:
            raise PastBusyError(
                f"{waiting} past instants wait to be opened (past.waiting_max): try again"
            )

    def open(self, at_us: int, mode: Mode = Mode.ARRIVED, *, own: bool = False) -> PastState:
        """The state of `at_us` (µs, UTC). Others may read the same one, so it never changes.

        With `own` it is the caller's alone, to be moved on by `advance`.

        Raises:
            PastInstantError: it lies ahead of now, or before what is kept.
            PastBusyError: too many are being opened, or are played.
            PastTimeoutError: the replay takes too long.
            PastError: the disk failed.
        """
        deadline_s = self._clock.monotonic_s() + self._limits.open_s_max
        found = None if own else self._find(at_us, mode)
        if found is not None:
            return found
        if at_us > self._clock.now_us():
            raise PastInstantError(f"{iso(at_us)} is still ahead: ask for an instant that has been")
        with self._turn(self._opening, deadline_s):
            found = None if own else self._find(at_us, mode)
            if found is not None:
                return found
            self._settle(at_us, deadline_s)
            self._make_room(own=own)
            now_us = self._clock.now_us()
            state = self._replays.open(at_us, mode, lambda: self._check(deadline_s), own=own)
            self._keep(state, now_us, own=own)
        return state

    def advance(self, opened: PastState, to_us: int) -> PastState:
        """The state of `to_us`, later than `opened`'s instant, as the caller's own.

        A state that is the caller's own is moved and given back, by the records in between alone;
        else, and where as-corrected has read no further ahead, it is opened anew.

        Raises:
            ValueError: `to_us` is earlier.
            PastError: as `open` does; the state is of no use any more.
        """
        if to_us < opened.at_us:
            raise ValueError(f"{iso(to_us)} is before {iso(opened.at_us)}: open it instead")
        if not opened.reaches(to_us):
            return self.open(to_us, opened.mode, own=True)
        if to_us > self._clock.now_us():
            raise PastInstantError(f"{iso(to_us)} is still ahead: ask for an instant that has been")
        deadline_s = self._clock.monotonic_s() + self._limits.open_s_max
        with self._turn(self._moving, deadline_s):
            self._settle(to_us, deadline_s)
            self._replays.go_on(opened, to_us, lambda: self._check(deadline_s))
        return opened

    # Who may, and what is open.

    @contextmanager
    def _turn(self, semaphore: threading.Semaphore, deadline_s: float) -> Iterator[None]:
        with self._lock:
            self._demand_patience(self._waiting)
            self._waiting += 1
        try:
            had = semaphore.acquire(timeout=max(0.0, deadline_s - self._clock.monotonic_s()))
        finally:
            with self._lock:
                self._waiting -= 1
        if not had:
            raise PastBusyError("other past instants are being opened: try again")
        try:
            yield
        finally:
            semaphore.release()

    def _settle(self, at_us: int, deadline_s: float) -> None:
        """Wait until what was received by then is surely in the log."""
        settle_us = round(self._limits.settle_s * 1e6)
        while self._clock.now_us() < at_us + settle_us:
            if self._closing.wait(_WAIT_S):
                raise PastBusyError("the server is stopping: try again")
            self._check(deadline_s)

    def _find(self, at_us: int, mode: Mode) -> PastState | None:
        now_us = self._clock.now_us()
        recheck_us = round(self._limits.recheck_s * 1e6)
        with self._lock:
            opened = self._opened.get((at_us, mode))
            if opened is None:
                return None
            is_final = mode is Mode.ARRIVED and opened.made_us >= at_us + recheck_us
            if not is_final and now_us - opened.made_us > recheck_us:
                del self._opened[at_us, mode]
                return None
            self._opened.move_to_end((at_us, mode))
            return opened.state

    def _make_room(self, *, own: bool) -> None:
        """Before another is opened: so that there are never more than so many."""
        limits = self._limits
        with self._lock:
            if own and len(self._owned) >= limits.opened_max:
                raise PastBusyError(
                    f"{len(self._owned)} play past times already (past.opened_max): try again later"
                )
            while self._opened and len(self._opened) + len(self._owned) >= limits.opened_max:
                self._opened.popitem(last=False)

    def _keep(self, state: PastState, made_us: int, *, own: bool) -> None:
        limits = self._limits
        with self._lock:
            if own:
                self._owned.add(state)
            else:
                self._opened[state.at_us, state.mode] = _Opened(state, made_us)
            states = [*self._owned, *(opened.state for opened in self._opened.values())]
            total = sum(each.allocated_bytes for each in states)
            while total > limits.opened_bytes_max and len(self._opened) > (0 if own else 1):
                _, gone = self._opened.popitem(last=False)
                total -= gone.state.allocated_bytes

    def _check(self, deadline_s: float) -> None:
        if self._clock.monotonic_s() > deadline_s:
            raise PastTimeoutError(
                f"opening takes longer than {self._limits.open_s_max:g} s (past.open_s_max): ask "
                "for an instant soon after a kept snapshot, or keep them more often (past.keep_s)"
            )
        if self._closing.is_set():
            raise PastBusyError("the server is stopping: try again")

"""Live state replayed to a past instant, from a kept snapshot and the log (decision 0033).

Two modes. **As-arrived** is what live state showed at T: every record that had arrived by then
(`merging.py` says what that means of several writers), and none that came later. **As-corrected**
is what is known now of T: every sample of that time or earlier, whenever it arrived; and presence
as it was told by then, because who tells it is never late.

Either starts from the newest kept snapshot that holds nothing of later, replays what is missing
through the same duplicates' filter, decoder and cells as live state has, and so gives the same.
How many may, for how long, and what stays open: `past.py`.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import structlog

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.events import RecordBatch, Topic
from motorcade.log.errors import CursorError, LogError
from motorcade.log.port import Cursor, Edge, Start
from motorcade.state.embedded import EmbeddedLiveState
from motorcade.state.errors import PastError, PastInstantError
from motorcade.state.follower import TOPICS, Deduplicator
from motorcade.state.kept import Content, Kept, KeptSnapshots
from motorcade.state.merging import BEFORE, LaneLog, LanePlace, Merging, Part
from motorcade.state.port import Mode
from motorcade.state.tape import Coming, Tape

EVER: Final = (1 << 63) - 1
Check = Callable[[], None]
"""Called now and then while the log is read; what it raises ends the replay."""

logger = structlog.get_logger(__name__)


class PastState(EmbeddedLiveState):
    """A state of `at_us`, in one of the modes. It stays as it is, unless its owner moves it."""

    def __init__(self, config: Config, mode: Mode, at_us: int, dedup: Deduplicator) -> None:
        super().__init__(config)
        self.mode, self.at_us = mode, at_us
        self.owned = False  # by one who plays on: see `Past.advance`
        self.dedup = dedup
        self.places: dict[str, LanePlace] = {}  # as-arrived goes on from there
        self.tape: Tape | None = None  # as-corrected takes from there
        self.records = 0  # replayed

    def reaches(self, to_us: int) -> bool:
        """Whether it can be moved there as it is, without another opening."""
        if not self.owned:
            return False
        return self.mode is Mode.ARRIVED or (self.tape is not None and to_us <= self.tape.until_us)

    @property
    def allocated_bytes(self) -> int:
        """With what it needs to go on."""
        tape_bytes = self.tape.allocated_bytes if self.tape is not None else 0
        dedup_bytes: int = getattr(self.dedup, "allocated_bytes", 0)
        return super().allocated_bytes + tape_bytes + dedup_bytes


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch of the log to read: from a kept snapshot on (`None`: its beginning)."""

    start: Kept | None
    until_us: int  # what arrived by then


def legs(base: Kept | None, later: Sequence[Kept], until_us: int) -> list[Leg]:
    """The stretches after `base` that may hold an event of `until_us` or before.

    `later`: the snapshots after it, in order. What comes after the last one is always read.
    """
    found: list[Leg] = []
    start, end_us, reading = base, BEFORE, True
    for entry in later:
        if entry.event_us_min <= until_us:
            reading = True
        elif base is None and entry is later[0]:
            reading = True  # nobody knows what the log held before the series
        else:
            if reading and end_us > BEFORE:
                found.append(Leg(start, end_us))
            start, reading = entry, False
        end_us = max(end_us, entry.received_us_max)
    found.append(Leg(start, EVER))
    return found


class Replays:
    """Makes past states and moves them on. Thread-safe; both block."""

    def __init__(
        self,
        config: Config,
        log: LaneLog,
        kept: KeptSnapshots,
        make_dedup: Callable[[], Deduplicator],
        clock: Clock,
    ) -> None:
        self._config, self._limits = config, config.past
        self._log, self._kept, self._make_dedup, self._clock = log, kept, make_dedup, clock

    def open(self, at_us: int, mode: Mode, check: Check, *, own: bool) -> PastState:
        """The state of `at_us` (µs, UTC); with `own` one that `go_on` can move.

        Raises:
            PastInstantError: it lies before what is kept.
            PastError: the disk failed.
        """
        try:
            return self._open(at_us, mode, check, own)
        except (CursorError, FileNotFoundError) as error:
            raise self._too_early(at_us) from error
        except LogError as error:
            raise PastError(f"{iso(at_us)} cannot be read: {error}") from error

    def go_on(self, state: PastState, to_us: int, check: Check) -> None:
        """Move an own state to a later instant, which its tape reaches, if it has one.

        Raises:
            PastError: the disk failed; the state is of no use any more.
        """
        if state.tape is not None:
            _play(state, state.tape, to_us)
        else:
            try:
                self._replay_arrived(state, Edge.EARLIEST, to_us, check)
            except LogError as error:
                raise PastError(f"{iso(to_us)} cannot be read: {error}") from error
        state.at_us = to_us

    def _open(self, at_us: int, mode: Mode, check: Check, own: bool) -> PastState:
        state = PastState(self._config, mode, at_us, self._make_dedup())
        state.owned = own
        entries = self._kept.entries()
        base = self._restore_base(state, entries, at_us)
        if base is None:
            self._demand_beginning(at_us)
        began_s = self._clock.monotonic_s()
        if mode is Mode.ARRIVED:
            start: Start = Cursor(base[1].cursor) if base is not None else Edge.EARLIEST
            self._replay_arrived(state, start, at_us, check)
        else:
            self._replay_corrected(state, base, entries, check)
        logger.info(
            "past_instant_opened",
            mode=mode.value,
            records=state.records,
            seconds=round(self._clock.monotonic_s() - began_s, 3),
        )
        return state

    def _restore_base(
        self, state: PastState, entries: Sequence[Kept], at_us: int
    ) -> tuple[Kept, Content] | None:
        """Become the newest kept snapshot that holds nothing of later than `at_us`."""
        for entry in reversed(entries):
            newest_us = entry.received_us_max
            if state.mode is Mode.CORRECTED:
                newest_us = max(newest_us, entry.event_us_max)
            content = self._kept.load(entry) if newest_us <= at_us else None
            if content is None:
                continue
            try:
                state.dedup.restore(content.dedup)
                state.restore(content.state)
            except (msgspec.MsgspecError, ValueError, LookupError) as error:
                logger.warning("kept_snapshot_of_other_version", error=str(error))
                state.dedup = self._make_dedup()
                state.restore(None)
                continue
            return entry, content
        return None

    def _demand_beginning(self, at_us: int) -> None:
        """Without a snapshot to start from, the log must hold all that ever came."""
        if not self._log.is_whole(TOPICS):
            raise self._too_early(at_us)
        merging = Merging(self._log, TOPICS, Edge.EARLIEST, self._clock.now_us())
        try:
            first_us = merging.first_us()
        finally:
            merging.close()
        if first_us is None:
            raise PastInstantError("the log is empty: nothing has been received yet")
        if at_us < first_us:
            raise PastInstantError(
                f"the log begins at {iso(first_us)}: ask for that instant or a later one"
            )

    def _too_early(self, at_us: int) -> PastInstantError:
        left = [entry.received_us_max for entry in self._kept.entries()]
        usable = left[bisect_right(left, at_us) :]
        text = f"; the next kept state is of {iso(usable[0])}" if usable else ""
        return PastInstantError(
            f"retention has removed what is needed for {iso(at_us)} from the log{text}: ask for a "
            "later instant"
        )

    def _replay_arrived(self, state: PastState, start: Start, until_us: int, check: Check) -> None:
        now_us = self._clock.now_us()
        merging = Merging(self._log, TOPICS, start, now_us, state.places)
        try:
            for part in merging.parts(until_us):
                check()
                fresh = _fresh(state, part)
                for batch, writer in _by_writer(fresh):
                    state.apply(batch, writer)
            state.places = merging.places
        finally:
            merging.close()

    def _replay_corrected(
        self,
        state: PastState,
        base: tuple[Kept, Content] | None,
        entries: Sequence[Kept],
        check: Check,
    ) -> None:
        limits, at_us = self._limits, state.at_us
        ahead_us = round(limits.ahead_s * 1e6) if state.owned else 0
        tape = Tape(at_us, at_us + ahead_us, limits.ahead_bytes_max)
        later = entries if base is None else entries[entries.index(base[0]) + 1 :]
        merging: Merging | None = None
        start: Start = Edge.EARLIEST if base is None else Cursor(base[1].cursor)
        try:
            for leg in legs(base[0] if base else None, later, tape.until_us):
                content = None
                if leg.start is not None and (base is None or leg.start != base[0]):
                    content = self._kept.load(leg.start)
                if content is not None:  # else read on: that holds all of it, too
                    start = Cursor(content.cursor)
                    state.dedup = self._make_dedup()
                    state.dedup.restore(content.dedup)
                if content is not None or merging is None:
                    if merging is not None:
                        merging.close()
                    merging = Merging(self._log, TOPICS, start, self._clock.now_us())
                for part in merging.parts(leg.until_us):
                    check()
                    self._correct(state, tape, _fresh(state, part))
        finally:
            if merging is not None:
                merging.close()
        state.take_events_as_received()
        state.tape = tape if state.owned else None

    def _correct(self, state: PastState, tape: Tape, part: Part) -> None:
        rows = part.batch.rows
        is_later = (rows["topic"] == Topic.CONNECTIVITY) & (part.arrivals > state.at_us)
        if is_later.any():
            for index in np.flatnonzero(is_later).tolist():
                time_us = int(part.arrivals[index])
                if time_us <= tape.until_us:
                    writer = part.writers[0 if part.writer_of is None else part.writer_of[index]]
                    record = RecordBatch.of([part.batch.record(index)])
                    tape.add_presence(Coming(time_us, record, writer))
            part = _select(part, ~is_later)
        for batch, writer in _by_writer(part):
            tape.add(state.apply_until(batch, writer, state.at_us))


def _play(state: PastState, tape: Tape, to_us: int) -> None:
    samples, coming = tape.take(to_us)
    state.apply_samples(samples)
    for each in coming:
        state.apply_until(each.record, each.writer, to_us)
    state.take_events_as_received()


def _fresh(state: PastState, part: Part) -> Part:
    """Without what was read before: the first operator of every reader."""
    state.records += len(part.batch)
    keep = state.dedup.keep(part.batch, part.writers[0])
    return part if keep.all() else _select(part, keep)


def _select(part: Part, mask: np.ndarray) -> Part:
    of = part.writer_of[mask] if part.writer_of is not None else None
    return Part(part.batch.select(mask), part.writers, of, part.arrivals[mask])


def _by_writer(part: Part) -> Iterator[tuple[RecordBatch, str]]:
    """What `apply` takes: presence knows its writer, nothing else does. Presence in its order."""
    if part.writer_of is None:
        yield part.batch, part.writers[0]
        return
    is_presence = part.batch.rows["topic"] == Topic.CONNECTIVITY
    yield part.batch.select(~is_presence), part.writers[0]
    told = np.flatnonzero(is_presence)
    turns = np.flatnonzero(np.diff(part.writer_of[told])) + 1
    for run in np.split(told, turns):
        if len(run):
            yield part.batch.select(run), part.writers[part.writer_of[run[0]]]


def iso(time_us: int) -> str:
    """The instant as people write it, UTC."""
    if not -EVER < time_us < EVER:
        return f"{time_us} µs"
    return f"{np.datetime_as_string(np.datetime64(time_us, 'us'), unit='ms')}Z"

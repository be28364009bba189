"""Appends, faults and crashes in any order, at any call: what was acknowledged is read, in order.

The disk is `FaultyFiles`. A reader tails all along, in what counts as another process, and what it
has once seen must stay in the log for ever: it must never have seen an undurable record.
"""

import contextlib
from collections import defaultdict
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from motorcade.events import Record
from motorcade.log.appender import Appender
from motorcade.log.errors import LogDiskError, LogWriteError
from motorcade.log.tail import Tail
from tests.faulty_files import FaultyFiles, Stopped
from tests.log.lanes import LaneOnDisk, batch, group, numbers, read_on


class CrashingLog(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.next = 0
        self.groups: list[range] = []  # all that was appended, in order
        self.acked: set[int] = set()  # indices into `groups`
        self.seen: list[Record] = []  # what the tailing reader has been given
        self.appender: Appender | None = None

    @initialize(seed=st.integers(0, 2**32))
    def start(self, seed: int) -> None:
        self.files = FaultyFiles(seed)
        self.lane = LaneOnDisk(self.files, Path("/disk/test-bulk"))
        self.tail: Tail | None = None

    @rule(count=st.integers(1, 12))
    def append(self, count: int) -> None:
        numbers_of = range(self.next, self.next + count)
        self.next += count
        self.groups.append(numbers_of)
        try:
            if self.appender is None:
                self.appender = self.lane.open()
            self.appender.commit(group(batch(numbers_of.start, count)))
        except (LogWriteError, Stopped):
            pass
        except LogDiskError:
            assert self.appender is None  # Opening met the fault: nothing was promised.
        else:
            self.acked.add(len(self.groups) - 1)
        self.crash_if_stopped()

    @rule(seconds=st.sampled_from([1.0, 4_000.0]))
    def rotate(self, seconds: float) -> None:
        self.lane.clock.advance(seconds)
        if self.appender is not None:
            with contextlib.suppress(Stopped):
                self.appender.housekeep()
        self.crash_if_stopped()

    @rule(call=st.integers(1, 12), number=st.sampled_from([5, 28]))
    def fault_ahead(self, call: int, number: int) -> None:
        self.files.fail(call, number)  # EIO, ENOSPC

    @rule(call=st.integers(1, 12), power=st.booleans())
    def crash_ahead(self, call: int, power: bool) -> None:
        self.files.stop_at(call)
        self.power = power

    @rule(call=st.integers(1, 3), power=st.booleans())
    def crash_after_a_fault(self, call: int, power: bool) -> None:
        self.files.fail(call)
        self.files.stop_at(call + 1)
        self.power = power

    @rule()
    def power_loss(self) -> None:
        self.crash(power=True)

    @rule()
    def kill(self) -> None:
        self.crash(power=False)

    @precondition(lambda self: self.appender is not None)
    @rule()
    def stop(self) -> None:
        try:
            self.lane.close(self.appender)
        except Stopped:
            self.crash_if_stopped()
        self.appender = None

    @rule()
    def read(self) -> None:
        try:
            if self.tail is None:
                self.tail = self.lane.tail()
                self.read_from_start = True
                again = read_on(self.tail)
                assert again[: len(self.seen)] == self.seen
                self.seen = again
            else:
                self.seen.extend(read_on(self.tail))
        except (Stopped, LogDiskError):
            self.tail = None  # A fault while it recovered the lane: it tries again.
        self.crash_if_stopped()

    def crash_if_stopped(self) -> None:
        if self.files.stopped:
            self.crash(self.power)

    def crash(self, power: bool) -> None:
        self.files.power_loss() if power else self.files.kill()
        self.appender, self.tail = None, None

    @invariant()
    def reader_never_goes_back(self) -> None:
        found = numbers(self.seen)
        assert found == sorted(found)

    def teardown(self) -> None:
        self.crash(power=True)
        check(read_on(self.lane.tail()), self.seen, self.groups, self.acked)


def check(found: list[Record], seen: list[Record], groups: list[range], acked: set[int]) -> None:
    """The log's promises 1, 2 and what a reader may have seen."""
    assert found[: len(seen)] == seen
    stored = set(numbers(found))
    expected = []
    for index, each in enumerate(groups):
        there = stored.issuperset(each)
        assert there or stored.isdisjoint(each), "a part of a batch"
        assert there or index not in acked, "acknowledged and lost"
        expected.extend(each if there else [])
    assert numbers(found) == expected
    positions: dict[tuple[int, int], list[int]] = defaultdict(list)
    for one in found:
        assert one.payload == b"payload %d" % one.identity[1]
        positions[one.topic, one.partition].append(one.position)
    for place, each_positions in positions.items():
        assert each_positions == list(range(len(each_positions))), place


TestCrashingLog = CrashingLog.TestCase
TestCrashingLog.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)

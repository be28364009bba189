"""The log's life under faults: append, rotate, retain, start anew, read, keep cursors.

In all of them a reader tails along, in what counts as another process; what it has once been given
must stay in the log for ever. `LaneOnDisk` opens the lane as `EmbeddedLog` does, without a thread,
so that the calls of each run come in the same order; `Futures` runs the whole engine with its own.
"""

import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from motorcade.events import Record, Topic
from motorcade.log.appender import Appender
from motorcade.log.cursors import GroupCursors
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.errors import LogError, LogWriteError
from motorcade.log.files import OsFiles
from motorcade.log.port import Cursor, Edge, LogSlice
from motorcade.log.reader import EmbeddedReader
from motorcade.log.tail import Tail
from motorcade.log.topics import Lane
from motorcade.log.writer import EmbeddedWriter
from tests.faults.plan import Fault, Stopped
from tests.faults.world import World
from tests.log.lanes import SMALL, LaneOnDisk, batch, group, numbers, read_on

RECORDS: Final = 3  # in a group
QUIET: Final = dataclasses.replace(SMALL, housekeeping_s=3_600.0)  # no calls of its own accord
STARTS_MAX: Final = 3  # a process that cannot start is started again by the supervisor


class OnLane:
    """What the scenarios of one lane share."""

    name = "?"
    config = SMALL
    retired = False  # whether records may go by retention

    def __init__(self, world: World) -> None:
        self.world = world
        self.directory = world.root / "log" / "test-bulk"
        self.lane = LaneOnDisk(OsFiles(), self.directory, self.config, world.clock)
        self.groups: list[range] = []
        self.acked: set[int] = set()
        self.seen: list[Record] = []
        self.appender: Appender | None = None
        self.tail: Tail | None = None

    def prepare(self) -> None:
        for _ in range(2):
            self.append()

    def act(self) -> None:
        raise NotImplementedError

    def go_on(self) -> None:
        acked = len(self.acked)
        self.append()
        assert len(self.acked) == acked + 1, "the writer does not go on after the fault"
        self.read()
        assert self.tail is not None, "the reader does not go on after the fault"

    def check(self) -> None:
        self.forget()
        before = self.segments()
        self.world.said.clear()
        if self.directory.exists():
            self.read()
            assert self.tail is not None, "the log does not open"
            self.check_told(before)
        self.check_promises()
        self.append()
        assert len(self.groups) - 1 in self.acked, "the log takes nothing any more"
        self.read()
        self.check_promises()

    # -- what the writer and the reader do ---------------------------------------------------------

    def append(self) -> None:
        start = len(self.groups) * RECORDS
        self.groups.append(range(start, start + RECORDS))
        appender = self.opened()
        if appender is None:
            return
        try:
            appender.commit(group(batch(start, RECORDS)))
        except LogWriteError as error:
            self.world.check_named(error)
        else:
            self.acked.add(len(self.groups) - 1)
        self.read()

    def opened(self) -> Appender | None:
        """The appender; a start that fails says which file, and is tried again."""
        for _ in range(STARTS_MAX if self.appender is None else 0):
            try:
                self.appender = self.lane.open()
                break
            except LogError as error:
                self.world.check_named(error)
                self.end_process()
        return self.appender

    def end_process(self) -> None:
        self.world.machine.end_process()
        self.forget()

    def forget(self) -> None:
        self.appender, self.tail = None, None

    def read(self) -> None:
        if not self.directory.exists():
            return  # A reader of the whole log would not find the lane yet.
        try:
            if self.tail is None:
                self.tail = self.lane.tail()
                self.seen = self.compared(read_on(self.tail))
            else:
                self.seen.extend(read_on(self.tail))
        except LogError as error:
            self.world.check_named(error)
            self.tail = None

    def compared(self, again: list[Record]) -> list[Record]:
        """What is read from the start must begin with all that was ever read."""
        if self.retired:
            known = {each.identity for each in again}
            gone = [each for each in self.seen if each.identity not in known]
            assert self.seen[: len(gone)] == gone, "retention took something from the middle"
            return [*gone, *again]
        assert again[: len(self.seen)] == self.seen, "a reader was given what is not in the log"
        return again

    # -- what must hold ----------------------------------------------------------------------------

    def segments(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.directory.glob("*.segment"))}

    def check_told(self, before: dict[str, bytes]) -> None:
        """Whatever opening threw away was named, and counted."""
        assert not self.world.heard("log_segment_damaged"), "durable bytes count as damaged"
        for name in before.keys() - self.segments().keys():
            told = [
                Path(each["path"]).name for each in self.world.heard("log_segment_creation_torn")
            ]
            assert name in told, f"{name} was removed and nobody told"
            before = {other: data for other, data in before.items() if other != name}
        if not before:
            return
        last, data = max(before.items())
        end = self.lane.tail_end()
        lost = data[end:].rstrip(b"\0")
        if self.segments()[last] == data:
            lost = b""  # it was sealed already
        cut = [
            (Path(each["path"]).name, each["bytes_cut"])
            for each in self.world.heard("log_torn_tail_cut")
        ]
        assert cut == ([(last, len(lost))] if lost else []), (
            f"cut {len(lost)} of {last}, told {cut}"
        )

    def check_promises(self) -> None:
        check_promises(self.seen, self.groups, self.acked)


def check_promises(found: list[Record], groups: list[range], acked: set[int]) -> None:
    """The log's promises 1 and 2: all that was acknowledged, whole groups, in order, once."""
    stored = set(numbers(found))
    expected: list[int] = []
    for index, each in enumerate(groups):
        there = stored.issuperset(each)
        assert there or stored.isdisjoint(each), "a part of a batch"
        assert there or index not in acked, f"group {index} was acknowledged and is lost"
        expected.extend(each if there else [])
    assert numbers(found) == expected, "order, or a record twice"
    positions: dict[tuple[int, int], list[int]] = defaultdict(list)
    for one in found:
        assert one.payload == b"payload %d" % one.identity[1]
        positions[one.topic, one.partition].append(one.position)
    for place, each_positions in positions.items():
        assert each_positions == list(range(len(each_positions))), place


class FirstStart(OnLane):
    name = "log: first start"

    def prepare(self) -> None:
        pass

    def act(self) -> None:
        self.append()
        self.append()


class Append(OnLane):
    name = "log: append"

    def act(self) -> None:
        for _ in range(3):
            self.append()


class RotateBySize(OnLane):
    name = "log: rotation by size"
    config = dataclasses.replace(SMALL, segment_bytes_max=1_600, segment_allocate_bytes=512)

    def act(self) -> None:
        for _ in range(5):
            self.append()


class RotateByAge(OnLane):
    name = "log: rotation by age"

    def act(self) -> None:
        self.world.clock.advance(4_000.0)
        if self.appender is not None:
            self.appender.housekeep()
        self.append()


class Stop(OnLane):
    name = "log: clean stop and restart"

    def act(self) -> None:
        appender = self.opened()
        if appender is not None:
            try:
                self.lane.close(appender)
            except OSError as error:
                raise AssertionError("closing must not fail for a disk") from error
        self.forget()
        self.append()


class RestartAfter(OnLane):
    """Recovery itself meets faults: the second one before the first is mended."""

    fault = Fault.POWER_TORN

    def prepare(self) -> None:
        super().prepare()
        self.world.machine.arm_next(self.fault, "pwritev+sync")
        with contextlib.suppress(Stopped):
            self.append()
        self.world.restart(self.fault)
        self.forget()

    def act(self) -> None:
        self.read()
        self.append()

    def check_told(self, before: dict[str, bytes]) -> None:
        """The first opening may have told it all, and been stopped afterwards."""


class RestartAfterTorn(RestartAfter):
    name = "log: restart after a torn write"


class RestartAfterKill(RestartAfter):
    name = "log: restart after kill -9 in a sync"
    fault = Fault.KILL


class RestartAfterLoss(RestartAfter):
    name = "log: restart after power loss"
    fault = Fault.POWER_MIXED


class Retain(OnLane):
    """Old segments go, one by one; the newest durable one stays whatever its age."""

    name = "log: retention"
    config = dataclasses.replace(
        SMALL,
        segment_bytes_max=1_600,
        segment_allocate_bytes=512,
        retention_bulk_bytes=3_000,
        retention_bulk_age_s=10_000_000,
    )
    retired = True

    def prepare(self) -> None:
        roomy = dataclasses.replace(self.config, retention_bulk_bytes=1 << 30)
        self.lane.config = roomy
        for _ in range(8):
            self.append()
        assert self.appender is not None
        self.lane.close(self.appender)
        self.forget()
        self.lane.config = self.config
        self.oldest = len(self.segments())
        self.append()

    def act(self) -> None:
        if self.appender is not None:
            self.appender.housekeep()
        self.append()

    def go_on(self) -> None:
        super().go_on()
        assert self.appender is not None
        self.appender.housekeep()
        sealed = list(self.segments().values())[:-1]
        assert sum(map(len, sealed)) <= self.config.retention_bulk_bytes, "nothing is retired"

    def check_promises(self) -> None:
        """All is there from some group on, and everything that retention must leave."""
        found = sorted(set(numbers(self.seen)))
        check_promises(self.seen, self.groups, self.acked)
        there = self.lane.tail(None)
        now = numbers(read_on(there))
        assert now == found[len(found) - len(now) :], "a hole in the middle"
        size = sum(map(len, self.segments().values()))
        assert now, "all is gone"
        assert size >= self.config.retention_bulk_bytes // 2, "retention took more than it may"


class Cursors(OnLane):
    """A consumer group's cursor: the old one or the new one, and the new one once it was stored."""

    name = "log: cursors of consumer groups"

    def prepare(self) -> None:
        super().prepare()
        self.stored = b"cursor 0"
        self.tried = [self.stored]
        self.open_cursors().store("group", Cursor(self.stored))

    def open_cursors(self) -> GroupCursors:
        return GroupCursors(OsFiles(), self.world.root / "log" / "cursors")

    def act(self) -> None:
        for _ in range(2):
            self.store()

    def store(self) -> None:
        try:
            cursors = self.open_cursors()
            self.tried.append(
                b"cursor %d, longer each time %s" % (len(self.tried), b"." * len(self.tried))
            )
            cursors.store("group", Cursor(self.tried[-1]))
        except LogError as error:
            self.world.check_named(error)
        else:
            self.stored = self.tried[-1]
        self.load()

    def load(self) -> None:
        try:
            found = self.open_cursors().load("group")
        except LogError as error:
            self.world.check_named(error)
            return
        since = self.tried.index(self.stored)
        assert found in self.tried[since:], f"{found!r} instead of {self.stored!r} or later"

    def go_on(self) -> None:
        before = self.stored
        self.store()
        assert self.stored != before

    def check(self) -> None:
        self.load()
        self.go_on()
        self.load()


class Futures:
    """The whole engine: a thread, a queue, futures. A future that resolves is an ack."""

    name = "log: the whole engine"

    def __init__(self, world: World) -> None:
        self.world = world
        self.groups: list[range] = []
        self.acked: set[int] = set()
        self.log: EmbeddedLog | None = None
        self.writer: EmbeddedWriter | None = None

    def prepare(self) -> None:
        self.append()

    def act(self) -> None:
        for _ in range(2):
            self.append()
        self.stop()
        self.append()

    def append(self) -> None:
        start = len(self.groups) * RECORDS
        self.groups.append(range(start, start + RECORDS))
        try:
            self.opened().append(batch(start, RECORDS)).result(timeout=60.0)
        except LogError:
            if self.world.stopped:
                raise Stopped from None
        else:
            self.acked.add(len(self.groups) - 1)

    def opened(self) -> EmbeddedWriter:
        if self.writer is None:
            self.log = EmbeddedLog(self.world.root / "log", QUIET, self.world.clock)
            self.writer = self.log.writer("test", Lane.BULK)
        return self.writer

    def stop(self) -> None:
        if self.log is not None:
            self.log.close()
        self.log = self.writer = None
        if self.world.stopped:
            raise Stopped

    def go_on(self) -> None:
        self.append()
        assert len(self.groups) - 1 in self.acked, "the writer does not go on after the fault"

    def check(self) -> None:
        if self.writer is not None:  # It died with its process; its thread must not outlive it.
            self.writer._appender.close = lambda: None  # type: ignore[method-assign]
            self.writer.close()
        self.log = self.writer = None
        log = EmbeddedLog(self.world.root / "log", QUIET, self.world.clock)
        try:
            reader = log.reader(frozenset(Topic), Edge.EARLIEST)
            found = [each for piece in read_out(reader) for each in piece.batch]
            check_promises(found, self.groups, self.acked)
        finally:
            log.close()


def read_out(reader: EmbeddedReader) -> Iterator[LogSlice]:
    while slices := reader.poll(0.0):
        yield from slices


ALL: Final = (
    FirstStart,
    Append,
    RotateBySize,
    RotateByAge,
    Stop,
    RestartAfterTorn,
    RestartAfterKill,
    RestartAfterLoss,
    Retain,
    Cursors,
    Futures,
)

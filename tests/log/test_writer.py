"""The writer: what its futures mean, whole disks and broken ones, and what one frame takes."""

import errno
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from motorcade.clock import SimulatedClock
from motorcade.config import LogConfig
from motorcade.events import Record, RecordBatch, Topic
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.errors import LogClosedError, LogCorruptError, LogWriteError
from motorcade.log.files import Part
from motorcade.log.port import Edge
from motorcade.log.segment import segment_numbers
from motorcade.log.topics import Lane
from motorcade.log.writer import EmbeddedWriter
from tests.faulty_files import FaultyFiles
from tests.log.lanes import SMALL, START_US, batch, numbers, record

BULK = frozenset({Topic.TELEMETRY, Topic.ENERGY})
WAIT_S = 30.0


class HeldFiles(FaultyFiles):
    """A disk that can be held in the middle of a synced write."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.frames = 0
        self.entered, self.released = threading.Event(), threading.Event()
        self.released.set()

    def hold(self) -> None:
        self.entered.clear()
        self.released.clear()

    def write_synced(self, fd: int, parts: Sequence[Part], offset: int) -> None:
        self.frames += offset > 0
        self.entered.set()
        assert self.released.wait(WAIT_S)
        super().write_synced(fd, parts, offset)


class Bench:
    """A log on a held disk."""

    def __init__(self, directory: Path, seed: int = 0, config: LogConfig = SMALL) -> None:
        self.directory, self.config = directory, config
        self.files = HeldFiles(seed)
        self.log = self.open()
        self.writer = self.log.writer("gateway", Lane.BULK)

    def open(self) -> EmbeddedLog:
        return EmbeddedLog(self.directory, self.config, SimulatedClock(START_US), self.files)

    def lose_power(self) -> None:
        self.files.stop()
        self.files.released.set()
        self.log.close()
        self.files.power_loss()
        self.log = self.open()

    def read(self) -> list[Record]:
        reader = self.log.reader(BULK, Edge.EARLIEST)
        found: list[Record] = []
        while slices := reader.poll(0.0):
            found.extend(one for each in slices for one in each.batch)
        reader.close()
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "log")
    yield bench
    bench.files.released.set()
    bench.log.close()


# -- an acknowledgement means durable; builds that say so too early are caught ---------------------


def acked_and_lost(bench: Bench) -> list[int]:
    """Append, lose power in the middle of a sync, read: what was acknowledged and is not there."""
    acked = numbers(list(bench.writer.append(batch(0, 6)).result(WAIT_S)))
    bench.files.hold()
    future = bench.writer.append(batch(6, 6))
    assert bench.files.entered.wait(WAIT_S)
    if future.done():
        acked += numbers(list(future.result()))
    bench.lose_power()
    found = set(numbers(bench.read()))
    return [number for number in acked if number not in found]


def resolve_then_write(self: EmbeddedWriter, taken: Sequence[Any]) -> None:
    """A build that resolves its futures before the sync."""
    for queued in taken:
        queued.future.set_result(queued.batch)
    self._write(list(taken))


@pytest.mark.parametrize("seed", range(4))
def test_what_was_acknowledged_survives_a_power_loss(tmp_path: Path, seed: int) -> None:
    assert acked_and_lost(Bench(tmp_path / "log", seed)) == []


def test_a_build_that_acknowledges_before_the_sync_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedWriter, "_commit", resolve_then_write)
    lost = [acked_and_lost(Bench(tmp_path / f"log{seed}", seed)) for seed in range(4)]
    assert any(lost)


def write_frames_unsynced(self: HeldFiles, fd: int, parts: Sequence[Part], offset: int) -> None:
    """A build without the sync. Heads stay synced: without them there would be no log at all."""
    if offset > 0:
        self.write(fd, parts, offset)
    else:
        FaultyFiles.write_synced(self, fd, parts, offset)


def test_a_build_that_leaves_out_the_sync_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HeldFiles, "write_synced", write_frames_unsynced)
    lost = []
    for seed in range(4):
        bench = Bench(tmp_path / f"log{seed}", seed)
        acked = numbers(list(bench.writer.append(batch(0, 6)).result(WAIT_S)))
        bench.lose_power()
        try:
            lost.append(set(acked) - set(numbers(bench.read())))
        except LogCorruptError:  # The watermark reached the disk and the frame did not.
            lost.append(set(acked))
    assert any(lost)


# -- broken disks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_broken_disk_fails_its_commits_alone(bench: Bench, number: int) -> None:
    bench.writer.append(batch(0, 6)).result(WAIT_S)
    bench.files.broken = number
    for start in (6, 12, 18):
        with pytest.raises(LogWriteError, match="acknowledge none"):
            bench.writer.append(batch(start, 6)).result(WAIT_S)
    bench.files.broken = 0
    done = bench.writer.append(batch(24, 6)).result(WAIT_S)
    assert [one.position for one in done] == [one.position for one in batch_after(batch(0, 6))]
    assert numbers(bench.read()) == [*range(6), *range(24, 30)]
    bench.lose_power()
    assert numbers(bench.read()) == [*range(6), *range(24, 30)]


def batch_after(first: RecordBatch) -> list[Record]:
    """The same records again, with the positions that follow those of `first`."""
    counts: dict[tuple[int, int], int] = {}
    for one in first:
        place = (one.topic, one.partition)
        counts[place] = counts.get(place, 0) + 1
    again = []
    for one in first:
        place = (one.topic, one.partition)
        again.append(msgspec.structs.replace(one, position=counts[place]))
        counts[place] += 1
    return again


def test_a_failed_sync_is_not_trusted_after_it(bench: Bench) -> None:
    bench.writer.append(batch(0, 6)).result(WAIT_S)
    bench.files.fail(1)  # The frame is in the cache, reads back well and may never reach the disk.
    with pytest.raises(LogWriteError):
        bench.writer.append(batch(6, 6)).result(WAIT_S)
    bench.writer.append(batch(12, 6)).result(WAIT_S)
    assert numbers(bench.read()) == [*range(6), *range(12, 18)]
    assert len(segment_numbers(bench.files, bench.directory / "gateway-bulk")) == 2


def test_a_defect_of_ours_fails_the_futures_and_not_the_writer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motorcade.log.active.pack_frame", lambda *_, **__: 1 / 0)
    with pytest.raises(LogWriteError):
        bench.writer.append(batch(0, 6)).result(WAIT_S)
    monkeypatch.undo()
    bench.writer.append(batch(6, 6)).result(WAIT_S)
    found = bench.read()
    assert numbers(found) == list(range(6, 12))
    assert {one.position for one in found} == {0}


def test_a_writer_that_ends_by_a_defect_leaves_no_future_open(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.files.hold()
    first = bench.writer.append(batch(0, 6))
    assert bench.files.entered.wait(WAIT_S)
    monkeypatch.setattr(EmbeddedWriter, "_commit", lambda *_: 1 / 0)
    bench.files.released.set()
    first.result(WAIT_S)
    with pytest.raises(LogWriteError, match="has ended"):
        bench.writer.append(batch(6, 6)).result(WAIT_S)
    bench.writer.close()
    with pytest.raises(LogClosedError):
        bench.writer.append(batch(12, 6))


# -- what one frame takes --------------------------------------------------------------------------


def test_appends_that_wait_become_one_frame(bench: Bench) -> None:
    bench.files.hold()
    first = bench.writer.append(batch(0, 2))
    assert bench.files.entered.wait(WAIT_S)
    waiting = [bench.writer.append(batch(start, 3)) for start in range(2, 20, 3)]
    bench.files.released.set()
    for start, future in zip(range(2, 20, 3), waiting, strict=True):
        done = list(future.result(WAIT_S))
        assert numbers(done) == list(range(start, start + 3))
        assert [one.payload for one in done] == [b"payload %d" % one for one in numbers(done)]
    first.result(WAIT_S)
    assert bench.files.frames == 2
    found = bench.read()
    assert numbers(found) == list(range(20))
    assert [one.payload for one in found] == [b"payload %d" % number for number in range(20)]


def test_a_frame_takes_no_more_than_a_batch_may_have(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "log", config=replace(SMALL, batch_bytes_max=1_000))
    bench.files.hold()
    futures = [bench.writer.append(batch(0, 1))]
    assert bench.files.entered.wait(WAIT_S)
    futures += [bench.writer.append(batch(start, 4)) for start in range(1, 33, 4)]
    bench.files.released.set()
    for future in futures:
        future.result(WAIT_S)
    assert bench.files.frames == 1 + 4  # 4 rows and their bytes are about 400, so two per frame
    assert numbers(bench.read()) == list(range(33))
    bench.log.close()


def test_a_read_only_batch_is_copied_and_given_back_with_positions(bench: Bench) -> None:
    sent = batch(0, 6)
    sent.rows.flags.writeable = False
    done = bench.writer.append(sent).result(WAIT_S)
    assert (sent.rows["position"] == -1).all()
    assert (done.rows["position"] >= 0).all()


def test_the_input_cursor_is_durable_with_its_records(bench: Bench) -> None:
    bench.writer.append(batch(0, 6), b"input 1").result(WAIT_S)
    bench.writer.append(batch(6, 6)).result(WAIT_S)
    bench.lose_power()
    assert bench.log.writer("gateway", Lane.BULK).input_cursor == b"input 1"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (record(0, topic=Topic.COMMANDS), "topic 9 must be of the bulk lane"),
        (msgspec.structs.replace(record(0), partition=4), "partition 4 below 4"),
    ],
)
def test_rows_that_do_not_belong_here_are_refused_at_once(
    bench: Bench, bad: Record, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        bench.writer.append(RecordBatch.of([record(1), bad]))
    with pytest.raises(ValueError, match="inside the"):
        bench.writer.append(RecordBatch(batch(0, 2).rows, np.zeros(3, np.uint8)))
    assert bench.read() == []


# -- in a caller's thread, where a sync waits for nothing ------------------------------------------

INLINE = replace(SMALL, inline_bytes_max=2_000, housekeeping_s=0.01)


@pytest.fixture
def inline(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "log", config=INLINE)
    yield bench
    bench.files.released.set()
    bench.log.close()


def test_a_small_commit_is_durable_when_append_returns(inline: Bench) -> None:
    for start in range(0, 60, 6):
        future = inline.writer.append(batch(start, 6))
        assert future.done()
        assert numbers(list(future.result())) == list(range(start, start + 6))
    assert inline.writer.queued_bytes == 0
    inline.lose_power()
    assert numbers(inline.read()) == list(range(60))


def test_a_large_one_waits_for_the_thread(inline: Bench) -> None:
    inline.files.hold()
    future = inline.writer.append(batch(0, 30))  # 88 bytes a row, and theirs
    assert inline.files.entered.wait(WAIT_S)
    assert not future.done()
    inline.files.released.set()
    assert numbers(list(future.result(WAIT_S))) == list(range(30))


def test_what_comes_beside_a_commit_waits_for_it(inline: Bench) -> None:
    inline.files.hold()
    first = threading.Thread(target=inline.writer.append, args=(batch(0, 2),))
    first.start()
    assert inline.files.entered.wait(WAIT_S)
    waiting = [inline.writer.append(batch(start, 2)) for start in (2, 4)]
    assert not any(future.done() for future in waiting)
    inline.files.released.set()
    for future in waiting:
        future.result(WAIT_S)
    first.join(WAIT_S)
    assert numbers(inline.read()) == list(range(6))


def test_callers_of_many_threads_lose_nothing(tmp_path: Path) -> None:
    config = replace(LogConfig(partitions=4), inline_bytes_max=2_000, housekeeping_s=0.001)
    bench = Bench(tmp_path / "log", config=config)
    futures: list[list[Any]] = [[] for _ in range(4)]

    def work(number: int) -> None:
        for start in range(number * 600, (number + 1) * 600, 3):
            futures[number].append(bench.writer.append(batch(start, 3)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    for each in futures:
        assert [numbers(list(one.result(WAIT_S)))[0] for one in each] == sorted(
            numbers(list(one.result(WAIT_S)))[0] for one in each
        )
    found = bench.read()
    assert sorted(numbers(found)) == list(range(2_400))
    by_place: dict[tuple[int, int], list[int]] = {}
    for one in found:
        by_place.setdefault((one.topic, one.partition), []).append(one.position)
    assert all(positions == list(range(len(positions))) for positions in by_place.values())
    bench.log.close()


def test_a_commit_here_that_fails_is_told_and_the_next_one_holds(inline: Bench) -> None:
    inline.writer.append(batch(0, 6)).result(WAIT_S)
    inline.files.fail(1)
    failed = inline.writer.append(batch(6, 6))
    assert failed.done()
    with pytest.raises(LogWriteError):
        failed.result()
    inline.writer.append(batch(12, 6)).result(WAIT_S)
    assert numbers(inline.read()) == [*range(6), *range(12, 18)]


def test_a_defect_in_a_commit_here_ends_the_writer(
    inline: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedWriter, "_commit", lambda *_: 1 / 0)
    future = inline.writer.append(batch(0, 6))
    with pytest.raises(LogWriteError, match="has ended"):
        future.result(WAIT_S)
    with pytest.raises(LogClosedError):  # at once: nobody else commits
        inline.writer.append(batch(6, 6))


def test_a_writer_that_commits_here_still_keeps_house(inline: Bench) -> None:
    clock = inline.log._clock
    assert isinstance(clock, SimulatedClock)
    inline.writer.append(batch(0, 6)).result(WAIT_S)
    clock.advance(INLINE.segment_age_s_max + 1.0)
    directory = inline.directory / "gateway-bulk"
    for _ in range(1_000):
        if inline.writer._appender._active is None:
            break
        threading.Event().wait(0.01)
    assert inline.writer._appender._active is None  # sealed by its age, though nothing came
    inline.writer.append(batch(6, 6)).result(WAIT_S)
    assert len(segment_numbers(inline.files, directory)) == 2


def test_closing_takes_what_waits(inline: Bench) -> None:
    inline.files.hold()
    first = threading.Thread(target=inline.writer.append, args=(batch(0, 2),))
    first.start()
    assert inline.files.entered.wait(WAIT_S)
    waiting = inline.writer.append(batch(2, 2))
    closing = threading.Thread(target=inline.writer.close)
    closing.start()
    inline.files.released.set()
    closing.join(WAIT_S)
    assert not closing.is_alive()
    assert numbers(list(waiting.result(WAIT_S))) == [2, 3]
    first.join(WAIT_S)

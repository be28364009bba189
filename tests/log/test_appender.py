"""The writing end without a thread: when a segment ends, and what a failure leaves behind."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from motorcade.events import Topic
from motorcade.log.errors import LogWriteError
from motorcade.log.segment import read_head, read_trailer, segment_numbers, segment_path
from tests.faulty_files import FaultyFiles
from tests.log.lanes import SMALL, START_US, LaneOnDisk, batch, group, numbers, read_on

DIRECTORY = Path("/disk/test-bulk")
ROOMY = replace(SMALL, segment_bytes_max=1 << 20)


@pytest.mark.parametrize(
    ("limits", "seconds", "segments"),
    [
        ({}, 0.0, 1),
        ({"segment_frames_max": 4}, 0.0, 3),
        ({"segment_bytes_max": 3_000}, 0.0, 2),
        ({"segment_age_s_max": 40}, 10.0, 2),
    ],
)
def test_a_segment_ends_by_bytes_frames_or_age(
    limits: dict[str, int], seconds: float, segments: int
) -> None:
    lane = LaneOnDisk(FaultyFiles(), DIRECTORY, replace(ROOMY, **limits))
    appender = lane.open()
    for start in range(0, 50, 5):
        appender.commit(group(batch(start, 5)))
        lane.clock.advance(seconds)
    assert len(segment_numbers(lane.files, DIRECTORY)) == segments
    assert numbers(read_on(lane.tail())) == list(range(50))


def test_an_idle_segment_ends_by_age_too() -> None:
    lane = LaneOnDisk(FaultyFiles(), DIRECTORY, replace(ROOMY, segment_age_s_max=60))
    appender = lane.open()
    appender.commit(group(batch(0, 5)))
    for seconds, sealed in [(59.0, False), (1.0, True)]:
        lane.clock.advance(seconds)
        appender.housekeep()
        fd = lane.files.open(segment_path(DIRECTORY, 1), create=False)
        assert (read_trailer(lane.files, fd) is not None) == sealed
    assert segment_numbers(lane.files, DIRECTORY) == [1]  # nothing new before it is needed


def test_heads_and_feet_tell_positions_times_and_where_the_frames_end() -> None:
    lane = LaneOnDisk(FaultyFiles(), DIRECTORY, ROOMY)
    appender = lane.open()
    appender.commit(group(batch(0, 6), b"input"))
    end = lane.tail_end()
    appender.rotate()
    appender.commit(group(batch(6, 6)))
    first = lane.files.open(segment_path(DIRECTORY, 1), create=False)
    second = lane.files.open(segment_path(DIRECTORY, 2), create=False)
    trailer, head = read_trailer(lane.files, first), read_head(lane.files, second)
    assert trailer == (1, end, 6, START_US, START_US + 5_000)
    assert head is not None
    assert (head[0].number, head[0].previous_end, head[0].input_cursor) == (2, end, b"input")
    one = [(Topic.TELEMETRY, partition, 1) for partition in range(3)]
    assert head[0].positions == one + [(Topic.ENERGY, partition, 1) for partition in range(3)]


@pytest.mark.parametrize("failures", [1, 2, 3, 4])
def test_a_failed_commit_leaves_no_trace_whatever_else_fails(failures: int) -> None:
    lane = LaneOnDisk(FaultyFiles(), DIRECTORY, ROOMY)
    files = lane.files
    assert isinstance(files, FaultyFiles)
    appender = lane.open()
    appender.commit(group(batch(0, 5)))
    for call in range(1, failures + 1):
        files.fail(call)
    with pytest.raises(LogWriteError):
        appender.commit(group(batch(5, 5)))
    files.mend()
    appender.commit(group(batch(10, 5)))
    assert numbers(read_on(lane.tail())) == [*range(5), *range(10, 15)]
    files.power_loss()
    assert numbers(read_on(lane.tail())) == [*range(5), *range(10, 15)]


def test_a_disk_that_lost_acknowledged_records_is_reported() -> None:
    lane = LaneOnDisk(FaultyFiles(), DIRECTORY, ROOMY)
    files = lane.files
    assert isinstance(files, FaultyFiles)
    appender = lane.open()
    appender.commit(group(batch(0, 5)))
    start = lane.tail_end()
    appender.commit(group(batch(5, 5)))
    files.damage(segment_path(DIRECTORY, 1), start + 100, b"\xff\xff")
    files.fail(1)
    with capture_logs() as logs, pytest.raises(LogWriteError):
        appender.commit(group(batch(10, 5)))
    damaged = [log for log in logs if log["event"] == "log_segment_damaged"]
    assert [log["offset"] for log in damaged] == [start]


def test_after_a_failed_commit_an_idle_writer_finds_out_that_the_disk_takes_writes_again() -> None:
    files = FaultyFiles()
    lane = LaneOnDisk(files, DIRECTORY, ROOMY)
    appender = lane.open()
    files.broken = errno.ENOSPC
    with pytest.raises(LogWriteError):
        appender.commit(group(batch(0, 10)))
    appender.housekeep()
    assert appender.counts.fault
    files.broken = 0
    appender.housekeep()
    assert appender.counts.fault == ""
    assert (appender.counts.failures, sum(appender.counts.records.counts)) == (1, 0)
    appender.commit(group(batch(0, 10)))
    assert numbers(read_on(lane.tail())) == list(range(10))
    assert (appender.counts.records.total, appender.counts.begun_s) == (10, 0.0)

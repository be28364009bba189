"""Retention: whole segments, oldest first, by bytes and by age, and never the last one."""

from dataclasses import replace
from pathlib import Path

import pytest

from motorcade.config import LogConfig
from motorcade.log.cursors import Place
from motorcade.log.errors import CursorError, LogWriteError
from motorcade.log.segment import segment_numbers
from tests.faulty_files import FaultyFiles
from tests.log.lanes import SMALL, LaneOnDisk, batch, group, numbers, read_on

DIRECTORY = Path("/disk/test-bulk")
KEEP_ALL = replace(SMALL, retention_bulk_bytes=1 << 30)


def lane_with(config: LogConfig) -> LaneOnDisk:
    return LaneOnDisk(FaultyFiles(), DIRECTORY, config)


def segments(lane: LaneOnDisk) -> list[int]:
    return segment_numbers(lane.files, DIRECTORY)


def test_the_oldest_segments_go_when_there_are_too_many_bytes() -> None:
    lane = lane_with(replace(SMALL, retention_bulk_bytes=12_000))
    appender = lane.open()
    for start in range(0, 600, 10):
        appender.commit(group(batch(start, 10)))
    kept = segments(lane)
    assert 2 <= len(kept) <= 4
    assert kept == list(range(kept[0], kept[0] + len(kept)))
    found = numbers(read_on(lane.tail()))
    assert found == list(range(found[0], 600))
    positions = [one.position for one in read_on(lane.tail()) if one.partition == 0]
    assert positions[0] > 0


def test_segments_go_when_their_last_record_is_too_old() -> None:
    lane = lane_with(replace(KEEP_ALL, retention_bulk_age_s=3_600))
    appender = lane.open()
    for start in range(0, 100, 10):
        appender.commit(group(batch(start, 10)))
    appender.rotate()
    before = segments(lane)
    lane.clock.advance(3_600)  # The records are received in the first 0.1 s.
    appender.housekeep()
    assert segments(lane) == before
    lane.clock.advance(0.09)
    appender.housekeep()
    assert before[0] not in segments(lane)
    lane.clock.advance(1.0)
    appender.housekeep()
    assert segments(lane) == before[-1:]  # The last holds the positions.
    appender.commit(group(batch(100, 10)))
    appender.housekeep()
    assert segments(lane) == [before[-1] + 1]


def test_the_segment_that_is_written_stays_however_large_it_is() -> None:
    lane = lane_with(replace(SMALL, segment_bytes_max=1 << 20, retention_bulk_bytes=1))
    appender = lane.open()
    for start in range(0, 100, 10):
        appender.commit(group(batch(start, 10)))
        appender.housekeep()
    assert numbers(read_on(lane.tail())) == list(range(100))


def test_a_segment_given_up_after_a_failure_goes_with_its_neighbours() -> None:
    lane = lane_with(replace(KEEP_ALL, retention_bulk_age_s=3_600))
    appender = lane.open()
    appender.commit(group(batch(0, 10)))
    lane.files.broken = 5  # type: ignore[attr-defined]
    appender.rotate()  # No foot.
    lane.files.broken = 0  # type: ignore[attr-defined]
    appender.commit(group(batch(10, 10)))
    appender.rotate()
    appender.commit(group(batch(20, 10)))
    assert numbers(read_on(lane.tail())) == list(range(30))
    assert segments(lane) == [1, 2, 3]
    lane.clock.advance(4_000)
    appender.housekeep()
    appender.commit(group(batch(30, 10)))
    appender.housekeep()
    assert segments(lane) == [4]


def test_a_cursor_into_what_is_gone_is_refused_and_one_at_its_end_is_not() -> None:
    lane = lane_with(KEEP_ALL)
    appender = lane.open()
    appender.commit(group(batch(0, 10)))
    inside = Place(1, lane.tail_end())
    appender.commit(group(batch(10, 10)))
    end = Place(1, lane.tail_end())
    appender.rotate()
    appender.commit(group(batch(20, 10)))
    appender._retention._bytes_max = 0
    appender.housekeep()
    assert segments(lane) == [2]
    assert numbers(read_on(lane.tail(end))) == list(range(20, 30))
    with pytest.raises(CursorError, match="retention"):
        lane.tail(inside).read()


def test_a_reader_that_has_a_removed_segment_open_reads_it_out() -> None:
    lane = lane_with(replace(KEEP_ALL, reader_chunk_bytes=1))
    appender = lane.open()
    for start in range(0, 40, 10):
        appender.commit(group(batch(start, 10)))
    appender.rotate()
    appender.commit(group(batch(40, 10)))
    tail = lane.tail()
    found = list(tail.read().batch)
    appender._retention._bytes_max = 0
    appender.housekeep()
    assert segments(lane) == [2]
    assert numbers(found + read_on(tail)) == list(range(50))


def test_the_last_whole_segment_stays_while_no_new_one_can_be_made() -> None:
    lane = lane_with(replace(SMALL, retention_bulk_bytes=0))
    appender = lane.open()
    appender.commit(group(batch(0, 12)))
    appender.rotate()
    lane.files.fail(4)  # type: ignore[attr-defined]  # its head, after its name was made
    with pytest.raises(LogWriteError):
        appender.commit(group(batch(12, 12)))
    appender.housekeep()
    lane.files.kill()  # type: ignore[attr-defined]
    again = lane.open()
    again.commit(group(batch(12, 12)))
    found = read_on(lane.tail())
    assert numbers(found) == list(range(24))
    places = [one.position for one in found if (one.topic, one.partition) == (1, 0)]
    assert places == [0, 1, 2, 3]


def test_a_segment_that_cannot_be_removed_is_tried_again() -> None:
    lane = lane_with(replace(SMALL, retention_bulk_bytes=0))
    appender = lane.open()
    appender.commit(group(batch(0, 10)))
    appender.rotate()
    appender.commit(group(batch(10, 10)))
    lane.files.broken = 5  # type: ignore[attr-defined]
    appender.housekeep()
    lane.files.broken = 0  # type: ignore[attr-defined]
    assert segments(lane) == [1, 2]
    appender.housekeep()
    assert segments(lane) == [2]

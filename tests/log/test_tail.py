"""One lane read: from a time, from the end, topic by topic, within limits."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.events import RecordBatch, Topic
from motorcade.log.cursors import Place
from motorcade.log.errors import CursorError, LogCorruptError
from motorcade.log.tail import latest_place, place_at
from tests.faulty_files import FaultyFiles
from tests.log.lanes import (
    SMALL,
    START_US,
    LaneOnDisk,
    batch,
    group,
    numbers,
    read_on,
    record,
)

DIRECTORY = Path("/disk/test-bulk")


def lane_on_disk(**limits: int) -> LaneOnDisk:
    return LaneOnDisk(FaultyFiles(), DIRECTORY, replace(SMALL, **limits))


@settings(deadline=None)
@given(
    times=st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=4), min_size=1, max_size=12),
    instant=st.integers(-1, 41),
    rotations=st.sets(st.integers(0, 11)),
    closed=st.booleans(),
)
def test_from_a_time_on_starts_at_the_first_record_received_then(
    times: list[list[int]], instant: int, rotations: set[int], closed: bool
) -> None:
    """Clocks step back, so times are in any order: what follows the first hit is all given."""
    lane = lane_on_disk()
    appender = lane.open()
    sent: list[int] = []
    for index, frame in enumerate(times):
        records = [
            msgspec.structs.replace(record(len(sent) + nth), received_time_us=START_US + time)
            for nth, time in enumerate(frame)
        ]
        sent.extend(frame)
        appender.commit(group(RecordBatch.of(records)))
        if index in rotations:
            appender.rotate()
    if closed:
        lane.close(appender)
    first = next((index for index, time in enumerate(sent) if time >= instant), len(sent))
    place = place_at(lane.files, DIRECTORY, START_US + instant)
    assert numbers(read_on(lane.tail(place))) == list(range(first, len(sent)))


def test_from_the_end_gives_what_comes_later() -> None:
    lane = lane_on_disk()
    appender = lane.open()
    assert latest_place(lane.files, DIRECTORY) == Place(1, 0)
    appender.commit(group(batch(0, 10)))
    tail = lane.tail(latest_place(lane.files, DIRECTORY))
    assert read_on(tail) == []
    appender.rotate()
    appender.commit(group(batch(10, 10)))
    assert numbers(read_on(tail)) == list(range(10, 20))


def test_a_read_is_bounded_and_gives_at_least_a_frame() -> None:
    lane = lane_on_disk(reader_chunk_bytes=1, segment_bytes_max=1 << 20)
    appender = lane.open()
    for start in range(0, 50, 5):
        appender.commit(group(batch(start, 5)))
    tail = lane.tail()
    for start in range(0, 50, 5):
        assert numbers(list(tail.read().batch)) == list(range(start, start + 5))
    lane.config = replace(lane.config, reader_chunk_bytes=1_500)
    sizes = []
    tail = lane.tail()
    while chunk := tail.read():
        if not chunk.nbytes:
            break
        sizes.append(chunk.nbytes)
    assert 1 < len(sizes) < 10
    assert max(sizes) <= 1_500


def test_frames_without_the_wanted_topics_are_passed_over() -> None:
    lane = lane_on_disk()
    appender = lane.open()
    appender.commit(group(RecordBatch.of([record(0, topic=Topic.MEDIA)])))
    appender.commit(group(batch(1, 6)))
    tail = lane.tail(topics=1 << Topic.ENERGY)
    assert numbers(read_on(tail)) == [1, 3, 5]
    assert lane.tail(tail.place, topics=1 << Topic.MEDIA).read().nbytes == 0


@pytest.mark.parametrize("place", [Place(1, 10_000_000), Place(9, 100)])
def test_a_place_that_this_log_never_had_is_refused(place: Place) -> None:
    lane = lane_on_disk()
    lane.open().commit(group(batch(0, 10)))
    with pytest.raises(CursorError, match="start from"):
        lane.tail(place).read()


@pytest.mark.parametrize(
    ("field", "value"),
    [("start", 1), ("start", 1 << 31), ("payload_bytes", 1 << 31), ("name_bytes", 60_000)],
)
def test_a_row_that_lies_outside_of_its_frame_is_told_and_can_be_skipped(
    field: str, value: int
) -> None:
    """A right checksum does not tell: whoever reads the batch looks at no bounds."""
    lane = lane_on_disk()
    appender = lane.open()
    for start in (0, 3, 6):
        records = batch(start, 3)
        if start == 3:
            records.rows[field][2] += value
        appender.commit(group(records))
    tail = lane.tail()
    assert numbers(list(tail.read().batch)) == [0, 1, 2]
    for _ in range(2):  # It stays until somebody decides.
        with pytest.raises(LogCorruptError, match="a record lies outside of its frame at offset"):
            tail.read()
    tail.skip_damage()
    assert numbers(read_on(tail)) == [6, 7, 8]

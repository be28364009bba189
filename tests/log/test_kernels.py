"""The log's kernels against a readable second opinion."""

from collections import defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.events import NO_VEHICLE, Record, RecordBatch, Topic
from motorcade.log.frame import scan_frames
from motorcade.log.gather import gather
from motorcade.log.kernels import check_rows, number_rows
from tests.log.test_frame import aligned, pack

PARTITIONS = 3
ALLOWED = 0b1110  # topics 1 to 3

RECORDS = st.lists(
    st.builds(
        Record,
        vehicle=st.just(NO_VEHICLE),
        topic=st.sampled_from([Topic.TELEMETRY, Topic.DIAGNOSTICS, Topic.CONNECTIVITY]),
        payload=st.binary(max_size=30),
        received_time_us=st.integers(-(2**62), 2**62),
        event_time_us=st.just(0),
        name=st.binary(max_size=5),
        stream=st.binary(max_size=5),
        properties=st.binary(max_size=5),
        partition=st.integers(0, PARTITIONS - 1),
    ),
    min_size=1,
    max_size=20,
)


def check(batch: RecordBatch) -> tuple[int, int, int, int]:
    bad, topics, low, high = check_rows(
        batch.rows, np.uint64(ALLOWED), PARTITIONS, len(batch.buffer)
    )
    return int(bad), int(topics), int(low), int(high)


@settings(deadline=None)
@given(RECORDS)
def test_good_rows_give_topics_and_times(records: list[Record]) -> None:
    times = [one.received_time_us for one in records]
    topics = 0
    for one in records:
        topics |= 1 << one.topic
    assert check(RecordBatch.of(records)) == (-1, topics, min(times), max(times))


@settings(deadline=None)
@given(RECORDS, st.data())
def test_the_first_bad_row_is_named(records: list[Record], data: st.DataObject) -> None:
    batch = RecordBatch.of(records)
    index = data.draw(st.integers(0, len(records) - 1))
    row = batch.rows[index]
    field, value = data.draw(
        st.sampled_from(
            [
                ("topic", 9),
                ("topic", 0),
                ("topic", 65),  # 65 & 63 is allowed, 65 is not
                ("partition", PARTITIONS),
                ("start", len(batch.buffer) + 1),
                ("payload_bytes", int(row["payload_bytes"]) + len(batch.buffer) + 1),
                ("payload_bytes", 2**32 - 1),
            ]
        )
    )
    row[field] = value
    assert check(batch)[0] == index


@settings(deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=3))
def test_positions_count_up_per_topic_and_partition(groups: list[list[Record]]) -> None:
    table = np.zeros((64, PARTITIONS), np.int64)
    expected: dict[tuple[int, int], int] = defaultdict(int)
    for records in groups:
        batch = RecordBatch.of(records)
        number_rows(batch.rows, table)
        for one in batch:
            assert one.position == expected[one.topic, one.partition]
            expected[one.topic, one.partition] += 1


@settings(deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=4), st.integers(0, 15))
def test_gathering_keeps_the_wanted_topics_in_order(
    groups: list[list[Record]], topics: int
) -> None:
    data = b""
    for records in groups:
        data += pack(RecordBatch.of(records), len(data))
    memory = aligned(data)
    frames = scan_frames(memory, 7, 0).frames
    wanted = [one for records in groups for one in records if topics >> one.topic & 1]
    gathered = gather(memory, frames, topics)
    assert (list(gathered.batch), gathered.frames) == (wanted, len(frames))

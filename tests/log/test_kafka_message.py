"""The Kafka engine's messages, positions and cursors: no broker needed."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.events import NO_VEHICLE, Record, RecordBatch, Topic
from motorcade.log.errors import CursorError, LogCorruptError
from motorcade.log.kafka_cursor import Place
from motorcade.log.kafka_message import compact, decode, encode, number
from motorcade.log.port import Cursor

TOPICS = [Topic.TELEMETRY, Topic.ENERGY, Topic.MEDIA]


def batches() -> st.SearchStrategy[RecordBatch]:
    record = st.builds(
        Record,
        vehicle=st.just(NO_VEHICLE),
        topic=st.sampled_from(TOPICS),
        payload=st.binary(max_size=20),
        received_time_us=st.integers(0, 1_000),
        event_time_us=st.integers(0, 1_000),
        name=st.binary(max_size=5),
        stream=st.binary(max_size=5),
        properties=st.binary(max_size=5),
        partition=st.integers(0, 3),
    )
    return st.lists(record, max_size=20).map(RecordBatch.of)


@given(batch=batches(), picked=st.lists(st.integers(0, 1_000), max_size=20))
def test_compact_keeps_the_records_and_nothing_else(batch: RecordBatch, picked: list[int]) -> None:
    part = batch.select(np.array([each % len(batch) for each in picked if len(batch)], np.int64))
    own = compact(part)
    assert list(own) == list(part)
    assert len(own.buffer) == sum(
        len(one.name + one.stream + one.properties + one.payload) for one in part
    )


@given(batch=batches(), positions=st.dictionaries(st.integers(0, 2**24), st.integers(0, 2**62)))
def test_a_message_comes_back(batch: RecordBatch, positions: dict[int, int]) -> None:
    back, table = decode(encode(batch, positions))
    assert list(back) == list(batch)
    assert table == positions


@given(batch=batches(), cut=st.integers(0, 10_000), flipped=st.booleans())
def test_foreign_bytes_are_refused(batch: RecordBatch, cut: int, flipped: bool) -> None:
    message = encode(batch, {1: 2})
    damaged = b"X" + message[1:] if flipped else message[: cut % len(message)]
    with pytest.raises(LogCorruptError):
        decode(damaged)


@pytest.mark.parametrize(
    ("field", "value"), [("start", 1 << 31), ("payload_bytes", 9), ("topic", 99)]
)
def test_rows_that_kernels_may_not_read_are_refused(field: str, value: int) -> None:
    batch = RecordBatch.of([Record(NO_VEHICLE, Topic.MEDIA, b"x", 0, 0)])
    rows = batch.rows.copy()
    rows[field] = value
    with pytest.raises(LogCorruptError, match="another program"):
        decode(encode(RecordBatch(rows, batch.buffer), {}))


@given(batches=st.lists(batches(), max_size=4))
def test_positions_are_counted_one_by_one_per_topic_and_partition(
    batches: list[RecordBatch],
) -> None:
    positions: dict[int, int] = {}
    counted: dict[tuple[int, int], int] = defaultdict(int)
    for batch in batches:
        number(batch.rows, positions)
        for record in batch:
            place = (record.topic, record.partition)
            assert record.position == counted[place]
            counted[place] += 1
    assert positions == {topic << 16 | part: count for (topic, part), count in counted.items()}


def test_a_cursor_comes_back() -> None:
    place = Place({"m.w.bulk": [3, 0]}, at_us=7, begun={"m.w.bulk": [True, False]})
    assert Place.of_cursor(place.to_cursor()) == place


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: b"kafka1:" + rest))
def test_bytes_that_are_no_cursor_are_refused(data: bytes) -> None:
    with pytest.raises(CursorError):
        Place.of_cursor(Cursor(data))


@pytest.mark.parametrize(
    "words",
    [
        '{"offsets":{"a":[-1]}}',
        '{"offsets":{"a":"no"}}',
        '{"offsets":{"a":[0]},"at_us":"no"}',
        '{"offsets":{"a":[0]},"at_us":1,"begun":[]}',
        '{"offsets":{"a":[0]},"at_us":1,"begun":{"a":[1,2]}}',
        '{"offsets":[]}',
        '{"offsets":{"a":[0]},"at_us":1,"begun":{"a":[true,false]}}',
    ],
)
def test_cursors_of_the_wrong_shape_are_refused(words: str) -> None:
    with pytest.raises(CursorError):
        Place.of_cursor(Cursor(b"kafka1:" + words.encode()))

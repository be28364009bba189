"""What every engine of the log promises (`log/port.py`), each promise once, on every engine."""

import select
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, wait
from typing import Any, Protocol

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.clock import SystemClock
from motorcade.events import (
    RECORD_DTYPE,
    Encoding,
    Flags,
    Record,
    RecordBatch,
    Topic,
    make_token,
    partition_of,
)
from motorcade.log.errors import (
    CursorError,
    LogBusyError,
    LogClosedError,
    LogError,
    LogWriteError,
)
from motorcade.log.port import AtTime, Cursor, Edge, Log, LogReader, LogSlice
from motorcade.log.topics import Lane

ALL = frozenset(Topic)
PARTITIONS = 64
START_US = 1_760_000_000_000_000
WAIT_S = 30.0  # patience with a busy machine; nothing waits that long when the promise is kept
CARS = [make_token(bytes([number]) * 17) for number in range(5)]
CLOCK = SystemClock()


class Deployment(Protocol):
    """See `conftest.py`."""

    newest_writer_wins: bool

    def open(self, **limits: Any) -> Log: ...

    def fresh_name(self) -> str: ...


def record(number: int, topic: Topic = Topic.TELEMETRY, payload: bytes | None = None) -> Record:
    """The `number`th record of a stream that takes the cars in turn, 1 ms apart."""
    car = CARS[number % len(CARS)]
    return Record(
        vehicle=car,
        topic=topic,
        payload=b"payload %d" % number if payload is None else payload,
        received_time_us=START_US + 1_000 * number,
        event_time_us=START_US + 1_000 * number - 77,
        stream=b"stream",
        sequence=number,
        partition=partition_of(car, PARTITIONS),
    )


def batch(numbers: Iterable[int], topic: Topic = Topic.TELEMETRY) -> RecordBatch:
    return RecordBatch.of(record(number, topic) for number in numbers)


def write(log: Log, name: str, *batches: RecordBatch, lane: Lane = Lane.BULK) -> list[RecordBatch]:
    """Append the batches, wait until they are durable, release the writer."""
    writer = log.writer(name, lane)
    futures = [writer.append(each) for each in batches]
    done = [future.result(WAIT_S) for future in futures]
    writer.close()
    return done


def read(reader: LogReader, count: int) -> list[LogSlice]:
    """Poll until `count` records have come, then see that no further one follows."""
    slices: list[LogSlice] = []
    deadline_s = CLOCK.monotonic_s() + WAIT_S
    while records_in(slices) < count and CLOCK.monotonic_s() < deadline_s:
        slices.extend(reader.poll(0.2))
    slices.extend(reader.poll(0.0))
    assert records_in(slices) == count
    return slices


def records_in(slices: Sequence[LogSlice]) -> int:
    return sum(len(each.batch) for each in slices)


def sequences(slices: Sequence[LogSlice]) -> list[int]:
    """The senders' sequences, sorted: order holds per partition only, across them it is free."""
    return sorted(int(row) for each in slices for row in each.batch.rows["identity_lo"])


Place = tuple[str, int, int]


def by_place(slices: Sequence[LogSlice]) -> dict[Place, list[Record]]:
    """Records per (writer, topic, partition), in the order in which they were read."""
    places: dict[Place, list[Record]] = defaultdict(list)
    for each in slices:
        for one in each.batch:
            places[each.writer, one.topic, one.partition].append(one)
    return places


def assert_dense_and_in_order(slices: Sequence[LogSlice], first: int = 0) -> None:
    for place, records in by_place(slices).items():
        positions = [one.position for one in records]
        assert positions == list(range(first, first + len(records))), place
        sent = [one.identity[1] for one in records]
        assert sent == sorted(sent), place


# -- durable, dense, in order ----------------------------------------------------------------------


def test_the_future_gives_the_batch_back_with_dense_positions(deployment: Deployment) -> None:
    log = deployment.open()
    name = deployment.fresh_name()
    first, second = write(log, name, batch(range(20)), batch(range(20, 50)))
    places: dict[int, list[int]] = defaultdict(list)
    for done in (first, second):
        for one in done:
            places[one.partition].append(one.position)
    assert sum(map(len, places.values())) == 50
    for positions in places.values():
        assert positions == list(range(len(positions)))
    assert [one.payload for one in second] == [b"payload %d" % number for number in range(20, 50)]


def test_what_was_acknowledged_is_read_by_another_process(deployment: Deployment) -> None:
    log = deployment.open()
    name = deployment.fresh_name()
    writer = log.writer(name, Lane.BULK)
    writer.append(batch(range(30))).result(WAIT_S)
    # The writer stays open: durable does not mean closed.
    slices = read(deployment.open().reader(ALL, Edge.EARLIEST), 30)
    assert sequences(slices) == list(range(30))
    assert_dense_and_in_order(slices)
    assert {(each.writer, each.lane) for each in slices} == {(name, Lane.BULK)}


def test_positions_go_on_after_closing_and_opening_again(deployment: Deployment) -> None:
    name = deployment.fresh_name()
    for start in range(0, 60, 20):
        log = deployment.open()
        write(log, name, batch(range(start, start + 20)), batch([], Topic.TELEMETRY))
        log.close()
    slices = read(deployment.open().reader(ALL, Edge.EARLIEST), 60)
    assert_dense_and_in_order(slices)
    assert sequences(slices) == list(range(60))


def test_positions_are_counted_per_writer_topic_and_partition(deployment: Deployment) -> None:
    log = deployment.open()
    for name in (deployment.fresh_name(), deployment.fresh_name()):
        mixed = RecordBatch.of(
            record(number, (Topic.TELEMETRY, Topic.ENERGY)[number % 2]) for number in range(40)
        )
        write(log, name, mixed)
        write(log, name, batch(range(10), Topic.COMMAND_ANSWERS), lane=Lane.FAST)
    slices = read(log.reader(ALL, Edge.EARLIEST), 100)
    assert_dense_and_in_order(slices)
    assert len({place[:2] for place in by_place(slices)}) == 6


def test_appends_without_waiting_are_stored_in_the_order_of_the_calls(
    deployment: Deployment,
) -> None:
    log = deployment.open()
    writer = log.writer(deployment.fresh_name(), Lane.BULK)
    futures = [writer.append(batch([number])) for number in range(200)]
    reader = log.reader(ALL, Edge.EARLIEST)
    slices = read(reader, 200)
    assert_dense_and_in_order(slices)
    assert not wait(futures, WAIT_S).not_done


def test_an_empty_batch_is_durable_at_once_and_takes_no_position(deployment: Deployment) -> None:
    log = deployment.open()
    name = deployment.fresh_name()
    empty, full = write(log, name, RecordBatch.empty(), batch(range(5)))
    assert len(empty) == 0
    assert len(full) == 5
    assert_dense_and_in_order(read(log.reader(ALL, Edge.EARLIEST), 5))


# -- every byte and every column -------------------------------------------------------------------

SMALL_BYTES = st.binary(max_size=40)


def integers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << bits) - 1)


def any_record() -> st.SearchStrategy[Record]:
    bulk = [Topic.TELEMETRY, Topic.DIAGNOSTICS, Topic.CONNECTIVITY, Topic.MEDIA, Topic.MQTT]
    return st.builds(
        Record,
        vehicle=st.binary(min_size=16, max_size=16).map(make_token) | st.just(""),
        topic=st.sampled_from(bulk),
        payload=st.binary(max_size=300),
        received_time_us=st.integers(0, 2**53),
        event_time_us=st.integers(-(2**63), 2**63 - 1),
        encoding=st.sampled_from(Encoding),
        name=SMALL_BYTES,
        stream=SMALL_BYTES,
        sequence=st.none() | integers(64),
        identity=st.tuples(integers(64), integers(64)),
        properties=SMALL_BYTES,
        flags=integers(9).map(lambda bits: Flags(bits & ~Flags.IDENTITY_SEQUENCE)),
        key_id=integers(32),
        epoch=integers(32),
        partition=st.integers(0, PARTITIONS - 1),
    )


def test_every_byte_and_column_comes_back(deployment: Deployment) -> None:
    log = deployment.open()
    writer = log.writer(deployment.fresh_name(), Lane.BULK)

    @settings(max_examples=30, deadline=None)
    @given(batches=st.lists(st.lists(any_record(), min_size=1, max_size=8), min_size=1, max_size=4))
    def check(batches: list[list[Record]]) -> None:
        start = log.end(ALL)
        futures = [writer.append(RecordBatch.of(records)) for records in batches]
        sent = [one for future in futures for one in future.result(WAIT_S)]
        assert [without_position(one) for one in sent] == [
            without_position(one) for records in batches for one in RecordBatch.of(records)
        ]
        reader = log.reader(ALL, start)
        slices = read(reader, len(sent))
        reader.close()
        written = {(one.topic, one.partition, one.position): one for one in sent}
        back = [one for each in slices for one in each.batch]
        assert {(one.topic, one.partition, one.position): one for one in back} == written
        for each in slices:
            assert each.batch.rows.dtype == RECORD_DTYPE

    check()


def without_position(one: Record) -> tuple[object, ...]:
    return tuple(getattr(one, name) for name in Record.__slots__ if name != "position")


def test_a_batch_that_shares_a_larger_buffer_is_stored_as_its_own_rows(
    deployment: Deployment,
) -> None:
    log = deployment.open()
    whole = batch(range(30))
    picked = whole.select(np.arange(5, 30, 7)[::-1])  # not from the start, not in buffer order
    write(log, deployment.fresh_name(), picked)
    slices = read(log.reader(ALL, Edge.EARLIEST), len(picked))
    back = sorted((one.sequence or 0, one.payload) for each in slices for one in each.batch)
    assert back == [(number, b"payload %d" % number) for number in range(5, 30, 7)]


def test_a_record_of_many_megabytes_comes_back(deployment: Deployment) -> None:
    log = deployment.open()
    payload = np.random.default_rng(7).bytes(16_000_000)
    write(log, deployment.fresh_name(), RecordBatch.of([record(1, payload=payload)]), batch([2]))
    slices = read(log.reader(ALL, Edge.EARLIEST), 2)
    back = {one.sequence: one.payload for each in slices for one in each.batch}
    assert back[1] == payload
    assert back[2] == b"payload 2"


# -- where a reader starts -------------------------------------------------------------------------


def test_every_cursor_gives_each_later_record_once_and_no_earlier_one(
    deployment: Deployment,
) -> None:
    log = deployment.open(reader_bytes_max=1)  # the smallest polls, so the most cursors
    names = [deployment.fresh_name() for _ in range(2)]
    for start in range(0, 60, 10):
        write(log, names[start // 10 % 2], batch(range(start, start + 10)))
    write(log, names[0], batch(range(60, 70), Topic.COMMAND_ANSWERS), lane=Lane.FAST)

    reader = log.reader(ALL, Edge.EARLIEST)
    cursors, seen = [reader.cursor], [0]
    slices: list[LogSlice] = []
    while records_in(slices) < 70:
        for each in reader.poll(1.0):
            slices.append(each)
            cursors.append(each.cursor)
            seen.append(records_in(slices))
    assert sequences(slices) == list(range(70))
    assert reader.cursor == cursors[-1]
    for cursor, count in zip(cursors, seen, strict=True):
        resumed = deployment.open().reader(ALL, cursor)
        rest = read(resumed, 70 - count)
        resumed.close()
        before = {key(each, one) for each in slices for one in each.batch} - {
            key(each, one) for each in rest for one in each.batch
        }
        assert len(before) == count
        assert_in_order(rest)


def key(each: LogSlice, one: Record) -> tuple[str, int, int, int]:
    return each.writer, one.topic, one.partition, one.position


def assert_in_order(slices: Sequence[LogSlice]) -> None:
    for place, records in by_place(slices).items():
        positions = [one.position for one in records]
        assert positions == sorted(set(positions)), place


def test_a_cursor_taken_before_the_first_poll_keeps_the_start(deployment: Deployment) -> None:
    log = deployment.open()
    write(log, deployment.fresh_name(), batch(range(10)))
    starts = {Edge.EARLIEST: 0, Edge.LATEST: 10, AtTime(START_US + 4_000): 4}
    cursors = {start: log.reader(ALL, start).cursor for start in starts}
    write(log, deployment.fresh_name(), batch(range(10, 20)))
    for start, first in starts.items():
        slices = read(log.reader(ALL, cursors[start]), 20 - first)
        assert sequences(slices) == list(range(first, 20)), start


def test_latest_gives_only_what_comes_later_also_of_new_writers(deployment: Deployment) -> None:
    log = deployment.open()
    name = deployment.fresh_name()
    write(log, name, batch(range(10)))
    reader = log.reader(ALL, Edge.LATEST)
    end = log.end(ALL)
    write(log, name, batch(range(10, 20)))
    write(log, deployment.fresh_name(), batch(range(20, 30)))
    assert sequences(read(reader, 20)) == list(range(10, 30))
    assert sequences(read(log.reader(ALL, end), 20)) == list(range(10, 30))


@pytest.mark.parametrize("number", [0, 1, 9, 10, 11, 25, 39])
@pytest.mark.parametrize("offset_us", [-1, 0])
def test_at_time_starts_at_the_first_record_received_then(
    deployment: Deployment, number: int, offset_us: int
) -> None:
    log = deployment.open()
    name = deployment.fresh_name()
    write(log, name, *(batch(range(start, start + 10)) for start in range(0, 40, 10)))
    reader = deployment.open().reader(ALL, AtTime(START_US + 1_000 * number + offset_us))
    assert sequences(read(reader, 40 - number)) == list(range(number, 40))


def test_at_time_after_everything_gives_only_what_comes_later(deployment: Deployment) -> None:
    log = deployment.open()
    name = deployment.fresh_name()
    write(log, name, batch(range(10)))
    reader = log.reader(ALL, AtTime(START_US + 9_001))
    assert read(reader, 0) == []
    write(log, name, batch(range(10, 15)))
    assert sequences(read(reader, 5)) == list(range(10, 15))


def test_bytes_that_are_no_cursor_are_refused(deployment: Deployment) -> None:
    log = deployment.open()
    write(log, deployment.fresh_name(), batch(range(3)))
    for foreign in (b"", b"not a cursor", b"\xff" * 200, b"{}", b"[1,2]", b"\x00" * 64):
        with pytest.raises(CursorError):
            log.reader(ALL, Cursor(foreign)).poll(0.0)


# -- topics, writers, lanes ------------------------------------------------------------------------


def test_a_reader_gets_the_topics_it_asked_for(deployment: Deployment) -> None:
    log = deployment.open()
    name = deployment.fresh_name()
    topics = [Topic.TELEMETRY, Topic.ENERGY, Topic.MEDIA]
    write(log, name, RecordBatch.of(record(number, topics[number % 3]) for number in range(60)))
    write(log, name, batch(range(60, 70), Topic.COMMANDS), lane=Lane.FAST)
    for wanted, count in [
        ({Topic.ENERGY}, 20),
        ({Topic.ENERGY, Topic.MEDIA}, 40),
        ({Topic.COMMANDS}, 10),
        ({Topic.MEDIA, Topic.COMMANDS}, 30),
        ({Topic.MQTT}, 0),
    ]:
        slices = read(log.reader(frozenset(wanted), Edge.EARLIEST), count)
        assert {one.topic for each in slices for one in each.batch} <= wanted
        assert_dense_and_in_order(slices)


def test_records_of_other_topics_do_not_stop_a_reader_or_its_cursor(
    deployment: Deployment,
) -> None:
    log = deployment.open(reader_bytes_max=1)
    name = deployment.fresh_name()
    write(log, name, *(batch([number], Topic.MEDIA) for number in range(20)))
    write(log, name, batch([20], Topic.ENERGY))
    write(log, name, *(batch([number], Topic.MEDIA) for number in range(21, 40)))
    reader = log.reader(frozenset({Topic.ENERGY}), Edge.EARLIEST)
    assert sequences(read(reader, 1)) == [20]
    write(log, name, batch([40], Topic.ENERGY))
    resumed = log.reader(frozenset({Topic.ENERGY}), reader.cursor)
    assert sequences(read(resumed, 1)) == [40]


def test_slices_name_their_writer_and_lane(deployment: Deployment) -> None:
    log = deployment.open()
    names = [deployment.fresh_name() for _ in range(3)]
    for index, name in enumerate(names):
        write(log, name, batch(range(index * 10, index * 10 + 10)))
        write(log, name, batch([100 + index], Topic.COMMANDS), lane=Lane.FAST)
    for each in read(log.reader(ALL, Edge.EARLIEST), 33):
        for one in each.batch:
            number = one.sequence or 0
            fast = number >= 100
            assert each.lane is (Lane.FAST if fast else Lane.BULK)
            assert each.writer == names[number - 100 if fast else number // 10]


# -- consumer groups -------------------------------------------------------------------------------


def test_a_groups_cursor_is_kept_for_it_alone(deployment: Deployment) -> None:
    log = deployment.open()
    name, group, other = (deployment.fresh_name() for _ in range(3))
    assert log.load_cursor(group) is None
    log.store_cursor(group, log.end(ALL))  # of an empty log, which is a place too
    write(log, name, batch(range(10)))
    empty = log.load_cursor(group)
    assert empty is not None
    assert sequences(read(log.reader(ALL, empty), 10)) == list(range(10))

    log.store_cursor(group, log.end(ALL))
    write(log, name, batch(range(10, 20)))
    log.close()
    again = deployment.open()
    assert again.load_cursor(other) is None
    cursor = again.load_cursor(group)
    assert cursor is not None
    assert sequences(read(again.reader(ALL, cursor), 10)) == list(range(10, 20))


def test_a_group_goes_on_where_its_last_stored_cursor_stood(deployment: Deployment) -> None:
    log = deployment.open(reader_bytes_max=1)
    group = deployment.fresh_name()
    name = deployment.fresh_name()
    write(log, name, *(batch(range(start, start + 5)) for start in range(0, 50, 5)))
    seen: list[LogSlice] = []
    while records_in(seen) < 50:  # one poll per life of the reader
        cursor = log.load_cursor(group)
        reader = log.reader(ALL, Edge.EARLIEST if cursor is None else cursor)
        for each in reader.poll(5.0):
            seen.append(each)
            log.store_cursor(group, each.cursor)
        reader.close()
    assert_dense_and_in_order(seen)
    assert sequences(seen) == list(range(50))


# -- limits, the single writer ---------------------------------------------------------------------


def test_a_full_queue_takes_nothing_and_says_so(deployment: Deployment) -> None:
    log = deployment.open(queue_bytes_max=1 << 20)
    writer = log.writer(deployment.fresh_name(), Lane.BULK)
    taken: list[int] = []
    futures: list[Future[RecordBatch]] = []
    busy = 0
    number = 0
    payload = bytes(300_000)
    while busy < 5:
        number += 1
        assert number < 5_000, "the queue never filled: is it bounded?"
        try:
            futures.append(writer.append(RecordBatch.of([record(number, payload=payload)])))
        except LogBusyError:
            busy += 1
        else:
            taken.append(number)
    assert not wait(futures, WAIT_S).not_done
    futures.append(writer.append(batch([number + 1])))  # room again
    assert futures[-1].result(WAIT_S)
    slices = read(log.reader(ALL, Edge.EARLIEST), len(taken) + 1)
    assert sequences(slices) == [*taken, number + 1]
    assert_dense_and_in_order(slices)


def test_no_two_writers_of_one_name_and_lane_both_write(deployment: Deployment) -> None:
    name = deployment.fresh_name()
    first = deployment.open().writer(name, Lane.BULK)
    first.append(batch(range(5))).result(WAIT_S)
    other = deployment.open()
    if deployment.newest_writer_wins:
        second = other.writer(name, Lane.BULK)
        second.append(batch(range(5, 10))).result(WAIT_S)
        with pytest.raises(LogWriteError):
            first.append(batch(range(100, 105))).result(WAIT_S)
        with pytest.raises(LogError):  # and for good
            first.append(batch(range(100, 105))).result(WAIT_S)
        second.append(batch(range(10, 15))).result(WAIT_S)
    else:
        with pytest.raises(LogError):
            other.writer(name, Lane.BULK)
        first.append(batch(range(5, 15))).result(WAIT_S)
    slices = read(other.reader(ALL, Edge.EARLIEST), 15)
    assert_dense_and_in_order(slices)


def test_a_second_writer_in_the_same_process_is_refused_until_the_first_closes(
    deployment: Deployment,
) -> None:
    log = deployment.open()
    name = deployment.fresh_name()
    first = log.writer(name, Lane.BULK)
    with pytest.raises(LogError):
        log.writer(name, Lane.BULK)
    log.writer(name, Lane.FAST)  # the other lane is another writer
    first.append(batch(range(5))).result(WAIT_S)
    first.close()
    write(log, name, batch(range(5, 10)))
    assert_dense_and_in_order(read(log.reader(ALL, Edge.EARLIEST), 10))


# -- tailing ---------------------------------------------------------------------------------------


def test_readers_that_tail_see_every_record_once_and_in_order(deployment: Deployment) -> None:
    log = deployment.open()
    names = [deployment.fresh_name() for _ in range(2)]
    readers = [deployment.open().reader(ALL, Edge.EARLIEST) for _ in range(2)]

    def produce(name: str, first: int) -> None:
        writer = log.writer(name, Lane.BULK)
        futures = [
            writer.append(batch(range(start, start + 20)))
            for start in range(first, first + 1_000, 20)
        ]
        wait(futures, WAIT_S)
        writer.close()

    threads = [
        threading.Thread(target=produce, args=(name, index * 1_000))
        for index, name in enumerate(names)
    ]
    for thread in threads:
        thread.start()
    for reader in readers:
        slices = read(reader, 2_000)
        assert_dense_and_in_order(slices)
        assert sequences(slices) == list(range(2_000))
    for thread in threads:
        thread.join()


def test_poll_returns_as_soon_as_the_first_record_is_there(deployment: Deployment) -> None:
    log = deployment.open()
    writer = log.writer(deployment.fresh_name(), Lane.BULK)
    reader = deployment.open().reader(ALL, Edge.LATEST)
    assert not reader.poll(0.0)
    timer = threading.Timer(0.05, lambda: writer.append(batch(range(3))))
    timer.start()
    slices: list[LogSlice] = []
    while records_in(slices) < 3:
        given = reader.poll(WAIT_S)
        assert given, "poll gave up before its time although a record came"
        slices.extend(given)
    timer.join()
    assert sequences(slices) == [0, 1, 2]


def test_the_doorbell_rings_when_records_are_there(deployment: Deployment) -> None:
    log = deployment.open()
    writer = log.writer(deployment.fresh_name(), Lane.FAST)
    reader = deployment.open().reader(frozenset({Topic.COMMANDS}), Edge.LATEST)
    if reader.doorbell_fd is None:
        assert read(reader, 0) == []  # this engine is polled on a timer, as the port allows
        return
    for number in range(3):
        reader.poll(0.0)
        writer.append(batch([number], Topic.COMMANDS)).result(WAIT_S)
        slices: list[LogSlice] = []
        while not slices:
            ready, _, _ = select.select([reader.doorbell_fd], [], [], WAIT_S)
            assert ready, "no doorbell although a record is there"
            slices.extend(reader.poll(0.0))
        assert sequences(slices) == [number]


# -- closing ---------------------------------------------------------------------------------------


def test_closing_commits_what_was_taken_and_takes_no_more(deployment: Deployment) -> None:
    log = deployment.open()
    writer = log.writer(deployment.fresh_name(), Lane.BULK)
    futures = [writer.append(batch(range(start, start + 10))) for start in range(0, 100, 10)]
    writer.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(LogClosedError):
        writer.append(batch([100]))
    writer.close()  # twice is harmless
    reader = log.reader(ALL, Edge.EARLIEST)
    assert sequences(read(reader, 100)) == list(range(100))
    reader.close()
    reader.close()
    with pytest.raises(LogClosedError):
        reader.poll(0.0)


def test_closing_the_log_closes_what_it_opened(deployment: Deployment) -> None:
    log = deployment.open()
    name = deployment.fresh_name()
    writer = log.writer(name, Lane.BULK)
    future = writer.append(batch(range(10)))
    reader = log.reader(ALL, Edge.EARLIEST)
    log.close()
    assert future.done()
    assert future.exception() is None
    with pytest.raises(LogClosedError):
        writer.append(batch([11]))
    with pytest.raises(LogClosedError):
        reader.poll(0.0)
    write(deployment.open(), name, batch(range(10, 20)))  # the writer's place is free again

"""Dedup against its oracle: any order, any cuts, any clock, forgetting and snapshots included."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from motorcade.config import DedupConfig
from motorcade.events import Flags, Record, RecordBatch, Topic, make_token
from motorcade.streams import dedup as dedup_module
from motorcade.streams.dedup import Dedup
from motorcade.streams.dedup_snapshot import DedupSnapshotError
from tests.streams import oracle as oracle_module
from tests.streams.oracle import Oracle

CARS = [make_token(bytes([number]) * 16) for number in range(40)]
TOP = (1 << 64) - 1
SECOND = 1_000_000
CONFIG = DedupConfig(horizon_s=10, gaps_per_stream_max=3, stream_idle_s_max=20)
TIGHT = replace(CONFIG, streams_max=6, identities_max=6)


def sent(
    sequence: int,
    car: int = 0,
    stream: bytes = b"s",
    time_us: int = 0,
    topic: Topic = Topic.TELEMETRY,
) -> Record:
    return Record(CARS[car], topic, b"", time_us, time_us, stream=stream, sequence=sequence)


def hashed(identity: int, car: int = 0, time_us: int = 0) -> Record:
    pair = (identity % 3, identity // 3)  # halves that often agree, so both must be compared
    return Record(
        CARS[car], Topic.TELEMETRY, b"", time_us, time_us, identity=pair, flags=Flags.IDENTITY_HASH
    )


def plain() -> Record:
    return Record(CARS[0], Topic.TELEMETRY, b"x", 0, 0)


def keep(dedup: Dedup, records: Sequence[Record]) -> list[bool]:
    return [bool(each) for each in dedup.keep(RecordBatch.of(records), "gateway")]


def records() -> st.SearchStrategy[list[Record]]:
    near = st.integers(0, 12)
    sequences = near | near.map(lambda number: TOP - number) | st.integers(0, TOP)
    times = st.integers(-5, 60).map(lambda second: second * SECOND)
    cars = st.integers(0, len(CARS) - 1)
    by_sequence = st.builds(
        sent,
        sequences,
        car=st.integers(0, 1) | cars,
        stream=st.sampled_from([b"", b"a", b"b"]),
        time_us=times,
        topic=st.sampled_from([Topic.TELEMETRY, Topic.ENERGY, Topic.COMMAND_ANSWERS]),
    )
    by_hash = st.builds(hashed, near | st.integers(0, TOP), car=cars, time_us=times)
    return st.lists(by_sequence | by_hash | st.builds(plain), max_size=120)


def cut(records: Sequence[Record], places: Sequence[int]) -> list[Sequence[Record]]:
    edges = [0, *sorted(place % (len(records) + 1) for place in places), len(records)]
    return [records[start:end] for start, end in pairwise(edges)]


@pytest.fixture(params=["roomy", "tight"])
def config(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> DedupConfig:
    """With tables that start small, so that they grow and forget within a short test."""
    monkeypatch.setattr(dedup_module, "_ROWS_FIRST", 2)
    monkeypatch.setattr(oracle_module, "FIRST", 2)
    monkeypatch.setattr(dedup_module, "_BLOCKS_FIRST", 1)
    return CONFIG if request.param == "roomy" else TIGHT


def test_dedup_keeps_what_the_oracle_keeps(config: DedupConfig) -> None:
    @settings(max_examples=300, deadline=None)
    @given(records=records())
    def check(records: list[Record]) -> None:
        oracle = Oracle(config)
        packed = list(RecordBatch.of(records))  # with the flags that packing sets
        assert keep(Dedup(config), records) == [oracle.keep(record) for record in packed]

    check()


def test_cuts_and_restarts_change_neither_answers_nor_snapshot(config: DedupConfig) -> None:
    @settings(max_examples=150, deadline=None)
    @given(
        records=records(), places=st.lists(st.integers(0, 1_000), max_size=8), again=st.booleans()
    )
    def check(records: list[Record], places: list[int], again: bool) -> None:
        whole = Dedup(config)
        expected = keep(whole, records)
        pieces = Dedup(config)
        answers: list[bool] = []
        for piece in cut(records, places):
            answers += keep(pieces, piece)
            if again:
                saved = pieces.snapshot()
                pieces = Dedup(config)
                pieces.restore(saved)
                assert pieces.snapshot() == saved
        assert answers == expected
        assert pieces.snapshot() == whole.snapshot()

    check()


@given(
    numbers=st.permutations(list(range(20))),
    base=st.sampled_from([0, 1 << 63, TOP - 19]),
)
@example(numbers=list(range(20)), base=TOP - 19)
def test_every_sequence_is_read_once_in_whatever_order_it_comes(
    numbers: list[int], base: int
) -> None:
    dedup = Dedup(DedupConfig())
    records = [sent(base + number) for number in numbers]
    assert keep(dedup, records) == [True] * 20
    assert keep(dedup, records) == [False] * 20


def test_beyond_the_islands_the_lowest_is_forgotten_so_nothing_is_lost() -> None:
    dedup = Dedup(CONFIG)  # three islands
    assert all(keep(dedup, [sent(number) for number in (10, 20, 30, 40)]))
    assert keep(dedup, [sent(20), sent(30), sent(40)]) == [False] * 3
    assert keep(dedup, [sent(10)]) == [True]  # again, rather than never
    assert keep(dedup, [sent(20), sent(30), sent(40)]) == [False] * 3


@settings(max_examples=400, deadline=None)
@given(numbers=st.lists(st.integers(0, 14), max_size=60))
def test_one_streams_islands_are_the_oracles(numbers: list[int]) -> None:
    records = [sent(number) for number in numbers]
    oracle = Oracle(CONFIG)
    packed = list(RecordBatch.of(records))
    assert keep(Dedup(CONFIG), records) == [oracle.keep(record) for record in packed]


def test_what_forgotten_streams_held_is_used_again(config: DedupConfig) -> None:
    dedup = Dedup(TIGHT)
    for number in range(2_000):
        stream = str(number).encode()
        keep(dedup, [sent(1, stream=stream), sent(3, stream=stream), sent(5, stream=stream)])
    assert dedup.allocated_bytes < 10_000


def test_topics_of_one_lane_share_a_streams_sequences_and_lanes_do_not() -> None:
    dedup = Dedup(CONFIG)
    assert keep(dedup, [sent(1, topic=Topic.TELEMETRY)]) == [True]
    assert keep(dedup, [sent(1, topic=Topic.ENERGY)]) == [False]
    assert keep(dedup, [sent(1, topic=Topic.COMMAND_ANSWERS)]) == [True]


def test_vehicles_whose_tokens_collide_in_the_table_are_told_apart() -> None:
    chance = np.random.default_rng(5)
    tokens = sorted({make_token(chance.bytes(16)) for _ in range(3_000)})
    records = [Record(token, Topic.MEDIA, b"", 0, 0, sequence=1) for token in tokens]
    dedup = Dedup(CONFIG)
    assert all(keep(dedup, records))
    assert not any(keep(dedup, records))


def test_an_identity_counts_for_the_horizon_of_received_time() -> None:
    dedup = Dedup(CONFIG)  # ten seconds
    times = [100 * SECOND, 110 * SECOND - 1, 110 * SECOND, 95 * SECOND, 120 * SECOND - 1]
    records = [hashed(5, time_us=time_us) for time_us in times]
    assert keep(dedup, records) == [True, False, True, False, False]


def test_a_record_without_identity_is_always_kept() -> None:
    assert keep(Dedup(CONFIG), [plain(), plain()]) == [True, True]


def test_a_resend_by_another_gateway_is_a_duplicate() -> None:
    dedup = Dedup(CONFIG)
    batch = RecordBatch.of([sent(1)])
    assert dedup.keep(batch, "gateway").tolist() == [True]
    assert dedup.keep(batch, "gateway2").tolist() == [False]


def test_read_only_and_strided_rows_are_taken() -> None:
    batch = RecordBatch.of([sent(number) for number in range(10)])
    batch.rows.setflags(write=False)
    assert Dedup(CONFIG).keep(RecordBatch(batch.rows[::2], batch.buffer), "gateway").all()


def test_a_snapshot_is_cut_to_fewer_islands_when_the_setting_fell() -> None:
    wide = Dedup(replace(CONFIG, gaps_per_stream_max=5))
    keep(wide, [sent(number) for number in (10, 20, 30, 40, 50)])
    narrow = Dedup(replace(CONFIG, gaps_per_stream_max=2))
    narrow.restore(wide.snapshot())
    assert keep(narrow, [sent(number) for number in (50, 40, 30)]) == [False, False, True]


@pytest.mark.parametrize("count", [0, 2, 1 << 63, TOP])
def test_a_snapshot_that_contradicts_itself_is_refused(count: int) -> None:
    """Its checksum is right: another version's, or somebody else's."""
    dedup = Dedup(CONFIG)
    keep(dedup, [sent(1)])
    data = bytearray(dedup.snapshot()[:-4])
    counts_at = 4 + 5 * 8 + 4 * 8  # behind the header, one stream's key and when it was seen
    assert data[counts_at : counts_at + 8] == (1).to_bytes(8, "little")
    data[counts_at : counts_at + 8] = count.to_bytes(8, "little")
    with pytest.raises(DedupSnapshotError, match="contradicts"):
        dedup.restore(bytes(data) + zlib.crc32(data).to_bytes(4, "little"))


def test_a_snapshot_of_tables_that_hold_nothing_is_refused() -> None:
    """The next record would be looked for a place without end."""
    data = bytearray(Dedup(CONFIG).snapshot()[:-4])
    data[4 + 3 * 8 :] = bytes(2 * 8)  # the two limits
    with pytest.raises(DedupSnapshotError, match="contradicts"):
        Dedup(CONFIG).restore(bytes(data) + zlib.crc32(data).to_bytes(4, "little"))


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_damaged_snapshot_is_refused(place: int, bit: int) -> None:
    dedup = Dedup(CONFIG)
    keep(dedup, [sent(1), sent(5), hashed(9)])
    damaged = np.frombuffer(dedup.snapshot(), np.uint8).copy()
    damaged[place % len(damaged)] ^= 1 << bit
    with pytest.raises(DedupSnapshotError):
        dedup.restore(damaged.tobytes())
    with pytest.raises(DedupSnapshotError):
        dedup.restore(damaged.tobytes()[: place % len(damaged)])

"""Records, batches and tokens: what goes in comes out, and tokens can never be VINs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade import kernels
from motorcade.events import (
    TOKEN_BYTES,
    VIN_ALPHABET,
    Encoding,
    Flags,
    Record,
    RecordBatch,
    Topic,
    VehicleToken,
    fnv1a_64,
    make_token,
    pack_token,
    partition_of,
    unpack_token,
)

entropies = st.binary(min_size=16, max_size=32)
times = st.integers(-(2**62), 2**62)
texts = st.binary(max_size=40)


@st.composite
def records(draw: st.DrawFn) -> Record:
    token = draw(st.one_of(st.just(VehicleToken("")), entropies.map(make_token)))
    sequence = draw(st.none() | st.integers(0, 2**64 - 1))
    flags = Flags(draw(st.sampled_from([0, Flags.TIME_GIVEN, Flags.RETAIN | Flags.QOS_1])))
    stream = draw(texts)
    if sequence is not None:
        flags |= Flags.IDENTITY_SEQUENCE
    return Record(
        vehicle=token,
        topic=draw(st.sampled_from(Topic)),
        payload=draw(st.binary(max_size=200)),
        received_time_us=draw(times),
        event_time_us=draw(times),
        encoding=draw(st.sampled_from(Encoding)),
        name=draw(texts),
        stream=stream,
        sequence=sequence,
        identity=(0, 0) if sequence is None else (fnv1a_64(stream), sequence),
        properties=draw(texts),
        flags=flags,
        key_id=draw(st.integers(0, 2**32 - 1)),
        epoch=draw(st.integers(0, 2**32 - 1)),
        partition=draw(st.integers(0, 2**16 - 1)),
        position=draw(st.integers(-1, 2**62)),
    )


@given(entropies)
def test_a_token_can_never_be_a_vin_and_packs_without_loss(entropy: bytes) -> None:
    token = make_token(entropy)
    assert len(token) == TOKEN_BYTES
    assert set(token) - set(VIN_ALPHABET), "no I, O or Q: it could be a VIN"
    assert unpack_token(*pack_token(token)) == token


def test_a_token_needs_enough_chance() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        make_token(b"short")


@given(st.lists(records(), max_size=8))
def test_a_batch_gives_back_every_field(many: list[Record]) -> None:
    batch = RecordBatch.of(many)
    assert list(batch) == many
    assert [batch.payload(index) for index in range(len(batch))] == [one.payload for one in many]


@given(st.lists(st.lists(records(), max_size=4), min_size=1, max_size=4))
def test_joined_batches_are_their_records_in_order(groups: list[list[Record]]) -> None:
    joined = RecordBatch.concat([RecordBatch.of(group) for group in groups])
    assert list(joined) == [one for group in groups for one in group]


@given(st.lists(records(), min_size=1, max_size=8), st.data())
def test_a_selection_shares_the_buffer(many: list[Record], data: st.DataObject) -> None:
    mask = data.draw(st.lists(st.booleans(), min_size=len(many), max_size=len(many)))
    batch = RecordBatch.of(many)
    chosen = batch.select(np.array(mask))
    assert list(chosen) == [one for one, kept in zip(many, mask, strict=True) if kept]
    assert chosen.buffer is batch.buffer


@settings(deadline=None)  # the first call loads the kernel
@given(entropies, st.integers(1, 4_096))
def test_kernels_and_objects_agree_on_partitions(entropy: bytes, partitions: int) -> None:
    token = make_token(entropy)
    high, low = pack_token(token)
    expected = partition_of(token, partitions)
    assert kernels.partition_of_packed(np.uint64(high), np.uint64(low), partitions) == expected
    assert 0 <= expected < partitions


@settings(deadline=None)  # the first call loads the kernel
@given(st.binary(max_size=64))
def test_kernels_and_objects_agree_on_stream_hashes(stream: bytes) -> None:
    data = np.frombuffer(b"x" + stream + b"y", np.uint8)
    assert kernels.fnv1a_64(data, 1, 1 + len(stream)) == fnv1a_64(stream)


def test_fnv_is_the_published_function() -> None:
    assert fnv1a_64(b"") == 0xCBF29CE484222325
    assert fnv1a_64(b"foobar") == 0x85944171F73967E8  # test vector of the FNV page

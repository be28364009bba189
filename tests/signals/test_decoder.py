"""From record batches to samples: all encodings together, in order, and nobody harms the batch."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.events import Encoding, Flags, Record, RecordBatch
from motorcade.signals import packed
from motorcade.signals.samples import SampleBatch, unbox
from tests.signals.batches import FUTURE_US, RECEIVED_US, decode, decoder, record, shown
from tests.signals.payloads import damaged, payload

BROKEN = record(b"\x0a\x05\xff")


def json_record(body: object, **fields: int | Flags) -> Record:
    return record(json.dumps(body).encode(), Encoding.JSON_SIGNALS, **fields)  # type: ignore[arg-type]


def packed_record(samples: list[tuple[int, str, packed.Scalar]]) -> Record:
    return record(packed.encode(samples), Encoding.SAMPLES)


def test_encodings_side_by_side_keep_the_order_of_the_log() -> None:
    records = [
        record(payload([(4, 4, 100.0), (65, 1, "Armed"), (8, 2, 80)]), event_us=1),
        json_record({"time_us": 2, "signals": {"gear": "D", "mine": "x", "flag": True}}),
        BROKEN,
        packed_record([(3, "soc", 50.0), (4, "locked", False), (4, "own", True)]),
        record(payload([(300, 2, 7), (300, 1, "8")]), event_us=5),
    ]
    fresh = decoder()
    assert shown(fresh, *records) == [
        (0, 1, "vehicle_speed", 44.704),
        (0, 1, "sentry_mode", "Armed"),
        (0, 1, "soc", 80.0),
        (1, 2, "gear", "D"),
        (1, 2, "mine", "x"),
        (1, 2, "flag", True),
        (3, 3, "soc", 50.0),
        (3, 4, "locked", False),
        (3, 4, "own", True),
        (4, 5, "Field_300", 7.0),
        (4, 5, "Field_300", 8.0),
    ]
    assert fresh.counts.malformed_records == 1


def test_a_record_broken_at_its_end_yields_nothing() -> None:
    sound = payload([(4, 4, 100.0), (65, 1, "Armed")])
    fresh = decoder()
    assert shown(fresh, record(sound + b"\x0a\x7f"), record(sound)) == [
        (1, RECEIVED_US, "vehicle_speed", 44.704),
        (1, RECEIVED_US, "sentry_mode", "Armed"),
    ]
    assert fresh.counts.malformed_records == 1


def test_json_values_that_are_no_values_are_counted() -> None:
    fresh = decoder()
    assert shown(fresh, json_record({"signals": {"a": {"b": 1}, "soc": 5}})) == [
        (0, RECEIVED_US, "soc", 5.0)
    ]
    assert fresh.counts.rejected_values == 1


def test_a_bounded_record_uses_the_received_time_throughout() -> None:
    future = RECEIVED_US + FUTURE_US + 1
    body = [{"time_us": future, "signals": {"soc": 1}}, {"time_us": 5, "signals": {"soc": 2}}]
    bounded = json_record(body, flags=Flags.TIME_GIVEN | Flags.TIME_BOUNDED)
    assert [time for _, time, _, _ in shown(decoder(), bounded)] == [RECEIVED_US, RECEIVED_US]


def test_later_times_inside_a_record_are_held_to_the_same_limit() -> None:
    edge = RECEIVED_US + FUTURE_US
    samples: list[tuple[int, str, packed.Scalar]] = [(5, "soc", 1.0)]
    fresh = decoder()
    body = [{"time_us": time, "signals": {"soc": 1}} for time in (5, edge, edge + 1)]
    times = [time for _, time, _, _ in shown(fresh, json_record(body), packed_record(samples))]
    assert times == [5, edge, RECEIVED_US, 5]
    assert fresh.counts.bounded_times == 1


def test_rows_without_a_slot_and_other_encodings_give_nothing() -> None:
    known = record(payload([(4, 4, 1.0), (300, 2, 1)]))
    batch = RecordBatch.of(
        [
            known,
            record(b'{"signals": {"new": 1}}', Encoding.OPAQUE),
            json_record({"signals": {"n": 1}}),
        ]
    )
    fresh = decoder()
    assert len(fresh.decode(batch, np.array([-1, 0, -1], np.int32))) == 0
    assert fresh.dictionary.known_id("Field_300") == fresh.dictionary.known_id("n") == -1


def test_a_vehicle_that_invents_names_harms_itself_only() -> None:
    flood = json_record({"signals": {f"n{i}": i for i in range(50)}})
    fresh = decoder(names_per_vehicle_max=10)
    seen = shown(fresh, flood, json_record({"signals": {"n3": 3, "fresh": 1, "n11": 2}}))
    assert [(slot, name) for slot, _, name, _ in seen] == [
        *((0, f"n{i}") for i in range(10)), (1, "n3"), (1, "fresh"), (1, "n11")]  # fmt: skip
    assert fresh.dictionary.refused == 40


def test_presence_is_not_for_the_vehicle_to_say() -> None:
    fresh = decoder()
    assert shown(fresh, json_record({"signals": {"online": True}})) == []
    assert fresh.dictionary.refused == 1


def plain(samples: SampleBatch) -> list[tuple[object, ...]]:
    values = [unbox(value, samples.texts) for value in samples.value.tolist()]
    bits = samples.value.view(np.uint64).tolist()
    columns = (samples.vehicle, samples.time_us, samples.signal)
    return list(zip(*(c.tolist() for c in columns), bits, values, strict=True))


json_payloads = st.dictionaries(
    st.sampled_from(["soc", "a", "b", "Field_300", "gear"]),
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["D", "x", "y", "true"]),
).map(lambda signals: json_record({"signals": signals}))
records = st.lists(damaged().map(record) | json_payloads | st.just(BROKEN), max_size=8)


@given(records, st.lists(st.integers(0, 8), max_size=3))
def test_batch_cuts_change_nothing(given_records: list[Record], cuts: list[int]) -> None:
    batch = RecordBatch.of(given_records)
    slots = np.arange(len(batch), dtype=np.int32)
    whole = plain(decoder().decode(batch, slots))
    edges = [0, *sorted(min(cut, len(batch)) for cut in cuts), len(batch)]
    fresh = decoder()
    pieces = []
    for first, last in itertools.pairwise(edges):
        piece = np.arange(first, last)
        pieces += plain(fresh.decode(batch.select(piece), slots[piece]))
    assert pieces == whole


@given(records)
def test_each_rows_samples_end_where_it_is_said(given_records: list[Record]) -> None:
    mixed = [*given_records, packed_record([(3, "soc", 50.0), (4, "own", True)]), *given_records]
    batch = RecordBatch.of(mixed)
    samples, ends = decoder().decode_rows(batch, np.arange(len(batch), dtype=np.int32))
    rows = np.repeat(np.arange(len(batch)), np.diff(ends, prepend=0))
    assert rows.tolist() == samples.vehicle.tolist()


@given(records)
def test_a_restored_dictionary_goes_on_alike(given_records: list[Record]) -> None:
    first, second = decoder(), decoder()
    decode(first, *given_records)
    second.dictionary.restore(first.dictionary.snapshot())
    second.learn()
    assert plain(decode(first, *given_records)) == plain(decode(second, *given_records))
    assert first.dictionary.snapshot() == second.dictionary.snapshot()


@pytest.mark.parametrize(
    "encoding", [Encoding.TESLA_TELEMETRY, Encoding.JSON_SIGNALS, Encoding.SAMPLES]
)
@given(st.binary(max_size=60))
def test_noise_is_counted_and_harms_no_neighbour(encoding: Encoding, noise: bytes) -> None:
    fresh = decoder()
    good = json_record({"signals": {"soc": 5}})
    seen = shown(fresh, good, record(noise, encoding), good)
    assert [row for row in seen if row[0] != 1] == [
        (0, RECEIVED_US, "soc", 5.0), (2, RECEIVED_US, "soc", 5.0)]  # fmt: skip

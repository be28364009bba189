"""Live state against the port's promises: latest, derived from the log alone, whole reads."""

import itertools
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.config import Config, StateConfig
from motorcade.events import Flags, Record, RecordBatch, VehicleToken
from motorcade.signals.catalogue import BY_ID
from motorcade.signals.samples import present
from motorcade.state.charges import ChargePorts
from motorcade.state.embedded import EmbeddedLiveState
from motorcade.state.port import Change, SignalValue, VehicleState
from tests.signals.batches import decoder
from tests.signals.payloads import payload
from tests.state.records import (
    FLEET,
    SMALL,
    START_US,
    any_record,
    batch,
    gateway_started,
    presence,
    signals,
    telemetry,
    tesla,
)

CAR, OTHER = FLEET[:2]


def state(*records: Record, config: Config = SMALL) -> EmbeddedLiveState:
    live = EmbeddedLiveState(config)
    live.apply(batch(*records), "gateway")
    return live


def test_a_vehicle_that_never_sent_has_an_empty_state() -> None:
    assert state().read(CAR) == VehicleState({}, online=False, last_received_us=0)


def test_the_latest_value_with_its_time_and_unit() -> None:
    live = state(tesla(CAR, 1, speed=100.0, soc=50.0), tesla(CAR, 2, soc=49.0))
    assert live.read(CAR) == VehicleState(
        {
            "vehicle_speed": SignalValue(44.704, START_US + 1, "m/s"),
            "soc": SignalValue(49.0, START_US + 2, "%"),
        },
        online=False,
        last_received_us=START_US + 2,
    )
    assert live.read(OTHER).signals == {}
    assert live.read(CAR).signals["soc"].age_s(START_US + 3_000_002) == 3.0


def test_one_value_is_the_one_of_the_whole_state() -> None:
    live = state(signals(CAR, 9, soc=9, own="new", asleep=True), signals(CAR, 5, soc=5))
    for name in ("soc", "asleep", "vehicle_speed"):
        assert live.value(CAR, name) == live.read(CAR).signals.get(name)
        assert live.value(OTHER, name) is None
    with pytest.raises(KeyError):
        live.value(CAR, "own")


def test_late_data_does_not_overwrite_newer_and_of_equal_times_the_later_wins() -> None:
    live = state(
        signals(CAR, 9, soc=9, own="new"),
        signals(CAR, 5, soc=5, own="late", fresh=1),
        signals(CAR, 9, soc=10, own="same time"),
    )
    shown = live.read(CAR).signals
    assert (shown["soc"].value, shown["own"].value) == (10.0, "same time")
    assert shown["fresh"] == SignalValue(1.0, START_US + 5, "")


def test_unavailable_is_not_absent() -> None:
    live = state(signals(CAR, 1, soc=5, own=1), signals(CAR, 2, soc=None, own=None))
    assert live.read(CAR).signals["soc"] == SignalValue(None, START_US + 2, "%")
    assert live.read(CAR).signals["own"].value is None


def test_a_bounded_record_counts_as_of_its_received_time() -> None:
    """The door replaced the impossible time; a value from the future must not pin the signal."""
    bounded = telemetry(CAR, payload([(8, 5, 1.0)]), 7, flags=Flags.TIME_GIVEN | Flags.TIME_BOUNDED)
    live = state(bounded, tesla(CAR, 8, soc=2.0))
    assert live.read(CAR).signals["soc"] == SignalValue(2.0, START_US + 8, "%")


def test_unknown_fields_are_kept() -> None:
    live = state(tesla(CAR, 1, unknown=7.5))
    assert live.read(CAR).signals == {"Field_300": SignalValue(7.5, START_US + 1, "")}


def test_a_vehicle_with_too_many_signals_loses_the_newest_of_them_only() -> None:
    live = state(signals(CAR, 1, **{f"n{i}": i for i in range(40)}), signals(OTHER, 1, mine=1))
    assert len(live.read(CAR).signals) == 20
    assert live.read(OTHER).signals["mine"].value == 1.0


def test_vehicles_beyond_the_limit_are_counted() -> None:
    live = state(
        *(tesla(token, 1, soc=1.0) for token in FLEET),
        config=Config(state=StateConfig(vehicles_max=3)),
    )
    assert live.vehicle_count == 3
    assert live.records_without_slot == 2
    assert live.read(FLEET[4]).signals == {}


def test_online_while_any_connection_is_open() -> None:
    live = state(presence(CAR, "a", 1), presence(CAR, "b", 1), presence(CAR, "a", 2))
    assert live.read(CAR).online
    live.apply(batch(presence(CAR, "a", 2), presence(CAR, "b", 2)), "gateway")
    assert not live.read(CAR).online
    assert live.read(CAR).last_received_us == 0, "presence is no telemetry"


def test_presence_alone_is_told_without_the_rest() -> None:
    live = state(tesla(CAR, 1, soc=50.0))
    seen = live.comings()
    assert not live.online(CAR)
    assert not live.online(OTHER), "never heard of"
    live.apply(batch(tesla(CAR, 2, soc=51.0)), "gateway")
    assert live.comings() == seen, "a sample is no coming"
    for coming, there in (("a", 1), ("a", 2)):
        live.apply(batch(presence(CAR, coming, there)), "gateway")
        assert live.online(CAR) == live.read(CAR).online == (there == 1)
        assert live.comings() != seen
        seen = live.comings()
    live.restore(None)
    assert live.comings() != seen


def test_a_starting_gateway_ends_its_own_connections_only() -> None:
    live = state(presence(CAR, "a", 1))
    live.apply(batch(presence(OTHER, "b", 1)), "other gateway")
    live.apply(batch(gateway_started()), "gateway")
    assert (live.read(CAR).online, live.read(OTHER).online) == (False, True)


def test_many_connections_of_one_vehicle_are_bounded() -> None:
    live = state(*(presence(CAR, str(number), 1) for number in range(100)))
    assert len(live.save()) < 2_000
    live.apply(batch(presence(CAR, "99", 2)), "gateway")
    assert live.read(CAR).online


def test_changes_reach_subscribers_of_that_vehicle() -> None:
    live = EmbeddedLiveState(SMALL)
    heard: list[Change] = []
    handle = live.subscribe(CAR, heard.extend)  # before the vehicle has a slot
    live.apply(batch(tesla(CAR, 5, soc=1.0), tesla(OTHER, 5, soc=2.0)), "gateway")
    assert heard == [("soc", SignalValue(1.0, START_US + 5, "%"))]
    heard.clear()
    live.apply(batch(tesla(CAR, 4, soc=3.0), presence(CAR, "a", 1, 6)), "gateway")
    assert heard == [("online", SignalValue(True, START_US + 6, ""))], "the late value is no change"
    heard.clear()
    live.unsubscribe(handle)
    live.unsubscribe(handle)
    live.apply(batch(tesla(CAR, 7, soc=1.0)), "gateway")
    assert heard == []


def test_two_subscribers_and_the_latest_of_a_batch() -> None:
    live = state(tesla(CAR, 1, soc=1.0))
    heard: list[list[Change]] = [[], []]
    handles = [live.subscribe(CAR, each.extend) for each in heard]
    live.apply(batch(tesla(CAR, 2, soc=2.0), tesla(CAR, 3, soc=3.0)), "gateway")
    assert heard == [[("soc", SignalValue(3.0, START_US + 3, "%"))]] * 2
    live.unsubscribe(handles[0])
    live.apply(batch(tesla(CAR, 4, soc=4.0)), "gateway")
    assert [len(each) for each in heard] == [1, 2]


def by_oracle(records: Sequence[Record]) -> dict[VehicleToken, dict[str, SignalValue]]:
    """The same rule, written as a person would: one dictionary per vehicle."""
    fresh = decoder(SMALL.state.signals_per_vehicle_max)
    vehicles = list(dict.fromkeys(record.vehicle for record in records))
    slots = [vehicles.index(record.vehicle) for record in records]
    latest: dict[VehicleToken, dict[str, SignalValue]] = {token: {} for token in vehicles}
    sparse: dict[VehicleToken, set[str]] = {token: set() for token in vehicles}
    samples = fresh.decode(RecordBatch.of(records), np.array(slots, np.int32))
    columns = (samples.vehicle, samples.time_us, samples.signal, samples.value)
    for slot, time_us, signal, value in zip(*(c.tolist() for c in columns), strict=True):
        token, known = vehicles[slot], BY_ID.get(signal)
        name = fresh.dictionary.name_of(signal)
        if known is None or not known.hot:
            if name not in sparse[token] and len(sparse[token]) >= 20:
                continue
            sparse[token].add(name)
        if name not in latest[token] or time_us >= latest[token][name].time_us:
            shown = present(known, value, samples.texts)
            latest[token][name] = SignalValue(shown, time_us, known.unit if known else "")
    return latest


records_lists = st.lists(any_record(), max_size=25)
cuts = st.lists(st.integers(0, 25), max_size=4)


@given(records_lists)
def test_state_equals_the_oracle(records: list[Record]) -> None:
    live = state(*records)
    for token, expected in by_oracle(records).items():
        assert live.read(token).signals == expected


def pieces(records: list[Record], at: list[int]) -> list[RecordBatch]:
    edges = [0, *sorted(min(cut, len(records)) for cut in at), len(records)]
    return [RecordBatch.of(records[a:b]) for a, b in itertools.pairwise(edges)]


@given(records_lists, cuts)
def test_batch_cuts_change_no_byte(records: list[Record], at: list[int]) -> None:
    cut = EmbeddedLiveState(SMALL)
    for piece in pieces(records, at):
        cut.apply(piece, "gateway")
    assert cut.save() == state(*records).save()


@given(records_lists, cuts)
@settings(max_examples=50)
def test_restored_at_every_cut_equals_uninterrupted(records: list[Record], at: list[int]) -> None:
    live = EmbeddedLiveState(SMALL)
    for piece in pieces(records, at):
        saved = live.save()
        live = EmbeddedLiveState(SMALL)
        live.restore(saved)
        assert live.save() == saved
        live.apply(piece, "gateway")
    uninterrupted = state(*records)
    assert live.save() == uninterrupted.save()
    assert all(live.read(token) == uninterrupted.read(token) for token in FLEET)


@given(records_lists, cuts)
def test_a_version_that_stays_is_a_state_that_stays(records: list[Record], at: list[int]) -> None:
    live = EmbeddedLiveState(SMALL)
    seen: dict[tuple[VehicleToken, int], VehicleState] = {}

    def look() -> None:
        for token in FLEET:
            shown = live.read(token)
            assert seen.setdefault((token, live.version(token)), shown) == shown

    for piece in pieces(records, at):
        live.apply(piece, "gateway")
        look()
        live.restore(live.save())
        look()
    live.restore(None)
    look()


def test_a_restored_state_has_a_version_of_its_own() -> None:
    live = state(tesla(CAR, 1, soc=1.0))
    saved, seen = live.save(), {live.version(CAR)}
    for soc in (2.0, 3.0):
        live.apply(batch(tesla(CAR, 2, soc=soc)), "gateway")
        seen.add(live.version(CAR))
        live.restore(saved)
        seen.add(live.version(CAR))
    assert len(seen) == 5


def test_who_looks_while_records_are_applied_is_told_that_there_is_more() -> None:
    """What was read before the values came must not count as what they made of it: neither when
    the car was heard last nor the version is ahead of the values."""
    live = state(tesla(CAR, 1, soc=1.0))
    before = live.read(CAR)
    looks: list[tuple[int, VehicleState]] = []
    decode = live._decoder.decode_rows

    def looking(*given: Any) -> Any:
        looks.append((live.version(CAR), live.read(CAR)))
        return decode(*given)

    live._decoder.decode_rows = looking  # type: ignore[method-assign]
    live.apply(batch(tesla(CAR, 2, soc=2.0)), "gateway")
    ((version, shown),) = looks
    assert shown == before
    assert live.version(CAR) != version


def test_what_is_others_changes_no_version() -> None:
    """Or a fleet that sends would let nothing be kept of a car that rests."""
    live = state(tesla(CAR, 1, soc=1.0), tesla(OTHER, 1, soc=1.0), presence(OTHER, "a", 1))
    before = live.version(CAR)
    live.apply(batch(tesla(OTHER, 2, soc=2.0), presence(OTHER, "a", 2)), "gateway")
    assert live.version(CAR) == before
    for record in (tesla(CAR, 2, soc=2.0), presence(CAR, "b", 1), presence(CAR, "b", 2)):
        live.apply(batch(record), "gateway")
        assert live.version(CAR) != before
        before = live.version(CAR)
    live.apply(batch(presence(CAR, "c", 1)), "gateway")
    before = live.version(CAR)
    live.apply(batch(gateway_started()), "gateway")
    assert live.version(CAR) != before, "its connection ended with the gateway's"


def test_subscriptions_outlive_a_restore() -> None:
    live = state(tesla(CAR, 1, soc=1.0))
    heard: list[Change] = []
    live.subscribe(CAR, heard.extend)
    live.restore(live.save())
    live.apply(batch(tesla(CAR, 2, soc=2.0)), "gateway")
    live.restore(None)
    live.apply(batch(tesla(CAR, 1, soc=3.0)), "gateway")
    assert [value.value for _, value in heard] == [2.0, 3.0]


@pytest.mark.parametrize("saved", [b"", b"x", msgspec.msgpack.encode([b"1"] * 10)])
def test_other_bytes_are_refused(saved: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, ValueError)):
        EmbeddedLiveState(SMALL).restore(saved)


def test_texts_that_nobody_holds_are_forgotten() -> None:
    live = EmbeddedLiveState(SMALL)
    for start in range(0, 10_000, 500):
        live.apply(
            batch(*(signals(CAR, at, own=f"text {at}") for at in range(start, start + 500))),
            "gateway",
        )
    assert len(live._texts) < 6_000
    assert live.read(CAR).signals["own"].value == "text 9999"


def test_growth_of_every_table() -> None:
    many = [VehicleToken(f"5YJ3E1EA7KFI{number:05d}") for number in range(3_000)]
    live = EmbeddedLiveState(Config())
    live.apply(
        batch(*(tesla(t, 1, soc=float(n), unknown=n + 0.5) for n, t in enumerate(many))), "g"
    )
    live.apply(batch(*(signals(t, 1, own=n, two=-n) for n, t in enumerate(many))), "g")
    for number in (0, 1, 1_023, 1_024, 2_999):
        shown = live.read(many[number]).signals
        assert {name: value.value for name, value in shown.items()} == {
            "soc": number, "Field_300": number + 0.5, "own": number, "two": -number}  # fmt: skip


def test_reads_beside_a_writer_see_whole_records() -> None:
    """Value, time and when it was received are written one after the other, signal by signal; no
    reader may see one without the other."""
    live = state(signals(CAR, 0, soc=0, own=0))
    torn: list[VehicleState] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            shown = live.read(CAR)
            at = shown.last_received_us - START_US
            values = shown.signals.values()
            if any((value.value, value.time_us - START_US) != (at, at) for value in values):
                torn.append(shown)

    reader = threading.Thread(target=read)
    reader.start()
    for start in range(0, 40_000, 2_000):
        records = (signals(CAR, at, soc=at, own=at) for at in range(start, start + 2_000))
        live.apply(batch(*records), "gateway")
    done.set()
    reader.join()
    assert torn == []


def test_a_car_that_begins_to_charge_is_seen_with_all_that_it_said_at_once() -> None:
    """Its session is looked for between two samples of one record; readers see both or none."""
    looks: list[VehicleState] = []

    def place_of(_latitude: float, _longitude: float) -> str:
        gate = live._gate._inside
        assert gate.locked(), "who reads now sees a part"
        gate.release()  # as if none were needed: what a reader would see
        looks.append(live.read(CAR))
        gate.acquire()
        return ""

    live = EmbeddedLiveState(SMALL, ChargePorts(lambda _session: None, place_of))
    live.apply(batch(signals(CAR, 1, latitude=60.0, longitude=25.0, soc=1.0)), "gateway")
    live.apply(batch(signals(CAR, 2, detailed_charge_state="Charging", soc=2.0)), "gateway")
    (shown,) = looks
    assert shown.signals["soc"].value == 1.0, "the look does fall between the two"

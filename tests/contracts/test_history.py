"""The promises of `history/port.py`, on every engine: the embedded one, so far."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.clock import SimulatedClock
from motorcade.events import Record, VehicleToken, pack_token
from motorcade.history import columns, index, merging, within
from motorcade.history.area import Area
from motorcade.history.embedded import EmbeddedHistory
from motorcade.history.errors import HistoryBusyError, HistoryTooLargeError
from motorcade.history.port import Kept, Span, Values, Visit
from motorcade.streams.dedup import Dedup
from tests.history.deployment import CONFIG, EVER, Deployment, oracle, shown
from tests.state.records import FLEET, START_US, any_record, signals, tesla

CAR, OTHER = FLEET[:2]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    yield made
    made.close()


def at(from_us: int, until_us: int) -> Span:
    return Span(START_US + from_us, START_US + until_us)


def written(deployment: Deployment) -> None:
    writer = deployment.history_writer()
    writer.read_on()
    writer.flush()
    writer.close()


@pytest.mark.parametrize("where", ["tail", "file", "both"])
def test_everything_is_there_by_event_time(deployment: Deployment, where: str) -> None:
    early = [signals(CAR, 20, soc=2, own="x"), signals(CAR, 10, soc=1), tesla(OTHER, 5, soc=9.0)]
    late = [signals(CAR, 15, soc=None, own=True), signals(CAR, 20, gear="D")]
    deployment.append(early)
    if where != "tail":
        written(deployment)
    deployment.append(late)
    if where == "file":
        written(deployment)
    found = shown(deployment.history().read(CAR, None, at(0, 100)))
    assert found == oracle([*early, *late], CAR)
    assert [value for _, _, value in found["soc"]] == [1.0, None, 2.0]
    assert [value for _, _, value in found["own"]] == [True, "x"]


def test_a_span_takes_its_first_instant_and_leaves_its_last(deployment: Deployment) -> None:
    deployment.append([signals(CAR, time, soc=time) for time in range(10)])
    written(deployment)
    deployment.append([signals(CAR, time, soc=time) for time in range(10, 20)])
    found = shown(deployment.history().read(CAR, ["soc", "gear"], at(3, 15)))
    assert [value for _, _, value in found["soc"]] == list(range(3, 15))
    assert "gear" not in found


def test_of_equal_times_the_later_in_the_log_stands(deployment: Deployment) -> None:
    deployment.append([signals(CAR, 1, soc=1), signals(CAR, 1, soc=2, gear="P")])
    written(deployment)
    history = deployment.history()
    assert shown(history.read(CAR, ["soc"], at(0, 9)))["soc"][0][2] == 2
    deployment.append([signals(CAR, 1, soc=3)])
    assert shown(history.read(CAR, ["soc"], at(0, 9)))["soc"][0][2] == 3
    written(deployment)
    found = shown(history.read(CAR, None, at(0, 9)))
    assert (found["soc"][0][2], found["gear"][0][2], len(found["soc"])) == (3, "P", 1)


def test_what_was_known_then_is_told_apart(deployment: Deployment) -> None:
    early = signals(CAR, 1, soc=1)
    late = msgspec.structs.replace(signals(CAR, 1, soc=2), received_time_us=START_US + 50)
    deployment.append([early])
    written(deployment)
    deployment.append([late])
    history = deployment.history()
    then = history.read(CAR, None, at(0, 9), received_until_us=START_US + 49)
    now = history.read(CAR, None, at(0, 9), received_until_us=START_US + 50)
    assert (then["soc"].value.tolist(), now["soc"].value.tolist()) == ([1], [2])


def test_texts_and_large_integers_survive(deployment: Deployment) -> None:
    texts = ["", "ä" * 10, "x" * 1_024, "9007199254740993", "a.b%2E", "\0"]
    sent = [signals(CAR, time, note=text) for time, text in enumerate(texts)]
    sent.append(signals(CAR, 50, **{"a.b%": 9_007_199_254_740_993, "n:x": 2**53, "vehicle": 1}))
    deployment.append(sent)
    history = deployment.history()
    before = shown(history.read(CAR, None, at(0, 99)))
    written(deployment)
    after = shown(history.read(CAR, None, at(0, 99)))
    assert before == after == oracle(sent, CAR)
    assert [value for _, _, value in after["note"]] == texts
    assert after["a.b%"][0][2] == "9007199254740993"
    assert (after["n:x"][0][2], after["vehicle"][0][2]) == (2.0**53, 1.0)


def test_duplicates_of_senders_are_read_once(deployment: Deployment) -> None:
    first = msgspec.structs.replace(signals(CAR, 1, soc=1), stream=b"s", sequence=1)
    again = msgspec.structs.replace(signals(CAR, 2, soc=2), stream=b"s", sequence=1)
    deployment.append([first])
    written(deployment)
    deployment.append([again])
    history = deployment.history()
    assert len(history.read(CAR, None, at(0, 9))["soc"]) == 1
    written(deployment)
    assert len(history.read(CAR, None, at(0, 9))["soc"]) == 1


def test_too_large_an_answer_is_refused_not_cut(tmp_path: Path) -> None:
    config = replace(CONFIG, history=replace(CONFIG.history, rows_max=5))
    deployment = Deployment(tmp_path, config)
    deployment.append([signals(CAR, time, soc=time) for time in range(6)])
    try:
        history = deployment.history()
        for _ in range(2):
            with pytest.raises(HistoryTooLargeError, match="ask for less time"):
                history.read(CAR, None, at(0, 9))
            assert len(history.read(CAR, None, at(0, 5))["soc"]) == 5
            written(deployment)
    finally:
        deployment.close()


def with_sequences(records: Sequence[Record], chance: random.Random) -> list[Record]:
    """Some of them with identities, some of those twice."""
    return [
        msgspec.structs.replace(record, stream=b"s", sequence=chance.randint(0, 20))
        if record.vehicle and chance.random() < 0.5
        else record
        for record in records
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(any_record(), max_size=40), st.integers(0, 1 << 30))
def test_answers_do_not_depend_on_where_batches_and_files_are_cut(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], seed: int
) -> None:
    chance = random.Random(seed)
    records = with_sequences(records, chance)
    deployment = Deployment(tmp_path_factory.mktemp("cuts"))
    try:
        writer, left = deployment.history_writer(), list(records)
        while left:
            count = chance.randint(1, len(left))
            deployment.append(left[:count])
            del left[:count]
            if chance.random() < 0.7:
                writer.read_on()
            if chance.random() < 0.5:
                writer.flush()
            if chance.random() < 0.3:  # killed
                writer.close()
                writer = deployment.history_writer()
        history = deployment.history()
        span = at(chance.randint(0, 5), chance.randint(10, 25))
        until_us = START_US + chance.randint(0, 25) if chance.random() < 0.5 else None
        for car in FLEET:
            found = shown(history.read(car, None, span, received_until_us=until_us))
            assert found == oracle(records, car, span, until_us)
        writer.close()
        history.close()
    finally:
        deployment.close()


def test_a_timeline_counts_vehicles_that_moved_and_alarmed(deployment: Deployment) -> None:
    third = FLEET[2]
    deployment.append(
        [
            signals(CAR, 1, vehicle_speed=9, soc=1),
            signals(CAR, 2, vehicle_speed=8),  # once more in the same bucket: one vehicle
            signals(OTHER, 3, vehicle_speed=0, sentry_mode="Panic"),
            signals(OTHER, 12, vehicle_speed=None, sentry_mode="Armed"),
        ]
    )
    written(deployment)
    deployment.append([signals(third, 25, vehicle_speed=7, hvil="Fault"), signals(CAR, 39, soc=1)])
    history = deployment.history()
    whole = history.timeline(None, at(0, 50), 5, moving_mps=0.5)
    assert whole.moving == [1, 0, 1, 0, None]
    assert whole.alarms == [1, 0, 1, 0, None]
    own = history.timeline({OTHER, CAR}, at(0, 50), 5, moving_mps=0.5)
    assert own.moving == [1, 0, None, 0, None]
    assert history.timeline(set(), at(0, 50), 1, moving_mps=0.5).moving == [None]
    written(deployment)
    assert history.timeline(None, at(0, 50), 5, moving_mps=0.5) == whole
    assert history.timeline(None, at(2, 3), 1, moving_mps=8).moving == [0]


SQUARE = Area.of([(179, -1), (-179, -1), (-179, 1), (179, 1)])  # across 180 degrees
longitudes = st.sampled_from([178.5, 179.5, 180.0, -179.5, -178.5])
places = st.one_of(
    st.tuples(st.sampled_from([-1.5, 0.5, 1.5]), longitudes),
    st.sampled_from([(None, None), ("south", "east")]),
)
fix = st.builds(
    lambda car, time, place, other: signals(
        car, time, **other, latitude=place[0], longitude=place[1]
    ),
    st.sampled_from(FLEET[:3]),
    st.integers(0, 20),
    places,
    st.sampled_from([{}, {"soc": 1}]),
)


def hidden(latitudes: Values, longitudes: Values) -> tuple[Values, Values]:
    """What stands east of 180 degrees is not told."""
    is_east = longitudes < 0
    return np.where(is_east, np.nan, latitudes), np.where(is_east, np.nan, longitudes)


def moved(latitudes: Values, longitudes: Values) -> tuple[Values, Values]:
    return latitudes, np.where(longitudes == 178.5, 179.5, longitudes)


def visited(records: Sequence[Record], span: Span, kept: dict[VehicleToken, Kept]) -> list[Visit]:
    """From first principles: each record's fix, as it may be told."""
    times: dict[VehicleToken, list[int]] = {}
    for record in records:
        said = json.loads(record.payload)["signals"]
        place = [said["latitude"], said["longitude"]]
        if not all(isinstance(degrees, float) for degrees in place):
            continue
        if record.vehicle in kept:
            ways = kept[record.vehicle].places
            place = [float(each[0]) for each in ways(np.array(place[:1]), np.array(place[1:]))]
        is_there = abs(place[0]) < 1 and abs(place[1]) > 179
        if is_there and span.from_us <= record.event_time_us < span.until_us:
            times.setdefault(record.vehicle, []).append(record.event_time_us)
    return [
        Visit(token, min(at), max(at), len(at))
        for token, at in sorted(times.items(), key=lambda item: pack_token(item[0]))
    ]


@settings(max_examples=15, deadline=None)
@given(st.lists(fix, max_size=15), st.integers(0, 1 << 30))
def test_who_was_within_does_not_depend_on_where_files_are_cut(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], seed: int
) -> None:
    chance = random.Random(seed)
    deployment = Deployment(tmp_path_factory.mktemp("within"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "GROUP_ROWS", chance.randint(1, 6))
        patch.setattr(merging, "MERGED_MIN", chance.randint(2, 3))
        patch.setattr(within, "READ_ROWS", chance.randint(1, 8))
        patch.setattr(within, "WAITING_MAX", chance.randint(0, 3))
        writer, left = deployment.history_writer(), list(records)
        while left:
            count = chance.randint(1, len(left))
            deployment.append(left[:count])
            del left[:count]
            if chance.random() < 0.7:
                writer.read_on()
                writer.flush()
                if chance.random() < 0.5:
                    writer.maintain()
        history, span = deployment.history(), at(chance.randint(0, 5), chance.randint(10, 25))
        kept = {FLEET[0]: Kept(hidden, moves=False), FLEET[1]: Kept(moved, moves=True)}
        for rules in ({}, kept):
            found = history.within(None, SQUARE, span, rules)
            assert (found.found, found.share) == (visited(records, span, rules), 1.0)
        mine = history.within(FLEET[1:2], SQUARE, span, {})
        own = [record for record in records if record.vehicle == FLEET[1]]
        assert mine.found == visited(own, span, {})
        writer.close()
        history.close()
        deployment.close()


def test_coordinates_that_come_one_by_one_are_a_fix_when_close(deployment: Deployment) -> None:
    halves = [signals(CAR, 0, latitude=0.5), signals(CAR, 900_000, longitude=179.5)]
    late = [signals(OTHER, 0, latitude=0.5), signals(OTHER, 1_100_000, longitude=179.5)]
    deployment.append([*halves, *late])
    wanted = [Visit(CAR, START_US + 900_000, START_US + 900_000, 1)]
    assert deployment.history().within(None, SQUARE, EVER, {}).found == wanted
    written(deployment)
    assert deployment.history().within(None, SQUARE, EVER, {}).found == wanted


class Ticking(SimulatedClock):
    """A second passes at each look."""

    def monotonic_s(self) -> float:
        self.advance(1.0)
        return super().monotonic_s()


def test_who_was_within_is_told_as_far_as_time_allowed(deployment: Deployment) -> None:
    for day in range(4):
        time_us = day * 86_400_000_000
        deployment.append([signals(FLEET[day], time_us, latitude=0.5, longitude=179.5)])
        written(deployment)
    limits = replace(CONFIG, history=replace(CONFIG.history, within_s_max=3.5))
    history = EmbeddedHistory(
        deployment.directory / "history",
        limits,
        deployment.log,
        lambda: Dedup(limits.dedup),
        Ticking(START_US),
        deployment.files,
        lambda path: pa.memory_map(str(path)),
    )
    found = history.within(None, SQUARE, EVER, {})
    assert found.share == 0.5
    assert {visit.vehicle for visit in found.found} == set(FLEET[2:4])  # the latest first


def test_questions_across_vehicles_leave_places_for_others(deployment: Deployment) -> None:
    deployment.append([signals(CAR, 1, soc=1, latitude=0.5, longitude=179.5)])
    history = deployment.history()
    refusals: list[type[Exception]] = []

    def ask_more(latitudes: Values, longitudes: Values) -> tuple[Values, Values]:
        """In the middle of a question, more are asked."""
        assert len(history.read(CAR, ["soc"], EVER)["soc"]) == 1
        try:
            history.within(None, SQUARE, EVER, {CAR: Kept(ask_more, moves=False)})
        except HistoryBusyError as error:
            refusals.append(type(error))
        return latitudes, longitudes

    history.within(None, SQUARE, EVER, {CAR: Kept(ask_more, moves=False)})
    assert refusals == [HistoryBusyError]
    assert history.timeline(None, EVER, 1, moving_mps=1).moving == [0]


def test_an_index_without_boxes_hides_nobody(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = index.pack
    monkeypatch.setattr(index, "pack", lambda made: pack(replace(made, boxes=None)))
    deployment.append([signals(CAR, 1, latitude=0.5, longitude=179.5)])
    written(deployment)
    assert len(deployment.history().within(None, SQUARE, EVER, {}).found) == 1

"""Merging changes no answer, wherever it cuts; what is merged and dropped when, by rule."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.config import HistoryConfig
from motorcade.events import Record
from motorcade.history import columns, merging
from motorcade.history.manifest import FileRow
from motorcade.history.merging import expired, next_merge
from tests.history.deployment import CONFIG, EVER, Deployment, oracle, shown
from tests.state.records import FLEET, signals

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
LIMITS = HistoryConfig(retention_age_s=1_000_000, retention_bytes=100)
WINDOWS = replace(CONFIG, history=replace(CONFIG.history, window_s=2, retired_s=0))
values = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["D", "x", "yy"])
said = st.builds(
    lambda car, second, values: signals(car, second * SECOND_US, **values),
    st.sampled_from(FLEET[:3]),
    st.integers(0, 12),
    st.dictionaries(st.sampled_from(["soc", "gear", "own", "a.b"]), values, min_size=1),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(said, min_size=1, max_size=40), st.integers(0, 1 << 30))
def test_merging_changes_no_answer(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], seed: int
) -> None:
    chance = random.Random(seed)
    deployment = Deployment(tmp_path_factory.mktemp("merging"), WINDOWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "MERGED_MIN", chance.randint(2, 3))
        patch.setattr(merging, "WINDOWS_MAX", chance.randint(1, 4))
        patch.setattr(merging, "CHUNK_ROWS", chance.randint(1, 8))
        patch.setattr(columns, "GROUP_ROWS", chance.randint(1, 6))
        writer, left = deployment.history_writer(), list(records)
        history = deployment.history()
        try:
            while left:
                count = chance.randint(1, len(left))
                deployment.append(left[:count])
                del left[:count]
                writer.read_on()
                writer.flush()
                deployment.clock.advance(chance.randint(0, 10))
                while chance.random() < 0.8 and writer.maintain():
                    for car in FLEET[:3]:
                        known = records[: len(records) - len(left)]
                        assert shown(history.read(car, None, EVER)) == oracle(known, car)
            while writer.maintain():
                pass
            assert len(writer.manifest.files) <= 30
            for car in FLEET[:3]:
                assert shown(history.read(car, None, EVER)) == oracle(records, car)
            writer.close()
        finally:
            history.close()
            deployment.close()


@pytest.mark.parametrize("rows", range(1, 6))
def test_a_file_may_end_with_a_full_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(columns, "GROUP_ROWS", 1)
    deployment = Deployment(tmp_path, WINDOWS)
    records = [signals(FLEET[0], second * SECOND_US, soc=50.0) for second in range(rows)]
    writer, history = deployment.history_writer(), deployment.history()
    try:
        deployment.append(records)
        writer.read_on()
        writer.flush()
        assert shown(history.read(FLEET[0], None, EVER)) == oracle(records, FLEET[0])
    finally:
        writer.close()
        history.close()
        deployment.close()


def row(number: int, hour: float, *, tier: int = 0, rows: int = 10) -> FileRow:
    at_us = round(hour * HOUR_US)
    return FileRow(number, rows, 10, 1, at_us, at_us + SECOND_US, tier)


def numbers(found: merging.Merge | None) -> list[int]:
    return [row.number for row in found.rows] if found else []


def test_eight_of_a_tier_are_merged_and_seven_are_not() -> None:
    rows = [row(number, number / 100) for number in range(8)]
    assert next_merge(rows[:7], 0, LIMITS) is None
    assert numbers(next_merge(rows, 0, LIMITS)) == list(range(8))
    higher = [row(number, 5.5, tier=1) for number in range(4)]
    higher += [row(4 + number, 6.5, tier=1) for number in range(7)]
    assert next_merge(higher, 0, LIMITS) is None
    found = next_merge([*higher, row(11, 6.6, tier=1)], 0, LIMITS)
    assert (numbers(found), found and found.tier) == ([*range(4, 12)], 2)


def test_a_window_that_is_over_becomes_one_file() -> None:
    rows = [row(1, 5.1, tier=2), row(2, 5.2, tier=1)]
    assert next_merge(rows, 7 * HOUR_US - 1, LIMITS) is None
    assert numbers(next_merge(rows, 7 * HOUR_US, LIMITS)) == [1, 2]
    assert next_merge(rows[:1], 9 * HOUR_US, LIMITS) is None


def test_a_little_late_data_does_not_rewrite_a_large_file() -> None:
    rows = [row(1, 5.1, tier=2, rows=1_000), row(2, 5.2, tier=1, rows=100)]
    assert next_merge(rows, 9 * HOUR_US, LIMITS) is None
    assert numbers(next_merge([*rows, row(3, 5.3, tier=1, rows=150)], 9 * HOUR_US, LIMITS))


def test_retention_drops_what_is_old_then_the_oldest_beyond_its_bytes() -> None:
    now_us = 1_000 * HOUR_US
    rows = [row(number, 999 - number) for number in range(12)]
    assert expired(rows[:10], now_us, LIMITS) == set()
    assert expired(rows, now_us, LIMITS) == {10, 11}
    assert expired([row(1, 0), row(2, 999)], now_us, LIMITS) == {1}

"""How batches are cut: whole rows, in order, none too large, and an end after each turn."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from motorcade.state.steps import STEP_ROWS, STEP_SAMPLES, Rows, Step, steps

lengths = st.lists(
    st.integers(0, 5) | st.integers(STEP_SAMPLES // 3, 3 * STEP_SAMPLES), max_size=30
)


def rows(lengths: list[int]) -> Rows:
    count = len(lengths)
    none = np.zeros(count, np.int64)
    return Rows(
        none.astype(np.int32), none, none.astype(np.bool_), np.cumsum(lengths, dtype=np.int64)
    )


@given(lengths, st.data())
def test_steps_are_whole_rows_in_order(lengths: list[int], data: st.DataObject) -> None:
    given_rows, total = rows(lengths), sum(lengths)
    some = st.lists(st.integers(1, max(total, 1)), max_size=4 if total else 0)
    turns = sorted(data.draw(some))
    cut = list(steps(given_rows, turns))
    assert [each.begin for each in cut] == [0, *(each.end for each in cut[:-1])][: len(cut)]
    assert sum(each.end - each.begin for each in cut) == total
    assert all(each.end - each.begin <= STEP_SAMPLES for each in cut)
    ends = given_rows.ends.tolist()
    for whole, parts in itertools.groupby(cut, key=lambda each: (each.first, each.last)):
        first, last = whole
        (*_, final), said = list(parts), sum(lengths[first:last])
        assert final.end == ends[last - 1]
        assert last - first == 1 or said <= STEP_SAMPLES, "only a row of its own is cut"
        inside = [turn for turn in turns if final.end - said < turn <= final.end]
        assert all(turn > final.end - lengths[last - 1] for turn in inside), "an end after a turn"
    spans = [whole for whole, _ in itertools.groupby((each.first, each.last) for each in cut)]
    assert [first for first, _ in spans] == [0, *(last for _, last in spans)][: len(spans)]
    assert not spans or spans[-1][1] == len(lengths)


def test_rows_without_samples_are_cut_too() -> None:
    """When their vehicles were heard counts, and costs the gate as much."""
    assert list(steps(rows([0] * (STEP_ROWS + 1)), [])) == [
        Step(0, STEP_ROWS, 0, 0),
        Step(STEP_ROWS, STEP_ROWS + 1, 0, 0),
    ]

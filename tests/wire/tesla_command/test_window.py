"""Counter windows against the plainest model: a set of what was used."""

from hypothesis import given
from hypothesis import strategies as st

from motorcade.wire.tesla_command.window import WINDOW, CounterWindow

U32_MAX = 0xFFFFFFFF
near = st.lists(st.integers(1, 120), max_size=200)
far = st.lists(st.one_of(st.integers(1, 100), st.integers(U32_MAX - 50, U32_MAX)), max_size=60)


@given(st.one_of(near, far))
def test_each_counter_of_the_window_once(counters: list[int]) -> None:
    window, used = CounterWindow(rising=False), {0}
    for counter in counters:
        expected = counter not in used and counter >= max(used) - WINDOW
        assert window.fresh(counter) is expected
        if expected:
            window.use(counter)
            used.add(counter)
        assert window.counter == max(used)


@given(st.one_of(near, far))
def test_rising_takes_greater_ones_alone(counters: list[int]) -> None:
    window, greatest = CounterWindow(rising=True), 0
    for counter in counters:
        assert window.fresh(counter) is (counter > greatest)
        if window.fresh(counter):
            window.use(counter)
        greatest = max(greatest, counter)


def test_zero_is_never_fresh() -> None:
    assert not CounterWindow(rising=False).fresh(0)
    window = CounterWindow(rising=False)
    window.use(5)
    assert not window.fresh(0)
    assert window.fresh(1)

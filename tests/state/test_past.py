"""P4: a past instant is what a live reader saw then, or what all records say of it now."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motorcade.events import VehicleToken
from motorcade.state.port import Mode
from motorcade.state.replaying import PastState
from tests.state.records import FLEET, START_US
from tests.state.voyage import STEPS, Dump, Step, Voyage, with_past

CONFIGS = {
    "plain": with_past(),
    "thinned": with_past(keep_fine_s=0.0, coarse_s=5e-6),
    "short tape": with_past(ahead_bytes_max=24 * 8),
}
ROUGH = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def dump(state: PastState) -> Dump:
    return {token: state.read(token) for token in FLEET}


def shown(state: PastState) -> dict[VehicleToken, object]:
    """Without when something was received, which a fold over events does not know."""
    return {token: (state.read(token).signals, state.read(token).online) for token in FLEET}


@given(STEPS, st.sampled_from(sorted(CONFIGS)))
@ROUGH
def test_as_arrived_equals_what_a_live_reader_saw(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step], config: str
) -> None:
    with Voyage(tmp_path_factory.mktemp("v"), CONFIGS[config]) as voyage:
        voyage.run(steps)
        past = voyage.past()
        for at_us, seen in voyage.seen:
            assert dump(past.open(at_us, Mode.ARRIVED)) == seen
        past.close()


@given(STEPS, st.sampled_from(sorted(CONFIGS)), st.integers(-2, 60))
@ROUGH
def test_as_corrected_equals_a_fold_of_all_records_by_their_time(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step], config: str, after_us: int
) -> None:
    with Voyage(tmp_path_factory.mktemp("v"), CONFIGS[config]) as voyage:
        voyage.run(steps)
        past = voyage.past()
        first_us = min(at_us for at_us, _ in voyage.seen)
        for at_us in {first_us, max(first_us, START_US + after_us), voyage.seen[-1][0]}:
            assert shown(past.open(at_us, Mode.CORRECTED)) == voyage.corrected(at_us)
        past.close()


@given(STEPS, st.sampled_from(sorted(CONFIGS)), st.sampled_from(Mode), st.data())
@ROUGH
def test_playing_forward_equals_opening_anew(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[Step],
    config: str,
    mode: Mode,
    data: st.DataObject,
) -> None:
    with Voyage(tmp_path_factory.mktemp("v"), CONFIGS[config]) as voyage:
        voyage.run(steps)
        past = voyage.past()
        first_us = min(at_us for at_us, _ in voyage.seen)
        stops = sorted(data.draw(st.lists(st.integers(0, 60), min_size=2, max_size=5)))
        playing = past.open(first_us + stops[0], mode, own=data.draw(st.booleans()))
        for stop in stops[1:]:
            playing = past.advance(playing, first_us + stop)
            assert playing.at_us == first_us + stop
            assert dump(playing) == dump(past.open(first_us + stop, mode))
        past.close()

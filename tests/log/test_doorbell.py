"""The doorbell: rings reach the readers of the lane, the dead are forgotten, none is waited for."""

from pathlib import Path

import pytest

from motorcade.clock import SimulatedClock
from motorcade.log.doorbell import Doorbell, Ringer
from motorcade.log.topics import Lane

WAIT_S = 30.0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    deep = tmp_path / ("a directory deeper than a socket's path may be" * 3) / "doorbells"
    deep.mkdir(parents=True)
    return deep


def test_a_ring_is_heard_once(directory: Path) -> None:
    bell = Doorbell(directory, {Lane.BULK, Lane.FAST})
    ringer = Ringer(directory, Lane.BULK, SimulatedClock(0))
    assert not bell.wait(0.0)
    ringer.ring()
    assert bell.wait(WAIT_S)
    bell.clear()
    assert not bell.wait(0.0)
    bell.close()
    ringer.close()


def test_a_ring_reaches_the_readers_of_its_lane_alone(directory: Path) -> None:
    bulk, fast = Doorbell(directory, {Lane.BULK}), Doorbell(directory, {Lane.FAST})
    ringer = Ringer(directory, Lane.FAST, SimulatedClock(0))
    ringer.ring()
    assert fast.wait(WAIT_S)
    assert not bulk.wait(0.0)
    for each in (bulk, fast, ringer):
        each.close()


def test_a_reader_that_comes_later_is_found(directory: Path) -> None:
    clock = SimulatedClock(0)
    ringer = Ringer(directory, Lane.BULK, clock)
    ringer.ring()
    bell = Doorbell(directory, {Lane.BULK})
    clock.advance(1.0)  # The directory's time may be too coarse to tell; then this does.
    ringer.ring()
    assert bell.wait(WAIT_S)
    bell.close()
    ringer.close()


def test_a_reader_that_never_listens_costs_nothing_and_blocks_nobody(directory: Path) -> None:
    deaf, bell = Doorbell(directory, {Lane.BULK}), Doorbell(directory, {Lane.BULK})
    ringer = Ringer(directory, Lane.BULK, SimulatedClock(0))
    for _ in range(2_000):
        ringer.ring()
        assert bell.wait(WAIT_S)
        bell.clear()
    for each in (deaf, bell, ringer):
        each.close()


def test_the_socket_of_a_dead_reader_is_removed(directory: Path) -> None:
    dead = Doorbell(directory, {Lane.BULK})
    name = next(directory.iterdir())
    dead._socket.close()  # As a kill leaves it: the name stays.
    known = Doorbell(directory, {Lane.BULK})
    ringer = Ringer(directory, Lane.BULK, SimulatedClock(0))
    ringer.ring()
    assert not name.exists()
    known._socket.close()
    ringer.ring()
    assert list(directory.iterdir()) == []
    ringer.close()

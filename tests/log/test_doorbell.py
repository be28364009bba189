"""The doorbell: rings reach the readers of their topics, the dead are forgotten."""

from pathlib import Path

import pytest

from motorcade.clock import SimulatedClock
from motorcade.events import Topic
from motorcade.log.doorbell import Doorbell, Ringer

WAIT_S = 30.0
TELEMETRY = 1 << Topic.TELEMETRY


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    deep = tmp_path / ("a directory deeper than a socket's path may be" * 3) / "doorbells"
    deep.mkdir(parents=True)
    return deep


def test_a_ring_is_heard_once(directory: Path) -> None:
    bell = Doorbell(directory, {Topic.TELEMETRY, Topic.MQTT_SESSIONS})
    ringer = Ringer(directory, SimulatedClock(0))
    assert not bell.wait(0.0)
    ringer.ring(TELEMETRY)
    assert bell.wait(WAIT_S)
    bell.clear()
    assert not bell.wait(0.0)
    bell.close()
    ringer.close()


def test_a_ring_reaches_the_readers_of_its_topics_alone(directory: Path) -> None:
    both = Doorbell(directory, {Topic.COMMANDS, Topic.COMMAND_ANSWERS})
    answers = Doorbell(directory, {Topic.COMMAND_ANSWERS})
    sessions = Doorbell(directory, {Topic.MQTT_SESSIONS})  # 10, of which 1 is a part
    ringer = Ringer(directory, SimulatedClock(0))
    ringer.ring(1 << Topic.COMMANDS | TELEMETRY)
    assert both.wait(WAIT_S)
    assert not answers.wait(0.0)
    assert not sessions.wait(0.0)
    for each in (both, answers, sessions, ringer):
        each.close()


def test_what_is_no_bell_is_left_alone(directory: Path) -> None:
    for name in ("bulk.1.0", "99.1.0", "note"):
        (directory / name).write_text("")
    ringer = Ringer(directory, SimulatedClock(0))
    ringer.ring(TELEMETRY)
    assert len(list(directory.iterdir())) == 3
    ringer.close()


def test_a_reader_that_comes_later_is_found(directory: Path) -> None:
    clock = SimulatedClock(0)
    ringer = Ringer(directory, clock)
    ringer.ring(TELEMETRY)
    bell = Doorbell(directory, {Topic.TELEMETRY})
    clock.advance(1.0)  # The directory's time may be too coarse to tell; then this does.
    ringer.ring(TELEMETRY)
    assert bell.wait(WAIT_S)
    bell.close()
    ringer.close()


def test_a_reader_that_never_listens_costs_nothing_and_blocks_nobody(directory: Path) -> None:
    deaf, bell = Doorbell(directory, {Topic.TELEMETRY}), Doorbell(directory, {Topic.TELEMETRY})
    ringer = Ringer(directory, SimulatedClock(0))
    for _ in range(2_000):
        ringer.ring(TELEMETRY)
        assert bell.wait(WAIT_S)
        bell.clear()
    for each in (deaf, bell, ringer):
        each.close()


def test_the_socket_of_a_dead_reader_is_removed(directory: Path) -> None:
    dead = Doorbell(directory, {Topic.TELEMETRY})
    name = next(directory.iterdir())
    dead._socket.close()  # As a kill leaves it: the name stays.
    known = Doorbell(directory, {Topic.TELEMETRY})
    ringer = Ringer(directory, SimulatedClock(0))
    ringer.ring(TELEMETRY)
    assert not name.exists()
    known._socket.close()
    ringer.ring(TELEMETRY)
    assert list(directory.iterdir()) == []
    ringer.close()

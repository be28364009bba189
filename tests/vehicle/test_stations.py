"""What the car tells of a command's road: every station, once, and only when somebody asked."""

import pytest

from motorcade.clock import SimulatedClock
from motorcade.vehicle.disk import MemoryDisk
from motorcade.vehicle.stations import Stations
from motorcade.wire.command.messages import Hello
from tests.vehicle.cloud import START_US, Conversation, agent_of, command, time_answer

SYNC_S = 0.25


class SlowDisk(MemoryDisk):
    """A sync takes a quarter of a second of the car's time."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__()
        self._clock = clock

    def sync(self, name: str) -> None:
        super().sync(name)
        self._clock.advance(SYNC_S)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START_US)


@pytest.fixture
def told() -> list[Stations]:
    return []


@pytest.fixture
def talk(clock: SimulatedClock, told: list[Stations]) -> Conversation:
    disk = SlowDisk(clock)
    return Conversation(agent_of(clock, journal_disk=disk, traced=told.append), clock)


def after_s(stations: Stations, word: str) -> float:
    """When it met that station, in seconds after it was received."""
    return (int(getattr(stations, f"{word}_us")) - stations.received_us) / 1e6


def test_the_journal_comes_before_the_deed_and_the_answer_after(
    talk: Conversation, told: list[Stations]
) -> None:
    talk.connect()
    assert talk.outcome(command(1, "door_unlock")) == ("executed", "")
    (stations,) = told
    assert (stations.command.name, stations.state, stations.reason) == (
        "door_unlock",
        "executed",
        "",
    )
    words = ("verified", "judged", "journaled", "executed", "answered")
    assert [after_s(stations, word) for word in words] == [0, 0, SYNC_S, SYNC_S, SYNC_S]


def test_a_refusal_is_journaled_and_never_executed(
    talk: Conversation, told: list[Stations]
) -> None:
    talk.connect()
    talk.outcome(command(1, "door_lock"))
    (stations,) = told
    assert (stations.state, stations.reason) == ("refused", "already_set")
    assert stations.executed_us == 0
    assert after_s(stations, "journaled") == after_s(stations, "answered") == SYNC_S


def test_a_wait_for_the_time_lies_between_verified_and_judged(
    talk: Conversation, told: list[Stations], clock: SimulatedClock
) -> None:
    talk.agent.connected()
    talk.tell(command(1, expires_s=60))
    (hello,) = talk.heard()
    assert isinstance(hello, Hello)
    assert told == []
    clock.advance(10.0)
    talk.tell(time_answer(hello.nonce, clock.now_us()))
    (stations,) = told
    assert (after_s(stations, "verified"), after_s(stations, "judged")) == (0, 10.0)


def test_what_the_journal_repeats_is_not_told_again(
    talk: Conversation, told: list[Stations]
) -> None:
    talk.connect()
    talk.outcome(command(1, "door_unlock"))
    talk.outcome(command(1, "door_unlock"))
    assert len(told) == 1

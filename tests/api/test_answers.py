"""Answers that are kept: as long as nothing is new, for who may have them, up to a size."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from motorcade.api.answers import Answers
from motorcade.api.errors import ApiError, offline
from motorcade.events import VehicleToken
from motorcade.state.port import SignalValue, VehicleState
from tests.api.standins import FakeLive

CAR = VehicleToken("CARI0000000000001")


@dataclass(frozen=True)
class Car:
    token: VehicleToken = CAR


@dataclass(frozen=True)
class Asked:
    name: str
    vehicle: Car = field(default_factory=Car)
    made: list[str] = field(default_factory=list, compare=False)

    def encoded(self, state: VehicleState) -> bytes:
        if not state.online:
            raise offline()
        self.made.append(self.name)
        return f"{self.name} {state.signals['soc'].value}".encode()


def state(soc: float, *, online: bool = True) -> VehicleState:
    return VehicleState({"soc": SignalValue(soc, 1, "%")}, online, 1)


@pytest.fixture
def live() -> Any:
    live: Any = FakeLive()
    live.states[CAR] = state(50.0)
    return live


def test_an_answer_is_made_once_for_each_state(live: Any) -> None:
    answers, asked = Answers(1_000), Asked("all")
    assert [answers.of(asked, live) for _ in range(3)] == [b"all 50.0"] * 3
    assert asked.made == ["all"]
    live.states[CAR] = state(51.0)
    assert answers.of(asked, live) == b"all 51.0"
    assert answers.of(Asked("less"), live) == b"less 51.0", "another question, another answer"
    assert answers.of(asked, live) == b"all 51.0"


def test_what_came_while_it_was_made_is_in_the_next(live: Any) -> None:
    """The version is asked first: an answer may be newer than its number, never older."""
    answers, asked = Answers(1_000), Asked("all")
    read = live.read

    def late(token: VehicleToken) -> VehicleState:
        seen = read(token)
        live.states[CAR] = state(51.0)
        live.read = read
        return VehicleState(seen.signals, seen.online, seen.last_received_us)

    live.read = late
    assert answers.of(asked, live) == b"all 50.0"
    assert answers.of(asked, live) == b"all 51.0"


def test_a_refusal_is_not_kept(live: Any) -> None:
    answers, asked = Answers(1_000), Asked("all")
    answers.of(asked, live)
    live.states[CAR] = state(50.0, online=False)
    for _ in range(2):
        with pytest.raises(ApiError, match="offline"):
            answers.of(asked, live)
    assert len(answers) == 0
    live.states[CAR] = state(52.0)
    assert answers.of(asked, live) == b"all 52.0"


def test_what_is_kept_is_bounded_and_what_was_asked_last_stays(live: Any) -> None:
    answers = Answers(40)  # five of these answers
    questions = [Asked(str(number)) for number in range(10)]
    for question in questions:
        answers.of(question, live)
        answers.of(questions[0], live)
        assert len(answers) <= 6
        assert answers._bytes == sum(len(kept) for _, kept in answers._kept.values()) <= 40
    assert questions[0].made == ["0"]
    assert len(questions[1].made) == 1
    answers.of(questions[1], live)
    assert len(questions[1].made) == 2
    too_long = Asked("x" * 50)
    assert answers.of(too_long, live).startswith(b"xxx")
    assert answers._bytes == 0 == len(answers)

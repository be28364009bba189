"""Answers that follow from a vehicle's state are made once for each state, not for each request.

Making one costs a hundred times what finding it costs, and clients ask more often than a car at
rest has something new. What is kept is checked against live state's version at every request, so an
answer is never older than the state; who may see it was decided before.
"""

from collections import OrderedDict
from typing import Protocol

from motorcade.events import VehicleToken
from motorcade.state.port import LiveState, VehicleState


class _Vehicle(Protocol):
    @property
    def token(self) -> VehicleToken: ...


class Question(Protocol):
    """What an answer follows from beside the state; equal ones have equal answers."""

    @property
    def vehicle(self) -> _Vehicle: ...

    def encoded(self, state: VehicleState) -> bytes:
        """The answer."""

    def __hash__(self) -> int: ...


class Answers:
    """Keeps the answers asked for most recently, up to a number of bytes."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[Question, tuple[int, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, question: Question, state: LiveState) -> bytes:
        """The answer as of now. Raises what `question.encoded` does, which is not kept."""
        token = question.vehicle.token
        version = state.version(token)  # before the state: it may be newer, never older
        kept = self._kept.get(question)
        if kept is not None and kept[0] == version:
            self._kept.move_to_end(question)
            return kept[1]
        if kept is not None:
            self._forget(question)
        answer = question.encoded(state.read(token))
        self._kept[question] = version, answer
        self._bytes += len(answer)
        while self._bytes > self._bytes_max:
            self._forget(next(iter(self._kept)))
        return answer

    def _forget(self, question: Question) -> None:
        self._bytes -= len(self._kept.pop(question)[1])

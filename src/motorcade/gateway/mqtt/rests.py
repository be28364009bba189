"""How long the loop rests between turns: interrupt moderation, for a loop (decision 0010).

A wake-up, a pass of the loop and the acks' writes cost the same for one message as for a hundred.
So in a stream of packets the sockets are asked at most once per spacing; a lone message and its
neighbours never wait. A car whose answer to a command may be on its way is heard meanwhile (P6).
"""

from typing import Final, Generic, Protocol, TypeVar

STREAK_MIN: Final = 8  # turns that followed each other closely before the loop begins to rest
ANSWER_S: Final = 0.2  # after a command went out; an answer that takes longer can wait a little


class Closing(Protocol):
    """As much of a connection as is looked at here."""

    closing: bool


Peer = TypeVar("Peer", bound=Closing)


class Rests(Generic[Peer]):
    """Told of turns and commands, with the time in s of one monotonic clock; sleeps nowhere."""

    def __init__(self, spacing_s: float) -> None:
        self._spacing_s = spacing_s
        self._due_s = 0.0  # when the turn before ended, or should have begun
        self._streak = 0
        self._awaited: dict[Peer, float] = {}  # until when

    def await_answer(self, connection: Peer, now_s: float) -> None:
        """A command has gone out by this connection: its car's answer is waited for."""
        self._awaited[connection] = now_s + ANSWER_S

    def awaited(self, now_s: float) -> list[Peer]:
        """Who may be about to answer."""
        if self._awaited:
            self._awaited = {
                connection: end_s
                for connection, end_s in self._awaited.items()
                if end_s > now_s and not connection.closing
            }
        return list(self._awaited)

    def rest_s(self, now_s: float) -> float:
        """A turn has ended: how long to rest before the next, 0 for not at all."""
        rest_s = self._due_s + self._spacing_s - now_s
        self._due_s = now_s
        self._streak = self._streak + 1 if rest_s > 0 else 0
        if self._streak <= STREAK_MIN:
            return 0.0
        self._due_s += rest_s
        return rest_s

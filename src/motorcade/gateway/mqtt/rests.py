"""How long the loop rests between turns: interrupt moderation, for a loop (decision 0010).

A wake-up, a pass of the loop and the acks' writes cost the same for one message as for a hundred.
So in a stream of packets the sockets are asked at most once per spacing; a lone message and its
neighbours never wait. While the answer to a command may be on its way the spacing is short (P6).
"""

from typing import Final

from motorcade.config import GatewayConfig

STREAK_MIN: Final = 8  # turns that followed each other closely before the loop begins to rest
HURRY_S: Final = 0.05  # after a command went out; an answer that takes longer can wait a little


class Rests:
    """Told of turns and commands, with the time in s of one monotonic clock; sleeps nowhere."""

    def __init__(self, config: GatewayConfig) -> None:
        self._spacing_s = config.turn_spacing_ms / 1e3
        self._hurried_s = config.turn_spacing_command_ms / 1e3
        self._hurry_until_s = 0.0
        self._due_s = 0.0  # when the turn before ended, or should have begun
        self._streak = 0

    def hurry(self, now_s: float) -> None:
        """A command has gone to its car: the answer is waited for."""
        self._hurry_until_s = now_s + HURRY_S

    def rest_s(self, now_s: float) -> float:
        """A turn has ended: how long to rest before the next, 0 for not at all."""
        spacing_s = self._hurried_s if now_s < self._hurry_until_s else self._spacing_s
        rest_s = self._due_s + spacing_s - now_s
        self._due_s = now_s
        self._streak = self._streak + 1 if rest_s > 0 else 0
        if self._streak <= STREAK_MIN:
            return 0.0
        self._due_s += rest_s
        return rest_s

"""Which time it is by the cloud's signed word: the only time that commands expire by.

The car sends a random nonce and gets it back, signed, with the server's time. That time was read
somewhere between the sending and the answer's arrival, so at arrival the truth lies within the
round trip behind it. From there the monotonic clock carries on, and its drift widens the span.
Whoever judges expiry uses `latest_us`: a command is never carried out late, at worst refused early.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

DRIFT: Final = 200e-6  # of a car's oscillator over its temperatures: 200 ppm
NONCE_BYTES: Final = 16
FRESH_S: Final = 1.0  # an answer as young as this is not doubted
HELLOS_MAX: Final = 8  # asked and not answered; older ones are forgotten


@dataclass(frozen=True, slots=True)
class ServerNow:
    """The span that the server's time lies in, now."""

    earliest_us: int
    latest_us: int

    @property
    def uncertainty_us(self) -> int:
        return self.latest_us - self.earliest_us

    def meets(self, other: "ServerNow") -> bool:
        """Whether both may be true."""
        return self.earliest_us <= other.latest_us and other.earliest_us <= self.latest_us


class ServerTimeKeeper:
    """Keeps the best answer so far. Takes monotonic seconds, reads no clock."""

    def __init__(self, *, entropy: Callable[[int], bytes], age_s_max: float) -> None:
        self._entropy = entropy
        self._age_s_max = age_s_max
        self._asked: dict[str, float] = {}
        self._base: tuple[int, int, float] | None = None  # server time, round trip, arrival
        self.heard = False  # in this connection
        self._heard_s = -math.inf

    def ask(self, monotonic_s: float) -> str:
        """Return a fresh nonce for a hello that is sent now."""
        nonce = self._entropy(NONCE_BYTES).hex()
        self._asked[nonce] = monotonic_s
        while len(self._asked) > HELLOS_MAX:
            del self._asked[next(iter(self._asked))]
        return nonce

    def forget_asked(self) -> None:
        """The connection ended: an answer that still comes says little, a new one is asked for."""
        self._asked.clear()
        self.heard = False

    def answered(self, nonce: str, server_time_us: int, monotonic_s: float) -> bool:
        """Take an authentic answer. False if nobody asked, or what we have is better.

        One that cannot be true beside what we have is newer: the server's clock was set.
        """
        asked_s = self._asked.pop(nonce, None)
        if asked_s is None:
            return False
        self.heard, self._heard_s = True, monotonic_s
        round_trip_us = round((monotonic_s - asked_s) * 1e6)
        known, told = (
            self.now(monotonic_s),
            ServerNow(server_time_us, server_time_us + round_trip_us),
        )
        if known is not None and known.uncertainty_us <= round_trip_us and known.meets(told):
            return False
        self._base = (server_time_us, round_trip_us, monotonic_s)
        return True

    def is_fresh(self, monotonic_s: float) -> bool:
        """Whether the server was heard just now: its clock cannot have been set since, unseen."""
        return self.heard and monotonic_s - self._heard_s < FRESH_S

    def now(self, monotonic_s: float) -> ServerNow | None:
        """The server's time, `None` if it was never told or too long ago."""
        if self._base is None:
            return None
        server_time_us, round_trip_us, arrival_s = self._base
        age_s = monotonic_s - arrival_s
        if age_s > self._age_s_max:
            return None
        now_us = server_time_us + round(age_s * 1e6)
        drift_us = round(age_s * 1e6 * DRIFT)
        return ServerNow(now_us - drift_us, now_us + round_trip_us + drift_us)

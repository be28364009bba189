"""Counters of a client that were used: a sliding window, or rising ones alone. No IO.

Over the cloud messages may overtake one another: Infotainment takes each counter of the last 32
once, in any order; VCSEC takes only greater ones.
"""

from dataclasses import dataclass
from typing import Final

WINDOW: Final = 32  # counters below the greatest that may still come, each once
_MASK: Final = (1 << WINDOW) - 1


@dataclass(slots=True)
class CounterWindow:
    """The greatest counter so far, and which of those just below it were used."""

    rising: bool  # only greater counters are fresh
    counter: int = 0
    _used: int = 0  # bit n: counter - 1 - n was used

    def fresh(self, counter: int) -> bool:
        """Whether this counter certainly was not used."""
        if counter > self.counter:
            return True
        age = self.counter - counter
        if self.rising or age == 0 or age > WINDOW:
            return False
        return not self._used >> (age - 1) & 1

    def use(self, counter: int) -> None:
        """Note a fresh counter. Only once the message that carries it was found authentic."""
        assert self.fresh(counter)
        if counter < self.counter:
            self._used |= 1 << (self.counter - counter - 1)
            return
        shift = counter - self.counter
        # A jump beyond the window leaves nothing of it; so far no shift, which would be huge.
        self._used = ((self._used << 1 | 1) << (shift - 1)) & _MASK if shift <= WINDOW else 0
        self.counter = counter

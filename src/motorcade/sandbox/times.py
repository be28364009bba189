"""A world's time: how far it is beyond the machine's. No IO; the machine's time is an argument.

Cars live by it, and access tokens age by it. Nothing else does: see `docs/sandbox.md`.
"""

from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from math import inf
from typing import Final

MARKS_MAX: Final = 10_000
TOKENS_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class _Mark:
    """From this moment of the machine on, time goes so fast."""

    machine_us: int
    world_us: float
    speed: float


class WorldTime:
    """Time that was sped up or skipped, piece by piece."""

    def __init__(self, now_us: int, speed: float = 1.0) -> None:
        self._marks = [_Mark(now_us, float(now_us), speed)]

    @property
    def speed(self) -> float:
        return self._marks[-1].speed

    @property
    def plain(self) -> bool:
        """Whether it is the machine's, and ever was."""
        return len(self._marks) == 1 and self.speed == 1.0

    def pace(self, now_us: int, speed: float | None, skip_s: float) -> None:
        """Skip so much, and go at this speed from now on; `None`: at the same."""
        there_us = self.at(now_us) + skip_s * 1e6
        chosen = self.speed if speed is None else speed
        self._marks.append(_Mark(now_us, there_us, chosen))
        del self._marks[:-MARKS_MAX]

    def at(self, machine_us: int) -> float:
        """The world's time at a moment of the machine, µs. Before it began, it was the same."""
        place = bisect_right(self._marks, machine_us, key=lambda mark: mark.machine_us) - 1
        if place < 0:
            return float(machine_us)
        mark = self._marks[place]
        return mark.world_us + (machine_us - mark.machine_us) * mark.speed


class Issued:
    """When tokens were made, by their claim `jti`: the claim `iat` has but whole seconds."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, int] = OrderedDict()

    def note(self, token_id: str, now_us: int) -> None:
        """A token is made now."""
        self._times[token_id] = now_us
        if len(self._times) > TOKENS_MAX:
            self._times.popitem(last=False)

    def of(self, token_id: str, issued_s: int) -> int:
        """µs; for a token that nobody noted, what its claim says."""
        return self._times.get(token_id, issued_s * 1_000_000)


def left_s(time: WorldTime, issued_us: int, good_s: int, now_us: int) -> float:
    """How many seconds of the machine a token that is good for so long has left by a world's time,
    as that goes now; 0: it is too old."""
    left_us = good_s * 1e6 - (time.at(now_us) - time.at(issued_us))
    if left_us <= 0:
        return 0.0
    return left_us / 1e6 / time.speed if time.speed else inf

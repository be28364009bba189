"""How long an access token is still good, and who is told when it is no more.

By its claim `exp` and the machine's clock; a sandbox, whose worlds have times of their own, puts
others in this one's place.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from motorcade.clock import Clock
from motorcade.identity.port import AccessToken

LOOK_S_MAX: Final = 3_600.0  # a time that stands still may go on


@dataclass(eq=False, slots=True)
class _Watch:
    access: AccessToken
    ended: Callable[[], None]
    timer: asyncio.TimerHandle


class Lifetimes:
    """Used on the API's loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watches: set[_Watch] = set()

    def left_s(self, access: AccessToken) -> float:
        """Seconds of the machine for which the token is good; 0: it is not."""
        return max(0.0, (access.expires_time_us - self._clock.now_us()) / 1e6)

    @contextmanager
    def told(self, access: AccessToken, ended: Callable[[], None]) -> Iterator[None]:
        """While the block runs: call `ended` when the token's time is over."""
        watch = _Watch(access, ended, self._timer(access, ended))
        self._watches.add(watch)
        try:
            yield
        finally:
            self._watches.discard(watch)
            watch.timer.cancel()

    def look(self) -> None:
        """Times have changed: see anew when each is over."""
        for watch in self._watches:
            watch.timer.cancel()
            watch.timer = self._timer(watch.access, watch.ended)

    def _timer(self, access: AccessToken, ended: Callable[[], None]) -> asyncio.TimerHandle:
        loop, left_s = asyncio.get_running_loop(), self.left_s(access)
        if left_s <= LOOK_S_MAX:
            return loop.call_later(left_s, ended)
        return loop.call_later(LOOK_S_MAX, self.look)

"""Access tokens age by the time of their world: at each use, and while a stream is open."""

from collections.abc import Callable

from motorcade.api.lifetimes import Lifetimes
from motorcade.clock import Clock
from motorcade.identity.port import AccessToken
from motorcade.sandbox.times import Issued, WorldTime, left_s


class WorldLifetimes(Lifetimes):
    """A token of no world is good by its claims alone, and none for longer than they say."""

    def __init__(
        self,
        clock: Clock,
        time_of: Callable[[str], WorldTime | None],  # by client id
        issued: Issued,
        good_s: int,
    ) -> None:
        super().__init__(clock)
        self._time_of, self._issued, self._good_s = time_of, issued, good_s

    def left_s(self, access: AccessToken) -> float:
        """See `Lifetimes.left_s`."""
        ends_s = access.expires_time_us // 1_000_000
        return min(
            super().left_s(access), self.by_world_s(access.client_id, access.token_id, ends_s)
        )

    def by_world_s(self, client_id: str, token_id: str, ends_s: int) -> float:
        """How long a token with these claims is good by its world's time alone."""
        time = self._time_of(client_id)
        if time is None or time.plain:
            return float("inf")
        issued_us = self._issued.of(token_id, ends_s - self._good_s)
        return left_s(time, issued_us, self._good_s, self._clock.now_us())

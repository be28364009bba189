"""All open app WebSockets of this process: how many there may be, and how they end."""

import asyncio
import contextlib
from collections.abc import Callable

from motorcade.api.errors import ApiError


class Streams:
    """Entered and left by each stream; `close` ends them all."""

    def __init__(self, streams_max: int) -> None:
        self._streams_max = streams_max
        self.open = 0
        self.closing = asyncio.Event()
        self._watched: dict[Callable[[], None], tuple[str, int]] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    def enter(self) -> None:
        """Raises the 503 at `api.streams_max`, and while the server shuts down."""
        if self.closing.is_set():
            raise ApiError(503, "service unavailable", "this server is shutting down")
        if self.open >= self._streams_max:
            raise ApiError(503, "service unavailable", "too many open streams on this server")
        self.open += 1
        self._empty.clear()

    def watch(self, subject: str, vehicle_id: int, ended: Callable[[], None]) -> None:
        """Call `ended` once this subject may not see that vehicle any more."""
        self._watched[ended] = (subject, vehicle_id)

    def unwatch(self, ended: Callable[[], None]) -> None:
        self._watched.pop(ended, None)

    def end(self, subject: str, vehicle_id: int) -> None:
        """End the streams of somebody who may not see the vehicle any more."""
        for ended, watched in list(self._watched.items()):
            if watched == (subject, vehicle_id):
                ended()

    def leave(self) -> None:
        self.open -= 1
        if self.open == 0:
            self._empty.set()

    async def close(self, limit_s: float) -> None:
        """Have every stream say goodbye; wait for it, but not long for those who do not read."""
        self.closing.set()
        with contextlib.suppress(TimeoutError):  # the server cuts off who is left
            await asyncio.wait_for(self._empty.wait(), limit_s)

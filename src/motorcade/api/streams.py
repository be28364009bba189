"""All open app WebSockets of this process: how many there may be, and how they end."""

import asyncio
import contextlib

from motorcade.api.errors import ApiError


class Streams:
    """Entered and left by each stream; `close` ends them all."""

    def __init__(self, streams_max: int) -> None:
        self._streams_max = streams_max
        self.open = 0
        self.closing = asyncio.Event()
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

    def leave(self) -> None:
        self.open -= 1
        if self.open == 0:
            self._empty.set()

    async def close(self, limit_s: float) -> None:
        """Have every stream say goodbye; wait for it, but not long for those who do not read."""
        self.closing.set()
        with contextlib.suppress(TimeoutError):  # the server cuts off who is left
            await asyncio.wait_for(self._empty.wait(), limit_s)

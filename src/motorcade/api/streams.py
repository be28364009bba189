"""All open app streams of this process: how many there may be, how they end, which may go on."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from motorcade.api.errors import ApiError
from motorcade.api.feed import End, Feed, Holder, split_resume
from motorcade.config import ApiConfig


class Streams:
    """Each connection has its place while it lasts; `close` ends them all.

    A feed whose connection broke is parked for `api.stream_parked_s_max`, at most
    `api.streams_parked_max` of them: the longest parked goes first.
    """

    def __init__(self, config: ApiConfig) -> None:
        self._config = config
        self.open = 0
        self.closing = False
        self._empty = asyncio.Event()
        self._empty.set()
        self._holders: dict[str, Holder] = {}  # by feed
        self._parked: dict[str, tuple[Feed, asyncio.TimerHandle]] = {}  # oldest first

    @property
    def parked(self) -> int:
        """Feeds that nobody carries just now."""
        return len(self._parked)

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """One of `api.streams_max`, while the block runs. Raises the 503: all are taken, or the
        server shuts down."""
        if self.closing:
            raise ApiError(503, "service unavailable", "this server is shutting down")
        if self.open >= self._config.streams_max:
            raise ApiError(503, "service unavailable", "too many open streams on this server")
        self.open += 1
        self._empty.clear()
        try:
            yield
        finally:
            self.open -= 1
            if self.open == 0:
                self._empty.set()

    def carry(
        self, resume: str, fits: Callable[[Feed], bool], make: Callable[[], Feed], interval_ms: int
    ) -> Holder:
        """The feed that `resume` names, if it is still there and `fits`; else one made anew."""
        named = split_resume(resume)
        feed = self._find(named[0]) if named is not None else None
        if feed is None or named is None or not fits(feed):
            feed = make()
        else:
            self._unpark(feed)
            feed.go_back(named[1])
        holder = feed.hold(interval_ms)
        self._holders[feed.id] = holder
        if self.closing:
            holder.finish(End.STOPPING)
        return holder

    def part(self, holder: Holder, *, park: bool) -> None:
        """A connection is gone; its feed waits for the app to come back, or ends."""
        feed = holder.feed
        if not feed.release(holder):
            return
        del self._holders[feed.id]
        if not park or self.closing:
            feed.close()
            return
        while len(self._parked) >= self._config.streams_parked_max:
            self._drop(next(iter(self._parked)))
        wait_s = self._config.stream_parked_s_max
        timer = asyncio.get_running_loop().call_later(wait_s, self._drop, feed.id)
        self._parked[feed.id] = feed, timer

    def end(self, subject: str, vehicle_id: int) -> None:
        """End the streams of somebody who may not see the vehicle any more."""
        for holder in list(self._holders.values()):
            if holder.feed.tells(subject, vehicle_id):
                holder.finish(End.REVOKED)
        for feed, _ in list(self._parked.values()):
            if feed.tells(subject, vehicle_id):
                self._drop(feed.id)

    async def close(self, limit_s: float) -> None:
        """Have every stream say goodbye; wait for it, but not long for those who do not read."""
        self.closing = True
        for feed_id in list(self._parked):
            self._drop(feed_id)
        for holder in list(self._holders.values()):
            holder.finish(End.STOPPING)
        with contextlib.suppress(TimeoutError):  # the server cuts off who is left
            await asyncio.wait_for(self._empty.wait(), limit_s)

    def _find(self, feed_id: str) -> Feed | None:
        if feed_id in self._parked:
            return self._parked[feed_id][0]
        holder = self._holders.get(feed_id)  # its connection may not know yet that it is dead
        return None if holder is None else holder.feed

    def _unpark(self, feed: Feed) -> None:
        parked = self._parked.pop(feed.id, None)
        if parked is not None:
            parked[1].cancel()

    def _drop(self, feed_id: str) -> None:
        feed, timer = self._parked.pop(feed_id)
        timer.cancel()
        feed.close()

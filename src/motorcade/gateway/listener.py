"""Accepts sockets, with admission: so many per second, at their handshakes at once, and in all.

What is over a limit waits in the kernel's listen queue, so a storm of reconnecting cars costs the
cars that are in no more than the handshakes that were let in (design §5.4). The queue is first come
first served. When all places are taken, a peer that has been at its handshake for long makes way:
whoever opens sockets and says nothing holds a place for seconds, not for the whole time limit. Long
is measured by those who did complete theirs, so that a machine short of CPU turns nobody away.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from motorcade.config import GatewayConfig
from motorcade.gateway.rate import TokenBucket

logger = structlog.get_logger(__name__)

ACCEPTS_PER_TURN: Final = 16
ACCEPTS_WAIT_PART: Final = 0.2  # of the time between two accepts: when to look again ...
ACCEPTS_WAIT_S_MIN: Final = 0.01  # ... but not before
ACCEPT_RETRY_S: Final = 0.5  # after the system refused a socket, e.g. out of file descriptors
LONG_TIMES: Final = 4  # what a handshake takes lately, before it counts as long
LATELY: Final = 8  # handshakes
TLS_SHUTDOWN_S: Final = 2.0  # how long a closed connection waits for the peer's close_notify


class _UnderWay(NamedTuple):
    """A socket that is accepted and not yet handed over."""

    since_s: float
    socket: socket.socket

    def give_up(self) -> None:
        """End the connection; whoever holds it by now is told in the ordinary way.

        Cancelling the task does not do: uvloop never tells the protocol of a connection's end when
        the task is cancelled between `connection_made` and its own next step.
        """
        with contextlib.suppress(OSError):  # the peer was faster
            self.socket.shutdown(socket.SHUT_RDWR)


class Listener:
    """One listening socket."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol_factory: Callable[[], asyncio.BufferedProtocol],
        ssl_context: ssl.SSLContext | None,
        config: GatewayConfig,
        *,
        handshake_s_max: float,
        has_room: Callable[[], bool],
    ) -> None:
        """`ssl_context` is `None` for plain TCP."""
        self._loop = loop
        self._protocol_factory = protocol_factory
        self._ssl_context = ssl_context
        self._handshakes_concurrent_max = config.handshakes_concurrent_max
        self._handshake_s_max = handshake_s_max
        self._crowded_s_max = config.handshake_crowded_s_max
        self._rate_per_s = config.accepts_per_s
        burst = max(1, config.accepts_burst)  # with 0, nobody would ever come in
        self._bucket = TokenBucket(config.accepts_per_s, burst, loop.time())
        self._waiting: asyncio.TimerHandle | None = None  # for the bucket
        self._has_room = has_room
        self._handshakes: dict[asyncio.Task[bool], _UnderWay] = {}  # the oldest first
        self._usual_s = 0.0  # what a handshake took lately
        self._looking: asyncio.TimerHandle | None = None
        self._socket: socket.socket | None = None
        self._accepting = False
        self.failed_handshakes = 0
        self.rate_waits = 0  # how often the rate left peers in the listen queue for a moment

    @property
    def handshakes(self) -> int:
        """How many sockets are accepted and not yet handed over."""
        return len(self._handshakes)

    def start(self, listening: socket.socket) -> int:
        """Accept from this socket, which listens already; returns its port."""
        listening.setblocking(False)
        self._socket = listening
        self.consider()
        return int(listening.getsockname()[1])

    def consider(self) -> None:
        """Accept or leave waiting, by the limits as they stand. Call when a connection is gone."""
        if self._socket is None:
            return
        crowded = len(self._handshakes) >= self._handshakes_concurrent_max
        if crowded and self._looking is None:
            self._look_at_oldest()
        if self._bucket.available(self._loop.time()) < 1:
            self._wait_for_rate()
        wanted = not crowded and self._waiting is None and self._has_room()
        if wanted and not self._accepting:
            self._loop.add_reader(self._socket, self._accept)
        elif not wanted and self._accepting:
            self._loop.remove_reader(self._socket)
        self._accepting = wanted

    def _wait_for_rate(self) -> None:
        if self._accepting:
            self.rate_waits += 1
        if self._waiting is None:
            wait_s = max(ACCEPTS_WAIT_PART / self._rate_per_s, ACCEPTS_WAIT_S_MIN)
            self._waiting = self._loop.call_later(wait_s, self._waited)

    def _waited(self) -> None:
        self._waiting = None
        self.consider()

    def _look_at_oldest(self) -> None:
        """While every place is taken: the oldest handshake makes way, or is looked at again."""
        self._looking = None
        if self._socket is None or len(self._handshakes) < self._handshakes_concurrent_max:
            return
        oldest = next(iter(self._handshakes.values()))
        long_s = max(self._crowded_s_max, LONG_TIMES * self._usual_s)
        long_s = min(long_s, self._handshake_s_max / 2)
        wait_s = oldest.since_s + long_s - self._loop.time()
        if wait_s <= 0:
            oldest.give_up()  # `_shook_hands` gives its place away
            return
        self._looking = self._loop.call_later(wait_s, self._look_at_oldest)

    def close(self) -> None:
        """Accept no more, and give up handshakes that are under way."""
        if self._socket is None:
            return
        if self._accepting:
            self._loop.remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        for under_way in self._handshakes.values():
            under_way.give_up()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            if self._socket is None or not self._accepting:
                return
            try:
                accepted, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._wait_for_the_system(error)
                return
            self._bucket.take(1)
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._shake_hands(accepted))
            self._handshakes[task] = _UnderWay(self._loop.time(), accepted)
            task.add_done_callback(self._shook_hands)
            self.consider()

    def _wait_for_the_system(self, error: OSError) -> None:
        logger.warning("sockets_refused_by_system", error=str(error), retry_s=ACCEPT_RETRY_S)
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
        self._accepting = False
        self._loop.call_later(ACCEPT_RETRY_S, self.consider)

    async def _shake_hands(self, accepted: socket.socket) -> bool:
        """Whether the connection was handed over."""
        try:
            await self._loop.connect_accepted_socket(
                self._protocol_factory,
                accepted,
                ssl=self._ssl_context,
                ssl_handshake_timeout=self._handshake_s_max if self._ssl_context else None,
                ssl_shutdown_timeout=TLS_SHUTDOWN_S if self._ssl_context else None,
            )
        except (OSError, ssl.SSLError) as error:  # a peer without a good certificate, or gone
            self.failed_handshakes += 1
            logger.debug("handshake_failed", error=str(error))
            accepted.close()
            return False
        return True

    def _shook_hands(self, task: asyncio.Task[bool]) -> None:
        took_s = self._loop.time() - self._handshakes.pop(task).since_s
        if not task.cancelled() and task.exception() is None and task.result():
            self._usual_s += (took_s - self._usual_s) / LATELY
        self.consider()

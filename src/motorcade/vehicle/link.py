"""What both links share: the agent's side of a connection, dialling, and waiting between tries.

Time and chance are arguments here too: `sleep` and the generator of the jitter come from outside,
so that tests run a day of a bad connection in a second.
"""

import asyncio
import contextlib
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

import numpy as np

from motorcade.config import VehicleConfig
from motorcade.vehicle.errors import LinkError, VehicleError
from motorcade.vehicle.outbox import Outbox
from motorcade.vehicle.vehicle_file import Address, VehicleFile

Sleep = Callable[[float], Awaitable[None]]
Dial = Callable[[Callable[[], asyncio.Protocol]], Awaitable[object]]
"""Open a connection for the protocol that the argument makes. Raises `OSError`."""


class Inbox(Protocol):
    """What a link tells the agent."""

    def connected(self) -> None:
        """The server knows us; records flow."""

    def disconnected(self, reason: str) -> None:
        """The connection ended, or could not be made."""

    def message(self, payload: bytes, acknowledge: Callable[[], None]) -> None:
        """A message from the cloud. `acknowledge` it once it is dealt with; later is allowed."""


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next try: doubled each time, and spread, so that a thousand
    cars that leave one tunnel do not knock together."""

    config: VehicleConfig
    random: np.random.Generator
    tries: int = 0

    def next_s(self) -> float:
        """The next wait."""
        longest_s: float = min(
            self.config.reconnect_s_min * 2 ** min(self.tries, 30), self.config.reconnect_s_max
        )
        self.tries += 1
        return longest_s * float(self.random.uniform(0.5, 1.0))

    def reset(self) -> None:
        """A connection succeeded."""
        self.tries = 0


def dial_tcp(find: Callable[[], Address], tls: ssl.SSLContext | None) -> Dial:
    """Dial a server by TCP, with TLS if a context is given. `find` is asked at every try, because
    a server that was started again may listen elsewhere."""

    async def dial(make: Callable[[], asyncio.Protocol]) -> object:
        address = find()
        loop = asyncio.get_running_loop()
        return await loop.create_connection(make, address.host, address.port, ssl=tls)

    return dial


def client_tls(vehicle: VehicleFile, *, with_certificate: bool) -> ssl.SSLContext:
    """TLS 1.3 to our own server: under 1.2 a certificate's name crosses in clear (design P8)."""
    context = ssl.create_default_context(cafile=str(vehicle.ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if with_certificate:
        context.load_cert_chain(vehicle.cert_file, vehicle.key_file)
    return context


class Conversation(asyncio.Protocol, ABC):
    """One connection from dialling to its end; what both links' protocols have in common."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.writable = True
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.begin()

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(LinkError(f"connection lost: {exc or 'closed by the server'}"))

    def dialled(self, task: "asyncio.Future[object]") -> None:
        """Take the outcome of dialling."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End the connection because of `error`; only the first one counts."""
        if not self.closed.done():
            self.closed.set_exception(error)
        if self.transport is not None:
            self.transport.abort()

    @abstractmethod
    def begin(self) -> None:
        """The connection stands: say hello."""

    @abstractmethod
    def pump(self) -> None:
        """Send what there is, as far as the peer and the socket allow."""

    @abstractmethod
    def say_goodbye(self) -> None:
        """The connection ends: tell the server if it still listens, and close."""


class Link(ABC):
    """Connects, sends what the outbox has, hands messages to the inbox, starts over."""

    protocol_error: ClassVar[type[Exception]]  # what the protocol's library raises

    def __init__(
        self, outbox: Outbox, inbox: Inbox, *, dial: Dial, sleep: Sleep, backoff: Backoff
    ) -> None:
        self.outbox = outbox
        self.inbox = inbox
        self.backoff = backoff
        self._dial = dial
        self._sleep = sleep
        self._conversation: Conversation | None = None

    async def run(self) -> None:
        """Keep connected until cancelled."""
        self.outbox.listen(self._pump)
        while True:
            try:
                await self._connect_once()
            except (VehicleError, self.protocol_error, OSError) as error:
                self.inbox.disconnected(str(error))
            await self._sleep(self.backoff.next_s())

    def cut(self) -> None:
        """Break the connection as a tunnel does, for tests and simulations of bad roads."""
        if self._conversation is not None:
            self._conversation.fail(LinkError("the link was cut on purpose"))

    @abstractmethod
    async def _connect_once(self) -> None:
        """One connection, by way of `_stay`."""

    async def _stay(
        self, conversation: Conversation, watching: Coroutine[object, object, None]
    ) -> None:
        """Dial, and stay until the conversation ends; `watching` runs beside it. Raises its
        error."""
        self._conversation = conversation
        watch = asyncio.ensure_future(watching)
        dialled = asyncio.ensure_future(self._dial(lambda: conversation))
        dialled.add_done_callback(conversation.dialled)
        try:
            await conversation.closed
        finally:
            self._conversation = None
            dialled.cancel()
            watch.cancel()
            conversation.say_goodbye()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    def _pump(self) -> None:
        if self._conversation is not None:
            self._conversation.pump()

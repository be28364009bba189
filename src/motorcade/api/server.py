"""Serves the API on sockets: uvicorn, plain and TLS listeners in one loop, drained on stop."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

DRAIN_S_MAX: Final = 11  # s, at stop, for requests under way; above `commands.response_s_max`
WEBSOCKET_PING_S: Final = 20.0  # a silent app is asked, so that a dead one is noticed
WEBSOCKET_BYTES_MAX: Final = 64 << 10  # apps send nothing of use
KEEP_ALIVE_S: Final = 75  # an idle connection is kept this long: longer than clients' pollers wait
DATE_S: Final = 1.0  # how old the `Date` header may be
LISTEN_BACKLOG: Final = 1_024
JOINED_BYTES_MAX: Final = 64 << 10  # written in one turn, before it is sent: asyncio's high water


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket, and TLS over it or not."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None

    @property
    def port(self) -> int:
        """Where it listens, also when the system chose."""
        return int(self.socket.getsockname()[1])


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers, and without waking ten times a second to see whether
    to stop: per listener 3 ms of CPU a second, which an idle process need not spend."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Accept nothing more and drain."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Keep the `Date` header up to date until told to stop."""
        while not await self.on_tick(0):  # 0: the tick that renews the header
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DATE_S):
                    await self._stopping.wait()


class _TlsConfig(uvicorn.Config):
    """Uvicorn's configuration with a ready context instead of files."""

    def __init__(self, app: Any, tls: ssl.SSLContext | None, **settings: Any) -> None:
        super().__init__(app, **settings)
        self._tls = tls

    def load(self) -> None:
        super().load()
        self.ssl = self._tls


class _Joining:
    """A transport that sends what is written within one turn of the loop as one.

    An answer's head and body are two writes to uvicorn; each write by itself is a system call and
    wakes the client, and together these cost as much as everything else in a small answer. Beyond
    `JOINED_BYTES_MAX` it is sent at once: only what the transport has makes uvicorn wait for a slow
    client.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def __getattr__(self, name: str) -> Any:
        """All else is the transport's own."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > JOINED_BYTES_MAX:
            self._flush()

    def close(self) -> None:
        """Send what waits, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if waiting and not self._transport.is_closing():
            self._transport.write(waiting[0] if len(waiting) == 1 else b"".join(waiting))


class _Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP over such a transport."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(cast(asyncio.Transport, _Joining(transport, self.loop)))


class ApiServer:
    """The API on its listeners. `start` returns when all accept; `stop` drains them."""

    def __init__(self, app: Any, listeners: Sequence[Listener]) -> None:
        self._servers = [_Server(_config(app, listener)) for listener in listeners]
        self._listeners = listeners
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Accept connections on every listener.

        Raises:
            OSError: a listener cannot be used.
        """
        for server, listener in zip(self._servers, self._listeners, strict=True):
            # Inherited by what it accepts; asyncio itself sets it only where `proto` was named,
            # and without it every answer waits 40 ms for a delayed acknowledgement.
            listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._tasks.append(asyncio.create_task(server.serve(sockets=[listener.socket])))
        while not all(server.started for server in self._servers):
            for task in self._tasks:
                if task.done():
                    await task
                    raise OSError("an API listener ended before it served: see the messages above")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Accept nothing more, answer what was asked, close what stays open."""
        for server in self._servers:
            server.stop()
        await asyncio.gather(*self._tasks)


async def serve(app: Any, listeners: Sequence[Listener]) -> ApiServer:
    """Serve `app` on every listener; ports are `Listener.port`."""
    server = ApiServer(app, listeners)
    await server.start()
    return server


def listen(host: str, port: int, tls: ssl.SSLContext | None = None) -> Listener:
    """Open a listener; port 0 lets the system choose. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.create_server((host, port), family=family, backlog=LISTEN_BACKLOG)
    opened.setblocking(False)
    return Listener(opened, tls)


def _config(app: Any, listener: Listener) -> uvicorn.Config:
    return _TlsConfig(
        app,
        listener.tls,
        loop="none",  # the running one
        http=_Protocol,
        ws="wsproto",
        ws_max_size=WEBSOCKET_BYTES_MAX,
        ws_ping_interval=WEBSOCKET_PING_S,
        ws_per_message_deflate=False,  # changes are short: it would cost more than it saves
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S_MAX,
        backlog=LISTEN_BACKLOG,
    )

"""The app's stream: a snapshot, then changes of signals and commands as they become true.

As a WebSocket, text frames of JSON, or as server-sent events (WHATWG HTML, §9.2), one route for
both; `docs/protocols/commands.md` has the page. `feed.py` decides what is told, this what carries
it and how it ends.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import msgspec
from litestar import WebSocket, get, websocket
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream
from litestar.types import ASGIApp, Receive, Scope, Send

from motorcade.api.counter import AnyRequest, Connection, Counter, check_right, read_whole
from motorcade.api.envelope import refusal
from motorcade.api.errors import ApiError, unauthorized
from motorcade.api.feed import End, Frame, Holder
from motorcade.api.following import STREAM, Asked, carried, until_either_ends
from motorcade.api.streams import Streams
from motorcade.identity.port import AccessToken

PROTOCOL: Final = "motorcade.stream"
BEARER_PROTOCOL: Final = "bearer."  # browsers cannot set headers: `bearer.<token>` beside PROTOCOL
GOING_AWAY: Final = 1001  # RFC 6455 §7.4.1: "a server going down"
CLOSE_CODES: Final = {
    End.STOPPING: GOING_AWAY,
    End.REVOKED: 4401,
    End.EXPIRED: 4401,
    End.TAKEN: 4409,
}
INTERVAL_MS_MAX: Final = 60_000

_JSON: Final = msgspec.json.Encoder()

AnySocket = WebSocket[Any, Any, Any]


@websocket("/api/1/vehicles/{tag:str}/stream")
async def stream(
    socket: AnySocket,
    counter: NamedDependency[Counter],
    tag: FromPath[str],
) -> None:
    """Snapshot, then changes, until either side ends it."""
    with contextlib.ExitStack() as place:
        try:
            asked = _asked(socket, counter, tag)
            place.enter_context(counter.streams.place())
        except ApiError as error:
            await deny(socket, socket.send, error)
            return
        counter.accesses.note(asked.access, asked.vehicle.token, STREAM)
        offered = socket.scope.get("subprotocols") or []
        await socket.accept(subprotocols=PROTOCOL if PROTOCOL in offered else None)
        with carried(counter, asked) as holder:
            await _converse(socket, holder)
            if holder.end is not None:
                await socket.close(code=CLOSE_CODES[holder.end], reason=holder.end.value)


async def _converse(socket: AnySocket, holder: Holder) -> None:
    """Send what is due until the server ends it.

    Raises:
        WebSocketDisconnect: the client ended it.
        OSError: the connection broke.
    """
    await until_either_ends(_send(socket, holder), _listen(socket))


async def _send(socket: AnySocket, holder: Holder) -> None:
    while frames := await holder.frames():
        for frame in frames:
            await socket.send_data(frame.data, mode="text")


async def _listen(socket: AnySocket) -> None:
    """Nothing is expected from the client; reading notices when it goes."""
    while True:
        await socket.receive_data(mode="text")


class Placed:
    """A streamed answer that holds a place, such as one of the streams', from its first byte to its
    last.

    The framework may never begin to read what the answer is made of, when the client is gone by
    then; so neither the place nor what follows the vehicle is taken before, or outlives it.
    """

    def __init__(
        self,
        place: Callable[[], AbstractContextManager[None]],
        frames: AsyncGenerator[bytes, None],
        answer: ASGIApp,
    ) -> None:
        self._place, self._frames, self._answer = place, frames, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place():
            async with contextlib.aclosing(self._frames):
                await self._answer(scope, receive, send)


class _EventStream(Stream):
    """Server-sent events as a `Placed` answer."""

    def __init__(self, streams: Streams, frames: AsyncGenerator[bytes, None]) -> None:
        super().__init__(
            frames,
            status_code=200,
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
        self._streams, self._frames = streams, frames

    def to_asgi_response(self, *words: Any, **named: Any) -> Any:
        """The framework's answer, in its place."""
        return Placed(self._streams.place, self._frames, super().to_asgi_response(*words, **named))


@get("/api/1/vehicles/{tag:str}/stream")
async def events(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Stream:
    """The same as server-sent events: the id of each is what `resume` is in the WebSocket's."""
    asked = _asked(request, counter, tag)
    counter.count(request, asked.access, asked.vehicle)
    return _EventStream(counter.streams, _events(counter, asked))


async def _events(counter: Counter, asked: Asked) -> AsyncGenerator[bytes, None]:
    with carried(counter, asked) as holder:
        comment_s = counter.config.api.stream_comment_s
        while holder.end is None:
            try:
                frames = await asyncio.wait_for(holder.frames(), comment_s)
            except TimeoutError:
                yield b":\n\n"
            else:
                yield b"".join(map(_event, frames))
        yield b"event: end\ndata: " + _JSON.encode({"reason": holder.end.value}) + b"\n\n"


def _event(frame: Frame) -> bytes:
    """JSON has no line breaks of its own, so one `data` line holds it."""
    head = f"id: {frame.resume}\nevent: {frame.kind}\ndata: ".encode()
    return head + frame.data + b"\n\n"


def _asked(connection: Connection, counter: Counter, tag: str) -> Asked:
    """What this connection asks for. Raises the 400, 401, 403 and 404."""
    access = _access(connection, counter)
    check_right(connection, access)
    vehicle = counter.vehicle(access, tag)
    query = connection.query_params
    resume: str = connection.headers.get("last-event-id") or query.get("resume") or ""
    asked_ms = query.get("interval_ms")
    interval_ms = read_whole(asked_ms, "interval_ms", 0, 0, INTERVAL_MS_MAX)
    return Asked(access, counter.generation, vehicle, resume, interval_ms)


async def deny(connection: Connection, send: Any, error: ApiError) -> None:
    """Answer the handshake with the refusal's own status (ASGI: WebSocket denial response)."""
    answer = refusal(connection, error)
    headers = [(b"content-type", b"application/json")]
    headers += [(name.lower().encode(), text.encode()) for name, text in answer.headers.items()]
    start: Any = {
        "type": "websocket.http.response.start",
        "status": answer.status_code,
        "headers": headers,
    }
    last: Any = {"type": "websocket.http.response.body", "body": answer.content}
    await send(start)
    await send(last)


def _access(connection: Connection, counter: Counter) -> AccessToken:
    """Bearer by header, by `access_token` in the query, or by subprotocol. Raises the 401."""
    if "authorization" in connection.headers:
        return counter.access(connection)
    bearer = offered_bearer(connection)
    if not bearer:
        raise unauthorized()
    return counter.verify(bearer)


def offered_bearer(connection: Connection) -> str:
    """The token that comes without a header of its own, unchecked; "" for none."""
    protocols: Any = connection.scope.get("subprotocols") or ()
    for offered in reversed(protocols):
        if offered.startswith(BEARER_PROTOCOL):
            return str(offered.removeprefix(BEARER_PROTOCOL))
    return str(connection.query_params.get("access_token", ""))

"""The app's stream: a snapshot, then changes of signals and commands as they become true.

As a WebSocket, text frames of JSON, or as server-sent events (WHATWG HTML, §9.2), one route for
both; `docs/protocols/commands.md` has the page. `feed.py` decides what is told, this what carries
it and how it ends.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any, Final

import msgspec
from litestar import WebSocket, get, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath
from litestar.response import Stream

from motorcade.api.counter import AnyRequest, Connection, Counter, check_right, read_whole
from motorcade.api.envelope import refusal
from motorcade.api.errors import ApiError, unauthorized
from motorcade.api.feed import End, Feed, FeedParts, Frame, Holder
from motorcade.api.vehicles import entry
from motorcade.identity.port import AccessToken
from motorcade.registry.port import Vehicle

PROTOCOL: Final = "motorcade.stream"
BEARER_PROTOCOL: Final = "bearer."  # browsers cannot set headers: `bearer.<token>` beside PROTOCOL
GOING_AWAY: Final = 1001  # RFC 6455 §7.4.1: "a server going down"
LEFT: Final = (1000, 1001)  # the client's own words for "I am done"
CLOSE_CODES: Final = {
    End.STOPPING: GOING_AWAY,
    End.REVOKED: 4401,
    End.EXPIRED: 4401,
    End.TAKEN: 4409,
}
FEED_ID_BYTES: Final = 16
INTERVAL_MS_MAX: Final = 60_000

_JSON: Final = msgspec.json.Encoder()

AnySocket = WebSocket[Any, Any, Any]


@contextlib.contextmanager
def _carried(
    counter: Counter, access: AccessToken, vehicle: Vehicle, resume: str, interval_ms: int
) -> Iterator[Holder]:
    """A feed for this connection while the block runs; it ends when the token does."""
    parts = FeedParts(counter.state, counter.commands, counter.clock, counter.config.api)

    def make() -> Feed:
        feed_id = counter.entropy(FEED_ID_BYTES).hex()
        return Feed(parts, access, vehicle, partial(entry, counter, vehicle), feed_id)

    holder = counter.streams.carry(
        resume, lambda feed: feed.is_of(access, vehicle), make, interval_ms
    )
    expires_s = max(0.0, (access.expires_time_us - counter.clock.now_us()) / 1e6)
    expiry = asyncio.get_running_loop().call_later(expires_s, holder.finish, End.EXPIRED)
    revoked = partial(holder.finish, End.REVOKED)
    counter.standing.watch(access, revoked)
    park = True
    try:
        yield holder
    except WebSocketDisconnect as gone:
        park = gone.code not in LEFT
    except OSError:
        pass  # while it was written to: the app may come back
    finally:
        counter.standing.unwatch(revoked)
        expiry.cancel()
        counter.streams.part(holder, park=park and holder.end is not End.REVOKED)


@websocket("/api/1/vehicles/{tag:str}/stream")
async def stream(
    socket: AnySocket,
    counter: NamedDependency[Counter],
    tag: FromPath[str],
) -> None:
    """Snapshot, then changes, until either side ends it."""
    try:
        access, vehicle, resume, interval_ms = _asked(socket, counter, tag)
        counter.streams.enter()
    except ApiError as error:
        await _deny(socket, error)
        return
    try:
        offered = socket.scope.get("subprotocols") or []
        await socket.accept(subprotocols=PROTOCOL if PROTOCOL in offered else None)
        with _carried(counter, access, vehicle, resume, interval_ms) as holder:
            await _converse(socket, holder)
            if holder.end is not None:
                await socket.close(code=CLOSE_CODES[holder.end], reason=holder.end.value)
    finally:
        counter.streams.leave()


async def _converse(socket: AnySocket, holder: Holder) -> None:
    """Send what is due until the server ends it.

    Raises:
        WebSocketDisconnect: the client ended it.
        OSError: the connection broke.
    """
    sending = asyncio.ensure_future(_send(socket, holder))
    listening = asyncio.ensure_future(_listen(socket))
    try:
        await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, listening):
            task.cancel()
        results = await asyncio.gather(sending, listening, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _send(socket: AnySocket, holder: Holder) -> None:
    while frames := await holder.frames():
        for frame in frames:
            await socket.send_data(frame.data, mode="text")


async def _listen(socket: AnySocket) -> None:
    """Nothing is expected from the client; reading notices when it goes."""
    while True:
        await socket.receive_data(mode="text")


@get("/api/1/vehicles/{tag:str}/stream")
async def events(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Stream:
    """The same as server-sent events: the id of each is what `resume` is in the WebSocket's."""
    access, vehicle, resume, interval_ms = _asked(request, counter, tag)
    counter.count(request, access, vehicle)
    counter.streams.enter()
    return Stream(
        _events(counter, access, vehicle, resume, interval_ms),
        status_code=200,
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _events(
    counter: Counter, access: AccessToken, vehicle: Vehicle, resume: str, interval_ms: int
) -> AsyncIterator[bytes]:
    try:
        with _carried(counter, access, vehicle, resume, interval_ms) as holder:
            comment_s = counter.config.api.stream_comment_s
            while holder.end is None:
                try:
                    frames = await asyncio.wait_for(holder.frames(), comment_s)
                except TimeoutError:
                    yield b":\n\n"
                else:
                    yield b"".join(map(_event, frames))
            yield b"event: end\ndata: " + _JSON.encode({"reason": holder.end.value}) + b"\n\n"
    finally:
        counter.streams.leave()


def _event(frame: Frame) -> bytes:
    """JSON has no line breaks of its own, so one `data` line holds it."""
    head = f"id: {frame.resume}\nevent: {frame.kind}\ndata: ".encode()
    return head + frame.data + b"\n\n"


def _asked(
    connection: Connection, counter: Counter, tag: str
) -> tuple[AccessToken, Vehicle, str, int]:
    """Who follows which vehicle, from where on, how often. Raises the 400, 401, 403 and 404."""
    access = _access(connection, counter)
    check_right(connection, access)
    vehicle = counter.vehicle(access, tag)
    query = connection.query_params
    resume: str = connection.headers.get("last-event-id") or query.get("resume") or ""
    asked_ms = query.get("interval_ms")
    interval_ms = read_whole(asked_ms, "interval_ms", 0, 0, INTERVAL_MS_MAX)
    return access, vehicle, resume, interval_ms


async def _deny(socket: AnySocket, error: ApiError) -> None:
    """Answer the handshake with the refusal's own status (ASGI: WebSocket denial response)."""
    answer = refusal(socket, error)
    headers = [(b"content-type", b"application/json")]
    headers += [(name.lower().encode(), text.encode()) for name, text in answer.headers.items()]
    start: Any = {
        "type": "websocket.http.response.start",
        "status": answer.status_code,
        "headers": headers,
    }
    last: Any = {"type": "websocket.http.response.body", "body": answer.content}
    await socket.send(start)
    await socket.send(last)


def _access(connection: Connection, counter: Counter) -> AccessToken:
    """Bearer by header, by `access_token` in the query, or by subprotocol. Raises the 401."""
    if "authorization" in connection.headers:
        return counter.access(connection)
    bearer = connection.query_params.get("access_token", "")
    protocols: Any = connection.scope.get("subprotocols") or ()
    for offered in protocols:
        if offered.startswith(BEARER_PROTOCOL):
            bearer = offered.removeprefix(BEARER_PROTOCOL)
    if not bearer:
        raise unauthorized()
    return counter.verify(bearer)

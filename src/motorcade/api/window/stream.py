"""`WS /api/2/fleet/stream`: the page's one connection. `docs/protocols/dashboard.md` §3."""

import asyncio
import contextlib
from functools import partial
from typing import Any, Final

import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect

from motorcade.api.counter import Counter
from motorcade.api.errors import ApiError
from motorcade.api.following import until_either_ends
from motorcade.api.rights import DEVICE_DATA
from motorcade.api.window.parts import parts_of
from motorcade.api.window.replay import AtAsked
from motorcade.api.window.roles import looker_of, rights_shown
from motorcade.api.window.viewers import Close, Seat, Viewers
from motorcade.api.window.views import View, ViewAsked, ViewError
from motorcade.identity.port import ADMIN, OPERATOR, AccessToken
from motorcade.state.columns import STATES

TEXT_BYTES_MAX: Final = 8_192  # of a message from the page
ENDED: Final = "the token is over or was revoked: sign in again"
_JSON: Final = msgspec.json.Encoder()
AnySocket = WebSocket[Any, Any, Any]


class _RefusedError(Exception):
    """The connection is to be closed."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@websocket("/api/2/fleet/stream")
async def fleet_stream(socket: AnySocket, counter: NamedDependency[Counter]) -> None:
    """Counts and cars in view, as they change, until either side ends it."""
    await socket.accept()
    viewers = counter.viewers
    try:
        with contextlib.suppress(WebSocketDisconnect, OSError):
            await _serve(socket, counter, viewers)
    except _RefusedError as refused:
        await _close(socket, refused.code, refused.reason)


async def _serve(socket: AnySocket, counter: Counter, viewers: Viewers) -> None:
    if viewers.full:
        raise _RefusedError(Close.FULL, "too many pages are open on this server")
    access = await _hello(socket, counter)
    share_id = access.session if access.shared else 0
    if share_id and viewers.is_crowded(share_id):
        raise _RefusedError(Close.FULL, "too many watch by this link")
    generation = counter.generation
    role = counter.role(access)
    looker = looker_of(access, role, await asyncio.to_thread(counter.driven_ids, access, role))
    with viewers.seat(looker, by_vin=role in (OPERATOR, ADMIN), share_id=share_id) as seat:
        expires_s = max(0.0, (access.expires_time_us - counter.clock.now_us()) / 1e6)
        loop = asyncio.get_running_loop()
        expiry = loop.call_later(expires_s, seat.finish, Close.ENDED, ENDED)
        revoked = partial(seat.finish, Close.ENDED, ENDED)
        counter.standing.watch(access, revoked, generation, lambda: counter.role(access) == role)
        try:
            epoch, bounds = await viewers.first_look(looker)
            welcome = {
                "type": "welcome",
                "epoch": str(epoch),
                "bounds": bounds,
                "now_us": counter.clock.now_us(),
                "states": STATES,
                "rights": rights_shown(access, role),
                "role": role,
                "parts": parts_of(access, role, _absent(counter)),
            }
            await socket.send_data(_JSON.encode(welcome), mode="text")
            await _converse(socket, viewers, seat)
        finally:
            counter.standing.unwatch(revoked)
            expiry.cancel()
        if seat.end is not None:
            await _close(socket, *seat.end)


def _absent(counter: Counter) -> set[str]:
    """Parts that stand on what this deployment was not given."""
    behind = {
        "work": counter.work,
        "system": counter.inside,
        **dict.fromkeys(("timeline", "within", "export"), counter.history),
        "explain": counter.records,
        **dict.fromkeys(("shares", "people", "consent"), counter.people),
        "audit": counter.audit_log,
    }
    return {name for name, port in behind.items() if port is None}


async def _hello(socket: AnySocket, counter: Counter) -> AccessToken:
    """Who it is, told in the first message. Raises `_RefusedError`."""
    try:
        async with asyncio.timeout(counter.config.dashboard.hello_s_max):
            message = _read(await socket.receive_data(mode="text"))
    except TimeoutError as error:
        raise _RefusedError(Close.MISUSED, "no hello came") from error
    token = message.get("token")
    if message.get("type") != "hello" or not isinstance(token, str):
        raise _RefusedError(Close.MISUSED, "the first message must be hello with a token")
    try:
        access = counter.verify(token)
        counter.residence.check(access)
    except ApiError as error:
        code = Close.ENDED if error.status == 401 else Close.REFUSED
        raise _RefusedError(code, error.error or "the token is none of ours") from error
    if DEVICE_DATA not in access.scopes or access.partner:
        raise _RefusedError(Close.REFUSED, f"the token lacks the scope {DEVICE_DATA}")
    return access


async def _converse(socket: AnySocket, viewers: Viewers, seat: Seat) -> None:
    await until_either_ends(_send(socket, seat), _listen(socket, viewers, seat))


async def _send(socket: AnySocket, seat: Seat) -> None:
    while frames := await seat.take():
        for frame in frames:
            await socket.send_data(frame, mode="text" if isinstance(frame, str) else "binary")
        seat.sent()


async def _listen(socket: AnySocket, viewers: Viewers, seat: Seat) -> None:
    while True:
        message = _read(await socket.receive_data(mode="text"))
        kind = message.get("type")
        try:
            if kind == "view":
                asked = msgspec.convert(message, ViewAsked)
                viewers.look(seat, View.of(asked), asked.rate_hz)
            elif kind == "at":
                viewers.travel(seat, msgspec.convert(message, AtAsked).checked())
            else:
                raise _RefusedError(Close.MISUSED, "not a message of the protocol")
        except (msgspec.ValidationError, ViewError) as error:
            problem = {"type": "problem", "code": kind, "text": str(error)}
            await socket.send_data(_JSON.encode(problem), mode="text")


def _read(text: str | bytes) -> dict[str, Any]:
    """Raises `_RefusedError`."""
    if len(text) > TEXT_BYTES_MAX:
        raise _RefusedError(Close.MISUSED, f"a message of more than {TEXT_BYTES_MAX} bytes")
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise _RefusedError(Close.MISUSED, "a message that is not JSON") from error
    if not isinstance(message, dict):
        raise _RefusedError(Close.MISUSED, "a message that is no JSON object")
    return message


async def _close(socket: AnySocket, code: Close, reason: str) -> None:
    with contextlib.suppress(WebSocketDisconnect, OSError, RuntimeError):
        await socket.close(code=int(code), reason=reason[:120])

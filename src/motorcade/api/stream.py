"""The app's WebSocket: a snapshot, then changes of signals and commands as they become true.

Text frames, JSON; `docs/protocols/commands.md` has the page. What the client does not read in time
waits in a bounded outbox; past the bound it is dropped, and the client gets a fresh snapshot.
Signals of privacy class `location` go to holders of `vehicle_location` alone.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath

from motorcade.api.counter import Counter, check_right
from motorcade.api.envelope import refusal
from motorcade.api.errors import LOGIN_REQUIRED, ApiError, unauthorized
from motorcade.api.outbox import Outbox
from motorcade.api.rights import sees_location
from motorcade.api.shapes import shown
from motorcade.api.vehicles import entry
from motorcade.commands.port import CommandView
from motorcade.identity.port import AccessToken
from motorcade.registry.port import Vehicle
from motorcade.signals.catalogue import BY_NAME
from motorcade.signals.signal import Privacy
from motorcade.state.port import ONLINE, Change, SignalValue

PROTOCOL: Final = "motorcade.stream"
BEARER_PROTOCOL: Final = "bearer."  # browsers cannot set headers: `bearer.<token>` beside PROTOCOL
GOING_AWAY: Final = 1001  # RFC 6455 §7.4.1: "a server going down"
COMMANDS_SHOWN: Final = 20  # in a snapshot
LOCATION_SIGNALS: Final = frozenset(
    name for name, signal in BY_NAME.items() if signal.privacy is Privacy.LOCATION
)
_JSON: Final = msgspec.json.Encoder()

AnySocket = WebSocket[Any, Any, Any]


class Stream:
    """One client's view of one vehicle."""

    def __init__(
        self, socket: AnySocket, counter: Counter, access: AccessToken, vehicle: Vehicle
    ) -> None:
        self._socket = socket
        self._counter = counter
        self._vehicle = vehicle
        self._scopes = access.scopes
        self._located = sees_location(access.scopes)
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(counter.config.api.stream_queue_changes_max)

    async def run(self) -> None:
        """Send until the client goes, or its token's time is over."""
        token = self._vehicle.token
        handle = self._counter.state.subscribe(token, self._on_follower_thread)
        self._counter.commands.watch(token, self._on_command)
        try:
            while True:
                if self._outbox.overflown:
                    self._outbox.started()
                    await self._send(self._snapshot())
                for frame in await self._outbox.take():
                    await self._send(frame)
        finally:
            self._counter.commands.unwatch(token, self._on_command)
            self._counter.state.unsubscribe(handle)

    async def _send(self, frame: bytes) -> None:
        await self._socket.send_data(frame, mode="text")

    def _snapshot(self) -> bytes:
        state = self._counter.state.read(self._vehicle.token)
        recent = self._counter.commands.recent(self._vehicle.token, COMMANDS_SHOWN)
        return _JSON.encode(
            {
                "type": "snapshot",
                "vehicle": entry(self._counter, self._vehicle),
                "last_received_time_us": state.last_received_us,
                "signals": self._shown(state.signals),
                "commands": [shown(view, self._scopes) for view in recent],
            }
        )

    def _shown(self, signals: Mapping[str, SignalValue]) -> dict[str, dict[str, Any]]:
        return {
            name: {"value": reading.value, "time_us": reading.time_us, "unit": reading.unit}
            for name, reading in signals.items()
            if self._located or name not in LOCATION_SIGNALS
        }

    def _on_follower_thread(self, changes: Sequence[Change]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has stopped
            self._loop.call_soon_threadsafe(self._on_signals, changes)

    def _on_signals(self, changes: Sequence[Change]) -> None:
        changed = dict(changes)
        presence = changed.pop(ONLINE, None)
        if presence is not None:
            state = "online" if presence.value else "offline"
            frame = {"type": "vehicle", "state": state, "time_us": presence.time_us}
            self._outbox.put(_JSON.encode(frame), 1)
        signals = self._shown(changed)
        if signals:
            self._outbox.put(_JSON.encode({"type": "signals", "signals": signals}), len(signals))

    def _on_command(self, view: CommandView) -> None:
        self._outbox.put(_JSON.encode({"type": "command", "command": shown(view, self._scopes)}), 1)


@websocket("/api/1/vehicles/{tag:str}/stream")
async def stream(
    socket: AnySocket,
    counter: NamedDependency[Counter],
    tag: FromPath[str],
) -> None:
    """Snapshot, then changes, until either side ends it."""
    try:
        access = _access(socket, counter)
        check_right(socket, access)
        vehicle = counter.vehicle(access, tag)
        counter.streams.enter()
    except ApiError as error:
        await _deny(socket, error)
        return
    try:
        offered = socket.scope.get("subprotocols") or []
        await socket.accept(subprotocols=PROTOCOL if PROTOCOL in offered else None)
        expires_s = max(0.0, (access.expires_time_us - counter.clock.now_us()) / 1e6)
        sending = asyncio.ensure_future(Stream(socket, counter, access, vehicle).run())
        listening = asyncio.ensure_future(_listen(socket))
        stopping = asyncio.ensure_future(counter.streams.closing.wait())
        revoked = asyncio.Event()
        counter.standing.watch(access, revoked.set)
        counter.streams.watch(access.subject, vehicle.id, revoked.set)
        losing = asyncio.ensure_future(revoked.wait())
        tasks = (sending, listening, stopping, losing)
        try:
            await asyncio.wait(tasks, timeout=expires_s, return_when=asyncio.FIRST_COMPLETED)
            ended = sending.done() or listening.done()
        finally:
            counter.standing.unwatch(revoked.set)
            counter.streams.unwatch(revoked.set)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if ended:
            return
        if counter.streams.closing.is_set():
            await socket.close(code=GOING_AWAY, reason="the server is shutting down; connect again")
        elif revoked.is_set():
            await socket.close(code=4401, reason=LOGIN_REQUIRED)
        else:
            await socket.close(code=4401, reason="token expired (401)")
    finally:
        counter.streams.leave()


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


async def _listen(socket: AnySocket) -> None:
    """Nothing is expected from the client; reading notices when it goes."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_data(mode="text")


def _access(socket: AnySocket, counter: Counter) -> AccessToken:
    """Bearer by header, by `access_token` in the query, or by subprotocol. Raises the 401."""
    if "authorization" in socket.headers:
        return counter.access(socket)
    bearer = socket.query_params.get("access_token", "")
    for offered in socket.scope.get("subprotocols") or ():
        if offered.startswith(BEARER_PROTOCOL):
            bearer = offered.removeprefix(BEARER_PROTOCOL)
    if not bearer:
        raise unauthorized()
    return counter.verify(bearer)

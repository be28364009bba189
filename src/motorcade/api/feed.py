"""What one app is told of one vehicle: a snapshot, then changes, whatever connection carries them.

Frames are numbered. A feed outlives its connection for a while and keeps what it sent last, so an
app that comes back with the number of the last frame it has goes on behind it: nothing is missing,
nothing comes twice. Where that is not possible any more it gets a snapshot, which replaces all.

What waits to be sent is bounded: of each signal the newest value, and a number of other frames. An
app that reads slowly, or asked for fewer frames, misses intermediate values and nothing else.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

import msgspec

from motorcade.api.presence import ASLEEP_SIGNAL, is_asleep, presence_of
from motorcade.api.shapes import VehicleEntry, shown
from motorcade.api.sight import COORDINATES, Sight
from motorcade.clock import Clock
from motorcade.commands.port import Commands, CommandView
from motorcade.config import ApiConfig
from motorcade.identity.port import AccessToken
from motorcade.registry.errors import RegistryError
from motorcade.registry.port import Vehicle
from motorcade.state.port import ONLINE, Change, LiveState, SignalValue

COMMANDS_SHOWN: Final = 20  # in a snapshot
_JSON: Final = msgspec.json.Encoder()
_SEPARATOR: Final = "."

Encode = Callable[[str, str, Mapping[str, Any]], bytes]
"""Writes a frame from `resume`, `kind` and the members besides."""


def as_json(resume: str, kind: str, members: Mapping[str, Any]) -> bytes:
    """As the WebSocket and server-sent events carry it."""
    return _JSON.encode({"type": kind, "resume": resume, **members})


class Frame(NamedTuple):
    """One message to the app."""

    resume: str  # bring it back to go on behind this frame
    kind: str  # the member `type`
    data: bytes  # as the feed's `Encode` wrote it


class End(Enum):
    """Why the server ends a connection."""

    STOPPING = "the server is shutting down; connect again"
    REVOKED = "login_required"
    EXPIRED = "token expired (401)"
    TAKEN = "resumed by another connection"


class Holder:
    """A connection that carries a feed."""

    def __init__(self, feed: "Feed") -> None:
        self.feed = feed
        self.end: End | None = None

    def finish(self, end: End) -> None:
        """End it; the first reason counts."""
        if self.end is None:
            self.end = end
            self.feed.wake()

    async def frames(self) -> list[Frame]:
        """Wait until something is due; none: the connection is to be closed, `end` says why."""
        return await self.feed.take(self)


class FeedParts(NamedTuple):
    """What a feed reads, and its bounds."""

    state: LiveState
    commands: Commands
    clock: Clock
    config: ApiConfig
    encode: Encode = as_json


class Feed:
    """One app and one vehicle. On the API's loop but for `_on_follower_thread`."""

    def __init__(
        self,
        parts: FeedParts,
        access: AccessToken,
        vehicle: Vehicle,
        entry: Callable[[], VehicleEntry],
        sight: Callable[[], Sight],
        feed_id: str,
    ) -> None:
        """`entry` is asked at each snapshot, `sight` at each frame; `feed_id`: hard to guess."""
        self.id = feed_id
        self._parts = parts
        self._access = access
        self._vehicle = vehicle
        self._entry = entry
        self._ask_sight = sight
        self._sight = self._look()
        self._known: dict[str, SignalValue] = {}  # the newest coordinates
        self._hidden = True  # no place may be told now
        self._loop = asyncio.get_running_loop()
        self._holder: Holder | None = None
        self._wake = asyncio.Event()
        self._interval_s = 0.0
        self._due_s = 0.0  # signals are sent from then on
        self._fresh = True  # a snapshot is due
        self._again: deque[Frame] = deque()  # sent once, and asked for again
        self._others: list[tuple[str, dict[str, Any]]] = []  # type and the members besides
        self._signals: dict[str, dict[str, Any]] = {}
        self._sent: deque[Frame] = deque()
        self._sent_bytes = 0
        self._number = 0  # of the last frame
        self._online = self._asleep = False
        token = vehicle.token
        self._handle = parts.state.subscribe(token, self._on_follower_thread)
        parts.commands.watch(token, self._on_command)

    def close(self) -> None:
        """Hear of nothing more."""
        self._parts.commands.unwatch(self._vehicle.token, self._on_command)
        self._parts.state.unsubscribe(self._handle)

    def is_of(self, access: AccessToken, vehicle: Vehicle, encode: Encode = as_json) -> bool:
        """Whether the same app, for the same person and with the same rights, may go on with it,
        and reads what it wrote."""
        if self._parts.encode is not encode:
            return False
        mine = self._access
        same_app = mine.client_id == access.client_id and mine.scopes == access.scopes
        return same_app and self.tells(access.subject, vehicle.id)

    def tells(self, subject: str, vehicle_id: int) -> bool:
        """Whether this person hears of that vehicle by it."""
        return (self._access.subject, self._vehicle.id) == (subject, vehicle_id)

    def hold(self, interval_ms: int) -> Holder:
        """Carry it from now on; who carried it so far is ended."""
        if self._holder is not None:
            self._holder.finish(End.TAKEN)
        self._holder = Holder(self)
        self._interval_s, self._due_s = interval_ms / 1e3, 0.0
        return self._holder

    def release(self, holder: Holder) -> bool:
        """The connection is gone. False: another one carries the feed already."""
        if self._holder is not holder:
            return False
        self._holder = None
        return True

    def go_back(self, number: int) -> None:
        """The app has all frames up to `number`: what came after goes again, or a snapshot."""
        self._again.clear()
        first = self._number - len(self._sent)
        if not first <= number <= self._number:
            self._start_anew()
            return
        self._again.extend(list(self._sent)[number - first :])
        self.wake()

    async def take(self, holder: Holder) -> list[Frame]:
        """See `Holder.frames`."""
        while holder.end is None:
            frames = self._collect()
            if frames:
                return frames
            self._wake.clear()
            wait_s = self._due_s - self._parts.clock.monotonic_s() if self._signals else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait_s)
        return []

    def wake(self) -> None:
        self._wake.set()

    def _collect(self) -> list[Frame]:
        """All that is due now."""
        if self._look() != self._sight:  # the owner keeps more back now, or less
            self._start_anew()
            self._sent.clear()
            self._sent_bytes = 0
        frames = list(self._again)
        self._again.clear()
        if self._fresh:
            self._fresh = False  # what comes from here on follows the snapshot
            frames.append(self._frame("snapshot", self._snapshot()))
        others, self._others = self._others, []
        frames += [self._frame(kind, members) for kind, members in others]
        now_s = self._parts.clock.monotonic_s()
        if self._signals and now_s >= self._due_s:
            signals, self._signals = self._signals, {}
            frames.append(self._frame("signals", {"signals": signals}))
            self._due_s = now_s + self._interval_s
        return frames

    def _frame(self, kind: str, members: dict[str, Any]) -> Frame:
        self._number += 1
        resume = f"{self.id}{_SEPARATOR}{self._number}"
        frame = Frame(resume, kind, self._parts.encode(resume, kind, members))
        self._sent.append(frame)
        self._sent_bytes += len(frame.data)
        while self._sent_bytes > self._parts.config.stream_replay_bytes_max:
            self._sent_bytes -= len(self._sent.popleft().data)
        return frame

    def _snapshot(self) -> dict[str, Any]:
        self._sight = sight = self._look()
        state = self._parts.state.read(self._vehicle.token)
        self._know(state.signals)
        self._hidden = sight.hides(self._known)
        self._online, self._asleep = state.online, is_asleep(state)
        scopes = sight.unjudged(self._access.scopes)
        recent = self._parts.commands.recent(self._vehicle.token, COMMANDS_SHOWN)
        return {
            "vehicle": self._entry(),
            "last_received_time_us": state.last_received_us,
            "signals": self._shown(state.signals),
            "commands": [shown(view, scopes) for view in recent],
        }

    def _look(self) -> Sight:
        """What may be told now; while the registry cannot say what the owner set, no place."""
        try:
            return self._ask_sight()
        except RegistryError:
            return Sight(located=False)

    def _know(self, signals: Mapping[str, SignalValue]) -> None:
        for name in COORDINATES & signals.keys():
            known = self._known.get(name)
            if known is None or known.time_us <= signals[name].time_us:  # late ones come, too
                self._known[name] = signals[name]

    def _shown(self, signals: Mapping[str, SignalValue]) -> dict[str, dict[str, Any]]:
        return {
            name: {"value": reading.value, "time_us": reading.time_us, "unit": reading.unit}
            for name, reading in self._sight.of(signals, self._known).items()
        }

    def _on_follower_thread(self, changes: Sequence[Change]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has stopped
            self._loop.call_soon_threadsafe(self._on_signals, changes)

    def _on_signals(self, changes: Sequence[Change]) -> None:
        changed = dict(changes)
        connected, sleeps = changed.pop(ONLINE, None), changed.get(ASLEEP_SIGNAL)
        if connected is not None:
            self._online = bool(connected.value)
        if sleeps is not None:
            self._asleep = bool(sleeps.value)
        told = connected or sleeps
        if told is not None:
            state = presence_of(online=self._online, asleep=self._asleep)
            self._put("vehicle", {"state": state, "time_us": told.time_us})
        self._know(changed)
        hidden = self._sight.hides(self._known)
        if hidden != self._hidden and not self._fresh:
            self._start_anew()  # over a zone's edge: what is in the snapshot is all that is told
        self._hidden = hidden
        signals = self._shown(changed)
        if signals and not self._fresh:
            self._signals |= signals
            self._bound()

    def _on_command(self, view: CommandView) -> None:
        self._put("command", {"command": shown(view, self._look().unjudged(self._access.scopes))})

    def _put(self, kind: str, members: dict[str, Any]) -> None:
        if not self._fresh:
            self._others.append((kind, members))
            self._bound()

    def _bound(self) -> None:
        waiting = len(self._signals) + len(self._others)
        if waiting > self._parts.config.stream_queue_changes_max:
            self._start_anew()
        self.wake()

    def _start_anew(self) -> None:
        """A snapshot replaces what waits."""
        self._fresh = True
        self._signals, self._others = {}, []
        self._again.clear()
        self.wake()


def split_resume(text: str) -> tuple[str, int] | None:
    """A feed's id and the number of the last frame that the app has; `None`: none of ours."""
    feed_id, _, number = text.partition(_SEPARATOR)
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        return None
    return feed_id, int(number)

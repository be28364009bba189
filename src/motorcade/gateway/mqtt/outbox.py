"""Commands down: from the log's topic COMMANDS to the vehicle's session, at QoS 1, until PUBACK.

Holds what is unexpired and unacknowledged, in memory only: at start it is read again from the last
`commands.expires_s_max` seconds of the log. What becomes of a message is told through the fast
lane, as records of COMMAND_ANSWERS that the router reads: `handed_over` with the first PUBLISH,
`undelivered` or `delivery_unknown` when its time is over (design P5). A notice of `handed_over` may
be lost with this process: the next one does not know then, and says so.
"""

import asyncio
import heapq
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.events import (
    CONTENT_TYPES,
    Encoding,
    Record,
    Topic,
    VehicleToken,
    partition_of,
)
from motorcade.gateway.mqtt.connection import Connection
from motorcade.gateway.mqtt.rests import Rests
from motorcade.gateway.mqtt.session import Session
from motorcade.gateway.mqtt.window import Sent
from motorcade.log.errors import LogError
from motorcade.log.port import AtTime, Log, LogReader
from motorcade.wire.command.errors import CommandCodecError
from motorcade.wire.command.records import (
    DELIVERY_UNKNOWN,
    HANDED_OVER,
    MESSAGE,
    TRANSITION,
    UNDELIVERED,
    read_down,
    read_transition,
)
from motorcade.wire.mqtt.properties import Place, Properties, encode_bare
from motorcade.wire.mqtt.publish import Publish
from motorcade.wire.mqtt.topics import matches

TOLD: Final = frozenset({Topic.COMMANDS, Topic.COMMAND_ANSWERS})
"""What tells an earlier process' doings. Afterwards COMMANDS alone: our own notices are no news."""
MARGIN_S: Final = 60  # read from a little before the oldest that can still be unexpired
REQUESTED: Final = "requested"
OPEN_STATES: Final = frozenset({REQUESTED, "handed_over"})
_PROPERTIES: Final = encode_bare(
    Properties(content_type=CONTENT_TYPES[Encoding.COMMAND]), Place.PUBLISH
)

logger = structlog.get_logger(__name__)


class NoticeTaker(Protocol):
    """The one method of the fast `Intake` that is needed here."""

    def add(self, record: Record, *, within_s: float = 0.0) -> int:
        """Take a record, never refused; it may wait so long for others to be committed with."""


@dataclass(slots=True, eq=False)
class Pending:
    """A message that its vehicle has not acknowledged."""

    id: str
    token: VehicleToken
    payload: bytes
    expires_time_us: int
    is_command: bool  # other messages end without notice
    slot: str = ""  # of other messages: the newest alone is worth delivering
    handed_over: bool = False  # by this process, or noticed by an earlier one
    seen_from_start: bool = True  # this process was there before anyone could hand it over
    holder: Session | None = None  # in whose window it is, acknowledged or not
    done: bool = False


class Outbox:
    """See the module's text."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        log: Log,
        fast: NoticeTaker,
        rests: Rests[Connection],
    ) -> None:
        self._rests = rests
        self._config = config
        self._clock = clock
        self._loop = loop
        self._log = log
        self._fast = fast
        self._reader: LogReader | None = None
        self._by_vehicle: dict[VehicleToken, dict[str, Pending]] = {}
        self._expiries: list[tuple[int, int, Pending]] = []
        self._added = 0
        self._sessions: dict[VehicleToken, Session] = {}
        self._stalled: set[Session] = set()  # they wait for room in their windows
        self._poll_handle: asyncio.TimerHandle | None = None
        self._rebuilding = True
        self._polled = False  # since the last turn of the fallback

    async def start(self) -> None:
        """Read what an earlier process left, then follow the log."""
        age_s = self._config.commands.expires_s_max + MARGIN_S
        since = AtTime(self._clock.now_us() - age_s * 1_000_000)
        reader = await self._loop.run_in_executor(None, self._log.reader, TOLD, since)
        while slices := await self._loop.run_in_executor(None, reader.poll, 0.0):
            for log_slice in slices:
                for record in log_slice.batch:
                    self._take(record)
        self._rebuilding = False
        place = reader.cursor
        reader.close()
        reader = self._reader = self._log.reader(frozenset({Topic.COMMANDS}), place)
        if reader.doorbell_fd is not None:
            self._loop.add_reader(reader.doorbell_fd, self.poll)
        self._poll_again()

    @property
    def doorbell_fd(self) -> int | None:
        """Becomes readable when there are commands to deliver."""
        return self._reader.doorbell_fd if self._reader is not None else None

    def stop(self) -> None:
        """Follow no more."""
        reader, self._reader = self._reader, None
        if self._poll_handle is not None:
            self._poll_handle.cancel()
        if reader is not None:
            if reader.doorbell_fd is not None:
                self._loop.remove_reader(reader.doorbell_fd)
            reader.close()

    # --- sessions ----------------------------------------------------------------------------

    def opened(self, session: Session) -> None:
        """A vehicle is here: what waits for it can go."""
        if session.token is not None:
            self._sessions[session.token] = session
            self._send(session)

    def closed(self, session: Session) -> None:
        """The vehicle is gone; what it did not acknowledge waits in its session, and for another
        session if that one ends."""
        token = session.token
        if token is not None and self._sessions.get(token) is session:
            del self._sessions[token]

    def _send(self, session: Session) -> None:
        """Hand over everything that is not under way yet, in the order it came."""
        token = session.token
        pendings = self._by_vehicle.get(token) if token is not None else None
        if not pendings:
            return
        topic = f"v/{token}/commands"
        granted = [s.qos for s in session.subscriptions.values() if matches(s.topic_filter, topic)]
        if not granted:
            return
        now_us = self._clock.now_us()
        for pending in list(pendings.values()):
            if pending.holder is session or pending.expires_time_us <= now_us:
                continue
            if not session.window.may_send():
                if session not in self._stalled:
                    self._stalled.add(session)
                    session.waiting.append(lambda: self._go_on(session))
                return
            self._hand_over(session, pending, topic, max(granted))

    def _go_on(self, session: Session) -> None:
        self._stalled.discard(session)
        if session.connection is not None:
            self._send(session)

    def _hand_over(self, session: Session, pending: Pending, topic: str, qos: int) -> None:
        if not pending.handed_over:
            pending.handed_over = True
            if pending.is_command:
                if session.connection is not None:
                    self._rests.await_answer(session.connection, self._clock.monotonic_s())
                wait_ms = self._config.commands.notice_wait_ms
                self._notice(pending, HANDED_OVER, within_s=wait_ms / 1e3)
        publish = Publish(topic, pending.payload, min(qos, 1), properties=_PROPERTIES)
        if publish.qos == 0:
            session.send(publish, None)
            self._finish(pending)
            return
        pending.holder = session
        sent = Sent(
            publish,
            None,
            on_acked=lambda: self._finish(pending),
            wanted=lambda: not pending.done and pending.expires_time_us > self._clock.now_us(),
        )
        session.send(publish, sent)

    # --- the log -----------------------------------------------------------------------------

    def poll(self) -> None:
        """Follow the log; the fast lane is small, so this stays in the loop for its latency."""
        if self._reader is None:
            return
        self._polled = True
        touched: set[VehicleToken] = set()
        try:
            slices = self._reader.poll(0.0)
        except LogError as error:  # the next poll tries again; nothing is taken as delivered
            logger.error("mqtt_commands_cannot_be_read", error=str(error))
            return
        for log_slice in slices:
            for record in log_slice.batch:
                if self._take(record):
                    touched.add(record.vehicle)
        for token in touched:
            session = self._sessions.get(token)
            if session is not None and session.connection is not None:
                self._send(session)

    def _poll_again(self) -> None:
        """The fallback for a lost doorbell ring, and the clock for expiries."""
        if not self._polled:
            self.poll()
        self._polled = False
        self.expire()
        if self._reader is not None:
            wait_s = self._config.log.reader_poll_ms / 1e3
            self._poll_handle = self._loop.call_later(wait_s, self._poll_again)

    def _take(self, record: Record) -> bool:
        """Note a record; True if there is something to send."""
        if record.topic is Topic.COMMAND_ANSWERS:
            self._take_notice(record)
            return False
        try:
            if record.name == TRANSITION:
                return self._take_transition(record)
            if record.name == MESSAGE:
                return self._take_message(record)
        except CommandCodecError:
            return False  # written by a newer router: not ours to deliver
        return False

    def _take_transition(self, record: Record) -> bool:
        transition = read_transition(record.payload)
        if transition.state == REQUESTED:
            message = bytes(transition.message)
            return self._add(record, transition.id, message, transition.expires_time_us, None)
        if transition.state not in OPEN_STATES:
            pending = self._by_vehicle.get(record.vehicle, {}).get(transition.id)
            if pending is not None:
                self._finish(pending)
        return False

    def _take_message(self, record: Record) -> bool:
        """A time or a question: what waits of its kind is out of date, and would only fill the
        window of a vehicle whose connections are short."""
        down = read_down(record.payload)
        for pending in list(self._by_vehicle.get(record.vehicle, {}).values()):
            if down.slot and pending.slot == down.slot and pending.id != down.id:
                self._finish(pending)
        return self._add(record, down.id, bytes(down.message), down.expires_time_us, down.slot)

    def _take_notice(self, record: Record) -> None:
        """What an earlier process said of a message."""
        pending = self._by_vehicle.get(record.vehicle, {}).get(record.stream.decode())
        if pending is None:
            return
        if record.name == HANDED_OVER:
            pending.handed_over = True
        elif record.name in (UNDELIVERED, DELIVERY_UNKNOWN):
            self._finish(pending)

    def _add(
        self,
        record: Record,
        message_id: str,
        payload: bytes,
        expires_time_us: int,
        slot: str | None,
    ) -> bool:
        """`slot` is `None` for a command."""
        pendings = self._by_vehicle.setdefault(record.vehicle, {})
        if message_id in pendings or not payload:
            return False
        pending = Pending(
            message_id,
            record.vehicle,
            payload,
            expires_time_us,
            is_command=slot is None,
            slot=slot or "",
            seen_from_start=not self._rebuilding,
        )
        pendings[message_id] = pending
        self._added += 1
        heapq.heappush(self._expiries, (expires_time_us, self._added, pending))
        return True

    # --- the end -----------------------------------------------------------------------------

    def expire(self) -> None:
        """Give up what is over, and say whether it can have reached the vehicle."""
        now_us = self._clock.now_us()
        while self._expiries and self._expiries[0][0] <= now_us:
            _, _, pending = heapq.heappop(self._expiries)
            if pending.done:
                continue
            if pending.is_command and not pending.handed_over:
                known = pending.seen_from_start
                self._notice(pending, UNDELIVERED if known else DELIVERY_UNKNOWN)
            self._finish(pending)

    def _finish(self, pending: Pending) -> None:
        pending.done = True
        pendings = self._by_vehicle.get(pending.token)
        if pendings is not None:
            pendings.pop(pending.id, None)
            if not pendings:
                del self._by_vehicle[pending.token]

    def _notice(self, pending: Pending, name: bytes, *, within_s: float = 0.0) -> None:
        now_us = self._clock.now_us()
        self._fast.add(
            Record(
                vehicle=pending.token,
                topic=Topic.COMMAND_ANSWERS,
                payload=b"",
                received_time_us=now_us,
                event_time_us=now_us,
                encoding=Encoding.COMMAND,
                name=name,
                stream=pending.id.encode(),
                partition=partition_of(pending.token, self._config.log.partitions),
            ),
            within_s=within_s,
        )

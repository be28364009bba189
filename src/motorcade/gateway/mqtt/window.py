"""Messages on their way to one client at QoS 1 and 2, until it has acknowledged them.

QoS 2 to a session that is kept is exactly once also across a crash: what is sent under which packet
identifier is in the journal before the first byte leaves, and again before PUBREL (§4.3.3), so a
process that comes after continues the exchange instead of starting another. A message whose
exchange is complete stays known by its place in the log until the session's stored cursor has
passed it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Protocol

from motorcade.gateway.mqtt.connection import Connection
from motorcade.log.port import Cursor
from motorcade.wire.mqtt.properties import with_expiry
from motorcade.wire.mqtt.publish import Publish, Pubrel, encode_acknowledgement
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason

if TYPE_CHECKING:
    from motorcade.gateway.mqtt.shares import Share

PACKET_ID_MAX: Final = 0xFFFF
PASSED: Final = Cursor(b"")  # an origin that no cursor equals: the log was read beyond it


class Stage(IntEnum):
    """How far a message has come. Numbers are stored."""

    SENT = 1  # PUBLISH is sent, or may have been
    RELEASED = 2  # QoS 2: PUBREC came; PUBREL is sent until PUBCOMP
    DONE = 3  # only in the journal: never send it again


@dataclass(slots=True, eq=False)
class Sent:
    """A message on its way."""

    publish: Publish  # without packet id
    origin: Cursor | None  # the log read from here gives it again; None: not from the router
    place: bytes = b""  # of its record in the log; b"" when it is not from there
    on_acked: Callable[[], None] | None = None
    wanted: Callable[[], bool] | None = None  # asked before it is sent again
    share: "Share | None" = None  # it belongs to a group, which remembers its origin
    expires_us: int = 0  # its message expiry, in wall time; 0: none, or not known
    stage: Stage = Stage.SENT
    ordinal: int = 0
    journaled: bool = False
    held: bool = False  # the journal is still being written
    written: bool = False  # on this connection

    @property
    def exactly_once(self) -> bool:
        return self.publish.qos == 2


class Journal(Protocol):
    """Where a session's exchanges are kept; see `journal.py`."""

    def put(self, packet_id: int, sent: Sent, then: Callable[[], None]) -> None:
        """Write `sent` as it is now; call `then` once that is durable, or end the connection."""

    def done(self, sent: Sent) -> None:
        """It is complete; its place stays known."""

    def forget(self, ordinals: Iterable[int]) -> None:
        """Their places need not be known any more."""


@dataclass(slots=True, eq=False)
class Window:
    """See the module's text. The owner sets `connection` and `journal`."""

    connection: Connection | None = None
    journal: Journal | None = None  # None: the session is not kept
    sent: dict[int, Sent] = field(default_factory=dict)  # by packet id, in the order of sending
    done: dict[bytes, tuple[int, Cursor | None]] = field(default_factory=dict)
    """Complete exchanges by place: ordinal, and the origin (None: not passed since the restart)."""
    ordinal: int = 0
    resumed: bool = False  # CONNACK is written: messages may follow
    _last_id: int = 0
    _unwritten: int = 0  # of `sent`: PUBLISH not written on this connection

    def __len__(self) -> int:
        return len(self.sent)

    def may_send(self) -> bool:
        """Whether the client's receive maximum allows one more [MQTT-3.3.4-9]."""
        connection = self.connection
        return connection is not None and len(self.sent) < connection.receive_max

    def send(self, sent: Sent) -> None:
        """Take a message; it is written as soon as it may be."""
        packet_id = self._next_id()
        self.ordinal += 1
        sent.ordinal = self.ordinal
        self.sent[packet_id] = sent
        self._unwritten += 1
        if self.journal is not None and (sent.exactly_once or not _comes_again(sent)):
            sent.journaled = sent.held = True
            self.journal.put(packet_id, sent, lambda: self._unhold(packet_id, sent))
        elif self._unwritten == 1 and self.resumed and len(self.sent) <= self._receive_max():
            self._write(packet_id, sent)  # the usual one: nothing waits before it
        else:
            self._push()

    def acknowledged(self, packet_id: int) -> Sent | None:
        """PUBACK (§3.4). None: no such message, which is harmless."""
        sent = self.sent.get(packet_id)
        if sent is None or sent.exactly_once:
            return None
        return self._finish(packet_id)

    def received(self, packet_id: int, reason: Reason) -> Sent | None:
        """PUBREC (§3.5): PUBREL follows. Returns the message if the client refused it instead."""
        sent = self.sent.get(packet_id)
        if sent is None or not sent.exactly_once:
            self._write_pubrel(packet_id, Reason.PACKET_IDENTIFIER_NOT_FOUND)
            return None
        if reason >= Reason.UNSPECIFIED_ERROR:  # the exchange ends here, §4.3.3
            return self._finish(packet_id)
        if sent.stage is Stage.RELEASED:
            if not sent.held:
                self._write_pubrel(packet_id)
            return None
        if not sent.written:  # the client had it from the connection before
            sent.written = True
            self._unwritten -= 1
        sent.stage = Stage.RELEASED
        if self.journal is None:
            self._write_pubrel(packet_id)
            return None
        sent.held = True
        self.journal.put(packet_id, sent, lambda: self._unhold(packet_id, sent))
        return None

    def completed(self, packet_id: int) -> Sent | None:
        """PUBCOMP (§3.7): the packet identifier is free again."""
        sent = self.sent.get(packet_id)
        if sent is None or sent.stage is not Stage.RELEASED:
            return None
        return self._finish(packet_id)

    def resume(self, now_us: int) -> None:
        """Send again what was not acknowledged, in order, with DUP [MQTT-4.4.0-1].

        Also what has expired meanwhile, with 0 s left: who had it before has begun an exchange.
        """
        for packet_id, sent in list(self.sent.items()):
            if sent.wanted is not None and not sent.wanted():
                del self.sent[packet_id]
        self.resumed = True
        self._unwritten = 0
        for packet_id, sent in self.sent.items():
            if sent.stage is Stage.RELEASED:
                if not sent.held:
                    self._write_pubrel(packet_id)
                continue
            again = sent.publish.dup or sent.written
            sent.publish = _as_of(sent, now_us, dup=again)
            sent.written = False
            self._unwritten += 1
        self._push()

    def lost(self) -> None:
        """The connection is gone."""
        self.connection, self.resumed = None, False

    def owed(self) -> Iterator[Sent]:
        """What would be lost if the log were not read from its origin again, in order."""
        return (
            sent
            for sent in self.sent.values()
            if sent.origin is not None and not sent.journaled and sent.share is None
        )

    def knows(self, place: bytes, origin: Cursor | None) -> bool:
        """Whether a record, met while the log is read again, was taken care of before."""
        found = self.done.get(place)
        if found is not None:
            self.done[place] = (found[0], origin)
            return True
        for sent in self.sent.values():
            if sent.journaled and sent.place == place:
                sent.origin = origin
                return True
        return False

    def passed(self) -> None:
        """The log has been read to its end: what was not met will not be met."""
        for place, (ordinal, origin) in self.done.items():
            if origin is None:
                self.done[place] = (ordinal, PASSED)
        for sent in self.sent.values():
            if sent.journaled and sent.origin is None:
                sent.origin = PASSED

    def trim(self, cursor: Cursor | None) -> None:
        """Forget places that lie before `cursor`, which has been stored."""
        if not self.done or self.journal is None:
            return
        first_owed = next((sent.ordinal for sent in self.owed()), self.ordinal + 1)
        behind = {
            place: ordinal
            for place, (ordinal, origin) in self.done.items()
            if origin is not None and ordinal < first_owed and origin != cursor
        }
        for place in behind:
            del self.done[place]
        self.journal.forget(behind.values())

    # --- the inside --------------------------------------------------------------------------

    def _unhold(self, packet_id: int, sent: Sent) -> None:
        sent.held = False
        if self.sent.get(packet_id) is not sent or not self.resumed:
            return
        if sent.stage is Stage.RELEASED:
            self._write_pubrel(packet_id)
        else:
            self._push()

    def _push(self) -> None:
        """Write what may be written, in order, within the client's receive maximum."""
        if not self._unwritten or not self.resumed:
            return
        room = self._receive_max() - (len(self.sent) - self._unwritten)
        for packet_id, sent in list(self.sent.items()):
            if room <= 0:
                return
            if not sent.written and not sent.held:
                room -= 1
                self._write(packet_id, sent)

    def _write(self, packet_id: int, sent: Sent) -> None:
        connection = self.connection
        assert connection is not None
        sent.written = True
        self._unwritten -= 1
        if not connection.deliver(replace(sent.publish, packet_id=packet_id)):
            self._finish(packet_id)  # too large for it: as if delivered [MQTT-3.1.2-25]

    def _finish(self, packet_id: int) -> Sent:
        sent = self.sent.pop(packet_id)
        if not sent.written and sent.stage is Stage.SENT:
            self._unwritten -= 1
        if sent.journaled and self.journal is not None:
            if sent.place:
                self.done[sent.place] = (sent.ordinal, sent.origin)
                self.journal.done(sent)
            else:
                self.journal.forget((sent.ordinal,))
        if sent.on_acked is not None:
            sent.on_acked()
        self._push()
        return sent

    def _receive_max(self) -> int:
        return self.connection.receive_max if self.connection is not None else 0

    def _write_pubrel(self, packet_id: int, reason: Reason = Reason.SUCCESS) -> None:
        connection = self.connection
        if connection is not None and self.resumed:
            level: ProtocolLevel = connection.level
            connection.write(encode_acknowledgement(Pubrel(packet_id, reason), level))

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % PACKET_ID_MAX + 1
            if self._last_id not in self.sent:
                return self._last_id


def _comes_again(sent: Sent) -> bool:
    """Whether after a crash it is read from the log, or given again by whoever gave it."""
    return sent.origin is not None or sent.on_acked is not None


def _as_of(sent: Sent, now_us: int, *, dup: bool) -> Publish:
    """A PUBLISH that is sent again, with the expiry that is left by now [MQTT-3.3.2-6]."""
    publish = sent.publish
    properties = publish.properties
    if sent.expires_us:
        left_s = max(-((now_us - sent.expires_us) // 1_000_000), 0)
        properties = with_expiry(properties, left_s)
    return replace(publish, dup=dup, properties=properties)

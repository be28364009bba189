"""A record as subscribers get it: who wants it, at which QoS, who can take it now."""

from dataclasses import dataclass
from typing import Final

from motorcade.events import Flags, Record, Topic
from motorcade.gateway.mqtt.permissions import hidden
from motorcade.gateway.mqtt.records import topic_name
from motorcade.gateway.mqtt.session import BACKLOG_BYTES, Session
from motorcade.gateway.mqtt.window import Sent
from motorcade.log.port import Cursor
from motorcade.wire.mqtt.primitives import write_varint
from motorcade.wire.mqtt.properties import Place, decode_properties, with_expiry
from motorcade.wire.mqtt.publish import Publish
from motorcade.wire.mqtt.subscribe import Subscription

_AT_LEAST_ONCE: Final = Flags.QOS_1 | Flags.IDENTITY_HASH


@dataclass(frozen=True, slots=True)
class Wanted:
    """What all subscriptions of a session that match a message ask for together (§3.3.4)."""

    qos: int
    retain_as_published: bool
    identifiers: tuple[int, ...]

    def joined(self, subscription: Subscription) -> "Wanted":
        """With one more: the highest QoS, every identifier [MQTT-3.3.4-2, -4]."""
        own = (subscription.identifier,) if subscription.identifier else ()
        return Wanted(
            max(self.qos, subscription.qos),
            self.retain_as_published or subscription.retain_as_published,
            self.identifiers + own,
        )


NOTHING: Final = Wanted(-1, False, ())


@dataclass(frozen=True, slots=True)
class Message:
    """What is the same for every subscriber."""

    topic: str
    payload: bytes
    properties: bytes
    qos: int
    retain: bool
    publisher: str  # session key of an operator, token of a vehicle
    place: bytes = b""  # of its record in the log
    kept: bool = False  # sent because it is retained, not because it was just published
    expires_us: int = 0  # in wall time; 0: never

    def publish(self, wanted: Wanted) -> Publish:
        """The PUBLISH for one session, still without packet id."""
        properties = self.properties
        for identifier in wanted.identifiers:
            properties += b"\x0b" + write_varint(identifier)
        return Publish(
            self.topic,
            self.payload,
            min(self.qos, wanted.qos),
            retain=self.kept or (self.retain and wanted.retain_as_published),
            properties=properties,
        )

    def is_from(self, session: Session) -> bool:
        """Whether the session published it; then "no local" keeps it away [MQTT-3.8.3-3]."""
        return self.publisher in (session.key, session.token)


def message_of(writer: str, record: Record, now_us: int) -> Message | None:
    """The message that a record is, `None` for our own notices and when its message expiry has
    passed [MQTT-3.3.2-5]."""
    if _is_notice(record):
        return None
    properties = record.properties
    if properties:
        fresh = aged(properties, (now_us - record.received_time_us) // 1_000_000)
        if fresh is None:
            return None
        properties = fresh
    return Message(
        topic_name(record),
        record.payload,
        properties,
        2 if record.flags & Flags.QOS_2 else 1 if record.flags & _AT_LEAST_ONCE else 0,
        bool(record.flags & Flags.RETAIN),
        str(record.vehicle) or record.stream.decode(),
        b"%s/%d/%d/%d" % (writer.encode(), record.topic, record.partition, record.position),
        expires_us=expires_us(record.properties, record.received_time_us),
    )


def _is_notice(record: Record) -> bool:
    """What the gateway tells readers: it started, it handed a command over."""
    if record.topic is Topic.COMMAND_ANSWERS:
        return bool(record.name)
    return record.topic is not Topic.MQTT and not record.vehicle


def aged(encoded: bytes, age_s: int) -> bytes | None:
    """Properties with the expiry reduced by the time the message waited [MQTT-3.3.2-6]."""
    if not encoded:
        return encoded
    expiry_s = decode_properties(encoded, Place.PUBLISH).message_expiry_s
    if expiry_s is None:
        return encoded
    left_s = expiry_s - max(age_s, 0)
    if left_s <= 0:
        return None
    return with_expiry(encoded, left_s)


def expires_us(properties: bytes, received_time_us: int) -> int:
    """When a message is over, 0 for never."""
    if not properties:
        return 0
    expiry_s = decode_properties(properties, Place.PUBLISH).message_expiry_s
    return 0 if expiry_s is None else received_time_us + expiry_s * 1_000_000


def add(
    found: dict[Session, Wanted], session: Session, one: Subscription, message: Message
) -> None:
    """Count a matching subscription, unless "no local" keeps the message from it."""
    if not (one.no_local and message.is_from(session)):
        found[session] = found.get(session, NOTHING).joined(one)


def deliver(session: Session, wanted: Wanted, message: Message, origin: Cursor | None) -> bool:
    """Send a message to a connected session. False: its window is full, nothing was sent."""
    connection, principal = session.connection, session.principal
    if connection is None or principal is None:
        return False
    if hidden(principal, message.topic):
        return True
    publish = message.publish(wanted)
    if publish.qos == 0:
        if connection.backlog() > BACKLOG_BYTES:
            return True  # QoS 0 promises nothing to a peer that does not read
        session.send(publish, None)
        return True
    if not session.has_room():
        return False
    session.send(publish, Sent(publish, origin, message.place, expires_us=message.expires_us))
    return True

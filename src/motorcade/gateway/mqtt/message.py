"""A record as subscribers get it: who wants it, at which QoS, who can take it now."""

from dataclasses import dataclass, replace
from typing import Final

from motorcade.events import Flags, Record, Topic
from motorcade.gateway.mqtt.permissions import hidden
from motorcade.gateway.mqtt.records import topic_name
from motorcade.gateway.mqtt.session import BACKLOG_BYTES, Sent, Session
from motorcade.log.port import Cursor
from motorcade.wire.mqtt.properties import Place, decode_properties, encode_bare
from motorcade.wire.mqtt.publish import Publish
from motorcade.wire.mqtt.subscribe import Subscription
from motorcade.wire.mqtt.trie import SubscriptionTrie

_AT_LEAST_ONCE: Final = Flags.QOS_1 | Flags.QOS_2 | Flags.IDENTITY_HASH


@dataclass(frozen=True, slots=True)
class Message:
    """What is the same for every subscriber."""

    topic: str
    payload: bytes
    properties: bytes
    qos: int
    retain: bool
    publisher: str  # session key of an operator, token of a vehicle

    def publish(self, subscription: Subscription) -> Publish:
        """The PUBLISH for one subscription, still without packet id."""
        return Publish(
            self.topic,
            self.payload,
            min(self.qos, subscription.qos),
            retain=self.retain and subscription.retain_as_published,
            properties=self.properties,
        )


def message_of(record: Record, now_us: int) -> Message | None:
    """The message that a record is, `None` for our own notices and when its message expiry has
    passed [MQTT-3.3.2-5]."""
    if _is_notice(record):
        return None
    properties = record.properties
    if properties:
        aged = _aged(properties, (now_us - record.received_time_us) // 1_000_000)
        if aged is None:
            return None
        properties = aged
    return Message(
        topic_name(record),
        record.payload,
        properties,
        1 if record.flags & _AT_LEAST_ONCE else 0,
        bool(record.flags & Flags.RETAIN),
        str(record.vehicle) or record.stream.decode(),
    )


def _is_notice(record: Record) -> bool:
    """What the gateway tells readers: it started, it handed a command over."""
    if record.topic is Topic.COMMAND_ANSWERS:
        return bool(record.name)
    return record.topic is not Topic.MQTT and not record.vehicle


def _aged(encoded: bytes, age_s: int) -> bytes | None:
    """Properties with the expiry reduced by the time the message waited [MQTT-3.3.2-6]."""
    properties = decode_properties(encoded, Place.PUBLISH)
    expiry_s = properties.message_expiry_s
    if expiry_s is None:
        return encoded
    left_s = expiry_s - max(age_s, 0)
    if left_s <= 0:
        return None
    return encode_bare(replace(properties, message_expiry_s=left_s), Place.PUBLISH)


def best(trie: SubscriptionTrie[Session, Subscription], topic: str) -> dict[Session, Subscription]:
    """The sessions that want `topic`, each once, with its subscription of the highest QoS."""
    found: dict[Session, Subscription] = {}
    for session, subscription in trie.match(topic):
        known = found.get(session)
        if known is None or subscription.qos > known.qos:
            found[session] = subscription
    return found


def deliver(
    session: Session, subscription: Subscription, message: Message, origin: Cursor | None
) -> bool:
    """Send a message to a connected session. False: its window is full, nothing was sent."""
    connection, principal = session.connection, session.principal
    if connection is None or principal is None:
        return False
    if subscription.no_local and message.publisher in (session.key, session.token):
        return True
    if hidden(principal, message.topic):
        return True
    publish = message.publish(subscription)
    if publish.qos == 0:
        if connection.backlog() > BACKLOG_BYTES:
            return True  # QoS 0 promises nothing to a peer that does not read
        session.send(publish, None)
        return True
    if not session.has_room():
        return False
    session.send(publish, Sent(publish, origin))
    return True

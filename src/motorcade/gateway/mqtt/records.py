"""From a PUBLISH to a `Record` and back to a topic: the slow road, and `scan`'s oracle.

Decides what a vehicle may publish, under which identity it is stored (P2) and when it happened
(P3). Reads no clock. `kernels.take_publish` does the same for the ordinary packet.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from motorcade.events import (
    NO_FLAGS,
    NO_VEHICLE,
    Encoding,
    Flags,
    Record,
    Topic,
    VehicleToken,
    fnv1a_64,
)
from motorcade.gateway.mqtt.payload.kernels import judge_payload
from motorcade.log.topics import TOPICS
from motorcade.wire.mqtt.kernels import NO_CONTENT_TYPE, encoding_of_type
from motorcade.wire.mqtt.properties import (
    NO_PROPERTIES,
    Place,
    Properties,
    decode_properties,
    forwardable,
)
from motorcade.wire.mqtt.publish import Publish

FIELD_BYTES_MAX: Final = 0xFFFF  # name, stream and properties have 16-bit lengths in a row
SEQUENCE_MAX: Final = (1 << 63) - 1  # of a sender; larger numbers are no identity
WORDS: Final = {topic.word: topic for topic, row in TOPICS.items() if row.vehicle_may_publish}
_TOPICS_BY_WORD: Final = {topic.word: topic for topic in Topic}


class VehicleTopic(NamedTuple):
    """What `v/{token}/{word}[/{stream}/{sequence}]` says."""

    topic: Topic
    stream: bytes = b""
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose records these are."""

    token: VehicleToken
    key_id: int
    partition: int
    epoch: int


class FieldTooLongError(ValueError):
    """A topic, stream or property list that does not fit a row's 16-bit length."""


def read_vehicle_topic(topic: str, token: VehicleToken) -> VehicleTopic | None:
    """What the vehicle `token` means by this topic, `None` if it may not publish there."""
    prefix = f"v/{token}/"
    if not topic.startswith(prefix):
        return None
    word, *identity = topic[len(prefix) :].split("/")
    kind = WORDS.get(word)
    if kind is None or len(identity) not in (0, 2):
        return None
    if not identity:
        return VehicleTopic(kind)
    stream, digits = identity
    sequence = read_sequence(digits)
    if not stream or sequence is None:
        return None
    return VehicleTopic(kind, stream.encode(), sequence)


def read_sequence(text: str) -> int | None:
    """An unsigned decimal that fits a sender's sequence, else `None`."""
    if not text.isascii() or not text.isdigit() or len(text) > 64:
        return None
    value = int(text)
    return value if value <= SEQUENCE_MAX else None


def vehicle_record(
    publish: Publish, owner: Owner, now_us: int, future_us_max: int
) -> Record | None:
    """The record of a vehicle's message, `None` if the vehicle may not publish to its topic.

    Raises:
        FieldTooLongError: nothing a vehicle needs is that long; refuse the packet.
    """
    place = read_vehicle_topic(publish.topic, owner.token)
    if place is None:
        return None
    properties = _read(publish.properties)
    stream, sequence, in_topic = place.stream, place.sequence, place.sequence is not None
    name = b""
    given = properties.user_value("stream"), read_sequence(properties.user_value("sequence") or "")
    if given[0] and given[1] is not None:
        stream, sequence = given[0].encode(), given[1]  # P2: properties win
    if in_topic and f"{stream.decode()}/{sequence}" != publish.topic.split("/", 3)[3]:
        name = publish.topic.encode()  # the topic cannot be rebuilt from the identity
        in_topic = False
    encoding, time_us, payload, resend = read_payload(publish.payload, properties, owner.token)
    flags = _flags(publish) | (Flags.RESEND if resend else NO_FLAGS)
    event_time_us = now_us
    if time_us > now_us + future_us_max:
        flags |= Flags.TIME_BOUNDED
    elif time_us > 0:
        flags |= Flags.TIME_GIVEN
        event_time_us = time_us
    if in_topic:
        flags |= Flags.IDENTITY_IN_TOPIC
    if sequence is not None:
        flags |= Flags.IDENTITY_SEQUENCE
    return _checked(
        Record(
            vehicle=owner.token,
            topic=place.topic,
            payload=payload,
            received_time_us=now_us,
            event_time_us=event_time_us,
            encoding=encoding,
            name=name,
            stream=stream,
            sequence=sequence,
            identity=(0, 0) if sequence is None else (fnv1a_64(stream), sequence),
            properties=_forwarded(publish, properties),
            flags=flags,
            key_id=owner.key_id,
            epoch=owner.epoch,
            partition=owner.partition,
        )
    )


def operator_record(publish: Publish, publisher: bytes, now_us: int) -> Record:
    """The record of an operator's message. `publisher` names the session, for "no local".

    Raises:
        FieldTooLongError: refuse the packet.
    """
    return _checked(
        Record(
            vehicle=NO_VEHICLE,
            topic=Topic.MQTT,
            payload=publish.payload,
            received_time_us=now_us,
            event_time_us=now_us,
            name=publish.topic.encode(),
            stream=publisher,
            properties=forwardable(publish.properties) if publish.properties else b"",
            flags=_flags(publish),
        )
    )


def read_payload(
    payload: bytes, properties: Properties, token: VehicleToken
) -> tuple[Encoding, int, bytes, bool]:
    """(encoding, the sender's time in µs or -1, payload without a VIN, whether it is a resend)."""
    encoding = NO_CONTENT_TYPE
    if properties.content_type is not None:
        text = np.frombuffer(properties.content_type.encode(), np.uint8)
        encoding = int(encoding_of_type(text, 0, len(text)))
    data = np.frombuffer(bytearray(payload), np.uint8)
    prefixes = np.frombuffer(bytearray(f"v/{token}/".encode()), np.uint8).reshape(1, -1)
    found, time_us, resend = judge_payload(
        data, 0, len(data), np.int64(encoding), prefixes, np.int64(0)
    )
    return Encoding(int(found)), int(time_us), data.tobytes(), bool(resend)


def topic_name(record: Record) -> str:
    """The MQTT topic under which subscribers see a record."""
    if not record.vehicle or b"/" in record.name:
        return record.name.decode()
    topic = f"v/{record.vehicle}/{record.topic.word}"
    if record.flags & Flags.IDENTITY_IN_TOPIC:
        topic += f"/{record.stream.decode()}/{record.sequence}"
    return topic


def topic_of_word(word: str) -> Topic | None:
    """The log's topic that is called so in MQTT topics."""
    return _TOPICS_BY_WORD.get(word)


def is_text(payload: bytes, payload_format: int | None) -> bool:
    """Whether a payload is what its format indicator says (§3.3.2.3.2)."""
    if payload_format != 1:
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _forwarded(publish: Publish, properties: Properties) -> bytes:
    """What of the encoded properties goes on: most have nothing of one connection's."""
    if properties.topic_alias is None and not properties.subscription_ids:
        return publish.properties
    return forwardable(publish.properties)


def _read(properties: bytes) -> Properties:
    return decode_properties(properties, Place.PUBLISH) if properties else NO_PROPERTIES


def _flags(publish: Publish) -> Flags:
    flags = (NO_FLAGS, Flags.QOS_1, Flags.QOS_2)[publish.qos]
    if publish.retain:
        flags |= Flags.RETAIN
    if publish.dup:
        flags |= Flags.RESEND
    return flags


def _checked(record: Record) -> Record:
    for what, field in (
        ("topic", record.name),
        ("stream", record.stream),
        ("properties", record.properties),
    ):
        if len(field) > FIELD_BYTES_MAX:
            raise FieldTooLongError(
                f"{what} of {len(field)} bytes, limit {FIELD_BYTES_MAX}: send less of it"
            )
    return record

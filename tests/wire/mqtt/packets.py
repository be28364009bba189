"""Hypothesis strategies for MQTT packets, as either side of a connection may send them."""

from hypothesis import strategies as st

from motorcade.wire.mqtt.connect import Connack, Connect, Will
from motorcade.wire.mqtt.packets import Packet
from motorcade.wire.mqtt.properties import (
    NO_PROPERTIES,
    PROPERTIES,
    Kind,
    Place,
    Properties,
    PropertyRow,
    encode_bare,
)
from motorcade.wire.mqtt.publish import ACKNOWLEDGEMENTS, Acknowledgement, Publish
from motorcade.wire.mqtt.reasons import ALLOWED, PacketType, ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Auth, Disconnect, Pingreq, Pingresp
from motorcade.wire.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe

V3, V5 = ProtocolLevel.V3_1_1, ProtocolLevel.V5
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/+#"), max_size=5)
topics = st.lists(words, min_size=1, max_size=5).map("/".join).filter(bool)
filters = st.lists(words | st.just("+"), min_size=1, max_size=5).map("/".join).filter(
    lambda text: bool(text) and not text.startswith("$share")
) | st.lists(words, max_size=3).map(lambda levels: "/".join([*levels, "#"]))
packet_ids = st.integers(1, 65_535)
payloads = st.binary(max_size=50)


def values(row: PropertyRow) -> st.SearchStrategy[object]:
    sizes = {Kind.U8: 0xFF, Kind.U16: 0xFFFF, Kind.U32: 0xFFFF_FFFF, Kind.VARINT: 268_435_455}
    if row.name == "response_topic":
        return topics
    if row.name == "user":
        return st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
    if row.kind is Kind.TEXT:
        return texts
    if row.kind is Kind.BINARY:
        return payloads
    return st.integers(row.least, min(row.most, sizes[row.kind]))


@st.composite
def properties_of(draw: st.DrawFn, place: Place, level: ProtocolLevel) -> Properties:
    rows = [row for row in PROPERTIES if place in row.places and row.name != "subscription_ids"]
    if level is V3 or draw(st.booleans()):
        return NO_PROPERTIES
    chosen = draw(st.lists(st.sampled_from(rows), unique=True, max_size=4))
    found = {row.name: draw(values(row)) for row in chosen}
    if "authentication_data" in found:
        found["authentication_method"] = draw(texts)
    properties = Properties(**found)  # type: ignore[arg-type]
    return NO_PROPERTIES if properties == NO_PROPERTIES else properties


@st.composite
def connects(draw: st.DrawFn, level: ProtocolLevel) -> Connect:
    username = draw(st.none() | texts)
    password = draw(st.none() | payloads) if username is not None or level is V5 else None
    will_properties = properties_of(Place.WILL, level)
    wills = st.builds(Will, topics, payloads, st.integers(0, 2), st.booleans(), will_properties)
    client_id = draw(texts)
    return Connect(
        client_id,
        level,
        draw(st.booleans()) or not client_id,
        draw(st.integers(0, 65_535)),
        username,
        password,
        draw(st.none() | wills),
        draw(properties_of(Place.CONNECT, level)),
    )


@st.composite
def publishes(draw: st.DrawFn, level: ProtocolLevel) -> Publish:
    qos = draw(st.integers(0, 2))
    properties = encode_bare(draw(properties_of(Place.PUBLISH, level)), Place.PUBLISH)
    packet_id = draw(packet_ids) if qos else None
    dup = bool(qos) and draw(st.booleans())
    flags = {"retain": draw(st.booleans()), "dup": dup}
    return Publish(draw(topics), draw(payloads), qos, packet_id, properties=properties, **flags)


@st.composite
def acknowledgements(draw: st.DrawFn, level: ProtocolLevel) -> Acknowledgement:
    packet_type = draw(st.sampled_from(sorted(ACKNOWLEDGEMENTS)))
    reason = Reason.SUCCESS
    if level is V5:
        reason = draw(st.sampled_from(sorted(ALLOWED[packet_type])))
    properties = draw(properties_of(Place(packet_type), level))
    return ACKNOWLEDGEMENTS[packet_type](draw(packet_ids), reason, properties)


def reasons_of(packet_type: PacketType, level: ProtocolLevel) -> st.SearchStrategy[Reason]:
    if level is V3 and packet_type is PacketType.SUBACK:
        return st.sampled_from([Reason(0), Reason(1), Reason(2), Reason(0x80)])
    if level is V3 and packet_type is PacketType.CONNACK:
        return st.sampled_from([Reason(0), *(Reason(code) for code in range(0x84, 0x88))])
    return st.sampled_from(sorted(ALLOWED[packet_type])) if level is V5 else st.just(Reason(0))


@st.composite
def subscriptions(draw: st.DrawFn, level: ProtocolLevel) -> Subscription:
    plain = Subscription(draw(filters), draw(st.integers(0, 2)))
    if level is V3:
        return plain
    options = draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 2))
    return Subscription(plain.topic_filter, plain.qos, *options)


def from_client(level: ProtocolLevel) -> st.SearchStrategy[Packet]:
    """Everything that a client may send."""
    subscribed = st.lists(subscriptions(level), min_size=1, max_size=3).map(tuple)
    unsubscribed = st.lists(filters, min_size=1, max_size=3).map(tuple)
    every = connects(level) | publishes(level) | acknowledgements(level) | st.just(Pingreq())
    every |= st.builds(
        Subscribe, packet_ids, subscribed, properties_of(Place.SUBSCRIBE, level)
    ) | st.builds(Unsubscribe, packet_ids, unsubscribed, properties_of(Place.UNSUBSCRIBE, level))
    return every | _goodbyes(level, client=True)


def from_server(level: ProtocolLevel) -> st.SearchStrategy[Packet]:
    """Everything that a server may send."""
    connack = st.builds(
        Connack, st.just(False), reasons_of(PacketType.CONNACK, level), _of("CONNACK", level)
    ).map(lambda packet: packet)
    granted = st.lists(reasons_of(PacketType.SUBACK, level), min_size=1, max_size=3).map(tuple)
    removed = st.lists(reasons_of(PacketType.UNSUBACK, level), min_size=1, max_size=3).map(tuple)
    every = publishes(level) | acknowledgements(level) | st.just(Pingresp()) | connack
    every |= st.builds(Suback, packet_ids, granted, _of("SUBACK", level))
    codes = removed if level is V5 else st.just(())
    every |= st.builds(Unsuback, packet_ids, codes, _of("UNSUBACK", level))
    return every if level is V3 else every | _goodbyes(level, client=False)


def _of(place: str, level: ProtocolLevel) -> st.SearchStrategy[Properties]:
    return properties_of(Place[place], level)


def _goodbyes(level: ProtocolLevel, *, client: bool) -> st.SearchStrategy[Packet]:
    if level is V3:
        return st.just(Disconnect())
    disconnects = st.builds(
        Disconnect, reasons_of(PacketType.DISCONNECT, level), _of("DISCONNECT", level)
    ).filter(lambda packet: client or packet.properties.session_expiry_s is None)
    auths = st.builds(Auth, reasons_of(PacketType.AUTH, level), _of("AUTH", level)).filter(
        lambda packet: not packet.reason or packet.properties.authentication_method is not None
    )
    return disconnects | auths

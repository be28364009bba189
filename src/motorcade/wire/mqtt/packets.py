"""All fifteen packets behind two functions: `parse_packet` and `encode_packet`. Start here.

A server reads with `from_client=True`, a client with `False`; a packet of the wrong direction is a
protocol error. Hot paths call the module of their packet directly.
"""

from typing import Final

from motorcade.wire.mqtt.connect import (
    Connack,
    Connect,
    encode_connack,
    encode_connect,
    parse_connack,
    parse_connect,
)
from motorcade.wire.mqtt.errors import ProtocolError
from motorcade.wire.mqtt.framing import RawPacket
from motorcade.wire.mqtt.publish import (
    Acknowledgement,
    Publish,
    encode_acknowledgement,
    encode_publish,
    parse_acknowledgement,
    parse_publish,
)
from motorcade.wire.mqtt.reasons import PacketType, ProtocolLevel
from motorcade.wire.mqtt.session import (
    PINGREQ_BYTES,
    PINGRESP_BYTES,
    Auth,
    Disconnect,
    Pingreq,
    Pingresp,
    encode_auth,
    encode_disconnect,
    parse_auth,
    parse_disconnect,
    parse_ping,
)
from motorcade.wire.mqtt.subscribe import (
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    encode_suback,
    encode_subscribe,
    encode_unsuback,
    encode_unsubscribe,
    parse_suback,
    parse_subscribe,
    parse_unsuback,
    parse_unsubscribe,
)

Packet = (
    Connect
    | Connack
    | Publish
    | Acknowledgement  # Puback, Pubrec, Pubrel, Pubcomp
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
    | Auth
)

_CLIENTS_ONLY: Final = frozenset(
    {PacketType.CONNECT, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE, PacketType.PINGREQ}
)
_SERVERS_ONLY: Final = frozenset(
    {PacketType.CONNACK, PacketType.SUBACK, PacketType.UNSUBACK, PacketType.PINGRESP}
)


def parse_packet(packet: RawPacket, level: ProtocolLevel, *, from_client: bool) -> Packet:
    """Read any packet. `level` is what CONNECT agreed; CONNECT itself brings its own.

    Raises:
        MqttError: the peer's bytes are wrong; `error.reason` is the code to answer with.
    """
    packet_type = packet.packet_type
    if packet_type in (_SERVERS_ONLY if from_client else _CLIENTS_ONLY):
        sender = "client" if from_client else "server"
        raise ProtocolError(f"a {sender} does not send {packet_type.name}, §2.1.2")
    match packet_type:
        case PacketType.PUBLISH:
            return parse_publish(packet, level, from_client=from_client)
        case PacketType.PUBACK | PacketType.PUBREC | PacketType.PUBREL | PacketType.PUBCOMP:
            return parse_acknowledgement(packet, level)
        case PacketType.PINGREQ | PacketType.PINGRESP:
            return parse_ping(packet)
        case PacketType.SUBSCRIBE:
            return parse_subscribe(packet, level)
        case PacketType.SUBACK:
            return parse_suback(packet, level)
        case PacketType.UNSUBSCRIBE:
            return parse_unsubscribe(packet, level)
        case PacketType.UNSUBACK:
            return parse_unsuback(packet, level)
        case PacketType.CONNECT:
            return parse_connect(packet)
        case PacketType.CONNACK:
            return parse_connack(packet, level)
        case PacketType.DISCONNECT:
            return parse_disconnect(packet, level, from_client=from_client)
        case PacketType.AUTH:
            return parse_auth(packet, level)


def encode_packet(packet: Packet, level: ProtocolLevel) -> bytes:
    """The bytes of any packet.

    Raises:
        UnencodableError: MQTT cannot carry it; a mistake of ours.
    """
    match packet:
        case Publish():
            return encode_publish(packet, level)
        case Acknowledgement():
            return encode_acknowledgement(packet, level)
        case Pingreq():
            return PINGREQ_BYTES
        case Pingresp():
            return PINGRESP_BYTES
        case Subscribe():
            return encode_subscribe(packet, level)
        case Suback():
            return encode_suback(packet, level)
        case Unsubscribe():
            return encode_unsubscribe(packet, level)
        case Unsuback():
            return encode_unsuback(packet, level)
        case Connect():
            return encode_connect(packet)
        case Connack():
            return encode_connack(packet, level)
        case Disconnect():
            return encode_disconnect(packet, level)
        case Auth():
            return encode_auth(packet)

"""What can be wrong with a peer's MQTT bytes, and the reason code to answer with.

Every error carries `reason`, the MQTT 5.0 reason code for the CONNACK, DISCONNECT or ack that
tells the peer (§4.13). A 3.1.1 peer is told by the closing of the connection, except at CONNECT,
where `reasons.connack_return_code` translates.
"""

from typing import ClassVar

from motorcade.wire.mqtt.reasons import Reason


class MqttError(Exception):
    """Any fault in a peer's bytes; nothing else leaves the decoding half of this codec."""

    reason: ClassVar[Reason] = Reason.UNSPECIFIED_ERROR


class MalformedPacketError(MqttError):
    """The bytes cannot be read as the packet they claim to be. Close the connection."""

    reason = Reason.MALFORMED_PACKET


class ProtocolError(MqttError):
    """The packet can be read but must not say this, or not here. Close the connection."""

    reason = Reason.PROTOCOL_ERROR


class PacketTooLargeError(MqttError):
    """The fixed header announces more than we take; known before the body has arrived."""

    reason = Reason.PACKET_TOO_LARGE


class TooManyPropertiesError(MqttError):
    """More properties in one packet than `properties.PROPERTIES_MAX`; a limit of ours."""

    reason = Reason.IMPLEMENTATION_SPECIFIC_ERROR


class TooManyFiltersError(MqttError):
    """More filters in one packet than `subscribe.FILTERS_MAX`; a limit of ours."""

    reason = Reason.QUOTA_EXCEEDED


class UnsupportedVersionError(MqttError):
    """CONNECT asks for a protocol that is neither 3.1.1 nor 5.0."""

    reason = Reason.UNSUPPORTED_PROTOCOL_VERSION

    def __init__(self, text: str, *, is_newer: bool = False) -> None:
        """`is_newer`: beyond 5, so the client reads the answer of 5.0 rather than that of 3.1.1."""
        super().__init__(text)
        self.is_newer = is_newer


class ClientIdentifierError(MqttError):
    """CONNECT's client identifier cannot be used; the connection is refused, not just closed."""

    reason = Reason.CLIENT_IDENTIFIER_NOT_VALID


class TopicNameError(MqttError):
    """A topic name is empty, too long, or holds a wildcard or NUL."""

    reason = Reason.TOPIC_NAME_INVALID


class TopicFilterError(MqttError):
    """A topic filter is empty, too long, or puts a wildcard where none may stand."""

    reason = Reason.TOPIC_FILTER_INVALID


class UnencodableError(ValueError):
    """Our own side asked for a packet that MQTT cannot carry, e.g. a text over 65,535 bytes."""

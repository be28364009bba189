"""What a client is told of a refusal: the code and, in 5.0, a text that says what and what to do.

A client that does not want texts gets them in CONNACK and DISCONNECT only [MQTT-3.1.2-29]; one that
could not take a packet with its text gets it without [MQTT-3.4.2-2].
"""

from dataclasses import replace
from typing import Final

from motorcade.gateway.mqtt.connection import Connection
from motorcade.wire.mqtt.connect import Connack, encode_connack
from motorcade.wire.mqtt.properties import NO_PROPERTIES, Properties
from motorcade.wire.mqtt.publish import Acknowledgement, encode_acknowledgement
from motorcade.wire.mqtt.reasons import ALLOWED, PacketType, ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Disconnect, encode_disconnect
from motorcade.wire.mqtt.subscribe import Suback, Unsuback, encode_suback, encode_unsuback

DISK_FULL: Final = "the server's disk is full: send it again later"
ANSWER_TOO_LARGE: Final = "the answer is larger than you take: name fewer filters in one packet"
CONNACK_TOO_LARGE: Final = "CONNACK is larger than you take: raise the maximum packet size"
TEXTS: Final = {
    Reason.SERVER_SHUTTING_DOWN: "the server is stopping: connect again in a moment",
    Reason.SESSION_TAKEN_OVER: "another connection uses this client identifier",
    Reason.KEEP_ALIVE_TIMEOUT: "nothing was heard for 1.5 times the keep alive",
    Reason.ADMINISTRATIVE_ACTION: "the vehicle was removed from the registry",
    Reason.IMPLEMENTATION_SPECIFIC_ERROR: "it could not be stored: connect and send it again",
    Reason.SERVER_UNAVAILABLE: "a store cannot be reached: connect again in a moment",
    Reason.BAD_USER_NAME_OR_PASSWORD: "no account fits this user name, password or certificate",
    Reason.BAD_AUTHENTICATION_METHOD: "there is no enhanced authentication: use a password",
    Reason.CLIENT_IDENTIFIER_NOT_VALID: "a vehicle's client identifier is its token, or empty",
    Reason.NOT_AUTHORIZED: "this account may not use that topic",
    Reason.TOPIC_NAME_INVALID: "the topic is longer or deeper than the server takes",
    Reason.TOPIC_FILTER_INVALID: "the filter is longer or deeper than the server takes, or broken",
    Reason.RECEIVE_MAXIMUM_EXCEEDED: "more messages under way than the CONNACK's receive maximum",
    Reason.TOPIC_ALIAS_INVALID: "the topic alias is above the CONNACK's topic alias maximum",
    Reason.PAYLOAD_FORMAT_INVALID: "the payload is not UTF-8, though its format indicator says so",
    Reason.SERVER_BUSY: "all places for connections are taken: connect again later",
    Reason.CONNECTION_RATE_EXCEEDED: "this client connects too often: wait before the next try",
    Reason.MESSAGE_RATE_TOO_HIGH: "more messages a second than a client may publish: slow down",
    Reason.QUOTA_EXCEEDED: "a limit of the server is reached: use less of it",
}


def write_ack(connection: Connection, ack: Acknowledgement, text: str = "") -> None:
    """Send a PUBACK, PUBREC, PUBREL or PUBCOMP."""
    if ack.reason >= Reason.UNSPECIFIED_ERROR and connection.wants_texts:
        told = replace(ack, properties=_with_text(ack.reason, text))
        data = encode_acknowledgement(told, connection.level)
        if len(data) <= connection.packet_bytes_max:
            connection.write(data)
            return
    connection.write(encode_acknowledgement(ack, connection.level))


def write_suback(connection: Connection, suback: Suback) -> None:
    """Send a SUBACK; the text is about its first refusal."""
    refusal = next((each for each in suback.reasons if each >= Reason.UNSPECIFIED_ERROR), None)
    if refusal is not None and connection.wants_texts:
        told = replace(suback, properties=_with_text(refusal, ""))
        data = encode_suback(told, connection.level)
        if len(data) <= connection.packet_bytes_max:
            connection.write(data)
            return
    _write_or_end(connection, encode_suback(suback, connection.level))


def write_unsuback(connection: Connection, unsuback: Unsuback) -> None:
    """Send an UNSUBACK."""
    _write_or_end(connection, encode_unsuback(unsuback, connection.level))


def _write_or_end(connection: Connection, data: bytes) -> None:
    """Send an answer that grows with the question, or end whoever could not take it: it would wait
    for it for ever [MQTT-3.1.2-24]."""
    if len(data) <= connection.packet_bytes_max:
        connection.write(data)
        return
    connection.ingest.counts.refusals.add(Reason.PACKET_TOO_LARGE.name.lower())
    write_disconnect(connection, Reason.PACKET_TOO_LARGE, ANSWER_TOO_LARGE)
    connection.close()


def write_refusal(
    connection: Connection, reason: Reason, level: ProtocolLevel, text: str = ""
) -> None:
    """Send a CONNACK that lets nobody in."""
    told = encode_connack(Connack(False, reason), level)
    if level is ProtocolLevel.V5:
        with_text = encode_connack(Connack(False, reason, _with_text(reason, text)), level)
        if len(with_text) <= connection.packet_bytes_max:  # [MQTT-3.2.2-19]
            told = with_text
    if len(told) <= connection.packet_bytes_max:
        connection.write(told)


def write_disconnect(connection: Connection, reason: Reason, text: str = "") -> None:
    """Send 5.0's DISCONNECT."""
    if reason not in ALLOWED[PacketType.DISCONNECT]:
        reason = Reason.UNSPECIFIED_ERROR
    told = encode_disconnect(Disconnect(reason, _with_text(reason, text)), connection.level)
    if len(told) > connection.packet_bytes_max:
        told = encode_disconnect(Disconnect(reason), connection.level)
    connection.write(told)


def _with_text(reason: Reason, text: str) -> Properties:
    text = text or TEXTS.get(reason, "")
    return Properties(reason_string=text) if text else NO_PROPERTIES

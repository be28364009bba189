"""The car's side of an MQTT 5.0 session, sans-IO: bytes in, events out, bytes to send.

One object lives as long as the program; connections come and go under it. What is in flight keeps
its packet identifier, and goes again with DUP when the server still has the session
[MQTT-4.4.0-1]; otherwise it goes as new. Order is kept in both cases.

Each connection begins with one publish in flight and one more per ack: what goes up at once is lost
at once where connections die young, and then the same would go up for ever.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from motorcade.vehicle.errors import LinkError, LinkRefusedError
from motorcade.vehicle.outbox import Outgoing
from motorcade.vehicle.vehicle_file import MqttAccess
from motorcade.wire.mqtt.connect import Connack, Connect, encode_connect
from motorcade.wire.mqtt.framing import split_packet
from motorcade.wire.mqtt.packets import Packet, parse_packet
from motorcade.wire.mqtt.primitives import U16_MAX, write_text, write_u16, write_varint
from motorcade.wire.mqtt.properties import Place, Properties, encode_bare
from motorcade.wire.mqtt.publish import Puback, Publish, encode_acknowledgement, encode_publish
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Disconnect, Pingresp
from motorcade.wire.mqtt.subscribe import Suback, Subscribe, Subscription, encode_subscribe

LEVEL: Final = ProtocolLevel.V5
SESSION_EXPIRY_S: Final = 86_400  # commands wait for a car in a tunnel, never for days
PACKET_BYTES_MAX: Final = 256 << 10  # the server is told; commands are below 64 KiB
RECEIVE_MAX: Final = 64  # commands in flight to us
_DUP: Final = 0x08
_FIRST_WINDOW: Final = 1  # publishes in flight at the beginning of a connection
_SUBSCRIBE_ID: Final = 0xFFFF  # never used by a publish: the window is far smaller
_FINAL_REFUSALS: Final = frozenset(
    {
        Reason.NOT_AUTHORIZED,
        Reason.TOPIC_NAME_INVALID,
        Reason.PAYLOAD_FORMAT_INVALID,
        Reason.PACKET_TOO_LARGE,
    }
)
"""Sending again would be refused again. Other codes mean "not now": the connection is renewed."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """The server accepted us; what is unacknowledged goes again now."""

    keep_alive_s: int


@dataclass(frozen=True, slots=True)
class Down:
    """A message for us; acknowledge it when it is dealt with."""

    payload: bytes
    packet_id: int | None


@dataclass(frozen=True, slots=True)
class Done:
    """One of ours is durable there, or `refused` for good."""

    outgoing: Outgoing
    refused: bool


@dataclass(frozen=True, slots=True)
class Alive:
    """The server answered a ping, or our subscription."""


Event = Welcome | Down | Done | Alive


class ClientSession:
    """Everything a car must remember about its MQTT session."""

    def __init__(self, access: MqttAccess, *, inflight_max: int, keep_alive_s: int) -> None:
        self._access = access
        self._inflight_max = min(inflight_max, _SUBSCRIBE_ID - 1)
        self._window = self._window_max = self._inflight_max
        self._packet_bytes_max = 1 << 28
        self._keep_alive_s = keep_alive_s
        self._inflight: dict[int, tuple[Outgoing, bytes]] = {}
        self._unsent: list[int] = []  # in flight, but not sent in this connection yet
        self._session_present = False
        self._received = b""
        self._last_id = 0
        self._heads: dict[tuple[str, str, int], bytes] = {}
        self.welcomed = False

    @property
    def has_room(self) -> bool:
        """Whether one more publish may be in flight."""
        return self.welcomed and not self._unsent and len(self._inflight) < self._window

    def connect(self) -> bytes:
        """Begin a connection: the CONNECT to send."""
        self._received = b""
        self.welcomed = False
        access = self._access
        properties = Properties(
            session_expiry_s=SESSION_EXPIRY_S,
            receive_max=RECEIVE_MAX,
            packet_bytes_max=PACKET_BYTES_MAX,
        )
        return encode_connect(
            Connect(
                access.client_id,
                LEVEL,
                clean_start=False,
                keep_alive_s=self._keep_alive_s,
                username=access.username,
                password=access.password.encode(),
                properties=properties,
            )
        )

    def receive(self, data: bytes) -> Iterator[Event]:
        """Take bytes from the server.

        Raises:
            MqttError: the server broke the protocol.
            LinkRefusedError: it does not let us in.
            LinkError: it said goodbye, or cannot take a record now.
        """
        buffer = self._received + data if self._received else data
        self._received = b""
        offset = 0
        while True:
            raw = split_packet(memoryview(buffer)[offset:], packet_bytes_max=PACKET_BYTES_MAX)
            if raw is None:
                self._received = buffer[offset:]
                return
            offset += raw.size
            yield from self._handle(parse_packet(raw, LEVEL, from_client=False))

    def subscribe(self) -> bytes:
        """What follows a welcome."""
        subscribe = Subscribe(_SUBSCRIBE_ID, (Subscription(self._access.command_topic, qos=1),))
        return encode_subscribe(subscribe, LEVEL)

    def resend(self) -> bytes:
        """What earlier connections left unacknowledged, in order, as far as the window allows."""
        if not self._unsent:
            return b""
        room = self._window - (len(self._inflight) - len(self._unsent))
        now, self._unsent = self._unsent[: max(room, 0)], self._unsent[max(room, 0) :]
        return b"".join(
            _again(self._inflight[packet_id][1])
            if self._session_present
            else self._inflight[packet_id][1]
            for packet_id in now
        )

    def publish(self, outgoing: Outgoing) -> bytes | None:
        """The PUBLISH for a record; `None` if the server takes no packet of that size."""
        assert self.has_room or outgoing.qos == 0
        topic = f"{self._access.publish_topic_prefix}/{outgoing.topic.word}"
        packet_id = self._next_id() if outgoing.qos else None
        properties = self._properties(outgoing)
        publish = Publish(topic, outgoing.payload, outgoing.qos, packet_id, properties=properties)
        wire = encode_publish(publish, LEVEL)
        if len(wire) > self._packet_bytes_max:
            return None
        if packet_id is not None:
            self._inflight[packet_id] = (outgoing, wire)
        return wire

    def _properties(self, outgoing: Outgoing) -> bytes:
        if not outgoing.stream:
            return encode_bare(
                Properties(content_type=outgoing.encoding.content_type), Place.PUBLISH
            )
        digits = b"%d" % outgoing.sequence
        return self._head(outgoing) + write_u16(len(digits)) + digits

    def acknowledge(self, packet_id: int) -> bytes:
        """The PUBACK for a message that was dealt with."""
        return encode_acknowledgement(Puback(packet_id), LEVEL)

    def _handle(self, packet: Packet) -> Iterator[Event]:
        match packet:
            case Connack():
                yield self._welcome(packet)
            case Puback(packet_id=packet_id, reason=reason):
                yield from self._acked(packet_id, reason)
            case Publish(qos=qos) if qos < 2:
                yield Down(packet.payload, packet.packet_id)
            case Suback(reasons=reasons):
                if reasons[0] >= Reason.UNSPECIFIED_ERROR:
                    raise LinkRefusedError(f"no subscription to our commands: {reasons[0].name}")
                yield Alive()
            case Pingresp():
                yield Alive()
            case Disconnect(reason=reason):
                raise LinkError(f"the server said goodbye: {reason.name}")
            case _:
                raise LinkError(f"unexpected {type(packet).__name__} from the server")

    def _welcome(self, connack: Connack) -> Welcome:
        if connack.reason is not Reason.SUCCESS:
            said = connack.properties.reason_string or ""
            raise LinkRefusedError(f"the server refused us: {connack.reason.name} {said}".rstrip())
        properties = connack.properties
        self._window_max = min(self._inflight_max, properties.receive_max or U16_MAX)
        self._window = min(_FIRST_WINDOW, self._window_max)
        self._packet_bytes_max = properties.packet_bytes_max or 1 << 28
        self._session_present = connack.session_present
        self._unsent = list(self._inflight)
        self.welcomed = True
        keep_alive_s = properties.server_keep_alive_s
        return Welcome(self._keep_alive_s if keep_alive_s is None else keep_alive_s)

    def _acked(self, packet_id: int, reason: Reason) -> Iterator[Event]:
        if reason >= Reason.UNSPECIFIED_ERROR and reason not in _FINAL_REFUSALS:
            raise LinkError(f"the server cannot take a record now: {reason.name}")
        if packet_id in self._unsent:
            raise LinkError("the server acknowledged what this connection did not send")
        found = self._inflight.pop(packet_id, None)
        if found is not None:
            self._window = min(self._window + 1, self._window_max)
            yield Done(found[0], refused=reason in _FINAL_REFUSALS)

    def _head(self, outgoing: Outgoing) -> bytes:
        """Everything of the properties but the sequence's digits; the same for most records."""
        key = (outgoing.stream, outgoing.topic.word, outgoing.encoding)
        head = self._heads.get(key)
        if head is None:
            properties = Properties(
                content_type=outgoing.encoding.content_type, user=(("stream", outgoing.stream),)
            )
            head = encode_bare(properties, Place.PUBLISH) + write_varint(0x26)
            head += write_text("sequence")
            self._heads[key] = head
        return head

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % (_SUBSCRIBE_ID - 1) + 1
            if self._last_id not in self._inflight:
                return self._last_id


def _again(wire: bytes) -> bytes:
    return bytes((wire[0] | _DUP,)) + wire[1:]

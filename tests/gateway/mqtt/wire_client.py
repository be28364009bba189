"""A bare MQTT client on a blocking socket: sends what a test says, reads packet by packet."""

import socket
import ssl
from typing import Any

from motorcade.wire.mqtt.connect import Connack, Connect, Will
from motorcade.wire.mqtt.framing import split_packet
from motorcade.wire.mqtt.packets import Packet, encode_packet, parse_packet
from motorcade.wire.mqtt.properties import NO_PROPERTIES, Properties
from motorcade.wire.mqtt.publish import Puback, Pubcomp, Publish, Pubrec, Pubrel
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Disconnect
from motorcade.wire.mqtt.subscribe import Suback, Subscribe, Subscription
from tests.gateway.mqtt.harness import PASSWORD, TOKEN

TIMEOUT_S = 10.0


class Client:
    """`with Client(port) as car: car.connect()`."""

    def __init__(
        self,
        port: int,
        level: ProtocolLevel = ProtocolLevel.V5,
        tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        """`address` is the client's own, of loopback."""
        self.level = level
        self.socket: socket.socket = socket.create_connection(
            ("127.0.0.1", port), TIMEOUT_S, source_address=(address, 0)
        )
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._received = b""
        self._early: list[Packet] = []

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def connect(
        self,
        username: str = TOKEN,
        client_id: str | None = None,
        password: bytes | None = PASSWORD.encode(),
        *,
        clean_start: bool = True,
        keep_alive_s: int = 0,
        will: Will | None = None,
        **properties: Any,
    ) -> Connack:
        self.send(
            Connect(
                username if client_id is None else client_id,
                self.level,
                clean_start,
                keep_alive_s,
                username,
                password,
                will,
                Properties(**properties) if properties else NO_PROPERTIES,
            )
        )
        return self.expect(Connack)

    def subscribe(self, *filters: str, qos: int = 1, **options: Any) -> tuple[Reason, ...]:
        wanted = tuple(Subscription(each, qos, **options) for each in filters)
        self.send(Subscribe(1, wanted))
        return self.expect(Suback).reasons

    def publish(
        self, topic: str, payload: bytes = b"x", packet_id: int | None = 1, **more: Any
    ) -> None:
        self.send(Publish(topic, payload, 1 if packet_id else 0, packet_id, **more))

    def publish_once(self, topic: str, payload: bytes = b"x", packet_id: int = 1) -> None:
        """QoS 2, the whole exchange."""
        self.send(Publish(topic, payload, 2, packet_id))
        assert self.expect(Pubrec) == Pubrec(packet_id)
        self.send(Pubrel(packet_id))
        assert self.expect(Pubcomp) == Pubcomp(packet_id)

    def puback(self, message: Publish) -> None:
        assert message.packet_id is not None
        self.send(Puback(message.packet_id))

    def take(self) -> Publish:
        """The next message, acknowledged."""
        message = self.expect(Publish)
        if message.qos == 1:
            self.puback(message)
        elif message.qos == 2:
            self.send(Pubrec(message.packet_id))
            early: list[Packet] = []
            while isinstance(packet := self.receive(), Publish):
                early.append(packet)  # may come between the steps of an exchange
            assert packet == Pubrel(message.packet_id)
            self._early = early + self._early
            self.send(Pubcomp(message.packet_id))
        return message

    def disconnect(self) -> None:
        self.send(Disconnect())
        self.socket.close()

    def send(self, packet: Packet) -> None:
        self.socket.sendall(encode_packet(packet, self.level))

    def receive(self) -> Packet | None:
        """The next packet, `None` when the server has closed."""
        if self._early:
            return self._early.pop(0)
        while True:
            packet = split_packet(memoryview(self._received), packet_bytes_max=1 << 28)
            if packet is not None:
                parsed = parse_packet(packet, self.level, from_client=False)
                self._received = self._received[packet.size :]
                return parsed
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionError:
                return None
            if not data:
                return None
            self._received += data

    def expect(self, kind: type[Any]) -> Any:
        packet = self.receive()
        assert isinstance(packet, kind), f"expected {kind.__name__}, got {packet}"
        return packet

    def closed_with(self) -> Reason | None:
        """The reason the server gave, `None` when it just closed. Anything else is a failure."""
        packet = self.receive()
        if packet is None:
            return None
        assert isinstance(packet, Disconnect), packet
        assert self.receive() is None
        return packet.reason

    def is_silent(self, seconds: float = 0.2) -> bool:
        """Whether nothing comes for a while."""
        self.socket.settimeout(seconds)
        try:
            return self.receive() == "never"
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(TIMEOUT_S)

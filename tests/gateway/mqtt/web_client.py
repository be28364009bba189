"""The bare MQTT client of `wire_client.py` on a WebSocket, each frame as a test wants it."""

import ssl
from typing import Any

from motorcade.wire.mqtt.reasons import ProtocolLevel
from motorcade.wire.websocket.frames import Opcode, encode_frame
from tests.gateway.mqtt.wire_client import Client

MASK = b"\x12\x34\x56\x78"
REQUEST = (
    "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
OFFER = "Sec-WebSocket-Protocol: mqtt\r\n"


class Framed:
    """A socket whose bytes go and come in frames; control frames are kept aside."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.received = b""
        self.controls: list[tuple[int, bytes]] = []

    def ask(self, headers: str) -> bytes:
        """Send the HTTP request; return the head of the answer."""
        self.inner.sendall(headers.encode() + b"\r\n")
        while b"\r\n\r\n" not in self.received:
            data = self.inner.recv(4_096)
            if not data:
                break
            self.received += data
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        return head

    def sendall(self, data: bytes) -> None:
        self.inner.sendall(encode_frame(Opcode.BINARY, data, MASK))

    def recv(self, size: int) -> bytes:
        """The payload of the next data frame, b"" at the end."""
        while (frame := self._frame()) is None:
            data = self.inner.recv(size)
            if not data:
                return b""
            self.received += data
        return frame

    def _frame(self) -> bytes | None:
        data = self.received
        if len(data) < 2:
            return None
        size, at = data[1], 2
        if size >= 126:
            at = 4 if size == 126 else 10
            size = int.from_bytes(data[2:at], "big")
        if len(data) < at or len(data) < at + size:
            return None
        payload, self.received = data[at : at + size], data[at + size :]
        opcode = data[0] & 0x0F
        if opcode != Opcode.BINARY:
            self.controls.append((opcode, payload))
            return self._frame()
        return payload

    def settimeout(self, seconds: float) -> None:
        self.inner.settimeout(seconds)

    def close(self) -> None:
        self.inner.close()


class WebClient(Client):
    """`with WebClient(port) as car: car.connect()`."""

    def __init__(
        self,
        port: int,
        level: ProtocolLevel = ProtocolLevel.V5,
        tls: ssl.SSLContext | None = None,
        *,
        headers: str = REQUEST + OFFER,
    ) -> None:
        super().__init__(port, level, tls)
        self.raw = self.socket
        self.framed = Framed(self.raw)
        self.socket = self.framed  # type: ignore[assignment]
        self.answer = self.framed.ask(headers)

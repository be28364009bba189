"""MQTT over WebSocket: the socket's protocol, and the transport of the MQTT connection inside it.

OASIS MQTT 5.0 and 3.1.1 §6. What the frames carry is one stream of bytes, copied into the same
arena as TCP's; from there on a connection is like any other. `Link` is a protocol to the loop,
which gives it bytes of frames, and a transport to `Connection`, whose bytes it puts into frames.
"""

import asyncio
import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import numpy as np

from motorcade.gateway.mqtt.connection import Connection
from motorcade.wire.websocket.errors import CloseCode, FrameError, HandshakeError
from motorcade.wire.websocket.frames import (
    CONTROL_BYTES_MAX,
    HEADER_BYTES_MAX,
    Opcode,
    apply_mask,
    encode_close,
    encode_frame,
    read_header,
)
from motorcade.wire.websocket.handshake import (
    Request,
    accept_upgrade,
    encode_response,
    read_request,
)
from motorcade.wire.websocket.kernels import ODD, STREAM_OPEN, STREAM_SIZE, take_payload

if TYPE_CHECKING:
    from motorcade.gateway.mqtt.ingest import Ingest

SUBPROTOCOL: Final = "mqtt"  # [MQTT-6.0.0-3], [MQTT-6.0.0-4]
HELD_BYTES_MAX: Final = HEADER_BYTES_MAX + CONTROL_BYTES_MAX  # a control frame that came in part


class Window:
    """Where the bytes of any WebSocket land: a read is taken whole before the next one."""

    def __init__(self, read_bytes: int) -> None:
        self.data = np.zeros(HELD_BYTES_MAX + read_bytes, np.uint8)
        self.view = memoryview(self.data)  # type: ignore[arg-type]
        self.read_bytes = read_bytes


class _Inner(Connection):
    """The MQTT connection: its acks go by the transport, never straight to the socket."""

    __slots__ = ()

    @property
    def door(self) -> str:
        """See `Connection.door`."""
        return "mqtt_wss" if self.is_encrypted else "mqtt_ws"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.ingest.opened(self)


class Link(asyncio.Transport, asyncio.BufferedProtocol):
    """See the module's text."""

    __slots__ = (
        "_closing",
        "_control_frames_max",
        "_held",
        "_inner",
        "_mask",
        "_may_come",
        "_request",
        "_request_bytes_max",
        "_stream",
        "_transport",
        "_window",
    )

    def __init__(
        self,
        ingest: "Ingest",
        window: Window,
        *,
        request_bytes_max: int,
        control_frames_max: int,
        may_come: Callable[[Request], bool],
    ) -> None:
        """`may_come` judges a complete HTTP request; what it refuses is answered 403."""
        self._inner = _Inner(ingest)
        self._window = window
        self._request_bytes_max = request_bytes_max
        self._control_frames_max = control_frames_max
        self._may_come = may_come
        self._request: bytearray | None = bytearray()  # None: upgraded
        self._held = b""  # the start of a frame, a control frame whole at most
        self._stream = np.zeros(STREAM_SIZE, np.int64)
        self._mask = np.zeros(4, np.uint8)
        self._closing = False
        self._transport: Any = None  # uvloop's

    # --- what the loop calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._inner.connection_made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        window, held = self._window, self._held
        window.view[: len(held)] = held
        return window.view[len(held) : len(held) + window.read_bytes]

    def buffer_updated(self, nbytes: int) -> None:
        end = len(self._held) + nbytes
        self._held = b""
        if self._request is None:
            self._take(0, end)
            return
        self._request += self._window.view[:end]
        self._upgrade(self._request)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._inner.connection_lost(exc)

    # --- bytes in ----------------------------------------------------------------------------

    def _upgrade(self, received: bytearray) -> None:
        try:
            request = read_request(bytes(received), request_bytes_max=self._request_bytes_max)
            if request is None:
                return
            if not self._may_come(request):
                raise HandshakeError(403, "an open broker takes no pages of other sites")
            answer = accept_upgrade(request, subprotocol=SUBPROTOCOL)
        except HandshakeError as error:
            self._transport.write(encode_response(error.status, str(error)))
            self._inner.close()
            return
        self._transport.write(answer)
        self._request = None
        rest = received[request.request_bytes :]  # at most one read and the head's limit
        for start in range(0, len(rest), self._window.read_bytes):
            piece = self._held + rest[start : start + self._window.read_bytes]
            self._window.view[: len(piece)] = piece
            self._held = b""
            self._take(0, len(piece))

    def _take(self, at: int, end: int) -> None:
        inner, data = self._inner, self._window.data
        ping: bytes | None = None
        control_frames = 0
        while at < end and not self._closing:
            out = np.frombuffer(inner.get_buffer(-1), np.uint8)
            at, taken, why = take_payload(data, at, end, self._stream, self._mask, out)
            if taken:
                inner.buffer_updated(taken)
            else:
                inner.unread_from = -1
            if why != ODD and taken < len(out):
                break
            if why == ODD and not self._closing:
                frame = self._control(at, end)
                if frame is None:
                    break
                at, opcode, payload = frame
                control_frames += 1
                if opcode is Opcode.CLOSE:
                    self._transport.write(encode_frame(Opcode.CLOSE, payload[:2]))
                    self._hang_up()
                elif control_frames > self._control_frames_max:
                    self._fail(CloseCode.POLICY_VIOLATION, "too many control frames at once")
                elif opcode is Opcode.PING:
                    ping = payload
        if not self._closing:
            self._held = bytes(self._window.view[at:end])
            if ping is not None:  # the last one of a read answers for all (RFC 6455 §5.5.3)
                self._transport.write(encode_frame(Opcode.PONG, ping))

    def _control(self, at: int, end: int) -> tuple[int, Opcode, bytes] | None:
        """Where the control frame at `at` ends, and what it is; `None`: not all here, or broken."""
        view = self._window.view
        try:
            header = read_header(view[at : min(end, at + HEADER_BYTES_MAX)])
            if header is None:
                return None
            if not header.opcode.is_control:
                raise self._misplaced(header.opcode)
        except FrameError as error:
            self._fail(error.code, str(error))
            return None
        start = at + header.header_bytes
        stop = start + header.payload_bytes
        if stop > end:
            return None
        return stop, header.opcode, apply_mask(view[start:stop], header.mask)

    def _misplaced(self, opcode: Opcode) -> FrameError:
        if opcode is Opcode.TEXT:
            return FrameError(CloseCode.UNSUPPORTED_DATA, "MQTT comes in binary [MQTT-6.0.0-1]")
        inside = bool(self._stream[STREAM_OPEN])
        text = "a new message inside another" if inside else "nothing to continue"
        return FrameError(CloseCode.PROTOCOL_ERROR, f"{text} (RFC 6455 §5.4)")

    def _fail(self, code: CloseCode, text: str) -> None:
        self._transport.write(encode_close(code, text))
        self._hang_up()

    def _hang_up(self) -> None:
        """Close with the close frame that is written."""
        self._closing = True
        self._inner.close()

    # --- what the MQTT connection calls ------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._transport.write(encode_frame(Opcode.BINARY, bytes(data)))

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            if self._request is None:
                self._transport.write(encode_close(CloseCode.NORMAL, ""))
        self._transport.close()

    def abort(self) -> None:
        self._closing = True
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        return int(self._transport.get_write_buffer_size())

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high=high, low=low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)


def from_this_machine(request: Request) -> bool:
    """Whether no other site's page stands behind a request: browsers name it in `Origin`.

    An open broker asks for no password, so nothing else would keep such a page out.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return True
    host = urlsplit(origin).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""One socket of the door: the HTTP upgrade, then records in and answers out, then the farewell.

Answers leave in the order of the frames. Those of a segment that added records wait for the commit
of the staging the records went into; answers without a record leave at once, or behind what waits.
"""

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Any

import structlog

from motorcade.gateway.telemetry.desk import Car, Desk
from motorcade.gateway.telemetry.identity import DeviceIdentity
from motorcade.gateway.telemetry.inbound import Inbound
from motorcade.wire.websocket.errors import CloseCode, HandshakeError
from motorcade.wire.websocket.frames import Opcode, encode_close, encode_frame
from motorcade.wire.websocket.handshake import accept_upgrade, encode_response, read_request

if TYPE_CHECKING:
    from motorcade.gateway.telemetry.door import TelemetryDoor

logger = structlog.get_logger(__name__)

STATUS_PATH = "/status"
STATUS_TEXT = "mtls ok"  # what Tesla's server says there
PING = encode_frame(Opcode.PING, b"")


class Phase(Enum):
    """Where a connection stands. It only ever moves down this list."""

    REQUEST = "waiting for the HTTP request"
    OPEN = "a WebSocket, taking records"
    CLOSING = "taking no more; answers and the farewell may still have to leave"
    CLOSED = "the socket is gone, or told to go"


class Connection(asyncio.BufferedProtocol):
    """Slotted: there are many thousands."""

    __slots__ = (
        "_desk", "_door", "_farewell", "_hang_up_after", "_inbound", "_pending", "_pinged_s",
        "_ready", "_request", "_transport", "car", "close_by_s", "connection_id", "heard_s",
        "identity", "network_interface", "opened_s", "phase",
    )  # fmt: skip

    def __init__(self, door: "TelemetryDoor", desk: Desk) -> None:
        self._door = door
        self._desk = desk
        self._transport: Any = None  # uvloop's; asyncio.Transport in all that is used here
        self._request = bytearray()
        self._inbound: Inbound | None = None
        self._pending = [b"", b""]  # answers that wait for the commit of staging 0, 1
        self._ready = b""  # answers that may leave, as soon as it is this connection's turn
        self._farewell = b""
        self._hang_up_after = False  # do not wait for the peer's close frame
        self._pinged_s = 0.0
        self.phase = Phase.REQUEST
        self.identity: DeviceIdentity | None = None
        self.car: Car | None = None
        self.connection_id = ""
        self.network_interface = ""
        self.opened_s = self.heard_s = 0.0
        self.close_by_s = 0.0

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        # One high-water mark: a peer that leaves so much unread is closed in `pause_writing`.
        self._transport.set_write_buffer_limits(
            high=self._desk.config.gateway.write_buffer_bytes_max
        )
        self.opened_s = self.heard_s = self._desk.clock.monotonic_s()
        self._door.opened(self, transport.get_extra_info("ssl_object"))

    def get_buffer(self, sizehint: int) -> memoryview:
        inbound = self._inbound
        return self._desk.window if inbound is None else inbound.space()

    def buffer_updated(self, nbytes: int) -> None:
        self.heard_s = self._desk.clock.monotonic_s()
        if self._inbound is not None:
            self._inbound.filled(nbytes)
        elif self.phase is Phase.REQUEST:
            self._request += self._desk.window[:nbytes]
            self._read_request()

    def eof_received(self) -> bool:
        return False  # the transport closes itself

    def pause_writing(self) -> None:
        self._desk.counts.slow_readers += 1
        logger.warning("telemetry_slow_reader_closed", connection=self.connection_id)
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.phase = Phase.CLOSED
        if self._inbound is not None:
            self._inbound.read_past()
        self._pending, self._ready = [b"", b""], b""
        self._door.lost(self)

    # What the inbound half calls (`inbound.Link`).

    def answer(self, answers: bytes, records: int) -> None:
        index = self._desk.intake.staging.index
        if records:
            if not self._pending[index]:
                self._door.wait_for_commit(self, index)
            self._pending[index] += answers
            self._desk.counts.awaiting[index] += records
            self._desk.intake.schedule()
        elif self._pending[index]:
            self._pending[index] += answers
        elif self._pending[1 - index]:
            self._pending[1 - index] += answers
        elif self._ready:
            self._ready += answers
        else:
            self._transport.write(answers)

    def control(self, opcode: Opcode, payload: bytes) -> None:
        if opcode is Opcode.PING:
            self._transport.write(encode_frame(Opcode.PONG, payload))
        elif opcode is Opcode.CLOSE:
            self._close(encode_frame(Opcode.CLOSE, payload[:2]), hang_up=True)

    def fail(self, code: CloseCode, text: str) -> None:
        logger.info("telemetry_peer_closed", connection=self.connection_id, reason=text)
        self._close(encode_close(code, text), hang_up=False)

    def hang_up(self) -> None:
        self._close(b"", hang_up=True)

    def wait_for_room(self) -> None:
        self._transport.pause_reading()
        self._door.wait_for_room(self)

    # What the door calls.

    def open(self, car: Car) -> None:
        """Take records from now on."""
        self.car = car
        assert self._inbound is not None  # made with the upgrade
        self._inbound.car = car

    def committed(self, index: int) -> None:
        """The records behind the answers that wait for `index` are durable: they may leave."""
        self._ready += self._pending[index]
        self._pending[index] = b""

    def send_ready(self) -> None:
        """Write what may leave, and the farewell behind the last answer."""
        if self.phase is Phase.CLOSED:
            return
        ready, self._ready = self._ready, b""
        if ready:
            self._transport.write(ready)
        if self.phase is Phase.CLOSING:
            self._say_farewell()

    def go_on(self) -> None:
        """The intake has room again."""
        if self._inbound is None or self._inbound.go_on():
            self._transport.resume_reading()

    def close(self, code: CloseCode, reason: str) -> None:
        """Take no more records; send the answers that are due, then a close frame."""
        if self.phase is Phase.REQUEST:
            self.abort()  # no WebSocket yet, so no close frame
            return
        self._close(encode_close(code, reason), hang_up=False)

    def full(self, index: int) -> None:
        """The answers that wait for `index` never leave: the disk is full. Say so, and end.

        Tesla's protocol has no answer that means "keep it and send it later"; a car whose
        connection ends does just that.
        """
        self._pending[index] = b""
        self.close(CloseCode.TRY_AGAIN_LATER, "the server's disk is full: send it again later")

    def abort(self) -> None:
        """Close TCP now; whatever was to be sent is lost."""
        self.phase = Phase.CLOSED
        self._transport.abort()

    def tick(self, now_s: float) -> None:
        """Look at the time: ping a silent peer, close a dead one."""
        limits = self._desk.config.telemetry
        silent_s = now_s - self.heard_s
        match self.phase:
            case Phase.REQUEST if now_s - self.opened_s >= limits.handshake_s_max:
                self.abort()
            case Phase.CLOSING if self.close_by_s and now_s >= self.close_by_s:
                self.abort()
            case Phase.OPEN if silent_s >= limits.idle_s_max:
                logger.info("telemetry_silent_peer_closed", connection=self.connection_id)
                self.abort()
            case Phase.OPEN if min(silent_s, now_s - self._pinged_s) >= limits.ping_s:
                self._pinged_s = now_s
                self._transport.write(PING)

    def _read_request(self) -> None:
        try:
            limit = self._desk.config.telemetry.request_bytes_max
            request = read_request(bytes(self._request), request_bytes_max=limit)
            if request is None:
                return
            if request.path == STATUS_PATH:
                self._respond(200, STATUS_TEXT)
                return
            answer = accept_upgrade(request)
        except HandshakeError as error:
            self._respond(error.status, str(error))
            return
        rest = bytes(self._request[request.request_bytes :])
        self._request.clear()
        self.network_interface = request.headers.get("x-network-interface", "")[:64]
        self._transport.write(answer)
        self.phase = Phase.OPEN
        self._inbound = Inbound(self._desk, self)
        self._door.upgraded(self)
        self._inbound.feed(rest)

    def _respond(self, status: int, text: str) -> None:
        self._transport.write(encode_response(status, text))
        self.phase = Phase.CLOSED
        self._transport.close()

    def _close(self, farewell: bytes, *, hang_up: bool) -> None:
        self._hang_up_after |= hang_up
        if self.phase is Phase.OPEN:
            self.phase = Phase.CLOSING
            self._farewell = farewell
            if self._inbound is not None:
                self._inbound.read_past()
        if self.phase is Phase.CLOSING:
            self._say_farewell()

    def _say_farewell(self) -> None:
        if self._pending[0] or self._pending[1] or self._ready:
            return
        if self._farewell:
            self._transport.write(self._farewell)
            self._farewell = b""
            limit_s = self._desk.config.telemetry.close_s_max
            self.close_by_s = self._desk.clock.monotonic_s() + limit_s
        if self._hang_up_after:
            self.phase = Phase.CLOSED
            self._transport.close()

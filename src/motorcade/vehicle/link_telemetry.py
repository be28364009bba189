"""The Fleet Telemetry link: the car as Tesla's cars stream, over a WebSocket with mutual TLS.

Records go up, acks come down; there are no commands on this road, so answers stay in the outbox.
A record counts as delivered when the ack with its txid is here; without one it goes again, with
the same txid and time, so that the receiver can tell it is the same (design P2).
"""

from dataclasses import dataclass
from typing import Final

from tesla_protocol.telemetry import vehicle_data_pb2 as tesla
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
)
from wsproto.utilities import ProtocolError

from motorcade.clock import Clock
from motorcade.events import Encoding, Topic
from motorcade.vehicle.errors import LinkError, LinkRefusedError, VehicleError
from motorcade.vehicle.link import Backoff, Conversation, Dial, Inbox, Link, Sleep
from motorcade.vehicle.outbox import Outbox, Outgoing
from motorcade.wire.tesla_telemetry.envelope import INCORRECT_FORMAT, decode_answer, encode_stream
from motorcade.wire.tesla_telemetry.errors import MalformedEnvelopeError

WELCOME_S_MAX: Final = 10.0
RESEND_S: Final = 20.0  # without an ack
CHECK_S: Final = 5.0  # how often that is looked at
ANSWER_BYTES_MAX: Final = 64 << 10
_RECORD_TYPES: Final = {Encoding.TESLA_TELEMETRY: b"V", Encoding.TESLA_ALERTS: b"alerts"}


@dataclass(slots=True)
class _Sent:
    outgoing: Outgoing
    frame: bytes
    sent_s: float


class TelemetryLink(Link):
    """See `Link`. What was in flight when a connection ended goes again in the next one."""

    protocol_error = ProtocolError

    def __init__(
        self,
        outbox: Outbox,
        inbox: Inbox,
        *,
        vin: str,
        host: str,
        dial: Dial,
        sleep: Sleep,
        clock: Clock,
        backoff: Backoff,
        inflight_max: int,
    ) -> None:
        super().__init__(outbox, inbox, dial=dial, sleep=sleep, backoff=backoff)
        self.vin = vin.encode()
        self.host = host
        self.clock = clock
        self.inflight_max = inflight_max

    async def _connect_once(self) -> None:
        connection = _Connection(self)
        try:
            await self._stay(connection, self._watch(connection))
        finally:
            self.outbox.rewind()

    async def _watch(self, connection: "_Connection") -> None:
        await self._sleep(WELCOME_S_MAX)
        if not connection.accepted:
            connection.fail(LinkError(f"no WebSocket within {WELCOME_S_MAX:g} s"))
        while not connection.closed.done():
            await self._sleep(CHECK_S)
            connection.resend_unacked()


class _Connection(Conversation):
    """One WebSocket from its handshake to its end."""

    def __init__(self, link: TelemetryLink) -> None:
        super().__init__()
        self._link = link
        self._web = WSConnection(ConnectionType.CLIENT)
        self._inflight: dict[bytes, _Sent] = {}
        self._answer = bytearray()
        self.accepted = False

    def begin(self) -> None:
        assert self.transport is not None  # asyncio has just made it
        headers = [(b"Version", b"motorcade"), (b"X-Network-Interface", b"cellular")]
        request = Request(host=self._link.host, target="/", extra_headers=headers)
        self.transport.write(self._web.send(request))

    def data_received(self, data: bytes) -> None:
        try:
            self._web.receive_data(data)
            for event in self._web.events():
                self._handle(event)
        except (VehicleError, ProtocolError, MalformedEnvelopeError, OSError) as error:
            self.fail(LinkError(f"the server broke the protocol: {error}"))
            return
        self.pump()

    def say_goodbye(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if self.accepted:
            self.transport.write(self._web.send(CloseConnection(code=1000)))
        self.transport.close()

    def pump(self) -> None:
        """Stream what there is, as far as window and socket allow."""
        frames = []
        while self._may_send():
            outgoing = self._link.outbox.next()
            if outgoing is None:
                break
            if outgoing.topic is Topic.COMMAND_ANSWERS or outgoing.encoding not in _RECORD_TYPES:
                self._link.outbox.done(outgoing, refused=True)
                continue
            sent = _Sent(outgoing, self._frame(outgoing), self._link.clock.monotonic_s())
            self._inflight[_txid(outgoing)] = sent
            frames.append(self._web.send(BytesMessage(sent.frame)))
        if frames and self.transport is not None:
            self.transport.write(b"".join(frames))

    def resend_unacked(self) -> None:
        """Send again what waits too long for its ack."""
        now_s = self._link.clock.monotonic_s()
        for sent in self._inflight.values():
            if self.accepted and self.transport and now_s - sent.sent_s >= RESEND_S:
                sent.sent_s = now_s
                self.transport.write(self._web.send(BytesMessage(sent.frame)))

    def _may_send(self) -> bool:
        open_ = self.accepted and self.writable and not self.closed.done()
        return open_ and len(self._inflight) < self._link.inflight_max

    def _frame(self, outgoing: Outgoing) -> bytes:
        created_at_s = 0
        if outgoing.encoding is Encoding.TESLA_TELEMETRY:
            created_at_s = tesla.Payload.FromString(outgoing.payload).created_at.seconds
        return encode_stream(
            txid=_txid(outgoing),
            topic=_RECORD_TYPES[outgoing.encoding],
            payload=outgoing.payload,
            device_id=self._link.vin,
            created_at_s=created_at_s,
        )

    def _handle(self, event: Event) -> None:
        assert self.transport is not None  # It sent us bytes.
        match event:
            case AcceptConnection():
                self.accepted = True
                self._link.backoff.reset()
                self._link.inbox.connected()
            case BytesMessage():
                self._answer += event.data
                if len(self._answer) > ANSWER_BYTES_MAX:
                    raise LinkError(f"an answer over {ANSWER_BYTES_MAX} bytes")
                if event.message_finished:
                    answer, self._answer = bytes(self._answer), bytearray()
                    self._take_answer(answer)
            case Ping():
                self.transport.write(self._web.send(event.response()))
            case CloseConnection():
                self.transport.write(self._web.send(event.response()))
                raise LinkError(f"the server closed: {event.code} {event.reason or ''}".rstrip())
            case RejectConnection() | RejectData():
                raise LinkRefusedError("the server refuses the WebSocket")
            case _:
                pass

    def _take_answer(self, data: bytes) -> None:
        answer = decode_answer(data)
        sent = self._inflight.get(answer.txid)
        if sent is None:
            return
        if answer.acked or answer.reason == INCORRECT_FORMAT:
            del self._inflight[answer.txid]
            self._link.outbox.done(sent.outgoing, refused=not answer.acked)
        # Any other error (the rate limit) means later: `resend_unacked` comes back to it.


def _txid(outgoing: Outgoing) -> bytes:
    return f"{outgoing.stream}-{outgoing.sequence}".encode()

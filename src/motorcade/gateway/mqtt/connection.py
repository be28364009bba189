"""One socket of the MQTT door: where its bytes land, and what is known of the peer.

The same class serves plain and TLS sockets. All reading goes into `Ingest`'s one arena; a
connection keeps bytes of its own only while a packet is incomplete or the peer has to wait.
"""

import asyncio
import os
from typing import TYPE_CHECKING, cast

from motorcade.gateway.mqtt.aliases import Incoming, Outgoing
from motorcade.registry.port import Principal
from motorcade.wire.mqtt.publish import Publish, encode_publish
from motorcade.wire.mqtt.reasons import ProtocolLevel

if TYPE_CHECKING:
    from motorcade.gateway.mqtt.ingest import Ingest
    from motorcade.gateway.mqtt.session import Session


NO_ALIASES_IN = Incoming(0)
NO_ALIASES_OUT = Outgoing(0)


class Connection(asyncio.BufferedProtocol):
    """Slotted: there are many thousands."""

    __slots__ = (
        "aliases_in",
        "aliases_out",
        "busy",
        "closing",
        "connection_id",
        "descriptor",
        "generation",
        "ingest",
        "late",
        "level",
        "mark",
        "need",
        "packet_bytes_max",
        "parked",
        "principal",
        "receive_max",
        "session",
        "slot",
        "spill",
        "transport",
        "unread_from",
        "unreleased",
        "wants_texts",
    )

    def __init__(self, ingest: "Ingest") -> None:
        self.ingest = ingest
        self.slot = -1
        self.descriptor = -1  # of a plain socket, for acks; -1: TLS
        self.mark = 0  # the slot where `Ingest.notes` wants it
        self.generation = 0
        self.transport: asyncio.Transport | None = None
        self.spill: bytearray | None = None  # bytes that wait for the end of their packet
        self.late = b""  # bytes behind those, that came while nothing could be taken
        self.unread_from = -1  # where in the arena the spill was put before a read, else -1
        self.need = 0  # how many bytes of `spill` make progress possible
        self.parked = False  # reading is paused until `Ingest.resume` or `busy` ends
        self.busy = False  # a CONNECT is being answered; what comes behind it waits
        self.closing = False
        self.level = ProtocolLevel.V3_1_1
        self.principal: Principal | None = None
        self.session: Session | None = None
        self.wants_texts = False  # reason strings, where a client may refuse them
        self.aliases_in = NO_ALIASES_IN
        self.aliases_out = NO_ALIASES_OUT
        self.connection_id = ""
        self.unreleased = 0  # QoS 2 publishes answered by PUBREC; they count as in flight
        self.receive_max = 0xFFFF  # QoS 1 publishes the client takes at once
        self.packet_bytes_max = 1 << 28  # largest packet the client takes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are not its subclasses
        if transport.get_extra_info("sslcontext") is None:
            self.descriptor = transport.get_extra_info("socket").fileno()
        self.ingest.opened(self)

    @property
    def door(self) -> str:
        """By which of `counts.DOORS` it came."""
        return "mqtts" if self.is_encrypted else "mqtt"

    @property
    def is_encrypted(self) -> bool:
        transport = self.transport
        return transport is not None and transport.get_extra_info("sslcontext") is not None

    @property
    def socket_descriptor(self) -> int:
        """Of whatever socket, to wait for."""
        assert self.transport is not None
        return int(self.transport.get_extra_info("socket").fileno())

    @property
    def address(self) -> str:
        """The peer's, without its port; empty when the socket is gone already."""
        peer = self.transport.get_extra_info("peername") if self.transport is not None else None
        return str(peer[0]) if peer else ""

    def get_buffer(self, sizehint: int) -> memoryview:
        ingest = self.ingest
        if self.closing:
            return ingest.scratch
        if self.spill is None and not ingest.paused:
            end = ingest.end
            return ingest.view[end : end + ingest.read_bytes]
        return ingest.waiting_buffer(self)

    def buffer_updated(self, nbytes: int) -> None:
        ingest = self.ingest
        if self.closing:
            return
        if self.spill is not None or ingest.paused:
            ingest.waiting_bytes(self, nbytes)
            return
        ingest.notes[ingest.count] = self.mark | nbytes
        ingest.count += 1
        ingest.end += nbytes
        if not ingest.scheduled:
            ingest.schedule()
        elif ingest.end > ingest.read_bytes:
            ingest.run()

    def read_early(self) -> bool:
        """Read a plain socket now instead of at its turn in the loop; whether anything came.

        The transport's own reading goes on behind it. Its end is left to the transport.
        """
        if self.descriptor < 0 or self.parked:
            return False
        try:
            size = os.readv(self.descriptor, [self.get_buffer(-1)])
        except OSError:
            return False
        if size:
            self.buffer_updated(size)
        return size > 0

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        """More than `gateway.write_buffer_bytes_max` wait for a peer that does not read."""
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.descriptor = -1
        self.ingest.closed(self)

    def write(self, data: bytes) -> None:
        """Send, unless the socket is closing."""
        if self.transport is not None and not self.closing:
            self.transport.write(data)

    def backlog(self) -> int:
        """Bytes written and not yet taken by the peer's side."""
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    def write_ack(self, data: bytes) -> None:
        """`write` for the hot road: straight to a plain socket when nothing waits before it.

        The transport gathers writes until the turn ends, which for one ack costs more than the
        system call (measured: 1.0 against 0.5 us of user time).
        """
        transport = self.transport
        assert transport is not None
        if self.descriptor < 0 or transport.get_write_buffer_size():
            transport.write(data)
            return
        try:
            sent = os.write(self.descriptor, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the transport finds out by itself, and says so
        if sent < len(data):
            transport.write(data[sent:])

    def deliver(self, publish: Publish) -> bool:
        """Write a message. False: it is larger than the client takes, and was not."""
        topic = publish.topic
        if self.aliases_out is not NO_ALIASES_OUT:
            publish = self.aliases_out.shorten(publish)
        data = encode_publish(publish, self.level)
        if len(data) > self.packet_bytes_max:
            return False
        if not self.closing:
            self.ingest.counts.sent += 1  # before the peer can have seen it
            self.write(data)
        self.aliases_out.sent(topic)
        return True

    def part(self) -> None:
        """Send what is written, say that no more comes, and read on into nothing until the peer
        closes, too, or has had its time.

        A socket that is closed while its peer still sends is reset, and the peer's next write
        fails before it has read why.
        """
        if self.closing:
            return  # the goodbye was one packet too many for a peer that does not read
        if self.descriptor < 0 or self.transport is None:  # TLS and WebSocket say goodbye below us
            self.close()
            return
        self.closing = True
        self.descriptor = -1
        self.spill, self.late = None, b""
        self.ingest.slots.lingers(self)
        self.transport.write_eof()
        if self.parked:
            self.transport.resume_reading()

    def close(self) -> None:
        """Send what is written, then close."""
        if not self.closing and self.transport is not None:
            self.closing = True
            self.descriptor = -1
            self.ingest.slots.lingers(self)
            self.transport.close()

    def abort(self) -> None:
        """Close now."""
        self.closing = True
        self.descriptor = -1
        if self.transport is not None:
            self.transport.abort()

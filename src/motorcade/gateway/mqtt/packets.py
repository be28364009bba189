"""The conversation: what is answered to every packet that `scan` does not take.

One method per packet type, looked up in a table; PUBLISH and PUBREL in `publishing.py`, SUBSCRIBE
and UNSUBSCRIBE in `subscribing.py`. A packet that takes time (CONNECT, SUBSCRIBE) becomes a task;
behind a CONNECT the connection's other bytes wait.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import structlog

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.gateway.mqtt.admission import Admission
from motorcade.gateway.mqtt.connection import Connection
from motorcade.gateway.mqtt.ingest import Ingest
from motorcade.gateway.mqtt.publishing import Publishing
from motorcade.gateway.mqtt.retained import RetainedMessages
from motorcade.gateway.mqtt.session import Session
from motorcade.gateway.mqtt.sessions import Sessions
from motorcade.gateway.mqtt.store import SessionStoreError
from motorcade.gateway.mqtt.subscribing import Subscribing
from motorcade.gateway.mqtt.telling import DISK_FULL, write_ack, write_disconnect, write_refusal
from motorcade.gateway.mqtt.wills import will_lost
from motorcade.log.errors import LogError
from motorcade.registry.errors import RegistryError
from motorcade.wire.mqtt.connect import parse_connect
from motorcade.wire.mqtt.errors import (
    ClientIdentifierError,
    MqttError,
    ProtocolError,
    UnsupportedVersionError,
)
from motorcade.wire.mqtt.framing import RawPacket, split_packet
from motorcade.wire.mqtt.publish import Puback, parse_acknowledgement
from motorcade.wire.mqtt.reasons import PacketType, ProtocolLevel, Reason
from motorcade.wire.mqtt.session import (
    PINGRESP_BYTES,
    parse_disconnect,
    parse_ping,
)

logger = structlog.get_logger(__name__)


class Deliveries(Protocol):
    """What sends messages to sessions: the router and the outbox."""

    async def ready(self, session: Session) -> None:
        """Nothing published from now on that the session's filters match will be missed."""

    async def caught_up(self) -> None:
        """Wait until everything that is durable now was handed out, but not for long."""

    def opened(self, session: Session) -> None:
        """CONNACK is written: resume."""

    def changed(self, session: Session) -> None:
        """Its subscriptions changed."""

    def closed(self, session: Session) -> None:
        """Its connection is gone."""


class Packets:
    """`ingest.Reader`: reads, judges, answers."""

    def __init__(
        self,
        config: Config,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        sessions: Sessions,
        retained: RetainedMessages,
        publishing: Publishing,
        deliveries: Deliveries,
    ) -> None:
        self._config = config
        self._loop = loop
        self._clock = clock
        self._deliveries = deliveries
        self._publishing = publishing
        self._tasks: set[asyncio.Task[None]] = set()
        self.ingest: Ingest  # set by the door: they need each other
        self.admission: Admission
        subscribing = Subscribing(config, clock, sessions, retained, deliveries, self.spawn)
        self._handlers: dict[PacketType, Callable[[Connection, RawPacket], None]] = {
            PacketType.PUBLISH: publishing.publish,
            PacketType.PUBREL: publishing.pubrel,
            PacketType.PUBACK: self._puback,
            PacketType.PUBREC: self._pubrec,
            PacketType.PUBCOMP: self._pubcomp,
            PacketType.SUBSCRIBE: subscribing.subscribe,
            PacketType.UNSUBSCRIBE: subscribing.unsubscribe,
            PacketType.PINGREQ: self._ping,
            PacketType.DISCONNECT: self._disconnect,
        }

    # --- bytes in ----------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        self.admission.opened(connection)

    def read(self, connection: Connection, data: memoryview) -> int:
        used = 0
        while used < len(data) and not connection.busy and not connection.closing:
            try:
                packet = split_packet(
                    data[used:], packet_bytes_max=self._config.mqtt.packet_bytes_max
                )
                if packet is None:
                    break
                used += packet.size
                self._take(connection, packet)
            except MqttError as error:
                self._broken(connection, error)
                return len(data)
        return used

    def _take(self, connection: Connection, packet: RawPacket) -> None:
        if connection.session is None:
            if packet.packet_type is not PacketType.CONNECT:
                raise ProtocolError("the first packet must be CONNECT [MQTT-3.1.0-1]")
            connect = parse_connect(packet)
            connection.level = connect.level
            connection.busy = True
            self.spawn(connection, self.admission.connect(connection, connect))
            return
        handler = self._handlers.get(packet.packet_type)
        if handler is None:
            raise ProtocolError(f"{packet.packet_type.name} is not expected here, §4.13")
        handler(connection, packet)

    def spawn(self, connection: Connection, work: Coroutine[Any, Any, None]) -> None:
        """Run what takes time for a connection. If it cannot be done, that connection ends."""
        task = self._loop.create_task(self._guarded(connection, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, connection: Connection, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (SessionStoreError, RegistryError, LogError) as error:
            logger.warning("mqtt_request_failed", error=str(error))
            if connection.busy:  # its CONNECT is not answered
                write_refusal(connection, Reason.SERVER_UNAVAILABLE, connection.level)
                connection.close()
            self.disconnect(connection, Reason.IMPLEMENTATION_SPECIFIC_ERROR)

    # --- goodbye -----------------------------------------------------------------------------

    def _broken(self, connection: Connection, error: MqttError) -> None:
        if connection.session is not None:
            self.disconnect(connection, error.reason, str(error), hears_out=True)
            return
        self.ingest.counts.refusals.add(error.reason.name.lower())
        if isinstance(error, UnsupportedVersionError | ClientIdentifierError):
            is_newer = isinstance(error, UnsupportedVersionError) and error.is_newer
            level = ProtocolLevel.V5 if is_newer else ProtocolLevel.V3_1_1
            write_refusal(connection, error.reason, level)
        connection.close()

    def disconnect(
        self, connection: Connection, reason: Reason, text: str = "", *, hears_out: bool = False
    ) -> None:
        """Close from our side; the will is published, as after any end without goodbye.

        `hears_out`: the peer may be sending still, and shall have the chance to read why it ends.
        """
        self.ingest.counts.refusals.add(reason.name.lower())
        if connection.level is ProtocolLevel.V5 and _is_let_in(connection):
            write_disconnect(connection, reason, text)
            if hears_out:
                connection.part()
                self.closed(connection)
        connection.close()

    def closed(self, connection: Connection) -> None:
        session = connection.session
        mine = session is not None and session.connection is connection
        if session is not None and mine:
            will = will_lost(session, self._clock.now_us())
            if will is not None:
                self._publishing.will(session, will)
        self.admission.closed(connection)
        if session is not None and mine:
            self._deliveries.closed(session)

    async def ready(self, session: Session) -> None:
        """See `Deliveries.ready`."""
        await self._deliveries.ready(session)

    def resume(self, session: Session) -> None:
        """CONNACK is written."""
        self._deliveries.opened(session)

    def failed(self, connection: Connection) -> None:
        self.disconnect(connection, Reason.IMPLEMENTATION_SPECIFIC_ERROR)

    def full(self, connection: Connection, packet_ids: list[int]) -> None:
        """5.0 is told for each publish and stays; 3.1.1 has no word for it and is closed."""
        if connection.level is not ProtocolLevel.V5:
            connection.close()
            return
        for packet_id in packet_ids:
            write_ack(connection, Puback(packet_id, Reason.QUOTA_EXCEEDED), DISK_FULL)

    def _disconnect(self, connection: Connection, packet: RawPacket) -> None:
        message = parse_disconnect(packet, connection.level, from_client=True)
        session = _session(connection)
        expiry_s = message.properties.session_expiry_s
        if expiry_s is not None:
            if expiry_s and not session.expiry_s:
                raise ProtocolError("session expiry from 0 to more in DISCONNECT, §3.14.2.2.2")
            session.expiry_s = min(expiry_s, self._config.mqtt.session_expiry_s_max)
        if message.reason is Reason.SUCCESS:  # a goodbye with an error leaves it [MQTT-3.1.2-8]
            session.will = None
        connection.close()

    # --- the rest ----------------------------------------------------------------------------

    def _puback(self, connection: Connection, packet: RawPacket) -> None:
        session = _session(connection)
        packet_id = parse_acknowledgement(packet, connection.level).packet_id
        session.acked(session.window.acknowledged(packet_id))

    def _pubrec(self, connection: Connection, packet: RawPacket) -> None:
        session = _session(connection)
        ack = parse_acknowledgement(packet, connection.level)
        session.acked(session.window.received(ack.packet_id, ack.reason))

    def _pubcomp(self, connection: Connection, packet: RawPacket) -> None:
        session = _session(connection)
        packet_id = parse_acknowledgement(packet, connection.level).packet_id
        session.acked(session.window.completed(packet_id))

    def _ping(self, connection: Connection, packet: RawPacket) -> None:
        parse_ping(packet)
        connection.write(PINGRESP_BYTES)


def _session(connection: Connection) -> Session:
    session = connection.session
    assert session is not None  # `_take` has seen to it
    return session


def _is_let_in(connection: Connection) -> bool:
    """Whether CONNACK is written: before it no DISCONNECT may be sent [MQTT-3.14.0-1]."""
    session = connection.session
    return session is not None and session.connection is connection and session.window.resumed

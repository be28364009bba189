"""The conversation: what is answered to every packet that `scan` does not take.

One method per packet type, looked up in a table. A packet that takes time (CONNECT, SUBSCRIBE)
becomes a task; behind a CONNECT the connection's other bytes wait.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, Protocol

import structlog

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.events import Record
from motorcade.gateway.intake import Intake
from motorcade.gateway.mqtt.admission import Admission
from motorcade.gateway.mqtt.connection import Connection
from motorcade.gateway.mqtt.ingest import Ingest
from motorcade.gateway.mqtt.permissions import is_vehicle, judge_subscription, too_large
from motorcade.gateway.mqtt.records import (
    FieldTooLongError,
    operator_record,
    vehicle_record,
)
from motorcade.gateway.mqtt.session import Session
from motorcade.gateway.mqtt.sessions import Sessions, written
from motorcade.gateway.mqtt.store import SessionStoreError
from motorcade.log.errors import LogError, LogFullError
from motorcade.log.topics import TOPICS, Lane
from motorcade.registry.errors import RegistryError
from motorcade.wire.mqtt.connect import Connack, Will, encode_connack, parse_connect
from motorcade.wire.mqtt.errors import (
    ClientIdentifierError,
    MqttError,
    ProtocolError,
    UnsupportedVersionError,
)
from motorcade.wire.mqtt.framing import RawPacket, split_packet
from motorcade.wire.mqtt.properties import Place, Properties, decode_properties, encode_bare
from motorcade.wire.mqtt.publish import (
    Puback,
    Publish,
    encode_acknowledgement,
    parse_acknowledgement,
    parse_publish,
)
from motorcade.wire.mqtt.reasons import ALLOWED, PacketType, ProtocolLevel, Reason
from motorcade.wire.mqtt.session import (
    PINGRESP_BYTES,
    Disconnect,
    encode_disconnect,
    parse_disconnect,
    parse_ping,
)
from motorcade.wire.mqtt.subscribe import (
    Suback,
    Subscribe,
    Unsuback,
    encode_suback,
    encode_unsuback,
    parse_subscribe,
    parse_unsubscribe,
)

DISK_FULL: Final = Properties(reason_string="the server's disk is full: send it again later")

logger = structlog.get_logger(__name__)


class Deliveries(Protocol):
    """What sends messages to sessions: the router and the outbox."""

    async def ready(self, session: Session) -> None:
        """Nothing published from now on that the session's filters match will be missed."""

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
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        sessions: Sessions,
        bulk: Intake,
        fast: Intake,
        deliveries: Deliveries,
    ) -> None:
        self._config = config
        self._clock = clock
        self._loop = loop
        self._sessions = sessions
        self._intakes = {Lane.BULK: bulk, Lane.FAST: fast}
        self._deliveries = deliveries
        self._future_us_max = config.time.future_s_max * 1_000_000
        self._tasks: set[asyncio.Task[None]] = set()
        self.ingest: Ingest  # set by the door: they need each other
        self.admission: Admission
        self._handlers: dict[PacketType, Callable[[Connection, RawPacket], None]] = {
            PacketType.PUBLISH: self._publish,
            PacketType.PUBACK: self._puback,
            PacketType.SUBSCRIBE: self._subscribe,
            PacketType.UNSUBSCRIBE: self._unsubscribe,
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
                refusal = Connack(reason=Reason.SERVER_UNAVAILABLE)
                connection.write(encode_connack(refusal, connection.level))
                connection.close()
            self.disconnect(connection, Reason.IMPLEMENTATION_SPECIFIC_ERROR)

    # --- goodbye -----------------------------------------------------------------------------

    def _broken(self, connection: Connection, error: MqttError) -> None:
        if connection.session is not None:
            self.disconnect(connection, error.reason)
            return
        self.ingest.counts.refusals.add(error.reason.name.lower())
        if isinstance(error, UnsupportedVersionError | ClientIdentifierError):
            connection.write(encode_connack(Connack(reason=error.reason), ProtocolLevel.V3_1_1))
        connection.close()

    def disconnect(self, connection: Connection, reason: Reason) -> None:
        """Close from our side; the will is published, as after any end without goodbye."""
        self.ingest.counts.refusals.add(reason.name.lower())
        if connection.level is ProtocolLevel.V5 and connection.session is not None:
            if reason not in ALLOWED[PacketType.DISCONNECT]:
                reason = Reason.UNSPECIFIED_ERROR
            connection.write(encode_disconnect(Disconnect(reason), connection.level))
        connection.close()

    def closed(self, connection: Connection) -> None:
        session = connection.session
        mine = session is not None and session.connection is connection
        if mine and connection.will is not None:
            self._publish_will(connection, connection.will)
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
            puback = Puback(packet_id, Reason.QUOTA_EXCEEDED, DISK_FULL)
            connection.write(encode_acknowledgement(puback, connection.level))

    def _disconnect(self, connection: Connection, packet: RawPacket) -> None:
        message = parse_disconnect(packet, connection.level, from_client=True)
        session = connection.session
        assert session is not None
        expiry_s = message.properties.session_expiry_s
        if expiry_s is not None:
            if expiry_s and not session.expiry_s:
                raise ProtocolError("session expiry from 0 to more in DISCONNECT, §3.14.2.2.2")
            session.expiry_s = min(expiry_s, self._config.mqtt.session_expiry_s_max)
        if message.reason is not Reason.DISCONNECT_WITH_WILL:
            connection.will = None
        connection.close()

    # --- messages in -------------------------------------------------------------------------

    def _publish(self, connection: Connection, packet: RawPacket) -> None:
        publish = parse_publish(packet, connection.level, from_client=True)
        v5 = connection.level is ProtocolLevel.V5
        if publish.qos == 2:
            return self.disconnect(connection, Reason.QOS_NOT_SUPPORTED)
        if v5 and publish.retain:
            return self.disconnect(connection, Reason.RETAIN_NOT_SUPPORTED)
        if v5 and _has_alias(publish):
            return self.disconnect(connection, Reason.TOPIC_ALIAS_INVALID)
        in_flight = self.ingest.in_flight(connection)
        if v5 and publish.qos and in_flight >= self._config.mqtt.receive_max:
            return self.disconnect(connection, Reason.RECEIVE_MAXIMUM_EXCEEDED)
        try:
            record = self._record(connection, publish)
        except FieldTooLongError:
            return self._refuse(connection, publish, Reason.QUOTA_EXCEEDED)
        if too_large(publish.topic, self._config.mqtt):
            return self._refuse(connection, publish, Reason.TOPIC_NAME_INVALID)
        if record is None:
            return self._refuse(connection, publish, Reason.NOT_AUTHORIZED)
        self._store(connection, publish, record)
        return None

    def _record(self, connection: Connection, publish: Publish) -> Record | None:
        principal, session = connection.principal, connection.session
        assert principal is not None
        assert session is not None
        now_us = self._clock.now_us()
        if not is_vehicle(principal):
            return operator_record(publish, session.key.encode(), now_us)
        owner = self.admission.owner_of(principal)
        return vehicle_record(publish, owner, now_us, self._future_us_max)

    def _store(self, connection: Connection, publish: Publish, record: Record) -> None:
        """Into the log; the ack leaves when it is durable."""
        self.ingest.counts.records += 1
        intake = self._intakes[TOPICS[record.topic].lane]
        packet_id, generation = publish.packet_id, connection.generation
        if packet_id is None:
            intake.add(record)
            return
        self.ingest.count_in_flight(connection, 1)

        def durable(error: LogError | None) -> None:
            if connection.slot < 0 or connection.generation != generation:
                return
            if isinstance(error, LogFullError):
                self.ingest.count_in_flight(connection, -1)
                self.full(connection, [packet_id])
                return
            if error is not None:
                self.failed(connection)
                return
            self.ingest.counts.acks += 1
            puback = Puback(packet_id)
            connection.write(encode_acknowledgement(puback, connection.level))
            self.ingest.count_in_flight(connection, -1)

        intake.add(record, durable)

    def _refuse(self, connection: Connection, publish: Publish, reason: Reason) -> None:
        """5.0 is told; 3.1.1 has no word for it and is closed [3.1.1: MQTT-3.3.5-2]."""
        self.ingest.counts.refusals.add(reason.name.lower())
        if connection.level is not ProtocolLevel.V5:
            connection.close()
        elif publish.packet_id is not None:
            puback = Puback(publish.packet_id, reason)
            connection.write(encode_acknowledgement(puback, connection.level))

    def _publish_will(self, connection: Connection, will: Will) -> None:
        properties = b""
        if connection.level is ProtocolLevel.V5:
            kept = replace(will.properties, will_delay_s=None)
            properties = encode_bare(kept, Place.PUBLISH)
        publish = Publish(will.topic, will.payload, will.qos, None, will.retain, False, properties)
        try:
            record = self._record(connection, publish)
        except FieldTooLongError:
            return
        if record is not None:
            self._intakes[TOPICS[record.topic].lane].add(record)

    # --- the rest ----------------------------------------------------------------------------

    def _puback(self, connection: Connection, packet: RawPacket) -> None:
        message = parse_acknowledgement(packet, connection.level)
        assert connection.session is not None
        connection.session.acked(message.packet_id)

    def _ping(self, connection: Connection, packet: RawPacket) -> None:
        parse_ping(packet)
        connection.write(PINGRESP_BYTES)

    def _subscribe(self, connection: Connection, packet: RawPacket) -> None:
        message = parse_subscribe(packet, connection.level)
        if message.properties.subscription_ids:
            self.disconnect(connection, Reason.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED)
            return
        session = connection.session
        assert session is not None
        reasons = tuple(
            self._subscribe_one(connection, session, subscription)
            for subscription in message.subscriptions
        )
        self.spawn(connection, self._answer_subscribe(connection, session, message, reasons))

    def _subscribe_one(self, connection: Connection, session: Session, wanted: Any) -> Reason:
        assert connection.principal is not None
        reason = judge_subscription(connection.principal, wanted, self._config.mqtt)
        if reason < Reason.UNSPECIFIED_ERROR and not self._sessions.subscribe(
            session, wanted, int(reason)
        ):
            return Reason.QUOTA_EXCEEDED
        return reason

    async def _answer_subscribe(
        self,
        connection: Connection,
        session: Session,
        message: Subscribe,
        reasons: tuple[Reason, ...],
    ) -> None:
        await self._deliveries.ready(session)
        await written(self._sessions.put(session))
        suback = Suback(message.packet_id, reasons)
        connection.write(encode_suback(suback, connection.level))
        if session.connection is connection:
            self._deliveries.changed(session)

    def _unsubscribe(self, connection: Connection, packet: RawPacket) -> None:
        message = parse_unsubscribe(packet, connection.level)
        session = connection.session
        assert session is not None
        reasons = tuple(
            Reason.SUCCESS
            if self._sessions.unsubscribe(session, topic_filter)
            else Reason.NO_SUBSCRIPTION_EXISTED
            for topic_filter in message.topic_filters
        )
        self._deliveries.changed(session)
        answer = encode_unsuback(Unsuback(message.packet_id, reasons), connection.level)
        self.spawn(connection, self._answer_unsubscribe(connection, session, answer))

    async def _answer_unsubscribe(
        self, connection: Connection, session: Session, answer: bytes
    ) -> None:
        await written(self._sessions.put(session))
        connection.write(answer)


def _has_alias(publish: Publish) -> bool:
    if not publish.properties:
        return not publish.topic
    return decode_properties(publish.properties, Place.PUBLISH).topic_alias is not None

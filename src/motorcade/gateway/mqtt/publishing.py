"""Messages in, as objects: what `scan` leaves aside, QoS 2, operators', wills. Stored, then acked.

PUBACK and PUBREC leave when the log has the message, PUBCOMP when it has the release.
"""

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.events import Flags, Record
from motorcade.gateway.intake import Intake, OnDurable
from motorcade.gateway.mqtt.connection import Connection
from motorcade.gateway.mqtt.ingest import Ingest
from motorcade.gateway.mqtt.permissions import is_ours, is_vehicle, too_large
from motorcade.gateway.mqtt.receipts import Receipt, Receipts, State
from motorcade.gateway.mqtt.records import (
    FieldTooLongError,
    is_text,
    operator_record,
    vehicle_record,
)
from motorcade.gateway.mqtt.retained import RetainedMessages
from motorcade.gateway.mqtt.session import Session
from motorcade.gateway.mqtt.store import StoredWill
from motorcade.gateway.mqtt.telling import DISK_FULL, TEXTS, write_ack
from motorcade.gateway.mqtt.wills import will_record
from motorcade.log.errors import LogError, LogFullError
from motorcade.log.topics import TOPICS, Lane
from motorcade.wire.mqtt.errors import MqttError, ProtocolError
from motorcade.wire.mqtt.framing import RawPacket
from motorcade.wire.mqtt.properties import Place, decode_properties
from motorcade.wire.mqtt.publish import (
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    encode_acknowledgement,
    parse_acknowledgement,
    parse_publish,
)
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason

if TYPE_CHECKING:
    from motorcade.gateway.mqtt.admission import Admission
    from motorcade.gateway.mqtt.packets import Packets


class RefusedError(MqttError):
    """A PUBLISH that ends its connection; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(TEXTS[reason])
        self.reason = reason  # type: ignore[misc]


class Publishing:
    """See the module's text."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        intakes: dict[Lane, Intake],
        receipts: Receipts,
        retained: RetainedMessages,
    ) -> None:
        self._config = config
        self._clock = clock
        self._intakes = intakes
        self._receipts = receipts
        self._retained = retained
        self._future_us_max = config.time.future_s_max * 1_000_000
        self.ingest: Ingest  # set by the door
        self.admission: Admission
        self.packets: Packets

    # --- PUBLISH -----------------------------------------------------------------------------

    def publish(self, connection: Connection, packet: RawPacket) -> None:
        """Store a message, or refuse it."""
        publish = parse_publish(packet, connection.level, from_client=True)
        self.ingest.slots.count_published(connection)
        readable = True
        if publish.properties:
            properties = decode_properties(publish.properties, Place.PUBLISH)
            publish = connection.aliases_in.resolve(publish, properties.topic_alias)
            readable = is_text(publish.payload, properties.payload_format)
        if publish.qos == 2 and self._came_before(connection, publish):
            return None
        if publish.qos and not self._may_take(connection):
            raise RefusedError(Reason.RECEIVE_MAXIMUM_EXCEEDED)
        try:
            record = self._record(connection, publish)
        except FieldTooLongError as error:
            return self._refuse(connection, publish, Reason.QUOTA_EXCEEDED, str(error))
        if too_large(publish.topic, self._config.mqtt):
            return self._refuse(connection, publish, Reason.TOPIC_NAME_INVALID)
        if record is None or is_ours(publish.topic):
            return self._refuse(connection, publish, Reason.NOT_AUTHORIZED)
        if not readable:  # §3.3.2.3.2 lets us check
            return self._refuse(connection, publish, Reason.PAYLOAD_FORMAT_INVALID)
        if publish.retain and not self._retained.fits(publish.topic, len(publish.payload)):
            text = "the server keeps no more retained messages: remove some"
            return self._refuse(connection, publish, Reason.QUOTA_EXCEEDED, text)
        if publish.qos == 2:
            return self._store_once(connection, publish, record)
        return self._store(connection, publish, record)

    def _may_take(self, connection: Connection) -> bool:
        """5.0's receive maximum [MQTT-3.3.4-7]; 3.1.1 is not told it, but held to it at QoS 2."""
        session = connection.session
        assert session is not None
        limit = self._config.mqtt.receive_max
        if connection.level is ProtocolLevel.V5:
            return self.ingest.slots.in_flight(connection) + connection.unreleased < limit
        return len(session.received) < limit

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
        """QoS 0 and 1: into the log; the ack leaves when it is durable."""
        self.ingest.counts.records += 1
        intake = self._intakes[TOPICS[record.topic].lane]
        packet_id, generation = publish.packet_id, connection.generation
        if packet_id is None:
            intake.add(record, self._keeping(record))
            return
        self.ingest.slots.count_in_flight(connection, 1)

        def durable(error: LogError | None) -> None:
            self._keep(record, error)
            if connection.slot < 0 or connection.generation != generation:
                return
            if isinstance(error, LogFullError):
                self.ingest.slots.count_in_flight(connection, -1)
                self.packets.full(connection, [packet_id])
                return
            if error is not None:
                self.packets.failed(connection)
                return
            self.ingest.counts.acks += 1
            puback = Puback(packet_id)
            connection.write(encode_acknowledgement(puback, connection.level))
            self.ingest.slots.count_in_flight(connection, -1)

        intake.add(record, durable)

    def _keep(self, record: Record, error: LogError | None) -> None:
        """Retain a message, once the log has it."""
        if error is None:
            self._retained.apply(record)

    def _keeping(self, record: Record) -> OnDurable | None:
        """What to do when the record of a message that nobody waits for is durable."""
        return partial(self._keep, record) if record.flags & Flags.RETAIN else None

    def _refuse(
        self, connection: Connection, publish: Publish, reason: Reason, text: str = ""
    ) -> None:
        """5.0 is told; 3.1.1 has no word for it and is closed [3.1.1: MQTT-3.3.5-2]."""
        self.ingest.counts.refusals.add(reason.name.lower())
        if connection.level is not ProtocolLevel.V5:
            connection.close()
        elif publish.packet_id is not None:
            kind = Pubrec if publish.qos == 2 else Puback
            write_ack(connection, kind(publish.packet_id, reason), text)

    # --- QoS 2 -------------------------------------------------------------------------------

    def _came_before(self, connection: Connection, publish: Publish) -> bool:
        """Whether it is known already; then only PUBREC is sent again [MQTT-4.3.3-10]."""
        session, packet_id = connection.session, publish.packet_id
        assert session is not None
        assert packet_id is not None
        receipt = session.received.get(packet_id)
        if receipt is None:
            return False
        if receipt.generation != connection.generation:
            receipt.generation = connection.generation
            if receipt.state is State.PENDING:
                self.ingest.slots.count_in_flight(connection, 1)
            else:
                self.ingest.slots.count_unreleased(connection, 1)
        if receipt.state is State.HELD:
            connection.write(encode_acknowledgement(Pubrec(packet_id), connection.level))
        return True

    def _store_once(self, connection: Connection, publish: Publish, record: Record) -> None:
        """QoS 2: into the log together with the packet identifier, if the session is kept."""
        self.ingest.counts.records += 1
        session, packet_id = connection.session, publish.packet_id
        assert session is not None
        assert packet_id is not None
        lane = TOPICS[record.topic].lane
        receipt = Receipt(lane, State.PENDING, session.persistent, connection.generation)
        session.received[packet_id] = receipt
        self.ingest.slots.count_in_flight(connection, 1)

        def durable(error: LogError | None) -> None:
            self._keep(record, error)
            self._received(session, packet_id, receipt, error)

        if receipt.logged:
            record = msgspec.structs.replace(record, packet_id=packet_id)
        self._intakes[lane].add(record, durable)

    def _received(
        self, session: Session, packet_id: int, receipt: Receipt, error: LogError | None
    ) -> None:
        """The record of a QoS 2 message is durable, or lost."""
        session.received_changed = True
        receipt.state = State.HELD
        if error is not None:
            session.received.pop(packet_id, None)
        connection = session.connection
        if connection is None or connection.generation != receipt.generation:
            return  # it comes again, and is answered then
        self.ingest.slots.count_in_flight(connection, -1)
        if error is None:
            self.ingest.slots.count_unreleased(connection, 1)
            self.ingest.counts.acks += 1
            connection.write(encode_acknowledgement(Pubrec(packet_id), connection.level))
        elif isinstance(error, LogFullError) and connection.level is ProtocolLevel.V5:
            write_ack(connection, Pubrec(packet_id, Reason.QUOTA_EXCEEDED), DISK_FULL)
        else:
            self.packets.failed(connection)

    def pubrel(self, connection: Connection, packet: RawPacket) -> None:
        """Free a packet identifier; PUBCOMP follows."""
        packet_id = parse_acknowledgement(packet, connection.level).packet_id
        session = connection.session
        assert session is not None
        receipt = session.received.get(packet_id)
        if receipt is None:
            self._complete(connection, packet_id, Reason.PACKET_IDENTIFIER_NOT_FOUND)
        elif receipt.state is State.PENDING:
            raise ProtocolError("PUBREL before PUBREC, §4.3.3")
        elif not receipt.logged:
            self._released(session, packet_id, receipt)
        elif receipt.state is State.HELD:
            receipt.state = State.RELEASING

            def durable(error: LogError | None) -> None:
                if error is None:
                    self._released(session, packet_id, receipt)
                    return
                receipt.state = State.HELD
                if session.connection is not None:
                    self.packets.failed(session.connection)

            self._receipts.release(session, packet_id, receipt.lane, durable)

    def _released(self, session: Session, packet_id: int, receipt: Receipt) -> None:
        session.received.pop(packet_id, None)
        session.received_changed = True
        connection = session.connection
        if connection is None:
            return
        if receipt.generation == connection.generation:
            self.ingest.slots.count_unreleased(connection, -1)
        if session.window.resumed:
            self._complete(connection, packet_id, Reason.SUCCESS)

    def _complete(self, connection: Connection, packet_id: int, reason: Reason) -> None:
        connection.write(encode_acknowledgement(Pubcomp(packet_id, reason), connection.level))

    # --- wills -------------------------------------------------------------------------------

    def will(self, session: Session, will: StoredWill) -> None:
        """Publish a will."""
        try:
            record = will_record(
                will,
                session.key,
                self._clock.now_us(),
                partitions=self._config.log.partitions,
                epoch=self.admission.epoch,
                future_us_max=self._future_us_max,
            )
        except FieldTooLongError:
            return
        if record is not None:
            if will.retain and not self._retained.fits(will.topic, len(will.payload)):
                record = msgspec.structs.replace(record, flags=record.flags & ~Flags.RETAIN)
            self._intakes[TOPICS[record.topic].lane].add(record, self._keeping(record))

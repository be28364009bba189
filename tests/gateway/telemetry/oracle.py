"""The readable twin of `kernels.receive`: the same frames, one by one, as objects."""

from dataclasses import dataclass, field

from motorcade.events import Encoding, Flags, Record, VehicleToken
from motorcade.gateway.telemetry.kernels import MORE, SLOW
from motorcade.wire.tesla_telemetry.envelope import (
    INCORRECT_FORMAT,
    RATE_LIMITED,
    Stream,
    encode_ack,
    encode_error,
    parse_envelope,
)
from motorcade.wire.tesla_telemetry.errors import MalformedEnvelopeError, MalformedPayloadError
from motorcade.wire.tesla_telemetry.records import (
    OTHER_TOPIC,
    Inspected,
    RecordType,
    identity_of,
    inspect,
    record_type_of,
)
from motorcade.wire.websocket.errors import FrameError
from motorcade.wire.websocket.frames import Opcode, apply_mask, encode_frame, read_header


@dataclass
class Oracle:
    """One vehicle, and what has come of its bytes."""

    token: VehicleToken
    sender_id: bytes
    device_id: bytes
    received_us: int
    future_us_max: int
    frame_bytes_max: int
    allowance: int
    answers: bytes = b""
    records: list[Record] = field(default_factory=list)
    frames: int = 0

    def receive(self, data: bytes) -> tuple[int, int]:
        """Take what frames there are: (why it stopped, where)."""
        at = 0
        while True:
            try:
                header = read_header(data[at : at + 14])
            except FrameError:
                return SLOW, at
            if header is None:
                plain = data[at] == 0x82 if at + 2 <= len(data) else True
                return (MORE if plain else SLOW), at
            if header.opcode is not Opcode.BINARY or not header.final:
                return SLOW, at
            if header.payload_bytes > self.frame_bytes_max:
                return SLOW, at
            start = at + header.header_bytes
            stop = start + header.payload_bytes
            if stop > len(data):
                return MORE, at
            answer = self.take(apply_mask(data[start:stop], header.mask))
            self.answers += encode_frame(Opcode.BINARY, answer)
            self.frames += 1
            at = stop

    def take(self, message: bytes) -> bytes:
        """The answer to one message."""
        try:
            envelope = parse_envelope(message)
        except MalformedEnvelopeError as error:
            return encode_error(error.txid, INCORRECT_FORMAT)
        if message and self.frames >= self.allowance:
            return encode_error(envelope.txid, RATE_LIMITED)
        stream = envelope.stream
        if stream is None:
            return encode_ack(envelope.txid, b"")
        row = record_type_of(envelope.topic)
        inspected = self.judge(row, stream)
        if inspected is None:
            return encode_error(envelope.txid, INCORRECT_FORMAT)
        self.store(envelope.topic, envelope.txid, row, stream, inspected)
        return encode_ack(envelope.txid, envelope.topic)

    def judge(self, row: RecordType | None, stream: Stream) -> Inspected | None:
        if row is None:
            own = stream.sender_id in (self.sender_id, self.device_id)
            return Inspected(stream.payload, None, False) if own else None
        try:
            return inspect(stream.payload, row, self.token.encode())
        except MalformedPayloadError:
            return None

    def store(
        self, name: bytes, txid: bytes, row: RecordType | None, stream: Stream, seen: Inspected
    ) -> None:
        event_us, flags = self.received_us, Flags.IDENTITY_HASH
        given_us = seen.created_at_us
        if given_us is None and stream.created_at_s:
            given_us = stream.created_at_s * 1_000_000
        if given_us is not None and given_us > self.received_us + self.future_us_max:
            flags |= Flags.TIME_BOUNDED
        elif given_us is not None:
            event_us, flags = given_us, flags | Flags.TIME_GIVEN
        if seen.resend:
            flags |= Flags.RESEND
        self.records.append(
            Record(
                vehicle=self.token,
                topic=row.topic if row else OTHER_TOPIC,
                payload=seen.payload,
                received_time_us=self.received_us,
                event_time_us=event_us,
                encoding=row.encoding if row else Encoding.OPAQUE,
                name=name,
                identity=identity_of(name, txid, stream.created_at_s, seen.payload),
                flags=flags,
                key_id=7,
                partition=5,
            )
        )

"""The gateway's compiled roads: MQTT's scan, Fleet Telemetry's frames, what a payload tells.

They meet a peer's bytes first and write into memory that the log gets, so each is held against its
plain twin, with little room and a rim behind it that must stay as it was.
"""

import itertools
import json
import os
from typing import Any, Final

import numpy as np

from motorcade.events import RECORD_DTYPE, Encoding, RecordBatch, pack_token
from motorcade.gateway.mqtt import kernels as scanner
from motorcade.gateway.mqtt.ingest import word_table
from motorcade.gateway.mqtt.payload.kernels import NO_TIME, PREFIX_BYTES, judge_payload
from motorcade.gateway.mqtt.records import Owner, is_text, vehicle_record
from motorcade.gateway.telemetry import kernels as receiver
from motorcade.log.topics import TOPICS, Lane
from motorcade.signals.packed import read_base_time
from motorcade.wire.mqtt.errors import MqttError
from motorcade.wire.mqtt.framing import RawPacket, split_packet
from motorcade.wire.mqtt.kernels import NO_CONTENT_TYPE
from motorcade.wire.mqtt.properties import Place, Properties, decode_properties, encode_bare
from motorcade.wire.mqtt.publish import (
    Puback,
    Publish,
    encode_acknowledgement,
    encode_publish,
    parse_publish,
)
from motorcade.wire.mqtt.reasons import PacketType, ProtocolLevel
from motorcade.wire.mqtt.session import PINGREQ_BYTES
from motorcade.wire.tesla_telemetry.envelope import encode_stream
from motorcade.wire.tesla_telemetry.errors import MalformedPayloadError
from motorcade.wire.tesla_telemetry.records import RECORD_TYPES, inspect
from motorcade.wire.websocket.frames import Opcode, encode_frame
from tests.fuzz import signals, telemetry
from tests.fuzz.target import Target
from tests.gateway.mqtt.harness import OTHER, TOKEN
from tests.gateway.telemetry.oracle import Oracle
from tests.gateway.telemetry.test_kernels import (
    FRAME_BYTES_MAX,
    SENDER,
    VIN,
    Bench,
    overlapping,
)
from tests.gateway.telemetry.test_kernels import NOW_US as RECEIVED_US
from tests.gateway.telemetry.test_kernels import TOKEN as CAR_TOKEN

AS_PYTHON: Final = os.environ.get("NUMBA_DISABLE_JIT") == "1"
NOW_US: Final = 1_700_000_000_000_000
FUTURE_US: Final = 330_000_000
LEVELS: Final = tuple(ProtocolLevel)
PUBLISHED: Final = Place.PUBLISH
OWNER: Final = Owner(TOKEN, 7, 3, 1)
SLOT, GENERATION = 1, 5
PACKET_BYTES_MAX, ROWS_MAX, EVENTS_MAX = 600, 3, 2
BUFFER_BYTES = PACKET_BYTES_MAX + scanner.STREAM_BYTES_MAX
RIM = bytes(range(1, 65))  # behind the memory that a kernel may write


def with_fields(array: Any) -> Any:
    """Rows whose fields are attributes, as kernels write them, when these run as Python."""
    return array.view(np.recarray) if AS_PYTHON else array


def rimmed(size: int) -> tuple[Any, Any]:
    """Memory of `size` bytes, and the rim behind it."""
    whole = np.zeros(size + len(RIM), np.uint8)
    whole[size:] = np.frombuffer(RIM, np.uint8)
    return whole[:size], whole[size:]


# --- MQTT --------------------------------------------------------------------------------------


class Road:
    """A vehicle's connection as `scan` has it: three rows, two events, room for a packet or two."""

    def __init__(
        self, level: ProtocolLevel, receive_max: int, room_bytes: int, *, is_gone: bool
    ) -> None:
        self.level, self.is_gone = level, is_gone
        self.connections = with_fields(np.zeros(SLOT + 1, scanner.CONNECTION_DTYPE))
        self.car = self.connections[SLOT]
        self.car["vehicle_hi"], self.car["vehicle_lo"] = pack_token(TOKEN)
        self.car["key_id"], self.car["partition"] = OWNER.key_id, OWNER.partition
        self.car["epoch"], self.car["generation"] = OWNER.epoch, GENERATION
        self.car["level"], self.car["receive_max"] = level, receive_max
        self.prefixes = np.zeros((SLOT + 1, PREFIX_BYTES), np.uint8)
        self.prefixes[SLOT] = np.frombuffer(f"v/{TOKEN}/".encode(), np.uint8)
        self.rows = with_fields(np.zeros(ROWS_MAX, RECORD_DTYPE))
        self.buffer, self.rim = rimmed(BUFFER_BYTES)
        self.used = np.array([0, BUFFER_BYTES - room_bytes], np.int64)
        self.acks, self.acks_used = np.zeros(ROWS_MAX, np.int64), np.zeros(1, np.int64)
        self.events = np.zeros((EVENTS_MAX, scanner.EVENT_COLUMNS), np.int64)

    def turn(self, segments: list[bytes]) -> bytes:
        """Take what one loop turn brought, check it; what must wait for more, or for a turn.

        Raises:
            MqttError: the codec refuses what `scan` left aside.
        """
        data = b"".join(segments)
        self.car["state"] = scanner.FAST
        events = self.scan(data, [SLOT << 32 | len(each) for each in segments if each])
        odd = [event for event in events if event[0] != scanner.PACKET]
        assert odd in ([], events[-1:])
        end = odd[0][2] if odd else len(data)
        assert all(event[1] == SLOT and event[2] + event[3] <= len(data) for event in events)
        packets = [(start, size) for kind, _, start, size in events if kind == scanner.PACKET]
        assert packets == self.others(data, end)
        rest = memoryview(data)[end:]
        raw = split_packet(rest, packet_bytes_max=PACKET_BYTES_MAX)
        if odd and odd[0][0] == scanner.TAIL:
            assert raw is None
        elif odd:
            assert raw is not None
            self.by_hand(raw)
            rest = rest[raw.size :]
        return bytes(rest)

    def scan(self, data: bytes, segments: list[int]) -> list[tuple[int, ...]]:
        """Call the kernel until it is done; its rows go to `self.taken`."""
        self.taken: list[tuple[Any, int]] = []
        noted: list[tuple[int, ...]] = []
        progress = np.zeros(4, np.int64)
        status = scanner.STAGING_FULL
        while status != scanner.DONE:
            status = scanner.scan(
                np.frombuffer(bytearray(data), np.uint8),
                np.array([*segments, 0], np.int64),
                len(segments),
                progress,
                self.connections,
                self.prefixes,
                word_table(),
                np.array([PACKET_BYTES_MAX, ROWS_MAX], np.int64),
                np.array([NOW_US, FUTURE_US, 1], np.int64),
                self.rows,
                (self.buffer, self.used),
                (self.acks, self.acks_used),
                self.events,
            )
            assert status == scanner.DONE or self.used[1] or progress[3]  # it comes to an end
            noted += [tuple(event) for event in self.events[: progress[3]].tolist()]
            progress[3] = 0
            self.commit()
        return noted

    def commit(self) -> None:
        """What lies in the staging is durable: note its records, and check their acks."""
        assert self.rim.tobytes() == RIM
        records = list(RecordBatch(self.rows[: self.used[0]], self.buffer[: self.used[1]]))
        packet_ids = [int(ack) & 0xFFFF for ack in self.acks[: self.acks_used[0]]]
        in_flight = int(self.car["in_flight"])
        assert in_flight == len(packet_ids)
        assert self.level is ProtocolLevel.V3_1_1 or in_flight <= self.car["receive_max"]
        self.acknowledge(packet_ids)
        waiting = iter(packet_ids)
        self.taken += [(r, next(waiting) if r.flags & r.flags.QOS_1 else 0) for r in records]
        assert next(waiting, None) is None
        self.used[:] = self.acks_used[:] = 0

    def acknowledge(self, packet_ids: list[int]) -> None:
        """Acks leave in order; none for a socket that is gone, whose slot may be another's."""
        if self.is_gone:
            self.car["generation"] += 1
        out, order = np.zeros(4 * ROWS_MAX, np.uint8), np.zeros(2, np.int64)
        ends = np.zeros(2, np.int64)
        groups = scanner.build_acks(self.acks, len(packet_ids), self.connections, order, ends, out)
        left = [] if self.is_gone else packet_ids
        expected = [encode_acknowledgement(Puback(each), self.level) for each in left]
        assert groups == bool(left)
        assert out[: ends[0]].tobytes() == b"".join(expected)
        assert self.car["in_flight"] == len(packet_ids) - len(left)
        self.car["in_flight"] = 0

    def others(self, data: bytes, end: int) -> list[tuple[int, int]]:
        """The packets before `end` that are no PUBLISH; those that are must have been taken."""
        found, taken, at = [], iter(self.taken), 0
        while at < end:
            raw = split_packet(memoryview(data)[at:], packet_bytes_max=PACKET_BYTES_MAX)
            assert raw is not None
            if raw.packet_type is PacketType.PUBLISH:
                self.check(raw, *next(taken))
            else:
                found.append((at, raw.size))
            at += raw.size
        assert at == end
        assert next(taken, None) is None
        return found

    def check(self, raw: RawPacket, record: Any, packet_id: int) -> None:
        publish = parse_publish(raw, self.level, from_client=True)
        assert record == vehicle_record(publish, OWNER, NOW_US, FUTURE_US)
        assert TOPICS[record.topic].lane is Lane.BULK
        assert packet_id == (publish.packet_id or 0)
        assert not publish.retain
        properties = decode_properties(publish.properties, PUBLISHED)
        assert is_text(publish.payload, properties.payload_format)

    def by_hand(self, raw: RawPacket) -> None:
        if raw.packet_type is PacketType.PUBLISH:
            publish = parse_publish(raw, self.level, from_client=True)
            vehicle_record(publish, OWNER, NOW_US, FUTURE_US)


def read_turns(data: bytes) -> None:
    """Head: level, receive maximum, whether a cut ends a turn and the socket goes; cut; first room.

    Whatever `scan` takes, the codec reads the same way, and nothing before what it left is lost.
    """
    if len(data) < 3:
        return
    level, receive_max = LEVELS[data[0] & 1], 1 + (data[0] >> 1 & 3)
    room_bytes, is_gone = BUFFER_BYTES * data[2] // 255, bool(data[0] & 16)
    road = Road(level, receive_max, room_bytes, is_gone=is_gone)
    wire = data[3:]
    segments = [wire[: data[1]], wire[data[1] :]]
    turns = [segments[:1], segments[1:]] if data[0] & 8 else [segments]
    rest = b""
    try:
        for turn in turns:
            rest = road.turn([rest + turn[0], *turn[1:]])
            while rest and split_packet(memoryview(rest), packet_bytes_max=PACKET_BYTES_MAX):
                rest = road.turn([rest])
    except MqttError:
        return


def _turns() -> list[bytes]:
    mine = f"v/{TOKEN}/"
    topics = [mine + each for each in ("telemetry", "telemetry/s-1/42", "energy", "nowhere", "")]
    topics += [
        mine + f"telemetry/{each}" for each in ("s/007", "/1", "s", "s/x", "s/1/2", "s-1/43")
    ]
    topics += ["v/x/telemetry", "a", mine + "media"]
    both = (("stream", "s-1"), ("sequence", "42"))
    told = [Properties(), Properties(user=both), Properties(user=(("stream", "z" * 200), both[1]))]
    told += [Properties(content_type=each) for each in ("application/json", "text/plain")]
    told += [Properties(payload_format=1), Properties(correlation_data=b"x")]
    payloads = [b"x" * 300, b'{"time_us": 1699999999000000}', b'{"time_us": 1900000000000000}']
    found = []
    for level in LEVELS:
        fifth = level is ProtocolLevel.V5
        every = [
            encode_publish(
                Publish(
                    topic,
                    payload,
                    qos,
                    9 if qos else None,
                    retain=number % 7 == 6,
                    dup=bool(qos) and number % 5 == 4,
                    properties=encode_bare(properties, PUBLISHED) if fifth else b"",
                ),
                level,
            )
            for number, (topic, payload, qos, properties) in enumerate(
                itertools.product(topics, payloads, (0, 1, 2), told if fifth else told[:1])
            )
        ]
        few = every[:: len(every) // 40]
        head = bytes((LEVELS.index(level) | 2, 40, 255))
        full = bytes((LEVELS.index(level) | 2, 0, 9))
        found += [head + each for each in few]
        found += [full + each for each in few[:20]]
        acked = encode_publish(Publish(mine + "energy", b"x", 1, 9), level)
        strange = encode_publish(Publish(f"v/{OTHER}/energy", b"x", 1, 9), level)
        found += [bytes((LEVELS.index(level) | 16, 0, 255)) + acked, head + strange]
        found += [bytes((LEVELS.index(level), 0, 255)) + 3 * acked]
        twice = Publish(mine + "energy", b"x", 0, None, properties=encode_bare(told[2], PUBLISHED))
        found += [head[:2] + bytes((room,)) + encode_publish(twice, level) for room in (4, 5, 6)]
        found += [
            bytes((LEVELS.index(level) | 8, 30, 99)) + few[0] * 4 + PINGREQ_BYTES * 3 + few[1]
        ]
        found += [head + b"".join(few[at : at + 3])[:560] for at in range(0, 30, 3)]
        found += [head + PINGREQ_BYTES * 5, head + PINGREQ_BYTES + b"\x30\xff\xff\xff\xff\x01"]
        found += [head + PINGREQ_BYTES + b"\x30\xff\x7f", head + few[0] + b"\x30", head]
    return found


# --- what a payload tells ------------------------------------------------------------------------

ENCODINGS: Final = (
    NO_CONTENT_TYPE,
    *(Encoding.JSON_SIGNALS, Encoding.TESLA_TELEMETRY, Encoding.SAMPLES, Encoding.OPAQUE),
)
PREFIXES: Final = np.frombuffer(f"v/{TOKEN}/".encode(), np.uint8).reshape(1, -1).copy()
SPACE: Final = b" \t\r\n"  # JSON's
TIME_US_MAX: Final = (1 << 63) - 9  # as `read_decimal` takes them


def read_payload(data: bytes) -> None:
    """The first byte chooses what the sender says that it is."""
    if not data:
        return
    said, payload = ENCODINGS[data[0] % len(ENCODINGS)], data[1:]
    held = np.frombuffer(bytearray(b"?" + payload), np.uint8)
    encoding, time_us, resend = judge_payload(
        held, 1, len(held), np.int64(said), PREFIXES, np.int64(0)
    )
    stored = held[1:].tobytes()
    assert held[0] == ord("?")
    assert len(stored) == len(payload)
    if said == NO_CONTENT_TYPE:
        text = payload.strip(SPACE)
        is_object = len(text) > 1 and text.startswith(b"{") and text.endswith(b"}")
        assert encoding == (Encoding.JSON_SIGNALS if is_object else Encoding.OPAQUE)
    else:
        assert encoding == said
    if encoding == Encoding.TESLA_TELEMETRY:
        _check_tesla(payload, stored, int(time_us), bool(resend))
        return
    assert stored == payload
    assert not resend
    if encoding == Encoding.JSON_SIGNALS:
        expected = _json_time_us(payload)
        assert time_us == expected or (expected is None and time_us >= NO_TIME)
    elif encoding == Encoding.SAMPLES:
        base = read_base_time(payload)
        assert time_us == (NO_TIME if base is None else base)
    else:
        assert time_us == NO_TIME


def _check_tesla(payload: bytes, stored: bytes, time_us: int, resend: bool) -> None:
    try:
        plain = inspect(payload, RECORD_TYPES[0], TOKEN.encode())
    except MalformedPayloadError:
        return
    assert stored == plain.payload[: len(payload)]
    assert resend == plain.resend
    created = plain.created_at_us or 0
    assert time_us == (created if created >= 1_000_000 else NO_TIME)


class _Integer(str):
    """As JSON spells it."""


def _json_time_us(payload: bytes) -> int | None:
    """What a JSON library says of the first `time_us`; None where it cannot say."""
    try:
        text = payload.decode().strip(SPACE.decode())
        document = json.loads(text, parse_int=_Integer, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return None
    if "\\" in text:  # a name may be spelt in many ways, and the kernel knows one
        return None
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, tuple):
        return NO_TIME
    found = next((value for name, value in document if name == "time_us"), None)
    if not isinstance(found, _Integer) or not found.isdigit():
        return NO_TIME
    return int(found) if int(found) <= TIME_US_MAX else NO_TIME


def _payloads() -> list[bytes]:
    found = [bytes((number,)) for number in range(len(ENCODINGS))]
    texts = [b'{"time_us":5,"a":1}', b'{"a":{"time_us":1},"time_us" : 7 }', b'[{"time_us":5}]']
    texts += [b'{"a":[{"time_us":1}, "time_us"],"b":"\\"","time_us":8}', b"[[]]", b"[1]", b"1"]
    texts += [b'{"time_us":%s}' % each for each in (b"1.5", b"1e3", b'"1"', b"-1", b"null", b"07")]
    texts += [b'{"time_us":%d}' % each for each in (TIME_US_MAX, TIME_US_MAX + 1, 1 << 64)]
    texts += [b'\t[ {"a":{}}, {"time_us":1}]\n', b'{"time_us":5', b'{"a', b'{"a\\', b"{}", b" {} "]
    found += [bytes((number,)) + each for each in texts for number in (0, 1)]
    tesla = [each[1:] for each in telemetry.payloads() if each[0] == 0]
    groups = [b"\x0b\x0c", b"\x1b\x0b\x0c\x1c", b"\x0b", b"\x0c", b"\x12\x04\x0b\x08\x05\x0c"]
    vin = b"\x1a\x11" + VIN
    created = b"\x12\x06\x08\x80\xa8\xd6\xb9\x07"
    tesla += [
        each + vin + b"\x20\x01" + created for each in (*groups, b"", vin, b"\x12\x02\x10\x05")
    ]
    tesla += [b"\x0b" + vin + b"\x0c" + created, created + b"\x12\x02\x08\x01", b"\x1a\x02ab" + vin]
    tesla += [created[:-1], b"\x09" + bytes(8) + b"\x0d" + bytes(4), b"\x0d" + bytes(3), b"\x0e"]
    found += [b"\x02" + each for each in tesla]
    return found + [b"\x03" + each for each in signals.columns()]


# --- Fleet Telemetry ---------------------------------------------------------------------------


def read_segment(data: bytes) -> None:
    """The first byte chooses: frames as they are, or one message in a frame; and the allowance."""
    if not data:
        return
    wire = data[1:] if data[0] & 0x80 else encode_frame(Opcode.BINARY, data[1:], bytes(4))
    allowance, taken_bytes = data[0] & 7, 18 * (data[0] >> 3 & 7)
    oracle = Oracle(CAR_TOKEN, SENDER, VIN, RECEIVED_US, FUTURE_US, FRAME_BYTES_MAX, allowance)
    expected = oracle.receive(wire)
    bench = Bench(answer_bytes=receiver.FRAMED_MAX + 200)
    bench.rows = with_fields(bench.rows[:3].copy())
    # Just so much room as a message of all these bytes may need, and of that some is taken.
    bench.buffer, rim = rimmed(min(len(wire), FRAME_BYTES_MAX) + receiver.MORE_BYTES)
    bench.used[1] = taken_bytes
    bench.car[receiver.CAR_ROWS_MAX] = len(bench.rows)
    records: list[Any] = []
    answers, at, frames, why = b"", 0, 0, receiver.NO_ROOM
    while why in (receiver.NO_ROOM, receiver.ANSWERS_FULL):
        why, used, answer_bytes, stored, more = bench.receive(wire[at:], allowance - frames)
        assert rim.tobytes() == RIM
        assert stored == bench.used[0]
        assert why in (receiver.MORE, receiver.SLOW) or more or bench.used[1]  # it comes to an end
        records += list(bench.batch)
        answers += bench.answers[:answer_bytes].tobytes()
        bench.used[:] = 0
        at, frames = at + used, frames + more
    assert (why, at) == expected
    assert frames == oracle.frames
    assert answers == oracle.answers
    assert records == oracle.records


def _segments() -> list[bytes]:
    one = [b"\x07" + each[1:] for each in telemetry.envelopes()]
    one += [
        b"\x07"
        + encode_stream(
            txid=b"t", topic=name, payload=b"\x0a\x00", device_id=VIN, created_at_s=seconds
        )
        for name in (b"V", b"alerts", b"errors", b"connectivity", b"metrics", b"other")
        for seconds in (0, 1, RECEIVED_US // 1_000_000 + 331)
    ]
    created = b"\x12\x06\x08\x80\xa8\xd6\xb9\x06"
    for payload, device_id in ((created + b"\x20\x01", VIN), (b"", VIN[:-1] + b"2")):
        one += [
            b"\x07"
            + encode_stream(
                txid=b"t", topic=name, payload=payload, device_id=device_id, created_at_s=0
            )
            for name in (b"V", b"other")
        ]
    frames = [encode_frame(Opcode.BINARY, each[1:], bytes(4)) for each in one]
    odd = [bytes((first,)) + frames[-1][1:] for first in (0x81, 0x02, 0x80, 0x89, 0xC2)]
    many = [frames[-1] * 4, frames[-1] + frames[-4] * 2, frames[-1] + frames[-1][:9]]
    many += [frames[-1] + b"\x82", frames[-1] + b"\x82\xff" + bytes(12), b"\x82\x05", b""]
    many += [frames[-1] + b"\x82\xfe\xff\xff" + bytes(4), b"\x82" + b"\xff" * 12]
    return [
        *one,
        *(b"\x82" + each for each in (*frames[-6:], *odd, *many)),
        b"\x3f" + overlapping(),
    ]


TARGETS = (
    Target("mqtt-scan", read_turns, _turns, ("motorcade.gateway.mqtt.kernels",)),
    Target("mqtt-payload", read_payload, _payloads, ("motorcade.gateway.mqtt.payload.kernels",)),
    Target("telemetry-receive", read_segment, _segments, ("motorcade.gateway.telemetry.kernels",)),
)

"""The hot road against its oracle: whatever way bytes are cut and joined, the same records come."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.clock import SimulatedClock
from motorcade.config import Config, GatewayConfig
from motorcade.events import CONTENT_TYPES, Encoding, Record, RecordBatch, Topic
from motorcade.gateway.intake import Intake
from motorcade.gateway.mqtt.connection import Connection
from motorcade.gateway.mqtt.ingest import Ingest
from motorcade.gateway.mqtt.records import Owner, vehicle_record
from motorcade.gateway.mqtt.rests import Rests
from motorcade.wire.mqtt.framing import split_packet
from motorcade.wire.mqtt.properties import Place, Properties, encode_bare
from motorcade.wire.mqtt.publish import Publish, encode_publish, parse_publish
from motorcade.wire.mqtt.reasons import PacketType, ProtocolLevel
from motorcade.wire.mqtt.session import PINGREQ_BYTES
from tests.gateway.mqtt.harness import OTHER, TOKEN

NOW_US = 1_700_000_000_000_000
FUTURE_US = 330 * 1_000_000
OWNERS = {TOKEN: Owner(TOKEN, 7, 3, 1), OTHER: Owner(OTHER, 8, 4, 1)}


class OneTurnLoop:
    """Runs what was asked for when told to: a test's loop turn."""

    def __init__(self) -> None:
        self.calls: list[Callable[..., Any]] = []

    def call_soon(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.calls.append(lambda: call(*arguments))

    def call_later(self, delay_s: float, call: Callable[..., Any]) -> None:
        self.calls.append(call)

    call_soon_threadsafe = call_soon

    def time(self) -> float:
        return 1.0

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class Memory:
    """A log writer that keeps everything, and commits when asked to."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.pending: Future[RecordBatch] | None = None

    def append(self, batch: RecordBatch) -> Future[RecordBatch]:
        assert self.pending is None
        self.records += list(batch)
        self.pending = Future()
        return self.pending

    def commit(self) -> None:
        pending, self.pending = self.pending, None
        if pending is not None:
            pending.set_result(RecordBatch.empty())

    def close(self) -> None: ...


@dataclass
class Socket:
    """What `Connection` needs of a transport."""

    written: bytearray = field(default_factory=bytearray)
    reading: bool = True
    closed: bool = False

    def get_extra_info(self, name: str) -> object:
        return object() if name == "sslcontext" else None

    def set_write_buffer_limits(self, high: int) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed


class Oracle:
    """`ingest.Reader` by the codec alone, as `packets.py` does it."""

    def __init__(self, intake: Intake, config: Config) -> None:
        self.intake = intake
        self.limit = config.mqtt.packet_bytes_max
        self.pings = 0
        self.refused: list[tuple[Connection, list[int]]] = []
        self.owners: dict[Connection, Owner] = {}

    def opened(self, connection: Connection) -> None: ...

    def read(self, connection: Connection, data: memoryview) -> int:
        used = 0
        while packet := split_packet(data[used:], packet_bytes_max=self.limit):
            used += packet.size
            if packet.packet_type is PacketType.PUBLISH:
                publish = parse_publish(packet, connection.level, from_client=True)
                record = vehicle_record(publish, self.owners[connection], NOW_US, FUTURE_US)
                if record is not None:
                    self.intake.add(record)
            else:
                self.pings += 1
        return used

    def closed(self, connection: Connection) -> None: ...

    def failed(self, connection: Connection) -> None: ...

    def full(self, connection: Connection, packet_ids: list[int]) -> None:
        self.refused.append((connection, packet_ids))


class Bench:
    """An ingest with two vehicles on it, 3.1.1 and 5.0."""

    def __init__(self, records_max: int = 4_096, gateway: GatewayConfig | None = None) -> None:
        gateway = replace(
            gateway or Config().gateway, connections_max=4, read_buffer_bytes=64 << 10
        )
        mqtt = replace(Config().mqtt, packet_bytes_max=32 << 10)
        self.config = replace(Config(), gateway=gateway, mqtt=mqtt)
        self.loop = OneTurnLoop()
        self.writer = Memory()
        self.intake = Intake(
            self.writer,
            self.loop,  # type: ignore[arg-type]
            records_max=records_max,
            bytes_max=1 << 20,
        )
        self.reader = Oracle(self.intake, self.config)
        clock = SimulatedClock(NOW_US)
        loop: Any = self.loop
        rests = Rests[Connection](0.0)
        self.ingest = Ingest(
            self.config, clock, self.intake, loop, self.reader, rests, lambda _seconds: None
        )
        self.intake.add_door(self.ingest)
        self.connections = [
            self.connect(TOKEN, ProtocolLevel.V3_1_1),
            self.connect(OTHER, ProtocolLevel.V5),
        ]

    def connect(self, token: Any, level: ProtocolLevel) -> Connection:
        connection = Connection(self.ingest)
        connection.level = level
        connection.connection_made(Socket())  # type: ignore[arg-type]
        self.reader.owners[connection] = OWNERS[token]
        self.ingest.slots.admit(connection, OWNERS[token], 1_000)
        self.ingest.go_on(connection)
        return connection

    def feed(self, connection: Connection, data: bytes) -> None:
        """As the loop does: only while reading, as much as the buffer takes."""
        while data:
            if not connection.transport.reading:  # type: ignore[union-attr]
                self.settle()
            buffer = connection.get_buffer(-1)
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            connection.buffer_updated(size)
            data = data[size:]

    def settle(self) -> None:
        """Turns and commits until nothing is left to do."""
        while self.loop.calls or self.writer.pending:
            self.loop.turn()
            self.writer.commit()


def publishes(level: ProtocolLevel, token: str) -> st.SearchStrategy[bytes]:
    topics = st.sampled_from(
        ["telemetry", "energy", "telemetry/s-1/42", "media/ü/7", "telemetry/s/007", "nowhere"]
    ).map(lambda end: f"v/{token}/{end}")
    user = st.sampled_from([(), (("stream", "s-1"), ("sequence", "42")), (("stream", "z"),)])
    properties = st.builds(
        Properties,
        content_type=st.sampled_from([None, *CONTENT_TYPES.values()]),
        message_expiry_s=st.sampled_from([None, 60]),
        correlation_data=st.sampled_from([None, None, b"c"]),
        user=user,
    )
    payloads = st.one_of(
        st.sampled_from(
            [
                b'{"time_us": 1699999999000000, "signals": {}}',
                b'[{"time_us": 5}]',
                b'{"time_us": 1900000000000000}',
                b'{"a": {"time_us": 1}}',
            ]
        ),
        st.binary(max_size=200),
        st.just(b"x" * 20_000),
    )

    def encode(topic: str, payload: bytes, qos: int, properties: Properties) -> bytes:
        encoded = encode_bare(properties, Place.PUBLISH) if level is ProtocolLevel.V5 else b""
        publish = Publish(topic, payload, qos, 9 if qos else None, properties=encoded)
        return encode_publish(publish, level)

    plain = st.builds(encode, topics, payloads, st.sampled_from([0, 1, 1]), properties)
    return st.one_of(plain, plain, st.just(PINGREQ_BYTES))


def expected(data: bytes, level: ProtocolLevel, owner: Owner) -> list[Record]:
    found = []
    view = memoryview(data)
    while packet := split_packet(view, packet_bytes_max=1 << 20):
        view = view[packet.size :]
        if packet.packet_type is PacketType.PUBLISH:
            publish = parse_publish(packet, level, from_client=True)
            record = vehicle_record(publish, owner, NOW_US, FUTURE_US)
            if record is not None:
                found.append(record)
    return found


STREAMS = st.tuples(
    st.lists(publishes(ProtocolLevel.V3_1_1, TOKEN), max_size=12).map(b"".join),
    st.lists(publishes(ProtocolLevel.V5, OTHER), max_size=12).map(b"".join),
)


@settings(deadline=None, max_examples=150)
@given(STREAMS, st.data())
def test_any_cut_gives_the_same_records(streams: tuple[bytes, bytes], data: st.DataObject) -> None:
    bench = Bench()
    left = list(streams)
    while any(left):
        which = data.draw(st.integers(0, 1)) if all(left) else int(not left[0])
        size = data.draw(st.sampled_from([1, 2, 7, 100, 1_000, 50_000]))
        bench.feed(bench.connections[which], left[which][:size])
        left[which] = left[which][size:]
        if data.draw(st.booleans()):
            bench.loop.turn()
        if data.draw(st.booleans()):
            bench.writer.commit()
    bench.settle()
    for token, level, stream in zip((TOKEN, OTHER), ProtocolLevel, streams, strict=True):
        mine = [record for record in bench.writer.records if record.vehicle == token]
        assert mine == expected(stream, level, OWNERS[token])
    acks = [len(each.transport.written) for each in bench.connections]  # type: ignore[union-attr]
    assert all(size % 4 == 0 for size in acks)


def publish(level: ProtocolLevel, token: str, packet_id: int, payload: bytes = b"x") -> bytes:
    return encode_publish(Publish(f"v/{token}/telemetry", payload, 1, packet_id), level)


def test_a_full_intake_parks_those_who_speak_and_loses_nothing() -> None:
    """Far more records than both stagings hold, while nothing commits."""
    bench = Bench(records_max=2_100)
    stream = b"".join(publish(ProtocolLevel.V3_1_1, TOKEN, 1 + i % 999) for i in range(5_000))
    connection = bench.connections[0]
    socket: Any = connection.transport
    offered = 0
    while socket.reading and offered < len(stream):
        bench.feed(connection, stream[offered : offered + 1_000])
        offered += 1_000
        bench.loop.turn()
    assert not socket.reading
    assert bench.ingest.paused
    bench.feed(connection, stream[offered:])
    bench.settle()
    assert len(bench.writer.records) == 5_000
    assert len(socket.written) == 4 * 5_000
    assert socket.reading


def test_a_stream_that_is_stored_twice_stays_within_the_staging() -> None:
    """Its record is longer than its packet: once it wrote up to 16 KB beyond the staging's end."""
    bench = Bench()
    staging = bench.intake.staging
    size = len(staging.buffer)
    memory = np.full(size + (20 << 10), 7, np.uint8)
    staging.buffer = memory[:size]
    user = (("stream", "s" * 16_000), ("sequence", "1"))
    properties = encode_bare(Properties(user=user), Place.PUBLISH)
    last = Publish(f"v/{OTHER}/telemetry", b"x", 1, 1, properties=properties)
    packet = encode_publish(last, ProtocolLevel.V5)
    left = size - len(packet)
    while left:
        payload = b"x" * min(left, 30_000)
        bench.feed(bench.connections[0], publish(ProtocolLevel.V3_1_1, TOKEN, 1, payload))
        bench.ingest.run()
        left -= len(payload)
    bench.feed(bench.connections[1], packet)
    bench.settle()
    assert np.all(memory[size:] == 7)
    assert bench.writer.records[-1] == vehicle_record(last, OWNERS[OTHER], NOW_US, FUTURE_US)


def test_acks_leave_in_order_and_only_after_the_commit() -> None:
    bench = Bench()
    connection = bench.connections[0]
    socket: Any = connection.transport
    for packet_id in (5, 3, 9):
        bench.feed(connection, publish(ProtocolLevel.V3_1_1, TOKEN, packet_id))
    bench.loop.turn()
    bench.loop.turn()
    assert bench.writer.pending is not None
    assert not socket.written
    bench.settle()
    assert bytes(socket.written) == b"\x40\x02\x00\x05\x40\x02\x00\x03\x40\x02\x00\x09"


def test_an_ack_never_reaches_the_next_socket_of_a_slot() -> None:
    bench = Bench()
    old = bench.connections[0]
    bench.feed(old, publish(ProtocolLevel.V3_1_1, TOKEN, 5))
    bench.loop.turn()
    slot = old.slot
    old.connection_lost(None)
    new = bench.connect(TOKEN, ProtocolLevel.V3_1_1)
    assert new.slot == slot
    bench.settle()
    assert not new.transport.written  # type: ignore[union-attr]
    assert len(bench.writer.records) == 1


def test_bytes_read_before_the_end_of_a_connection_are_taken() -> None:
    bench = Bench()
    connection = bench.connections[0]
    bench.feed(connection, publish(ProtocolLevel.V3_1_1, TOKEN, 5))
    connection.connection_lost(None)
    bench.settle()
    assert [record.topic for record in bench.writer.records] == [Topic.TELEMETRY]


def test_encodings_are_recognised() -> None:
    bench = Bench()
    connection = bench.connections[1]
    for encoding in (Encoding.TESLA_TELEMETRY, Encoding.JSON_SIGNALS, Encoding.SAMPLES):
        properties = encode_bare(Properties(content_type=encoding.content_type), Place.PUBLISH)
        message = Publish(f"v/{OTHER}/telemetry", b"", 1, 1, properties=properties)
        bench.feed(connection, encode_publish(message, ProtocolLevel.V5))
    bench.settle()
    assert [record.encoding for record in bench.writer.records] == [
        Encoding.TESLA_TELEMETRY,
        Encoding.JSON_SIGNALS,
        Encoding.SAMPLES,
    ]
    assert np.all(bench.ingest.slots.rows["in_flight"] == 0)


def test_acks_beyond_a_turns_share_leave_in_later_turns() -> None:
    gateway = replace(Config().gateway, acks_per_turn_max=2)
    bench = Bench(gateway=gateway)
    connection = bench.connections[0]
    socket: Any = connection.transport
    for packet_id in range(1, 6):
        bench.feed(connection, publish(ProtocolLevel.V3_1_1, TOKEN, packet_id))
    sizes = []
    while bench.loop.calls or bench.writer.pending:
        bench.loop.turn()
        bench.writer.commit()
        sizes.append(len(socket.written))
    assert bytes(socket.written[3::4]) == bytes(range(1, 6))
    assert {8, 16, 20} <= set(sizes)


def test_a_mistake_of_ours_costs_one_peer_only() -> None:
    bench = Bench()
    bad, good = bench.connections

    def broken(connection: Connection, data: memoryview) -> int:
        raise ZeroDivisionError("a mistake")

    bench.reader.read = broken  # type: ignore[method-assign]
    bench.feed(bad, PINGREQ_BYTES)
    bench.feed(good, publish(ProtocolLevel.V5, OTHER, 1))
    bench.settle()
    assert bad.closing
    assert not good.closing
    assert len(bench.writer.records) == 1


def test_a_peer_that_does_not_read_is_closed() -> None:
    bench = Bench()
    connection = bench.connections[0]
    connection.pause_writing()
    assert connection.closing


def test_more_connections_than_allowed_are_closed_and_unheard() -> None:
    bench = Bench()
    for _ in range(2):
        bench.connect(TOKEN, ProtocolLevel.V3_1_1)
    extra = Connection(bench.ingest)
    extra.connection_made(Socket())  # type: ignore[arg-type]
    assert extra.closing
    buffer = extra.get_buffer(-1)
    buffer[:5] = b"\x32\x03\x00\x01a"
    extra.buffer_updated(5)
    extra.connection_lost(None)
    bench.settle()
    assert not bench.writer.records


def test_a_large_packet_in_small_pieces_costs_each_byte_once() -> None:
    """A peer that drips a packet of the largest size makes nobody copy it again and again."""
    bench = Bench()
    connection = bench.connections[0]
    message = publish(ProtocolLevel.V3_1_1, TOKEN, 1, b"x" * 30_000)
    for start in range(0, len(message), 100):
        bench.feed(connection, message[start : start + 100])
        bench.loop.turn()
    bench.settle()
    assert [len(record.payload) for record in bench.writer.records] == [30_000]

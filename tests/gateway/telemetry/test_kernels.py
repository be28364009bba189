"""`receive` against its readable twin: any frames, cut anywhere, whole, odd and damaged."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tesla_protocol.telemetry.vehicle_data_pb2 import Payload

from motorcade.events import RECORD_DTYPE, RecordBatch, make_token, pack_token
from motorcade.gateway.telemetry import kernels
from motorcade.wire.tesla_telemetry.envelope import encode_ack, encode_stream
from motorcade.wire.websocket.frames import Opcode, encode_frame
from tests.gateway.telemetry.oracle import Oracle
from tests.wire.tesla_telemetry.payloads import wire_payloads

NOW_US = 1_790_000_000_000_000
VIN = b"5YJ3E1EA7KF000001"
TOKEN = make_token(bytes(range(16)))
SENDER = b"vehicle_device." + VIN
FRAME_BYTES_MAX = 2_000
ROWS_MAX = 1_000

TIMES = st.sampled_from([0, 1, NOW_US // 1_000_000, NOW_US // 1_000_000 + 331, 2**32 - 1])
NAMES = st.sampled_from([b"V", b"alerts", b"errors", b"connectivity", b"metrics", b"v", b"other"])


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    kernels.warm()  # compiling takes longer than hypothesis allows an example


def made_car() -> np.ndarray[Any, np.dtype[np.int64]]:
    car = np.zeros(kernels.CAR_SIZE, np.int64)
    high, low = pack_token(TOKEN)
    car.view(np.uint64)[kernels.CAR_TOKEN_HIGH] = high
    car.view(np.uint64)[kernels.CAR_TOKEN_LOW] = low
    car[kernels.CAR_KEY_ID], car[kernels.CAR_PARTITION] = 7, 5
    car[kernels.CAR_PREFIX_BYTES] = len(SENDER) - len(VIN)
    car[kernels.CAR_SENDER_BYTES] = len(SENDER)
    car[kernels.CAR_FRAME_BYTES_MAX] = FRAME_BYTES_MAX
    car[kernels.CAR_ROWS_MAX] = ROWS_MAX
    car[kernels.CAR_FUTURE_US_MAX] = 330_000_000
    return car


class Bench:
    """The kernel with memory of its own."""

    def __init__(self, *, buffer_bytes: int = 1 << 20, answer_bytes: int = 1 << 16) -> None:
        self.rows = np.zeros(ROWS_MAX, RECORD_DTYPE)
        self.buffer = np.zeros(buffer_bytes, np.uint8)
        self.used = np.zeros(2, np.int64)
        self.answers = np.zeros(answer_bytes, np.uint8)
        self.scratch = kernels.make_scratch(FRAME_BYTES_MAX)
        self.car = made_car()
        self.names = np.frombuffer(TOKEN.encode() + SENDER, np.uint8)

    def receive(self, data: bytes, allowance: int = 1 << 60) -> tuple[int, int, int, int, int]:
        stops: tuple[int, int, int, int, int] = kernels.receive(
            np.frombuffer(bytearray(data), np.uint8), 0, len(data), NOW_US, allowance,
            self.car, self.names, self.rows, self.buffer, self.used, self.answers, self.scratch,
        )  # fmt: skip
        return stops

    @property
    def batch(self) -> RecordBatch:
        return RecordBatch(self.rows[: self.used[0]], self.buffer[: self.used[1]])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.binary(max_size=60))
    payload = draw(wire_payloads)
    if kind < 6:
        message = Payload(vin=VIN.decode(), is_resend=kind == 5)
        message.created_at.seconds = draw(TIMES)
        payload = message.SerializeToString()
    wire = encode_stream(
        txid=draw(st.binary(max_size=40)),
        topic=draw(NAMES),
        payload=payload,
        device_id=draw(st.sampled_from([VIN, VIN[:-1] + b"2"])),
        created_at_s=draw(TIMES),
    )
    if kind == 9:
        damaged = bytearray(wire)
        damaged[draw(st.integers(0, len(wire) - 1))] = draw(st.integers(0, 255))
        return bytes(damaged)
    return encode_ack(b"tx", b"V") if kind == 8 else wire


@st.composite
def segments(draw: st.DrawFn) -> bytes:
    first = st.sampled_from([0x82] * 12 + [0x81, 0x02, 0x80, 0x89, 0xC2])
    data = b""
    for message in draw(st.lists(messages(), min_size=1, max_size=6)):
        frame = encode_frame(Opcode.BINARY, message, draw(st.binary(min_size=4, max_size=4)))
        data += bytes((draw(first),)) + frame[1:]
    return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data


@settings(max_examples=150, deadline=None)
@given(segments(), st.integers(0, 7))
def test_segments_are_taken_as_by_the_oracle(data: bytes, allowance: int) -> None:
    bench = Bench()
    oracle = Oracle(TOKEN, SENDER, VIN, NOW_US, 330_000_000, FRAME_BYTES_MAX, allowance)
    why, at = oracle.receive(data)
    stopped, stopped_at, answer_bytes, records, frames = bench.receive(data, allowance)
    assert (stopped, stopped_at, frames) == (why, at, oracle.frames)
    assert bench.answers[:answer_bytes].tobytes() == oracle.answers
    assert list(bench.batch) == oracle.records
    assert records == len(oracle.records)


def frame(number: int, size: int = 0) -> bytes:
    payload = Payload(vin="x" * size).SerializeToString() if size else b""
    message = encode_stream(
        txid=b"%04d" % number, topic=b"V", payload=payload, device_id=VIN, created_at_s=0
    )
    return encode_frame(Opcode.BINARY, message, b"mask")


def test_it_stops_before_the_staging_overflows() -> None:
    data = b"".join(frame(number, 500) for number in range(10))
    bench = Bench(buffer_bytes=2_500)
    why, at, _, records, _ = bench.receive(data)
    assert why == kernels.NO_ROOM
    assert at == records * len(frame(0, 500)) > 0
    bench.used[:] = 0
    bench.car[kernels.CAR_ROWS_MAX] = 2
    why, at, _, records, _ = bench.receive(data)
    assert (why, records) == (kernels.NO_ROOM, 2)


def overlapping() -> bytes:
    """A message whose payload is nearly all of it: name, sender and tables lie in the payload."""
    root, stream, payload, tag, topic, sender = 4, 12, 20, 46, 48, 52
    of_root, of_stream, name, own = 24, 36, 56, 56 + 4 + 128
    words = struct.pack("<IiIiI", root, root - of_root, 4, stream - of_stream, 4)
    size = own + 4 + len(VIN)
    words += struct.pack("<I", size - payload - 4)
    words += struct.pack("<6H", 12, 0, 0, topic - root, tag - root, 4)
    words += struct.pack("<5H", 10, 0, 0, sender - stream, 4)
    words += struct.pack("<BxII", 4, name - topic, own - sender)
    return words + struct.pack("<I128sI", 128, b"n" * 128, len(VIN)) + VIN


def test_a_name_within_the_payload_stays_within_the_staging() -> None:
    """Its record is longer than its message: once it wrote up to 100 bytes beyond the staging."""
    message = overlapping()
    memory = np.full(len(message) + kernels.MORE_BYTES + 200, 7, np.uint8)
    bench = Bench()
    data = encode_frame(Opcode.BINARY, message, b"mask")
    bench.buffer = memory[: len(message) + kernels.APPENDED_BYTES]
    assert bench.receive(data)[0] == kernels.NO_ROOM
    bench.buffer = memory[: len(message) + kernels.MORE_BYTES]
    assert bench.receive(data)[3] == 1
    assert bench.used[1] > len(message) + kernels.APPENDED_BYTES
    assert np.all(memory[len(bench.buffer) :] == 7)
    (record,) = bench.batch
    assert (record.name, record.payload) == (b"n" * 128, message[24:])


def test_it_stops_before_the_answers_overflow_and_goes_on() -> None:
    data = b"".join(frame(number) for number in range(100))
    bench, taken, calls = Bench(answer_bytes=2_048), 0, 0
    while data:
        why, at, answer_bytes, records, _ = bench.receive(data)
        assert answer_bytes <= 2_048
        data, taken, calls = data[at:], taken + records, calls + 1
    assert (taken, why) == (100, kernels.MORE)
    assert calls > 2


def test_a_frame_over_the_limit_is_left_alone_by_its_header() -> None:
    over = encode_frame(Opcode.BINARY, bytes(FRAME_BYTES_MAX + 1), b"mask")
    assert Bench().receive(frame(1) + over[:8])[:2] == (kernels.SLOW, len(frame(1)))


@pytest.mark.parametrize(
    "sender_id", [VIN, SENDER, b"", VIN[1:], VIN + b"1", SENDER[1:], b"x" + SENDER, VIN[:-1]]
)
def test_only_the_whole_sender_id_or_device_id_is_the_vehicles_own(sender_id: bytes) -> None:
    message = bytearray(
        encode_stream(txid=b"1", topic=b"own", payload=b"", device_id=sender_id, created_at_s=0)
    )
    # `encode_stream` puts the client type in front; shorten the vector to what is to be tried.
    place = message.index(b"vehicle_device." + sender_id)
    skip = len(b"vehicle_device.")
    message[place : place + len(sender_id)] = sender_id
    message[place + len(sender_id) : place + len(sender_id) + skip] = bytes(skip)
    message[place - 4 : place] = len(sender_id).to_bytes(4, "little")
    bench = Bench()
    bench.receive(encode_frame(Opcode.BINARY, bytes(message), b"mask"))
    assert len(bench.batch) == (sender_id in (VIN, SENDER))

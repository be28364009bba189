"""One connection's bytes: where they are cut changes nothing, and no bytes do harm."""

import asyncio
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.clock import SimulatedClock
from motorcade.config import Config
from motorcade.events import RecordBatch, make_token
from motorcade.gateway.intake import Intake
from motorcade.gateway.rate import TokenBucket
from motorcade.gateway.telemetry import inbound, kernels
from motorcade.gateway.telemetry.desk import Desk, make_car, make_desk
from motorcade.gateway.telemetry.identity import DeviceIdentity
from motorcade.gateway.telemetry.inbound import Inbound
from motorcade.registry.port import Principal, PrincipalKind
from motorcade.wire.tesla_telemetry.envelope import encode_stream
from motorcade.wire.websocket.errors import CloseCode
from motorcade.wire.websocket.frames import Opcode, apply_mask, encode_frame

VIN = "5YJ3E1EA7KF000001"
TOKEN = make_token(bytes(range(16)))
SETTINGS = [
    "telemetry.frame_bytes_max=600",
    "telemetry.frame_bytes_hard_max=2000",
    "telemetry.partial_bytes_max=5000",
    "gateway.read_buffer_bytes=4096",
]


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    kernels.warm()  # compiling takes longer than hypothesis allows an example


class NoLog:
    """Takes batches and never commits."""

    def append(self, batch: RecordBatch) -> Future[RecordBatch]:
        return Future()

    def close(self) -> None:
        pass


@dataclass
class Heard:
    """What an `Inbound` asked of its connection. Pings are left out: reads merge them."""

    inbound: Inbound | None = None
    answers: bytes = b""
    controls: list[tuple[Opcode, bytes]] = field(default_factory=list)
    ended: str = ""
    waits: bool = False

    def answer(self, answers: bytes, records: int) -> None:
        self.answers += answers

    def control(self, opcode: Opcode, payload: bytes) -> None:
        if opcode is Opcode.CLOSE:
            self._end(f"close {payload[:2].hex()}")
        elif opcode is not Opcode.PING:
            self.controls.append((opcode, payload))

    def fail(self, code: CloseCode, text: str) -> None:
        self._end(f"{code.name}: {text}")

    def hang_up(self) -> None:
        self._end("hung up")

    def wait_for_room(self) -> None:
        self.waits = True

    def _end(self, how: str) -> None:
        if not self.ended:
            self.ended = how
            assert self.inbound is not None
            self.inbound.read_past()


def made(loop: asyncio.AbstractEventLoop, *, rows: int = 4_096) -> tuple[Desk, Inbound, Heard]:
    config = Config().with_overrides(SETTINGS)
    intake = Intake(NoLog(), loop, records_max=rows, bytes_max=1 << 20)
    desk = make_desk(config, SimulatedClock(1_790_000_000_000_000), intake)
    principal = Principal(PrincipalKind.VEHICLE, TOKEN, TOKEN, key_id=7)
    identity = DeviceIdentity("vehicle_device", VIN, VIN, "")
    heard = Heard()
    heard.inbound = Inbound(desk, heard)
    heard.inbound.car = make_car(principal, identity, TokenBucket(0, 0, 0.0), desk)
    return desk, heard.inbound, heard


def fed(pieces: list[bytes]) -> tuple[Heard, list[object], Desk]:
    """What comes of these bytes, read in these pieces."""
    loop = asyncio.new_event_loop()
    try:
        desk, subject, heard = made(loop)
        for piece in pieces:
            rest = piece
            while rest:
                space = subject.space()
                size = min(len(space), len(rest))
                space[:size] = rest[:size]
                subject.filled(size)
                rest = rest[size:]
                assert desk.counts.partial_bytes <= 5_000
        return heard, list(desk.intake.staging.batch()), desk
    finally:
        loop.close()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Frames of every kind, one after the other."""
    data = b""
    for _ in range(draw(st.integers(1, 7))):
        size = draw(st.sampled_from([0, 1, 120, 300, 600, 700, 2_100]))
        message = encode_stream(
            txid=b"tx", topic=b"V", payload=b"", device_id=VIN.encode(), created_at_s=0
        )
        payload = draw(st.sampled_from([message, bytes(size), message[:50], message[50:]]))
        first = draw(st.sampled_from([0x82] * 8 + [0x02, 0x00, 0x80, 0x81, 0x8A, 0x89, 0x88, 0xC2]))
        if first & 8:
            payload = payload[:100]
        frame = encode_frame(Opcode.BINARY, payload, draw(st.binary(min_size=4, max_size=4)))
        data += bytes((first,)) + frame[1:]
    return data


@pytest.mark.parametrize("own_buffer_bytes_min", [40, 1 << 16])
@settings(max_examples=150, deadline=None)
@given(streams(), st.lists(st.integers(0, 10_000), max_size=12))
def test_where_bytes_are_cut_changes_nothing(
    own_buffer_bytes_min: int, data: bytes, places: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbound, "OWN_BUFFER_BYTES_MIN", own_buffer_bytes_min)
        whole, whole_records, _ = fed([data])
        pieces, piece_records, desk = fed(cut(data, places))
    assert pieces.answers == whole.answers
    assert pieces.controls == whole.controls
    assert pieces.ended == whole.ended
    assert piece_records == whole_records
    if whole.ended:
        assert desk.counts.partial_bytes == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=200), max_size=8))
def test_no_bytes_raise_anything_or_are_held_beyond_the_limit(pieces: list[bytes]) -> None:
    fed(pieces)


@pytest.mark.parametrize("first", [1, 9, 10, 13, 14])
def test_a_length_of_64_bits_closes_the_connection_wherever_it_is_cut(first: int) -> None:
    header = b"\x82\xff" + b"\xff" * 8 + b"mask"
    assert fed([header[:first], header[first:]])[0].ended.startswith("PROTOCOL_ERROR: a length")
    assert bool(fed([header[:first]])[0].ended) == (first >= 10)


@settings(max_examples=50, deadline=None)
@given(streams(), st.binary(min_size=1, max_size=50))
def test_a_refused_peers_bytes_are_read_past_to_its_close(data: bytes, mask: bytes) -> None:
    loop = asyncio.new_event_loop()
    try:
        desk, subject, heard = made(loop)
        subject.car = None
        subject.read_past()
        subject.feed(data)
        assert (heard.answers, desk.counts.records, desk.counts.partial_bytes) == (b"", 0, 0)
    finally:
        loop.close()


def test_without_room_the_bytes_wait_and_then_go_on_where_they_stopped() -> None:
    loop = asyncio.new_event_loop()
    try:
        desk, subject, heard = made(loop, rows=2_060)  # 12 rows beside those kept back, twice
        frames = [
            encode_stream(txid=b"%03d" % n, topic=b"V", payload=b"", device_id=b"", created_at_s=0)
            for n in range(2_500)
        ]
        subject.feed(b"".join(encode_frame(Opcode.BINARY, frame, b"mask") for frame in frames))
        assert heard.waits
        taken = desk.counts.records
        assert taken == 2 * (2_060 - 1_024)
        assert not subject.go_on()  # still none
        assert desk.counts.records == taken
        desk.intake.staging.used[:] = 0
        assert subject.go_on()
        assert desk.counts.records == 2_500
    finally:
        loop.close()


def test_fragments_and_a_mask_that_turns_make_the_message_they_were() -> None:
    message = encode_stream(
        txid=b"tx", topic=b"V", payload=b"", device_id=VIN.encode(), created_at_s=0
    )
    pieces = [message[:7], message[7:8], message[8:]]
    data = b""
    for first, piece in zip((0x02, 0x00, 0x80), pieces, strict=True):
        data += bytes((first,)) + encode_frame(Opcode.BINARY, piece, b"\x01\x02\x03\x04")[1:]
    heard, records, _ = fed([data[at : at + 1] for at in range(len(data))])
    assert (len(records), heard.ended) == (1, "")
    assert apply_mask(apply_mask(message, b"abcd"), b"abcd") == message

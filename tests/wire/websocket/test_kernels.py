"""The compiled frame scanner against the readable one."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from motorcade.wire.websocket import kernels
from motorcade.wire.websocket.frames import Opcode, apply_mask, encode_frame, read_header

MASK = b"\x01\x80\xff\x00"


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    kernels.warm()  # compiling takes longer than hypothesis allows an example


@given(st.integers(0, 66_000), st.integers(0, 14))
@example(125, 14)
@example(126, 14)
@example(65_535, 14)
@example(65_536, 14)
def test_headers_are_read_as_by_the_oracle(size: int, received: int) -> None:
    wire = encode_frame(Opcode.BINARY, bytes(size), MASK)[:received]
    oracle = read_header(wire)
    data = np.frombuffer(bytearray(b"?" + wire + b"?"), np.uint8)
    at, length = kernels.read_header(data, 1, 1 + len(wire))
    if oracle is None:
        assert at == kernels.INCOMPLETE
    else:
        assert (at - 1, length) == (oracle.header_bytes, oracle.payload_bytes)


@given(st.binary(max_size=400), st.binary(min_size=4, max_size=4), st.integers(0, 9))
def test_masks_come_off_as_by_the_oracle(payload: bytes, mask: bytes, before: int) -> None:
    data = np.frombuffer(bytearray(bytes(before) + mask + payload + b"rest"), np.uint8)
    kernels.unmask(data, before + 4, len(payload), before)
    assert data[before + 4 : before + 4 + len(payload)].tobytes() == apply_mask(payload, mask)
    assert data[before + 4 + len(payload) :].tobytes() == b"rest"


def take_all(wire: bytes, cuts: list[int], room: int) -> tuple[bytes, bytes, int]:
    """Feed `wire` in pieces to `take_payload`; (payload, what is left, why it stopped)."""
    stream, mask = np.zeros(kernels.STREAM_SIZE, np.int64), np.zeros(4, np.uint8)
    out, taken, held, why = np.zeros(room, np.uint8), b"", b"", kernels.ALL
    places = sorted({min(cut, len(wire)) for cut in cuts} | {len(wire)})
    for start, stop in zip([0, *places], places, strict=False):
        data, at = np.frombuffer(bytearray(held + wire[start:stop]), np.uint8), 0
        while True:
            at, written, why = kernels.take_payload(data, at, len(data), stream, mask, out)
            taken += out[:written].tobytes()
            if written < room:
                break
        held = data[at:].tobytes()
        if why == kernels.ODD:
            return taken, held + wire[stop:], why
    return taken, held, why


messages = st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=4), max_size=6)
masks = st.binary(min_size=4, max_size=4)


def frames_of(told: list[list[bytes]], mask: bytes) -> bytes:
    wire = b""
    for message in told:
        for index, part in enumerate(message):
            opcode = Opcode.CONTINUATION if index else Opcode.BINARY
            frame = bytearray(encode_frame(opcode, part, mask))
            if index < len(message) - 1:
                frame[0] &= 0x7F
            wire += frame
    return wire


@given(messages, masks, st.lists(st.integers(0, 2_000), max_size=9), st.integers(1, 500))
def test_a_stream_is_what_its_messages_hold_however_cut(
    told: list[list[bytes]], mask: bytes, cuts: list[int], room: int
) -> None:
    wire = frames_of(told, mask)
    payload = b"".join(part for message in told for part in message)
    assert take_all(wire, cuts, room) == (payload, b"", kernels.ALL)


ODD_FRAMES = [
    encode_frame(Opcode.PING, b"hello", MASK),
    encode_frame(Opcode.TEXT, b"hello", MASK),
    encode_frame(Opcode.CONTINUATION, b"hello", MASK),
    encode_frame(Opcode.BINARY, b"hello"),  # without a mask
    b"\xc2\x80" + MASK,  # a reserved bit
    b"\x82\xff" + b"\xff" * 8 + MASK,  # a length of 64 bits
]


@given(messages, masks, st.lists(st.integers(0, 2_000), max_size=9), st.sampled_from(ODD_FRAMES))
def test_a_stream_stops_before_what_is_no_data_frame(
    told: list[list[bytes]], mask: bytes, cuts: list[int], odd: bytes
) -> None:
    payload, left, why = take_all(frames_of(told, mask) + odd, cuts, 64)
    expected = b"".join(part for message in told for part in message)
    assert (payload, left, why) == (expected, odd, kernels.ODD)


def test_a_new_message_inside_another_stops_the_stream() -> None:
    first = bytearray(encode_frame(Opcode.BINARY, b"a", MASK))
    first[0] &= 0x7F
    second = encode_frame(Opcode.BINARY, b"b", MASK)
    assert take_all(bytes(first) + second, [], 9) == (b"a", second, kernels.ODD)


@given(st.integers(0, 65_535))
def test_headers_are_written_as_by_the_oracle(size: int) -> None:
    data = np.zeros(8, np.uint8)
    stop = kernels.write_header(data, 1, size)
    oracle = encode_frame(Opcode.BINARY, bytes(size))
    assert data[1:stop].tobytes() == oracle[: len(oracle) - size]

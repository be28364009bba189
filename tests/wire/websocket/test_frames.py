"""Frames, from bytes: the standard's own examples, cut at every byte, and broken by each rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.wire.websocket.errors import CloseCode, FrameError
from motorcade.wire.websocket.frames import (
    Header,
    Opcode,
    apply_mask,
    encode_close,
    encode_frame,
    read_header,
)

MASK = bytes.fromhex("37fa213d")
MASKED_HELLO = bytes.fromhex("818537fa213d7f9f4d5158")  # RFC 6455 §5.7


def test_the_standards_masked_hello() -> None:
    header = read_header(MASKED_HELLO)
    assert header == Header(Opcode.TEXT, True, MASK, 6, 5)
    assert apply_mask(MASKED_HELLO[6:], MASK) == b"Hello"
    assert encode_frame(Opcode.TEXT, b"Hello", MASK) == MASKED_HELLO


def test_the_standards_unmasked_lengths() -> None:
    assert encode_frame(Opcode.TEXT, b"Hello") == bytes.fromhex("810548656c6c6f")
    assert encode_frame(Opcode.BINARY, bytes(256))[:4] == bytes.fromhex("827e0100")
    assert encode_frame(Opcode.BINARY, bytes(65_536))[:10] == bytes.fromhex("827f0000000000010000")


@given(st.binary(max_size=300), st.sampled_from([b"", MASK]))
def test_a_frame_is_read_back(payload: bytes, mask: bytes) -> None:
    wire = encode_frame(Opcode.BINARY, payload, mask)
    if not mask:
        with pytest.raises(FrameError, match="masked"):
            read_header(wire)
        return
    header = read_header(wire)
    assert header is not None
    assert (header.payload_bytes, header.mask) == (len(payload), mask)
    assert apply_mask(wire[header.header_bytes :], mask) == payload


@pytest.mark.parametrize("size", [5, 126, 65_536])
def test_a_header_cut_anywhere_waits_for_more(size: int) -> None:
    wire = encode_frame(Opcode.BINARY, bytes(size), MASK)
    header = read_header(wire)
    assert header is not None
    for received in range(header.header_bytes):
        assert read_header(wire[:received]) is None


@pytest.mark.parametrize(
    ("wire", "rule"),
    [
        (b"\xc2\x80", "RSV"),
        (b"\x83\x80", "unknown"),
        (b"\x82\x05", "masked"),
        (b"\x09\x80", "whole and short"),
        (b"\x89\xfe", "whole and short"),
        (b"\x82\xff\x80" + bytes(11), "64 bits"),
    ],
)
def test_broken_headers_name_the_rule_they_break(wire: bytes, rule: str) -> None:
    with pytest.raises(FrameError, match=rule) as caught:
        read_header(wire)
    assert caught.value.code is CloseCode.PROTOCOL_ERROR


def test_a_close_frame_holds_what_fits_of_its_reason() -> None:
    wire = encode_close(CloseCode.MESSAGE_TOO_BIG, "é" * 100)
    assert len(wire) <= 2 + 125
    assert wire[2:4] == (1009).to_bytes(2, "big")
    assert wire[4:].decode() == "é" * 61


@given(st.binary(max_size=20))
def test_any_bytes_raise_nothing_but_the_codecs_own(data: bytes) -> None:
    try:
        read_header(data)
    except FrameError:
        return

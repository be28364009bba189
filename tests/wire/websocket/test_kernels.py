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


@given(st.integers(0, 65_535))
def test_headers_are_written_as_by_the_oracle(size: int) -> None:
    data = np.zeros(8, np.uint8)
    stop = kernels.write_header(data, 1, size)
    oracle = encode_frame(Opcode.BINARY, bytes(size))
    assert data[1:stop].tobytes() == oracle[: len(oracle) - size]

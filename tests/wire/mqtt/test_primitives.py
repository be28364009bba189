"""Numbers and texts, against the standard's table 1-1 and each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.wire.mqtt.errors import MalformedPacketError, UnencodableError
from motorcade.wire.mqtt.primitives import (
    VARINT_MAX,
    Reader,
    read_varint,
    write_text,
    write_u16,
    write_varint,
)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (16_383, "ff7f"),
        (16_384, "808001"),
        (2_097_151, "ffff7f"),
        (2_097_152, "80808001"),
        (VARINT_MAX, "ffffff7f"),
    ],
)
def test_the_edges_of_the_variable_byte_integer(value: int, encoded: str) -> None:
    assert write_varint(value).hex() == encoded
    assert read_varint(memoryview(bytes.fromhex(encoded)), 0) == (value, len(encoded) // 2)


@given(st.integers(0, VARINT_MAX))
def test_every_integer_comes_back(value: int) -> None:
    assert read_varint(memoryview(write_varint(value)), 0) == (value, len(write_varint(value)))


@pytest.mark.parametrize("value", [-1, VARINT_MAX + 1])
def test_an_integer_out_of_range_is_not_written(value: int) -> None:
    with pytest.raises(UnencodableError, match="does not fit"):
        write_varint(value)
    with pytest.raises(UnencodableError, match="does not fit"):
        write_u16(value)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 65_536])
def test_a_text_that_mqtt_cannot_carry_is_not_written(text: str) -> None:
    with pytest.raises(UnencodableError):
        write_text(text)


def test_a_byte_order_mark_is_a_character() -> None:
    """[MQTT-1.5.4-3]: U+FEFF is never skipped."""
    assert Reader(memoryview(write_text("\ufeffa"))).text("it") == "\ufeffa"


def test_the_error_says_what_was_cut() -> None:
    with pytest.raises(MalformedPacketError, match="ends inside the topic"):
        Reader(memoryview(b"\x00\x05abc")).text("the topic")

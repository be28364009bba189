"""The log's payloads: written, read back, and the signed bytes kept to the last byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from motorcade.wire.command.errors import CommandCodecError
from motorcade.wire.command.records import (
    Down,
    Transition,
    read_down,
    read_transition,
    write_record,
)


def test_a_transition_keeps_the_signed_bytes_exactly() -> None:
    message = b'{"id":"c1", "odd":  1e2}'
    transition = Transition(id="c1", state="requested", time_us=1, message=Raw(message))
    read = read_transition(write_record(transition))
    assert bytes(read.message) == message
    assert (read.id, read.state, read.parameters) == ("c1", "requested", {})


def test_a_down_message_is_read_back() -> None:
    read = read_down(write_record(Down(id="m1", expires_time_us=9, message=Raw(b"{}"))))
    assert (read.id, read.expires_time_us, bytes(read.message)) == ("m1", 9, b"{}")


@given(st.binary(max_size=100))
def test_random_bytes_raise_only_the_codecs_own_error(payload: bytes) -> None:
    for read in (read_transition, read_down):
        with pytest.raises(CommandCodecError):
            read(payload)

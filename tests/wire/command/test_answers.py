"""Up messages: written, read back, bounded, and never another exception than the codec's."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.wire.command.answers import UP_BYTES_MAX, read_up, write_up
from motorcade.wire.command.errors import (
    CommandCodecError,
    MalformedMessageError,
    MessageTooLargeError,
)
from motorcade.wire.command.messages import (
    IDS_MAX,
    Answer,
    Hello,
    Journal,
    JournalEntry,
    Keys,
    SigningKey,
    UpMessage,
)

MESSAGES: list[UpMessage] = [
    Hello(nonce="abc", stream="s1"),
    Answer(id="c1", state="executed", reason="", time_us=5, counter=7),
    Answer(id="c1", state="refused", reason="driving", time_us=5, counter=7, response="AAAA"),
    Keys(signed_commands="none"),
    Keys(
        signed_commands="required",
        keys=[SigningKey(slot=3, public_key="04" * 65, role="OWNER", form_factor=9)],
    ),
    Journal(
        entries=[
            JournalEntry(id="c1", state="executed", time_us=5, counter=7),
            JournalEntry(id="c2", state="unknown"),
        ]
    ),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_what_is_written_is_read_back(message: UpMessage) -> None:
    assert read_up(write_up(message)) == message


def test_the_shape_on_the_wire() -> None:
    assert json.loads(write_up(MESSAGES[1])) == {
        "type": "answer",
        "id": "c1",
        "state": "executed",
        "reason": "",
        "time_us": 5,
        "counter": 7,
        "response": "",
    }


def test_members_of_a_later_version_are_ignored() -> None:
    assert read_up(b'{"type":"hello","nonce":"n","colour":"red"}') == Hello(nonce="n")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"\xff\xfe",
        b'{"type":"hello"}',
        b'{"type":"goodbye"}',
        b'{"type":"answer","id":"c1","state":"maybe"}',
        b'{"type":"answer","id":"","state":"executed"}',
        b'{"type":"answer","id":"c1","state":"executed","counter":-1}',
        b'{"type":"answer","id":"c1","state":"executed","time_us":1e300}',
        b'{"type":"keys","signed_commands":"maybe"}',
        b'{"type":"keys","signed_commands":"none","keys":[{"slot":0,"public_key":"04","role":"X"}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_not_a_message_is_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        read_up(payload)


def test_limits() -> None:
    with pytest.raises(MessageTooLargeError):
        read_up(b" " * (UP_BYTES_MAX + 1))
    entries = [JournalEntry(id=str(index), state="unknown") for index in range(IDS_MAX + 1)]
    with pytest.raises(MalformedMessageError):
        read_up(write_up(Journal(entries=entries)))


def test_the_largest_journal_fits() -> None:
    entry = JournalEntry(id="i" * 64, state="executed", reason="r" * 256, time_us=1 << 52)
    with_response = JournalEntry(id="i", state="executed", response="A" * (24 << 10))
    entries = [entry] * (IDS_MAX - 1) + [with_response]
    assert len(write_up(Journal(entries=entries))) <= UP_BYTES_MAX


@given(st.binary(max_size=200))
def test_random_bytes_raise_only_the_codecs_own_error(payload: bytes) -> None:
    with pytest.raises(CommandCodecError):
        read_up(payload)

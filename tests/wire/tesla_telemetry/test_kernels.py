"""The compiled reader, checker, hash and packer against the readable ones."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.events import make_token
from motorcade.wire.tesla_telemetry import kernels
from motorcade.wire.tesla_telemetry.envelope import (
    INCORRECT_FORMAT,
    Envelope,
    Stream,
    Tag,
    encode_ack,
    encode_error,
    encode_stream,
    parse_envelope,
)
from motorcade.wire.tesla_telemetry.errors import MalformedEnvelopeError, MalformedPayloadError
from motorcade.wire.tesla_telemetry.records import RECORD_TYPES, identity_of, inspect
from tests.wire.tesla_telemetry.payloads import wire_payloads
from tests.wire.tesla_telemetry.test_envelope import GOLDEN_ACK

Ints = npt.NDArray[np.int64]
TOKEN = make_token(bytes(range(16))).encode()
WIRE = encode_stream(
    txid=b"tx-1", topic=b"alerts", payload=b"\x0a\x00", device_id=b"5YJ3", created_at_s=7
)
BEFORE = 3  # bytes in front of the message: places are not offsets


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    kernels.warm()  # compiling takes longer than hypothesis allows an example


def array(data: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytearray(data), np.uint8)


def read(data: bytes) -> tuple[bool, bytes, Envelope | None]:
    """What the kernel makes of a message: (good, txid, envelope)."""
    found = np.zeros(kernels.FOUND_SIZE, np.int64)
    padded = array(b"\xff" * BEFORE + data + b"\xff" * 9)
    good = kernels.read_envelope(padded, BEFORE, BEFORE + len(data), found)
    txid = part(padded, found, kernels.FOUND_TXID) if found[0] >= 0 else b""
    if not good:
        return False, txid, None
    tag = int(found[kernels.FOUND_TAG])
    if tag != Tag.STREAM:
        return True, txid, Envelope(txid, b"", tag, None)
    stream = Stream(
        int(found[kernels.FOUND_CREATED_AT]),
        part(padded, found, kernels.FOUND_SENDER),
        part(padded, found, kernels.FOUND_PAYLOAD),
    )
    return True, txid, Envelope(txid, part(padded, found, kernels.FOUND_TOPIC), tag, stream)


def part(data: npt.NDArray[np.uint8], found: Ints, place: int) -> bytes:
    return data[found[place] : found[place] + found[place + 1]].tobytes()


def compare_with_oracle(data: bytes) -> None:
    try:
        envelope = parse_envelope(data)
        expected = (True, envelope.txid, envelope)
    except MalformedEnvelopeError as error:
        expected = (False, error.txid, None)  # type: ignore[assignment]
    assert read(data) == expected


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_read_as_by_the_oracle(data: bytes) -> None:
    compare_with_oracle(data)


@settings(max_examples=400)
@given(st.data())
def test_any_damage_is_read_as_by_the_oracle(data: st.DataObject) -> None:
    wire = bytearray(WIRE)
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(wire) - 1))
        wire[place] = data.draw(st.sampled_from([0, 1, 4, 5, 127, 128, 255, place]))
    compare_with_oracle(bytes(wire[: data.draw(st.integers(1, len(wire)))]))


@pytest.mark.parametrize("received", range(1, len(WIRE)))
def test_a_message_cut_anywhere_is_read_as_by_the_oracle(received: int) -> None:
    compare_with_oracle(WIRE[:received])


@settings(max_examples=400)
@given(st.sampled_from(range(len(RECORD_TYPES))), wire_payloads)
def test_payloads_are_judged_as_by_the_oracle(row: int, payload: bytes) -> None:
    data = array(b"?" + payload + b"?")
    stack = np.zeros((kernels.STACK_SIZE, 3), np.int64)
    told = np.zeros(kernels.TOLD_SIZE, np.int64)
    good = kernels.check_payload(data, 1, 1 + len(payload), row, array(TOKEN), stack, told)
    try:
        oracle = inspect(payload, RECORD_TYPES[row], TOKEN)
    except MalformedPayloadError:
        assert not good
        return
    assert good
    assert oracle.resend == told[kernels.TOLD_RESEND]
    time_us = int(told[kernels.TOLD_TIME_US]) if told[kernels.TOLD_HAS_TIME] else None
    assert oracle.created_at_us == time_us
    appended = b"" if told[kernels.TOLD_VIN_FITS] else oracle.payload[len(payload) :]
    assert len(appended) in (0, 19)
    assert data[1 : 1 + len(payload)].tobytes() + appended == oracle.payload


@given(st.binary(max_size=12))
def test_utf8_is_judged_as_by_python(text: bytes) -> None:
    try:
        text.decode()
        good = True
    except UnicodeDecodeError:
        good = False
    assert kernels.is_utf8(array(b"\xff" + text + b"\xff"), 1, 1 + len(text)) == good


def test_every_start_of_a_character_is_judged_as_by_python() -> None:
    for first in range(0xC0, 0x100):
        for second in (0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0):
            test_utf8_is_judged_as_by_python.hypothesis.inner_test(  # type: ignore[attr-defined]
                bytes((first, second, 0x80, 0x80))[: 2 + (first >= 0xE0) + (first >= 0xF0)]
            )


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=400))
def test_a_record_is_identified_as_by_the_oracle(topic: bytes, txid: bytes, payload: bytes) -> None:
    wire = array(topic + txid)
    found = np.zeros(kernels.FOUND_SIZE, np.int64)
    found[kernels.FOUND_TOPIC_BYTES] = found[kernels.FOUND_TXID] = len(topic)
    found[kernels.FOUND_TXID_BYTES] = len(txid)
    found[kernels.FOUND_CREATED_AT] = 2**32 - 1
    high, low = kernels.hash_record(
        wire,
        found,
        array(b"?" + payload),
        1,
        len(payload),
        array(bytes(20 + len(topic) + len(txid) + len(payload))),  # no byte more than is hashed
        np.zeros(8, np.uint64),
    )
    assert (int(high), int(low)) == identity_of(topic, txid, 2**32 - 1, payload)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_answers_are_packed_as_by_the_oracle(txid: bytes, topic: bytes) -> None:
    data = array(b"?" + txid + topic)
    found = np.zeros(kernels.FOUND_SIZE, np.int64)
    found[kernels.FOUND_TXID], found[kernels.FOUND_TXID_BYTES] = 1, len(txid)
    found[kernels.FOUND_TOPIC], found[kernels.FOUND_TOPIC_BYTES] = 1 + len(txid), len(topic)
    assert packed(encode_ack(b"", b""), data, found, len(topic)) == encode_ack(txid, topic)
    error = packed(encode_error(b"", INCORRECT_FORMAT), data, found, 0)
    assert error == encode_error(txid, INCORRECT_FORMAT)


def packed(empty: bytes, data: npt.NDArray[np.uint8], found: Ints, topic_bytes: int) -> bytes:
    answer, target = array(empty), np.zeros(kernels.ANSWER_BYTES_MAX, np.uint8)
    head, tail = answer[: kernels.HEAD_BYTES], answer[kernels.TAIL_AT :]
    stop = kernels.write_answer(head, tail, data, found, topic_bytes, target, 5)
    return target[5:stop].tobytes()


def test_the_packed_ack_is_the_golden_one() -> None:
    found = np.zeros(kernels.FOUND_SIZE, np.int64)
    found[kernels.FOUND_TXID_BYTES], found[kernels.FOUND_TOPIC] = 4, 4
    assert packed(encode_ack(b"", b""), array(b"tx-1V"), found, 1) == GOLDEN_ACK


@pytest.mark.parametrize("row", range(len(RECORD_TYPES)))
def test_types_are_told_by_their_names(row: int) -> None:
    name = RECORD_TYPES[row].name
    assert kernels.type_of(array(name), 0, len(name)) == row
    assert kernels.type_of(array(name + b"s"), 0, len(name) + 1) == kernels.OTHER

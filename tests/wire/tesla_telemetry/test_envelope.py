"""The envelope against the golden ack and the flatbuffers library, whole, cut and broken."""

import flatbuffers  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.wire.tesla_telemetry.envelope import (
    NAME_BYTES_MAX,
    TXID_BYTES_MAX,
    Answer,
    Envelope,
    Stream,
    Tag,
    decode_answer,
    encode_ack,
    encode_error,
    encode_stream,
    parse_envelope,
)
from motorcade.wire.tesla_telemetry.errors import MalformedEnvelopeError, TelemetryFormatError

GOLDEN_ACK = bytes.fromhex(
    "1400000000000e001800140010000f00080004000e000000140000002c000000000000051000000014000000"
    "000000000000000001000000560000000400000074782d31000000000000000000000000"
)
"""Protocol page §1.3, seen from Tesla's server: txid `tx-1`, topic `V`."""

WIRE = encode_stream(
    txid=b"tx-1", topic=b"V", payload=b"\x0a\x00", device_id=b"5YJ3E1EA7KF000001", created_at_s=7
)
names = st.binary(max_size=64)


def built_by_the_library(
    txid: bytes, topic: bytes, tag: int, created_at_s: int, sender_id: bytes, payload: bytes
) -> bytes:
    """The same message by Google's builder, which lays tables out in its own way."""
    builder = flatbuffers.Builder(0)
    ends = [builder.CreateByteVector(part) for part in (payload, sender_id, topic, txid)]
    builder.StartObject(6)
    builder.PrependUint32Slot(0, created_at_s, 0)
    builder.PrependUOffsetTRelativeSlot(1, ends[1], 0)
    builder.PrependUOffsetTRelativeSlot(2, ends[0], 0)
    stream = builder.EndObject()
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(0, ends[3], 0)
    builder.PrependUOffsetTRelativeSlot(1, ends[2], 0)
    builder.PrependUint8Slot(2, tag, 0)
    builder.PrependUOffsetTRelativeSlot(3, stream, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def test_the_ack_is_the_golden_one() -> None:
    assert encode_ack(b"tx-1", b"V") == GOLDEN_ACK


@given(names, names)
def test_an_ack_of_any_name_is_read_back(txid: bytes, topic: bytes) -> None:
    assert decode_answer(encode_ack(txid, topic)) == Answer(True, txid, topic)


def test_an_error_says_why_and_names_the_record_only_by_txid() -> None:
    wire = encode_error(b"tx-1", b"incorrect message format")
    assert decode_answer(wire) == Answer(False, b"tx-1", b"", b"incorrect message format")


@given(names, names, st.integers(0, 2**32 - 1), names, st.binary(max_size=300))
def test_what_the_library_builds_is_read(
    txid: bytes, topic: bytes, created_at_s: int, sender_id: bytes, payload: bytes
) -> None:
    wire = built_by_the_library(txid, topic, Tag.STREAM, created_at_s, sender_id, payload)
    stream = Stream(created_at_s, sender_id, payload)
    assert parse_envelope(wire) == Envelope(txid, topic, Tag.STREAM, stream)


def test_what_a_car_sends_is_read() -> None:
    stream = Stream(7, b"vehicle_device.5YJ3E1EA7KF000001", b"\x0a\x00")
    assert parse_envelope(WIRE) == Envelope(b"tx-1", b"V", Tag.STREAM, stream)


def test_the_message_of_another_tag_is_not_followed() -> None:
    assert parse_envelope(GOLDEN_ACK) == Envelope(b"tx-1", b"", Tag.STREAM_ACK, None)


def test_an_empty_message_is_an_envelope_with_nothing_in_it() -> None:
    assert parse_envelope(b"") == Envelope(b"", b"", Tag.NONE, None)


@pytest.mark.parametrize("received", range(1, len(WIRE) - 60))
def test_a_message_cut_anywhere_is_refused(received: int) -> None:
    with pytest.raises(MalformedEnvelopeError):
        parse_envelope(WIRE[:received])


def test_a_broken_message_still_tells_its_txid() -> None:
    with pytest.raises(MalformedEnvelopeError) as caught:
        parse_envelope(WIRE[:76])
    assert caught.value.txid == b"tx-1"


@pytest.mark.parametrize(
    ("txid", "topic", "rule"),
    [
        (b"x" * (TXID_BYTES_MAX + 1), b"V", "txid of 257 bytes"),
        (b"tx-1", b"x" * (NAME_BYTES_MAX + 1), "topic of 129 bytes"),
    ],
)
def test_names_are_bounded(txid: bytes, topic: bytes, rule: str) -> None:
    wire = encode_stream(txid=txid, topic=topic, payload=b"", device_id=b"", created_at_s=0)
    with pytest.raises(MalformedEnvelopeError, match=rule):
        parse_envelope(wire)


@given(st.binary(max_size=200))
def test_any_bytes_raise_nothing_but_the_codecs_own(data: bytes) -> None:
    for read in (parse_envelope, decode_answer):
        try:
            read(data)
        except TelemetryFormatError:
            continue


@given(st.data())
def test_any_damage_raises_nothing_but_the_codecs_own(data: st.DataObject) -> None:
    wire = bytearray(WIRE)
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    for read in (parse_envelope, decode_answer):
        try:
            read(bytes(wire))
        except TelemetryFormatError:
            continue

"""What is made of a payload and a topic: times, VINs, identities, rebuilt topics."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tesla_protocol.telemetry.vehicle_data_pb2 import Payload

from motorcade.events import CONTENT_TYPES, Encoding, Flags, Record
from motorcade.gateway.mqtt.payload.kernels import NO_TIME, json_time_us
from motorcade.gateway.mqtt.records import Owner, topic_name, vehicle_record
from motorcade.wire.mqtt.properties import Place, Properties, encode_bare
from motorcade.wire.mqtt.publish import Publish
from tests.gateway.mqtt.harness import TOKEN

NOW_US = 1_700_000_000_000_000
FUTURE_US = 330_000_000
OWNER = Owner(TOKEN, 7, 3, 1)
VIN = b"5YJ3E1EA7KF000001"

members = st.dictionaries(
    st.sampled_from(["a", 'q"uote', "time_us\\", "signals", "ünï"]),
    st.recursive(
        st.one_of(st.integers(), st.text(max_size=6), st.none(), st.just("time_us")),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.just("time_us"), inner, max_size=1)
        ),
    ),
    max_size=4,
)


def stored(
    payload: bytes, encoding: Encoding | None = None, topic: str = "telemetry", **more: object
) -> Record:
    content_type = None if encoding is None else CONTENT_TYPES[encoding]
    properties = Properties(content_type=content_type, **more)  # type: ignore[arg-type]
    encoded = encode_bare(properties, Place.PUBLISH)
    publish = Publish(f"v/{TOKEN}/{topic}", payload, 1, 1, properties=encoded)
    record = vehicle_record(publish, OWNER, NOW_US, FUTURE_US)
    assert record is not None
    return record


@settings(deadline=None)
@given(members, st.one_of(st.none(), st.integers(0, 2**62)), st.integers(0, 4), st.booleans())
def test_json_times_are_found_where_json_has_them(
    found: dict[str, object], time_us: int | None, place: int, in_array: bool
) -> None:
    items = list(found.items())
    if time_us is not None:
        items.insert(place, ("time_us", time_us))
    text = json.dumps(dict(items), ensure_ascii=place % 2 == 0, indent=place or None)
    text = f"[{text}, {{}}]" if in_array else text
    data = np.frombuffer(text.encode(), np.uint8)
    expected = NO_TIME if time_us is None else time_us
    assert json_time_us(data, 0, len(data)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", '{"time_us"', '{"time_us":', '{"time_us":1', '{"time_us":-1}', "[[", "[1]"),
        *('{"time_us":1.5}', '{"time_us":"1"}', '"time_us":1', '{"a\\'),
        '{"time_us":99999999999999999999}',
    ],
)
def test_json_without_a_usable_time(text: str) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    assert json_time_us(data, 0, len(data)) == NO_TIME


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_break_a_judge(payload: bytes) -> None:
    for encoding in (None, Encoding.TESLA_TELEMETRY, Encoding.JSON_SIGNALS, Encoding.SAMPLES):
        record = stored(payload, encoding)
        assert len(record.payload) == len(payload)


def test_a_time_given_counts_unless_it_lies_too_far_ahead() -> None:
    early = stored(b'{"time_us":%d}' % (NOW_US - 5))
    assert (early.event_time_us, early.encoding) == (NOW_US - 5, Encoding.JSON_SIGNALS)
    assert early.flags & Flags.TIME_GIVEN
    ahead = stored(b'{"time_us":%d}' % (NOW_US + FUTURE_US))
    assert ahead.event_time_us == NOW_US + FUTURE_US
    beyond = stored(b'{"time_us":%d}' % (NOW_US + FUTURE_US + 1))
    assert beyond.event_time_us == NOW_US
    assert beyond.flags & Flags.TIME_BOUNDED
    assert not beyond.flags & Flags.TIME_GIVEN


def test_the_vin_in_a_tesla_payload_becomes_the_token() -> None:
    message = Payload(vin=VIN.decode(), is_resend=True)
    message.created_at.seconds, message.created_at.nanos = 1_699_999_999, 250_000_000
    message.data.add().key = 4
    record = stored(message.SerializeToString(), Encoding.TESLA_TELEMETRY)
    read = Payload.FromString(record.payload)
    assert read.vin == TOKEN
    assert read.data == message.data
    assert record.event_time_us == 1_699_999_999_250_000
    assert record.flags & Flags.RESEND
    opaque = stored(message.SerializeToString())
    assert opaque.payload == message.SerializeToString()  # nobody said what it is


FIELD = b"\x1a\x11" + VIN  # `vin` of a Payload
GROUP = b"\xfb\x01\xfc\x01"  # an empty one, of a number that Tesla does not use


@pytest.mark.parametrize(
    "payload", [FIELD + FIELD, FIELD + b"\x1a\x00", GROUP + FIELD, FIELD + GROUP, FIELD + b"\x0a"]
)
def test_no_vin_stays_in_what_protobuf_reads_or_began_to_read(payload: bytes) -> None:
    kept = stored(payload, Encoding.TESLA_TELEMETRY).payload
    assert kept == payload.replace(VIN, TOKEN.encode())


def test_a_time_that_comes_in_two_pieces_is_one_as_in_protobuf() -> None:
    seconds, nanos = Payload(), Payload()
    seconds.created_at.seconds, nanos.created_at.nanos = 1_699_999_999, 250_000_000
    pieces = seconds.SerializeToString() + nanos.SerializeToString()
    assert Payload.FromString(pieces).created_at.nanos == 250_000_000
    record = stored(pieces, Encoding.TESLA_TELEMETRY)
    assert record.event_time_us == 1_699_999_999_250_000


def test_packed_columns_bring_their_base_time() -> None:
    header = struct.pack("<4sBBHIIq", b"MSMP", 1, 0, 0, 0, 0, NOW_US - 7)
    assert stored(header, Encoding.SAMPLES).event_time_us == NOW_US - 7
    for broken in (header[:-1], b"XSMP" + header[4:]):
        assert not stored(broken, Encoding.SAMPLES).flags & Flags.TIME_GIVEN


def test_json_is_detected_only_without_a_content_type() -> None:
    assert stored(b' {"a": 1}\n').encoding is Encoding.JSON_SIGNALS
    assert stored(b"[1]").encoding is Encoding.OPAQUE
    assert stored(b"{}", Encoding.OPAQUE).encoding is Encoding.OPAQUE


def test_identity_by_properties_wins_over_the_topic() -> None:
    user = (("stream", "p"), ("sequence", "9"))
    both = stored(b"", None, "telemetry/t/5", user=user)
    assert (both.stream, both.sequence) == (b"p", 9)
    assert topic_name(both) == f"v/{TOKEN}/telemetry/t/5"
    same = stored(b"", None, "telemetry/p/9", user=user)
    assert same.flags & Flags.IDENTITY_IN_TOPIC
    assert same.name == b""
    assert topic_name(same) == f"v/{TOKEN}/telemetry/p/9"
    alone = stored(b"", None, user=user)
    assert (alone.stream, alone.sequence) == (b"p", 9)
    assert topic_name(alone) == f"v/{TOKEN}/telemetry"


def test_a_sequence_that_is_no_number_is_no_identity() -> None:
    for user in ((("stream", "p"), ("sequence", "x")), (("sequence", "9"),), (("stream", "p"),)):
        assert not stored(b"", None, user=user).flags & Flags.IDENTITY_SEQUENCE

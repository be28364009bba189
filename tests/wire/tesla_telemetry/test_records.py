"""Payload shapes: the readable check against Google's library, the VIN, and the time."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tesla_protocol.telemetry.vehicle_data_pb2 import Payload

from motorcade.events import Topic, make_token
from motorcade.wire.tesla_telemetry.errors import MalformedPayloadError
from motorcade.wire.tesla_telemetry.records import (
    DEPTH_MAX,
    RECORD_TYPES,
    Inspected,
    identity_of,
    inspect,
    record_type_of,
)
from tests.wire.tesla_telemetry.payloads import MESSAGE_CLASSES, wire_payloads

TOKEN = make_token(bytes(range(16))).encode()
VIN = "5YJ3E1EA7KF000001"
V, CONNECTIVITY = RECORD_TYPES[0], RECORD_TYPES[3]
rows = st.sampled_from(range(len(RECORD_TYPES)))


def library_parses(row: int, payload: bytes) -> bool:
    try:
        MESSAGE_CLASSES[row].FromString(payload)
    except DecodeError:
        return False
    return True


def inspected_or_why(row: int, payload: bytes) -> tuple[Inspected | None, str]:
    try:
        return inspect(payload, RECORD_TYPES[row], TOKEN), ""
    except MalformedPayloadError as error:
        return None, str(error)


@settings(max_examples=400)
@given(rows, wire_payloads)
@example(0, b"\x03\x00\x04")  # field number 0 inside
@example(1, b"\x0a\x03\x12\x01\x80")  # a packed enum that ends inside a number
def test_a_payload_passes_exactly_when_the_library_parses_it(row: int, payload: bytes) -> None:
    inspected, why = inspected_or_why(row, payload)
    if inspected is None:
        # Google's library does not look at field numbers inside a group that it skips, and cuts
        # numbers over 64 bits, which Tesla's server refuses as we do.
        stricter = "no field number" in why or "over 64 bits" in why
        assert stricter or not library_parses(row, payload)
        return
    message = MESSAGE_CLASSES[row].FromString(payload)
    stored = MESSAGE_CLASSES[row].FromString(inspected.payload)
    assert stored.vin == TOKEN.decode()
    message.vin = stored.vin
    assert stored == message
    if inspected.created_at_us is not None:
        seconds, nanos = divmod(inspected.created_at_us * 1_000, 1_000_000_000)
        assert stored.created_at.seconds == seconds
        assert stored.created_at.nanos // 1_000 * 1_000 == nanos


def test_a_vin_of_17_bytes_is_overwritten_in_place() -> None:
    wire = Payload(vin=VIN, is_resend=True).SerializeToString()
    assert inspect(wire, V, TOKEN) == Inspected(wire.replace(VIN.encode(), TOKEN), None, True)


@pytest.mark.parametrize("vin", ["", "short", VIN + "longer"])
def test_another_vin_is_overruled_by_a_second_field(vin: str) -> None:
    wire = Payload(vin=vin).SerializeToString()
    inspected = inspect(wire, V, TOKEN)
    assert inspected.payload == wire + b"\x1a\x11" + TOKEN
    assert Payload.FromString(inspected.payload).vin == TOKEN.decode()


def test_no_vin_survives_beside_the_token() -> None:
    wire = b"".join(Payload(vin=vin).SerializeToString() for vin in (VIN, VIN, "x"))
    assert VIN.encode() not in inspect(wire, V, TOKEN).payload


def test_connectivity_has_its_vin_in_field_1() -> None:
    assert inspect(b"", CONNECTIVITY, TOKEN).payload == b"\x0a\x11" + TOKEN


@pytest.mark.parametrize(
    ("seconds", "nanos", "created_at_us"),
    [
        (1_790_000_000, 123_456_789, 1_790_000_000_123_456),
        (0, 0, 0),
        (-1, 0, None),
        (2**62, 0, None),
        (1, -1, None),
        (1, 1_000_000_000, None),
    ],
)
def test_only_a_time_is_taken_for_one(seconds: int, nanos: int, created_at_us: int | None) -> None:
    payload = Payload()
    payload.created_at.SetInParent()
    payload.created_at.seconds, payload.created_at.nanos = seconds, nanos
    assert inspect(payload.SerializeToString(), V, TOKEN).created_at_us == created_at_us


def test_groups_nest_as_deep_as_the_library_allows() -> None:
    def nested(depth: int) -> bytes:
        return b"\x7b" * depth + b"\x7c" * depth

    inspect(nested(DEPTH_MAX - 1), V, TOKEN)
    assert library_parses(0, nested(DEPTH_MAX - 1))
    with pytest.raises(MalformedPayloadError, match="deeper"):
        inspect(nested(DEPTH_MAX), V, TOKEN)


def test_names_of_record_types_and_where_they_go() -> None:
    row = record_type_of(b"alerts")
    assert row is not None
    assert row.topic is Topic.DIAGNOSTICS
    assert record_type_of(b"v") is None


@given(
    st.tuples(
        st.binary(max_size=5), st.binary(max_size=5), st.integers(0, 9), st.binary(max_size=5)
    ),
    st.tuples(
        st.binary(max_size=5), st.binary(max_size=5), st.integers(0, 9), st.binary(max_size=5)
    ),
)
def test_records_are_the_same_exactly_when_all_parts_are(
    one: tuple[bytes, bytes, int, bytes], two: tuple[bytes, bytes, int, bytes]
) -> None:
    assert (identity_of(*one) == identity_of(*two)) == (one == two)

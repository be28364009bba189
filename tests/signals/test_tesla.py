"""Our reading of the wire against the protobuf library's, on sound and damaged payloads."""

import contextlib
import math
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tesla_protocol.telemetry import vehicle_data_pb2 as pb

from motorcade.signals.enums import ENUM_BY_ALTERNATIVE
from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.tesla import EnumNumber, WireValue, parse_payload
from tests.signals.payloads import ALTERNATIVES, PARTS, damaged, payload, payloads

NUMBERS = {name: number for number, name in ALTERNATIVES.items()}


KNOWN = {1, 2, 3, 4, 5, 6, 7, 10, 21, 31, 39, *ENUM_BY_ALTERNATIVE}


def by_library(data: bytes) -> list[tuple[int, WireValue]] | None:
    """What the library reads; `None` when it refuses."""
    try:
        message = pb.Payload.FromString(data)
    except DecodeError:
        return None
    read = []
    for datum in message.data:
        if datum.value.WhichOneof("value"):
            read.append((datum.key, _value(datum.value)))
        else:
            read += [(datum.key, number) for number in _unknown(datum.value)[-1:]]
    return read


def _unknown(value: Any) -> list[int]:
    """Varints under numbers that no table of ours knows: they are kept, where they stand alone."""
    fields = [field for field in UnknownFieldSet(value) if field.wire_type == 0]
    return [_signed(field.data) for field in fields if field.field_number not in KNOWN]


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits


def _value(value: Any) -> WireValue:
    name = value.WhichOneof("value")
    number, content = NUMBERS[name], getattr(value, name)
    if number == 10:
        return None
    if number in PARTS:
        return {part: getattr(content, part) for part in PARTS[number]}
    if number > 10 or number in (8, 9):
        # The page's table ends at 54; younger enums of the library are plain numbers to us.
        return EnumNumber(number, content) if number in ENUM_BY_ALTERNATIVE else int(content)
    result: WireValue = content
    return result


def same(ours: Any, theirs: Any) -> bool:
    """Equal, and NaN equals NaN."""
    if isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours):
        return math.isnan(theirs)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in ours)
    if type(ours) is type(theirs) is int:  # The library's younger enums have 32 bits.
        return ours & 0xFFFFFFFF == theirs & 0xFFFFFFFF
    return type(ours) is type(theirs) and bool(ours == theirs)


def agrees(data: bytes) -> bool:
    theirs = by_library(data)
    try:
        ours = parse_payload(data)
    except MalformedPayloadError:
        return theirs is None
    if theirs is None:  # The one thing it refuses and we keep: text that is not UTF-8.
        return True
    return len(ours) == len(theirs) and all(
        field == datum.field and same(datum.value, value)
        for datum, (field, value) in zip(ours, theirs, strict=True)
    )


@given(payloads())
def test_sound_payloads_read_as_the_library_reads_them(data: bytes) -> None:
    assert by_library(data) is not None
    assert agrees(data)


@given(damaged())
@example(bytes.fromhex("0a110884 02120c8001ffffffffffffffffff02 15000100"))
@example(bytes.fromhex("0a1008 04 120c 10ffffffffffffffffff02"))
@example(bytes.fromhex("0a 86 80 80 80 80 00 0804 1202 1001"))
@example(bytes.fromhex("0a 86 80 80 80 00 0804 1202 1001"))
@settings(max_examples=500)
def test_damaged_payloads_too(data: bytes) -> None:
    assert agrees(data)


@given(st.binary(max_size=80))
def test_noise_raises_nothing_but_its_own_error(data: bytes) -> None:
    with contextlib.suppress(MalformedPayloadError):
        parse_payload(data)


def test_a_payload_cut_anywhere_inside_a_datum_is_malformed() -> None:
    data = payload([(21, 7, {"latitude": 1.5, "longitude": 2.5})], vin="")
    for cut in range(1, len(data)):
        with pytest.raises(MalformedPayloadError):
            parse_payload(data[:cut])


def test_pieces_of_one_value_are_read_as_one() -> None:
    latitude, longitude = bytes.fromhex("090000000000000440"), bytes.fromhex("110000000000000c40")
    pieces = b"".join(
        b"\x12" + bytes([len(part) + 2]) + b"\x3a" + bytes([len(part)]) + part
        for part in (latitude, longitude)
    )
    datum = b"\x08\x15" + pieces
    data = b"\x0a" + bytes([len(datum)]) + datum
    assert parse_payload(data)[0].value == {"latitude": 2.5, "longitude": 3.5}
    assert agrees(data)


def test_text_that_is_not_utf8_is_kept_with_marks() -> None:
    data = payload([(64, 1, "xy")]).replace(b"xy", b"x\xff")
    assert parse_payload(data)[0].value == "x\ufffd"


def test_an_alternative_that_no_table_knows_is_kept_as_a_number() -> None:
    value = bytes.fromhex("e00607")  # field 108, varint 7
    datum = b"\x08\x0a\x12" + bytes([len(value)]) + value
    assert parse_payload(b"\x0a" + bytes([len(datum)]) + datum)[0].value == 7


def test_groups_are_skipped_and_their_depth_is_bounded() -> None:
    assert parse_payload(b"\x2b\x08\x01\x2c") == []
    for broken in (b"\x2b" * 100, b"\x2b\x34", b"\x2b", b"\x2c"):
        with pytest.raises(MalformedPayloadError):
            parse_payload(broken)

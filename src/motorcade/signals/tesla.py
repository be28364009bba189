"""Tesla's `V` payload, from bytes to (Field, value), in plain Python: the kernel's second opinion.

Source: protocol page §1.7 and the protobuf encoding rules. Merging is as any protobuf parser does
it: the last scalar wins, the pieces of a message that comes several times are read as one. Unlike
the library, alternatives of `Value` that no table knows are kept when they are varints, and text
that is not UTF-8 is kept with replacement characters. No units, no meaning: `values.py` has those.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from motorcade.signals.enums import ENUM_BY_ALTERNATIVE
from motorcade.signals.errors import MalformedPayloadError

_LOW_64: Final = (1 << 64) - 1
GROUP_DEPTH_MAX: Final = 64  # nobody sends groups; the bound keeps us out of deep recursion

LOCATION_PARTS: Final = ("latitude", "longitude")
DOOR_PARTS: Final = (
    "DriverFront",
    "DriverRear",
    "PassengerFront",
    "PassengerRear",
    "TrunkFront",
    "TrunkRear",
)
TIRE_PARTS: Final = (
    "front_left",
    "front_right",
    "rear_left",
    "rear_right",
    "semi_middle_axle_left_2",
    "semi_middle_axle_right_2",
    "semi_rear_axle_left",
    "semi_rear_axle_right",
    "semi_rear_axle_left_2",
    "semi_rear_axle_right_2",
)
TIME_PARTS: Final = ("hour", "minute", "second")

_STRING, _INT, _LONG, _FLOAT, _DOUBLE, _BOOLEAN, _LOCATION, _INVALID = 1, 2, 3, 4, 5, 6, 7, 10
_DOORS, _TIME, _TIRES = 21, 31, 39
_MESSAGES: Final = {
    _LOCATION: LOCATION_PARTS,
    _DOORS: DOOR_PARTS,
    _TIRES: TIRE_PARTS,
    _TIME: TIME_PARTS,
}
_VARINT, _FIXED64, _BYTES, _GROUP, _GROUP_END, _FIXED32 = range(6)
_WIRE_TYPES: Final = {_STRING: _BYTES, _FLOAT: _FIXED32, _DOUBLE: _FIXED64} | dict.fromkeys(
    _MESSAGES, _BYTES
)
_KNOWN: Final = frozenset({_INT, _LONG, _BOOLEAN, _INVALID, *_WIRE_TYPES, *ENUM_BY_ALTERNATIVE})


class EnumNumber(NamedTuple):
    """A value of one of Tesla's enumerations."""

    alternative: int  # which one: its field number in `Value`
    number: int


Part = bool | int | float
WireValue = None | bool | int | float | str | EnumNumber | dict[str, Part]
"""As sent; `None` is Tesla's `invalid`: the signal is known to be unavailable."""


class Datum(NamedTuple):
    field: int
    value: WireValue


def parse_payload(payload: bytes) -> list[Datum]:
    """Every datum that has a value, in the order sent.

    Raises:
        MalformedPayloadError: not a protobuf message of this shape.
    """
    data = []
    for number, wire_type, value in _fields(payload):
        if wire_type != _BYTES:
            continue
        assert isinstance(value, bytes)
        if number == 1:
            datum = parse_datum(value)
            if datum is not None:
                data.append(datum)
        elif number == 2:
            _check(value)
    return data


def parse_datum(data: bytes) -> Datum | None:
    """One `Datum`; `None` when it carries no value that we could read."""
    field, value, present = 0, b"", False
    for number, wire_type, content in _fields(data):
        if number == 1 and wire_type == _VARINT:
            assert isinstance(content, int)
            field = _signed(content, 32)
        elif number == 2 and wire_type == _BYTES:
            assert isinstance(content, bytes)
            _check(content)
            value, present = value + content, True
    if not present:
        return None
    found = _parse_value(value)
    return None if found is None else Datum(field, found[0])


def _parse_value(data: bytes) -> tuple[WireValue] | None:
    """The alternative set last; known ones win over unknown ones, as in the library."""
    known: tuple[int, int | bytes] | None = None
    unknown: int | None = None
    for number, wire_type, content in _fields(data):
        if number in _KNOWN:
            if wire_type != _WIRE_TYPES.get(number, _VARINT):
                continue
            if number in _MESSAGES:
                assert isinstance(content, bytes)
                _check(content)
                if known is not None and known[0] == number:
                    assert isinstance(known[1], bytes)
                    content = known[1] + content
            known = (number, content)
        elif wire_type == _VARINT:
            assert isinstance(content, int)
            unknown = _signed(content, 64)
    if known is not None:
        return (_read_alternative(*known),)
    return None if unknown is None else (unknown,)


def _read_alternative(number: int, content: int | bytes) -> WireValue:
    if isinstance(content, bytes):
        if number == _STRING:
            return content.decode("utf-8", "replace")
        if number == _FLOAT:
            return float(struct.unpack("<f", content)[0])
        if number == _DOUBLE:
            return float(struct.unpack("<d", content)[0])
        return _read_parts(content, number)
    if number == _INVALID:
        return None
    if number == _BOOLEAN:
        return content != 0
    if number == _LONG:
        return _signed(content, 64)
    value = _signed(content, 32)
    return value if number == _INT else EnumNumber(number, value)


def _read_parts(data: bytes, message: int) -> dict[str, Part]:
    """A compound value with every part: what is absent on the wire has proto3's default."""
    names = _MESSAGES[message]
    parts: dict[str, Part] = dict.fromkeys(names, _DEFAULTS[message])
    wanted = _FIXED64 if message == _LOCATION else _VARINT
    for number, wire_type, content in _fields(data):
        if not 1 <= number <= len(names) or wire_type != wanted:
            continue
        if isinstance(content, bytes):
            parts[names[number - 1]] = float(struct.unpack("<d", content)[0])
        elif message == _TIME:
            parts[names[number - 1]] = _signed(content, 32)
        else:
            parts[names[number - 1]] = content != 0
    return parts


_DEFAULTS: Final[dict[int, Part]] = {_LOCATION: 0.0, _DOORS: False, _TIRES: False, _TIME: 0}


def _check(data: bytes) -> None:
    """Raise unless `data` is a sequence of whole fields."""
    for _ in _fields(data):
        pass


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """The fields of a message: (number, wire type, varint or bytes). Groups are skipped."""
    position, end = 0, len(data)
    while position < end:
        number, wire_type, position = _read_tag(data, position)
        if wire_type == _GROUP:
            position = _skip_group(data, position, number, GROUP_DEPTH_MAX)
            continue
        content, position = _read_content(data, position, wire_type)
        yield number, wire_type, content


def _read_tag(data: bytes, position: int) -> tuple[int, int, int]:
    tag, after = _read_varint(data, position)
    if tag >> 32 or not tag >> 3 or after - position > 5:
        raise MalformedPayloadError(f"no valid field tag at byte {position}")
    return tag >> 3, tag & 7, after


def _read_content(data: bytes, position: int, wire_type: int) -> tuple[int | bytes, int]:
    if wire_type == _VARINT:
        return _read_varint(data, position)
    if wire_type == _BYTES:
        size, after = _read_varint(data, position)
        if after - position > 5:
            raise MalformedPayloadError(f"a length of more than 5 bytes at byte {position}")
        position = after
    elif wire_type in (_FIXED32, _FIXED64):
        size = 4 if wire_type == _FIXED32 else 8
    else:
        raise MalformedPayloadError(f"wire type {wire_type} before byte {position}")
    if size > len(data) - position:
        raise MalformedPayloadError(f"{size} bytes announced at byte {position}, fewer are there")
    return data[position : position + size], position + size


def _skip_group(data: bytes, position: int, opened: int, depth: int) -> int:
    if depth == 0:
        raise MalformedPayloadError(f"groups nested deeper than {GROUP_DEPTH_MAX}")
    while position < len(data):
        number, wire_type, position = _read_tag(data, position)
        if wire_type == _GROUP_END:
            if number != opened:
                raise MalformedPayloadError(f"group {opened} ended as {number}")
            return position
        if wire_type == _GROUP:
            position = _skip_group(data, position, number, depth - 1)
        else:
            _, position = _read_content(data, position, wire_type)
    raise MalformedPayloadError(f"group {opened} never ends")


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """(value, position after it); bits beyond the 64th are dropped, as the library does it."""
    value = 0
    for index in range(10):
        if position + index >= len(data):
            break
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & _LOW_64, position + index + 1
    raise MalformedPayloadError(f"no whole varint at byte {position}")


def _signed(value: int, bits: int) -> int:
    """The low `bits` of `value` as a two's complement number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value

"""Tesla's record types, a table, and what may stand in their payloads.

Source: the protocol page §1.6 and §1.7. A payload is checked as a server's protobuf library would
(wire format, nested messages, UTF-8 of strings) but never decoded or encoded again: it is stored
byte for byte, except that the VIN becomes the vehicle's token (design P8). `inspect` and
`identity_of` are the readable second opinion for `kernels.py`.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final

import numpy as np
import xxhash

from motorcade.events import TOKEN_BYTES, Encoding, Topic
from motorcade.wire.tesla_telemetry.errors import MalformedPayloadError

DEPTH_MAX: Final = 100  # of nested messages and groups, the protobuf libraries' own limit
SECONDS_MAX: Final = 253_402_300_799  # the end of year 9999, the largest protobuf Timestamp
RESEND_FIELD: Final = 4  # of Payload: `is_resend`

_U32: Final = Struct("<I")


@dataclass(frozen=True, slots=True)
class RecordType:
    """One of Tesla's record types: where it goes and how its payload is read."""

    name: bytes
    topic: Topic
    encoding: Encoding
    message: str  # a key of MESSAGES
    vin_field: int
    time_field: int  # `created_at`, a Timestamp


RECORD_TYPES: Final = (
    RecordType(b"V", Topic.TELEMETRY, Encoding.TESLA_TELEMETRY, "Payload", 3, 2),
    RecordType(b"alerts", Topic.DIAGNOSTICS, Encoding.TESLA_ALERTS, "VehicleAlerts", 3, 2),
    RecordType(b"errors", Topic.DIAGNOSTICS, Encoding.TESLA_ERRORS, "VehicleErrors", 3, 2),
    RecordType(
        b"connectivity", Topic.CONNECTIVITY, Encoding.TESLA_CONNECTIVITY, "Connectivity", 1, 4
    ),
    RecordType(b"metrics", Topic.DIAGNOSTICS, Encoding.TESLA_METRICS, "VehicleMetrics", 3, 2),
)
OTHER_TOPIC: Final = Topic.DIAGNOSTICS  # any other type, from the vehicle itself; kept as it is

MESSAGES: Final[dict[str, dict[int, str]]] = {
    "Payload": {1: "Datum", 2: "Timestamp", 3: "string"},
    "Datum": {2: "Value"},
    "Value": {1: "string", 7: "Scalars", 21: "Scalars", 31: "Scalars", 39: "Scalars"},
    "VehicleAlerts": {1: "VehicleAlert", 2: "Timestamp", 3: "string"},
    "VehicleAlert": {1: "string", 2: "packed", 3: "Timestamp", 4: "Timestamp"},
    "VehicleErrors": {1: "VehicleError", 2: "Timestamp", 3: "string"},
    "VehicleError": {1: "Timestamp", 2: "string", 3: "Tag", 4: "string"},
    "Connectivity": {1: "string", 2: "string", 4: "Timestamp", 5: "string"},
    "VehicleMetrics": {1: "Metric", 2: "Timestamp", 3: "string"},
    "Metric": {1: "string", 2: "Tag"},
    "Tag": {1: "string", 2: "string"},
    "Timestamp": {},
    "Scalars": {},  # LocationValue, Doors, Time, TireLocation: nothing in them can be malformed
}
"""Message -> length-delimited field -> what its bytes must be. Fields not named here are free."""

SCALAR, STRING, PACKED = -1, -2, -3  # kinds in SCHEMA; a message is its index
FIELDS: Final = 64  # columns of SCHEMA; higher field numbers are free
_KINDS: Final = {"string": STRING, "packed": PACKED} | {
    name: index for index, name in enumerate(MESSAGES)
}


def _schema() -> np.ndarray[tuple[int, int], np.dtype[np.int8]]:
    table = np.full((len(MESSAGES), FIELDS), SCALAR, np.int8)
    for index, fields in enumerate(MESSAGES.values()):
        for number, kind in fields.items():
            table[index, number] = _KINDS[kind]
    return table


SCHEMA: Final = _schema()
"""MESSAGES for the kernel: [message, field] -> SCALAR, STRING, PACKED or a message."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A payload that may be stored."""

    payload: bytes  # with the token for the VIN
    created_at_us: int | None  # `created_at`, when it is there and a time
    resend: bool


def record_type_of(name: bytes) -> RecordType | None:
    """The type with this name, `None` for one that Tesla does not document."""
    return next((row for row in RECORD_TYPES if row.name == name), None)


def inspect(payload: bytes, record_type: RecordType, token: bytes) -> Inspected:
    """Check a payload's shape and put the token where the VIN stands.

    Every 17-byte VIN field is overwritten; when the last one (which wins, in proto3) is not such,
    another is appended.

    Raises:
        MalformedPayloadError: a protobuf library would not parse it.
    """
    walk = _Walk(payload, record_type, token)
    walk.message(0, len(payload), record_type.message, 0)
    out = walk.out
    if not walk.vin_last_fits:
        out += bytes((record_type.vin_field << 3 | 2, TOKEN_BYTES)) + token
    created_at_us = None
    nanos = walk.nanos & 0xFFFF_FFFF
    if walk.time_seen and walk.seconds <= SECONDS_MAX and nanos < 1_000_000_000:
        created_at_us = walk.seconds * 1_000_000 + nanos // 1_000
    return Inspected(bytes(out), created_at_us, walk.resend)


def identity_of(topic: bytes, txid: bytes, created_at_s: int, payload: bytes) -> tuple[int, int]:
    """What makes a Tesla record itself (P2), beside its vehicle. `payload` as it is stored."""
    parts = (topic, txid, _U32.pack(created_at_s), payload)
    digest = xxhash.xxh3_128_intdigest(b"".join(_U32.pack(len(part)) + part for part in parts))
    return digest >> 64, digest & 0xFFFF_FFFF_FFFF_FFFF


class _Walk:
    """One pass over one payload."""

    def __init__(self, payload: bytes, record_type: RecordType, token: bytes) -> None:
        self.data = payload
        self.out = bytearray(payload)
        self.record_type = record_type
        self.token = token
        self.time_seen = self.resend = self.vin_last_fits = False
        self.seconds = self.nanos = 0

    def message(self, at: int, end: int, name: str, depth: int, *, in_time: bool = False) -> None:
        while at < end:
            number, wire, at = self.tag(at, end)
            if wire == 0:
                value, at = self.varint(at, end)
                if in_time and number == 1:
                    self.seconds = value
                if in_time and number == 2:
                    self.nanos = value
                if depth == 0 and name == "Payload" and number == RESEND_FIELD:
                    self.resend = value != 0
            elif wire == 2:
                at = self.delimited(at, end, MESSAGES[name].get(number, ""), number, depth)
            else:
                at = self.skip(at, end, number, wire, depth)

    def delimited(self, at: int, end: int, kind: str, number: int, depth: int) -> int:
        length, at = self.varint(at, end)
        stop = at + length
        if stop > end:
            raise MalformedPayloadError(f"{length} bytes announced at {at}, {end - at} are there")
        if kind == "string":
            self.text(at, stop)
        elif kind == "packed":
            while at < stop:
                _, at = self.varint(at, stop)
        elif kind:
            self.deeper(depth)
            is_time = depth == 0 and number == self.record_type.time_field
            self.time_seen |= is_time
            self.message(at, stop, kind, depth + 1, in_time=is_time)
        if depth == 0 and number == self.record_type.vin_field:
            self.vin_last_fits = length == TOKEN_BYTES
            if self.vin_last_fits:
                self.out[stop - length : stop] = self.token
        return stop

    def skip(self, at: int, end: int, number: int, wire: int, depth: int) -> int:
        """Pass over a fixed-size field or a group; groups are long gone but still wire format."""
        if wire in (1, 5):
            stop = at + (8 if wire == 1 else 4)
            if stop > end:
                raise MalformedPayloadError(f"a fixed field at {at} ends after byte {end}")
            return stop
        if wire != 3:
            raise MalformedPayloadError(f"wire type {wire} at {at}")
        self.deeper(depth)
        while True:
            inner, kind, at = self.tag(at, end)
            if kind == 4:
                if inner != number:
                    raise MalformedPayloadError(f"group {number} ends as {inner} at {at}")
                return at
            if kind == 0:
                _, at = self.varint(at, end)
            elif kind == 2:
                length, at = self.varint(at, end)
                at += length
                if at > end:
                    raise MalformedPayloadError(f"{length} bytes announced in group {number}")
            else:
                at = self.skip(at, end, inner, kind, depth + 1)

    def deeper(self, depth: int) -> None:
        if depth + 1 >= DEPTH_MAX:
            raise MalformedPayloadError(f"nested deeper than {DEPTH_MAX}")

    def tag(self, at: int, end: int) -> tuple[int, int, int]:
        value, stop = self.varint(at, end)
        if not 8 <= value < 1 << 32 or stop - at > 5:
            raise MalformedPayloadError(f"no field number in the tag at {at}")
        return value >> 3, value & 7, stop

    def varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for index in range(10):
            if at + index >= end:
                raise MalformedPayloadError(f"the payload ends inside a number at {at}")
            byte = self.data[at + index]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if value >= 1 << 64:
                    break
                return value, at + index + 1
        raise MalformedPayloadError(f"a number at {at} is over 64 bits")

    def text(self, at: int, end: int) -> None:
        try:
            self.data[at:end].decode()
        except UnicodeDecodeError as error:
            raise MalformedPayloadError(f"a string at {at} is not UTF-8") from error

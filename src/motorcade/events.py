"""What travels on the road: `Record`, `RecordBatch`, `VehicleToken`, topics, encodings. No IO.

A batch is one numpy structured array (a row per record) plus one byte buffer; there is no Python
object per record between socket and column. Design §4 gives the meaning of every field.

A record's bytes lie together in the buffer, at `start`, in this order::

    name | stream | properties | payload

`name` is the sender's own name for the record where we do not rebuild it from the topic: Tesla's
record type (`V`, `alerts`, ...), or the full MQTT topic of an operator's publish. `stream` is the
sender's stream id (P2). `properties` are the MQTT 5 properties to forward, still encoded.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import lru_cache
from struct import Struct
from typing import Any, Final, NewType

import msgspec
import numpy as np
import numpy.typing as npt

VehicleToken = NewType("VehicleToken", str)
"""17 characters of 0-9A-Z, at least one of them I, O or Q, so never a valid VIN (ISO 3779). ""
stands for "no vehicle" in records of operators and of the platform itself."""

NO_VEHICLE: Final = VehicleToken("")
TOKEN_BYTES: Final = 17
ENUM_MAX: Final = 1_024  # topics, encodings, sets of flags that are kept as objects
TOKENS_UNPACKED_MAX: Final = 4_096  # kept, some 200 bytes each: 25 divisions of a big number
VIN_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"  # ISO 3779: no I, O, Q


class Topic(IntEnum):
    """The log's topics. Numbers are stored: never reuse one. The lanes stand in `log/topics.py`."""

    TELEMETRY = 1
    DIAGNOSTICS = 2
    CONNECTIVITY = 3
    OTA_FEEDBACK = 4
    ENERGY = 5
    MEDIA = 6
    MQTT = 7  # operators' own publishes
    COMMAND_ANSWERS = 8  # what vehicles answer, written by the gateway
    COMMANDS = 9  # every transition of a command, written by the router alone
    MQTT_SESSIONS = 10  # the gateway's own: QoS 2 packet identifiers that are free again

    @property
    def word(self) -> str:
        """The name in topics, APIs and the command line."""
        return self.name.lower()


class Encoding(IntEnum):
    """How a payload is to be read. Numbers are stored."""

    OPAQUE = 0
    TESLA_TELEMETRY = 1  # telemetry.vehicle_data.Payload
    JSON_SIGNALS = 2  # {"time_us", "signals": {...}} or an array of them
    SAMPLES = 3  # our packed columns
    TESLA_ALERTS = 4
    TESLA_ERRORS = 5
    TESLA_CONNECTIVITY = 6
    TESLA_METRICS = 7
    COMMAND = 8  # wire/command messages, JSON

    @property
    def content_type(self) -> str:
        """The media type that names this encoding in MQTT 5, HTTP and exports."""
        return CONTENT_TYPES[self]


CONTENT_TYPES: Final[dict[Encoding, str]] = {
    Encoding.OPAQUE: "application/octet-stream",
    Encoding.TESLA_TELEMETRY: "application/x-tesla-telemetry",
    Encoding.JSON_SIGNALS: "application/json",
    Encoding.SAMPLES: "application/vnd.motorcade.samples",
    Encoding.TESLA_ALERTS: "application/x-tesla-alerts",
    Encoding.TESLA_ERRORS: "application/x-tesla-errors",
    Encoding.TESLA_CONNECTIVITY: "application/x-tesla-connectivity",
    Encoding.TESLA_METRICS: "application/x-tesla-metrics",
    Encoding.COMMAND: "application/vnd.motorcade.command+json",
}


class Flags(IntFlag):
    """Facts about a record that are not worth a column of their own. Bits are stored."""

    IDENTITY_SEQUENCE = 1  # identity_hi = fnv1a_64(stream), identity_lo = the sender's sequence
    IDENTITY_HASH = 2  # identity_hi/lo = 128-bit hash of what makes the record itself (P2, Tesla)
    TIME_GIVEN = 4  # event time came from the sender; otherwise it is the received time
    TIME_BOUNDED = 8  # the sender's time lay beyond time.future_s_max: received time stands instead
    IDENTITY_IN_TOPIC = 16  # stream and sequence came as two topic levels
    RETAIN = 32
    QOS_1 = 64
    QOS_2 = 128
    RESEND = 256  # the sender said so: MQTT DUP, Tesla is_resend


NO_FLAGS: Final = Flags(0)

RECORD_DTYPE: Final = np.dtype(
    [
        ("vehicle_hi", "u8"),  # the token as a base-36 number, high and low 64 bits
        ("vehicle_lo", "u8"),
        ("position", "i8"),  # per (writer, topic, partition), dense; given by the log at commit
        ("event_time_us", "i8"),
        ("received_time_us", "i8"),
        ("identity_hi", "u8"),
        ("identity_lo", "u8"),
        ("start", "u4"),  # where the record's bytes begin in the batch's buffer
        ("payload_bytes", "u4"),
        ("key_id", "u4"),  # the key whose destruction erases the record's person (P8)
        ("epoch", "u4"),  # session epoch of the vehicle, rises when it moves to another gateway
        ("name_bytes", "u2"),
        ("stream_bytes", "u2"),
        ("properties_bytes", "u2"),
        ("partition", "u2"),
        ("topic", "u1"),
        ("encoding", "u1"),
        ("flags", "u2"),
        ("packet_id", "u2"),  # of a QoS 2 publish, in its sender's session, until released; else 0
    ],
    align=True,
)
"""One row per record. The layout is written to disk: change it only with the frame version."""


_PACKED: Final = Struct("=QQqqqQQIIIIHHHHBBHH2x")
"""A row as Python's numbers, in the order of `RECORD_DTYPE`; numpy takes four times as long."""

assert _PACKED.size == RECORD_DTYPE.itemsize
_IDENTITY_SEQUENCE: Final = int(Flags.IDENTITY_SEQUENCE)
# Calling an enum takes five times as long as a look-up.
_topic_of: Final = lru_cache(maxsize=ENUM_MAX)(Topic)
_encoding_of: Final = lru_cache(maxsize=ENUM_MAX)(Encoding)
_flags_of: Final = lru_cache(maxsize=ENUM_MAX)(Flags)

Rows = npt.NDArray[np.void]
Bytes = npt.NDArray[np.uint8]

_LOW_64: Final = (1 << 64) - 1


def make_token(entropy: bytes) -> VehicleToken:
    """Draw a token from at least 16 bytes of entropy (an argument: chance is never ours)."""
    if len(entropy) < 16:
        raise ValueError(f"a token needs 16 bytes of entropy, got {len(entropy)}")
    value = int.from_bytes(entropy, "big")
    value, mark = divmod(value, 3)
    value, place = divmod(value, TOKEN_BYTES - 1)
    digits = []
    for _ in range(TOKEN_BYTES):
        value, digit = divmod(value, len(VIN_ALPHABET))
        digits.append(VIN_ALPHABET[digit])
    digits[0] = VIN_ALPHABET[10 + VIN_ALPHABET.index(digits[0]) % 23]  # never a leading zero
    digits[place + 1] = "IOQ"[mark]
    return VehicleToken("".join(digits))


def pack_token(token: str) -> tuple[int, int]:
    """Return the token as (high, low) 64-bit halves of a base-36 number; "" is (0, 0)."""
    if not token:
        return 0, 0
    value = int(token, 36)
    return value >> 64, value & _LOW_64


@lru_cache(maxsize=TOKENS_UNPACKED_MAX)
def unpack_token(high: int, low: int) -> VehicleToken:
    """The inverse of `pack_token`."""
    value = (int(high) << 64) | int(low)
    if value == 0:
        return NO_VEHICLE
    digits = []
    while value:
        value, digit = divmod(value, 36)
        digits.append("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[digit])
    return VehicleToken("".join(reversed(digits)).rjust(TOKEN_BYTES, "0"))


def fnv1a_64(data: bytes) -> int:
    """FNV-1a, 64 bits: names a stream in `identity_hi`. The kernels' twin is in `kernels.py`."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & _LOW_64
    return value


def partition_of(token: str, partitions: int) -> int:
    """A vehicle's partition, the same on every engine. The kernels' twin is in `kernels.py`."""
    high, low = pack_token(token)
    return ((((high ^ low) * 0x9E3779B97F4A7C15) & _LOW_64) >> 32) % partitions


class Record(msgspec.Struct, frozen=True):
    """One message of one vehicle as an object: for slow paths and tools, never the hot road.

    A msgspec struct because a frozen dataclass of so many fields takes seven times as long to make.
    """

    vehicle: VehicleToken
    topic: Topic
    payload: bytes
    received_time_us: int
    event_time_us: int
    encoding: Encoding = Encoding.OPAQUE
    name: bytes = b""
    stream: bytes = b""
    sequence: int | None = None  # the sender's; set exactly when Flags.IDENTITY_SEQUENCE is
    identity: tuple[int, int] = (0, 0)
    properties: bytes = b""
    flags: Flags = NO_FLAGS
    key_id: int = 0
    epoch: int = 0
    partition: int = 0
    position: int = -1  # -1 until the log has given one
    packet_id: int = 0


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Many records: the unit of append and of reading. Read-only by convention."""

    rows: Rows  # shape (n,), RECORD_DTYPE
    buffer: Bytes  # shape (bytes,), uint8

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Record]:
        rows = self.rows if self.rows.flags.c_contiguous else self.rows.copy()
        return (self._record(rows, index) for index in range(len(rows)))

    def payload(self, index: int) -> bytes:
        """The payload of row `index`, copied."""
        row = self.rows[index]
        start = (
            int(row["start"])
            + int(row["name_bytes"])
            + int(row["stream_bytes"])
            + int(row["properties_bytes"])
        )
        return self.buffer[start : start + int(row["payload_bytes"])].tobytes()

    def record(self, index: int) -> Record:
        """Row `index` as an object."""
        rows = self.rows if self.rows.flags.c_contiguous else self.rows.copy()
        return self._record(rows, index)

    def _record(self, rows: Rows, index: int) -> Record:
        (
            vehicle_hi,
            vehicle_lo,
            position,
            event_time_us,
            received_time_us,
            identity_hi,
            identity_lo,
            start,
            payload_bytes,
            key_id,
            epoch,
            name_bytes,
            stream_bytes,
            properties_bytes,
            partition,
            topic,
            encoding,
            flags,
            packet_id,
        ) = _PACKED.unpack_from(rows, index * _PACKED.size)  # type: ignore[arg-type]
        stream_at = name_bytes
        properties_at = stream_at + stream_bytes
        payload_at = properties_at + properties_bytes
        data = self.buffer[start : start + payload_at + payload_bytes].tobytes()
        return Record(
            unpack_token(vehicle_hi, vehicle_lo),
            _topic_of(topic),
            data[payload_at:],
            received_time_us,
            event_time_us,
            _encoding_of(encoding),
            data[:stream_at],
            data[stream_at:properties_at],
            identity_lo if flags & _IDENTITY_SEQUENCE else None,
            (identity_hi, identity_lo),
            data[properties_at:payload_at],
            _flags_of(flags),
            key_id,
            epoch,
            partition,
            position,
            packet_id,
        )

    def select(self, mask: npt.NDArray[Any]) -> "RecordBatch":
        """The rows that `mask` (booleans or indices) names, sharing this batch's buffer."""
        return RecordBatch(self.rows[mask], self.buffer)

    @staticmethod
    def empty() -> "RecordBatch":
        return RecordBatch(np.zeros(0, RECORD_DTYPE), np.zeros(0, np.uint8))

    @staticmethod
    def of(records: Iterable[Record]) -> "RecordBatch":
        """Pack record objects into a batch. `sequence`, when set, becomes the identity."""
        given = records if isinstance(records, Sequence) else tuple(records)
        rows = np.empty(len(given), RECORD_DTYPE)
        parts: list[bytes] = []
        start = 0
        for index, record in enumerate(given):
            high, low = pack_token(record.vehicle)
            flags, identity = int(record.flags), record.identity
            if record.sequence is not None:
                flags |= _IDENTITY_SEQUENCE
                identity = (fnv1a_64(record.stream), record.sequence)
            _PACKED.pack_into(
                rows,  # type: ignore[arg-type]
                index * _PACKED.size,
                high,
                low,
                record.position,
                record.event_time_us,
                record.received_time_us,
                *identity,
                start,
                len(record.payload),
                record.key_id,
                record.epoch,
                len(record.name),
                len(record.stream),
                len(record.properties),
                record.partition,
                record.topic,
                record.encoding,
                flags,
                record.packet_id,
            )
            joined = record.name + record.stream + record.properties + record.payload
            parts.append(joined)
            start += len(joined)
        return RecordBatch(rows, np.frombuffer(b"".join(parts), np.uint8))

    @staticmethod
    def concat(batches: Sequence["RecordBatch"]) -> "RecordBatch":
        """Join batches into one that owns its memory; `start` is moved along."""
        rows = np.concatenate([batch.rows for batch in batches])
        shift = 0
        index = 0
        for batch in batches:
            rows["start"][index : index + len(batch)] += np.uint32(shift)
            index += len(batch)
            shift += len(batch.buffer)
        return RecordBatch(rows, np.concatenate([batch.buffer for batch in batches]))

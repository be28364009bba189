"""Payloads to samples: Tesla's and JSON's kernels against the plain rules, and packed columns."""

import struct

from hypothesis import strategies as st

from motorcade.events import Encoding
from motorcade.signals.decode import decode_record
from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.packed import decode as decode_packed
from motorcade.signals.packed import encode as encode_packed
from motorcade.signals.packed import read_base_time, read_packed
from motorcade.signals.readings import Reading, Scalar
from tests.fuzz.seeds import drawn
from tests.fuzz.target import Target
from tests.signals.batches import record
from tests.signals.json import test_kernels as json_tests
from tests.signals.payloads import payload, payloads, texts
from tests.signals.test_kernels import by_kernel, by_plain_rules

SIGNALS = "motorcade.signals"


def read_tesla(data: bytes) -> None:
    assert by_kernel([data]) == by_plain_rules([data])
    decode_record(record(data))


def read_json(data: bytes) -> None:
    assert json_tests.by_kernel([data]) == json_tests.by_plain_rules([data])
    decode_record(record(data, Encoding.JSON_SIGNALS))


def read_columns(data: bytes) -> None:
    read_base_time(data)
    try:
        packed = decode_packed(data)
    except MalformedPayloadError:
        return
    assert len(packed.value) * 14 <= len(data)
    readings = read_packed(data)
    assert sum(len(reading.signals) for reading in readings) == len(packed.value)
    try:
        again = encode_packed(_samples(readings))
    except ValueError:  # no samples, or names that no sender of ours would make
        return
    assert encode_packed(_samples(read_packed(again))) == again


def _samples(readings: list[Reading]) -> list[tuple[int, str, Scalar]]:
    return [
        (reading.time_us or 0, name, value)
        for reading in readings
        for name, value in reading.signals.items()
    ]


LOCATION, DOORS, TIRES, TIME, GEAR, TEXT, NUMBER, UNKNOWN = 21, 58, 224, 37, 10, 64, 8, 300
SECONDS = b"\x08\x01\x10\x02"  # fields that are varints, as in a Timestamp
DEGREES = b"\x09" + struct.pack("<d", 48.1) + b"\x11" + struct.pack("<d", -11.5)
TEXTS = ("true", "FALSE", "x", "<invalid>", "07:30:00", "12", "1.", "1e", "1e400", "-0", "+7", "")
TEXTS += ("ShiftStateD", "DriverFront|TrunkRear", "9007199254740993e1", "1.5e-3", "1e5", "7" * 20)
TEXTS += ("007", "0.1234567890123456789", "9007199254740993", "1e9999", "\u00fc", "x" * 70, "1e-99")
PLACES = ("(1.5 N, 2.5 E)", "(1.5 S, 2.5 W)", "(1.5 N 2.5 E)", "(.5 N, 2.5 E)", "(1.5 X, 2.5 E)")
PLACES += (
    "(1.5 N, 2.5 E) ",
    "(1.5N, 2.25E)xx",
    "1.5 N, 2.5 E, x",
    "(1.5 N, 2.5 Q)",
    "(1.5 N, 2. E)",
)


def _message(number: int, content: bytes) -> bytes:
    """A field that holds bytes."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low = bytes((value & 0x7F | (0x80 if value >> 7 else 0),))
    return low + (_varint(value >> 7) if value >> 7 else b"")


def _datum(field: int, *values: bytes) -> bytes:
    """A datum whose value is given as its bytes; several are pieces of it."""
    return _message(1, b"\x08" + _varint(field) + b"".join(_message(2, each) for each in values))


def _odd_tesla() -> list[bytes]:
    """What the protobuf library would not write, shape by shape."""
    doors = [b"\x08\x01\x30\x00", b"\x38\x01", b"\x09" + bytes(8), b"\x08\x80", b"\x08\x80\x00"]
    flags = [_message(alternative, each) for alternative in (21, 39) for each in doors]
    halves = [_message(7, DEGREES[:9]), _message(7, DEGREES[9:])]
    places = [*halves, _message(7, DEGREES[:5]), _message(7, SECONDS), _message(7, DEGREES)]
    numbers = [b"\x25" + struct.pack("<f", 1.5), b"\x29" + struct.pack("<d", float("inf"))]
    numbers += [b"\x25\x00", b"\x10\x05", b"\x10\x80", b"\x18" + b"\xff" * 9 + b"\x01", b"\x08\x01"]
    numbers += [
        b"\x30\x01",
        b"\x50\x01",
        b"\x48\x05",
        b"\xf8\x07\x05",
        b"\x80\x80\x01\x05",
        b"\xaa",
    ]
    numbers += [b"\x09" + bytes(8), b"\x02\x00", b"\x0a\x05x", b"\x30\x01\x50\x00", b"\x22\x00"]
    numbers += [_message(31, SECONDS), _message(31, b"\x09" + bytes(8)), _message(99, b"x")]
    numbers += [_message(1, text.encode()) for text in TEXTS]
    values = [*flags, *places, *numbers, *(_message(1, text.encode()) for text in PLACES)]
    fields = (LOCATION, DOORS, TIRES, TIME, GEAR, TEXT, NUMBER, UNKNOWN, 5_000)
    data = [_datum(field, value) for field in fields for value in values]
    data += [_datum(LOCATION, *halves), _datum(LOCATION, halves[0] + halves[1])]
    data += [_datum(NUMBER), _datum(1 << 31, b"\x10\x05"), b"\x0a\x02\x12\x00", b"\x0a\x02\x08\x80"]
    data += [_message(1, b"\x09" + bytes(8) + _message(2, b"\x10\x05")), b"\x0a\x80", b"\x0a\x7f"]
    groups = [
        b"\x0b\x0c",
        b"\x0b\x13\x14\x0c",
        b"\x0b\x08\x01\x0c",
        b"\x0b\x14",
        b"\x0b" * 70,
        b"\x0b",
    ]
    long = [
        b"\x0a" + b"\x80" * 5 + b"\x00",
        b"\x8a" + b"\x80" * 5 + b"\x00",
        b"\x00",
        b"\x0e",
        b"\x0d",
    ]
    heads = [
        _message(2, SECONDS),
        _message(2, b"\x09"),
        _message(2, b"\x08\x80"),
        _message(3, b"v"),
    ]
    heads += [b"\x20\x01", b"\x20\x80", b"\x28\x01", _message(2, b"\x0a\x00")]
    sound = _datum(NUMBER, b"\x10\x05")
    return [
        *data,
        *groups,
        *(sound + each for each in (*groups, *long)),
        *(h + sound for h in heads),
    ]


def _tesla() -> list[bytes]:
    given = drawn(payloads(), 200, bytes)
    fields = [4, 8, 10, 21, 59, 65, 5, 99, 300]
    words = st.tuples(st.sampled_from(fields), texts())
    strings = drawn(words, 200, lambda one: payload([(one[0], 1, one[1])]))
    return [*given, *strings, *_odd_tesla()]


def _json() -> list[bytes]:
    values = [b'"D"', b'"ShiftStateD"', b'"Q"', b"null", b"true", b"false", b"12", b"1.5e3", b"[1]"]
    values += [b'"x', b'"\\u0041"', b"nul", b"9007199254740993", b"-0", b"1e-400", b"tru", b""]
    names = (b"soc", b"gear", b"locked", b"software_version", b"own", b"never_heard_of")
    given = [b'{"signals":{"%s":%s}}' % (name, value) for name in names for value in values]
    times = [b"5", b"18446744073709551616", b"05", b"5.0", b"5e3", b"1999999999999999", b"x", b"-1"]
    given += [b'{"time_us":%s,"signals":{"soc":1}}' % time for time in times]
    given += [b'{"signals":{"soc":1},"time_us":5}', b'{"time_us":1,"time_us":2,"signals":{}}']
    given += [b'{"signals":{},"signals":{}}', b'{"signals":{"soc":1,"soc":2}}', b'{"time_us":5}']
    given += [
        b"[]",
        b"[] x",
        b"[{}]",
        b'[{"signals":{}}',
        b'[{"signals":{}}] x',
        b'{"signals":{}} x',
    ]
    given += [
        b'{"signals":[]}',
        b'{"signals":{"soc":1 2}}',
        b'{"signals":{"soc" 1}}',
        b'{"signals" 1}',
    ]
    given += [b'{"signals":{"soc":1}"time_us":5}', b'{"more":1}', b"{", b"7", b'{"signals":{}']
    deep = [b"[" * 900, b'{"a":' * 900]
    return [*drawn(json_tests.documents, 250, bytes), json_tests.TEACH, *deep, *given]


def columns() -> list[bytes]:
    values: st.SearchStrategy[bool | int | float | str | None]
    values = st.none() | st.booleans() | st.floats(allow_nan=False) | st.sampled_from(["D", "x"])
    names = st.sampled_from(["soc", "gear", "own", "Other", "ü"])
    times = st.integers(0, 1 << 31)
    sent = st.lists(st.tuples(times, names, values), min_size=1, max_size=6)
    whole = drawn(sent.filter(_fits), 80, encode_packed)
    early = struct.pack("<4sBBHIIq", b"MSMP", 1, 0, 0, 0, 0, -1)
    ahead = struct.pack("<4sBBHIIq", b"MSMP", 1, 0, 0, 0, 0, 1 << 63 - 1)
    return [*whole, early, ahead, struct.pack("<4sBBHIIq", b"MSMP", 1, 0, 9, 0, 9, 0)]


def _fits(samples: object) -> bool:
    try:
        encode_packed(samples)  # type: ignore[arg-type]
    except ValueError:
        return False
    return True


TARGETS = (
    Target(
        "signals-tesla",
        read_tesla,
        _tesla,
        tuple(f"{SIGNALS}.{name}" for name in ("tesla", "values", "kernels", "text.kernels")),
        mutations=100,
    ),
    Target("signals-json", read_json, _json, (f"{SIGNALS}.json.plain", f"{SIGNALS}.json.kernels")),
    Target("signals-packed", read_columns, columns, (f"{SIGNALS}.packed",)),
)

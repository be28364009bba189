"""Payloads to samples: Tesla's and JSON's kernels against the plain rules, and packed columns."""

import struct

from hypothesis import strategies as st

from motorcade.events import Encoding
from motorcade.signals.decode import decode_record
from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.packed import decode as decode_packed
from motorcade.signals.packed import encode as encode_packed
from motorcade.signals.packed import read_base_time, read_packed
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


def _tesla() -> list[bytes]:
    given = drawn(payloads(), 200, bytes)
    fields = [4, 8, 10, 21, 59, 65, 5, 99, 300]
    words = st.tuples(st.sampled_from(fields), texts())
    return [*given, *drawn(words, 200, lambda one: payload([(one[0], 1, one[1])]))]


def _json() -> list[bytes]:
    return [*drawn(json_tests.documents, 250, bytes), json_tests.TEACH, b"[" * 900, b'{"a":' * 900]


def _columns() -> list[bytes]:
    values: st.SearchStrategy[bool | int | float | str | None]
    values = st.none() | st.booleans() | st.floats(allow_nan=False) | st.sampled_from(["D", "x"])
    names = st.sampled_from(["soc", "gear", "own", "Other", "ü"])
    times = st.integers(0, 1 << 31)
    sent = st.lists(st.tuples(times, names, values), min_size=1, max_size=6)
    whole = drawn(sent.filter(_fits), 80, encode_packed)
    ahead = struct.pack("<4sBBHIIq", b"MSMP", 1, 0, 0, 0, 0, 1 << 63 - 1)
    return [*whole, ahead, struct.pack("<4sBBHIIq", b"MSMP", 1, 0, 9, 0, 9, 0)]


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
    Target("signals-packed", read_columns, _columns, (f"{SIGNALS}.packed",)),
)

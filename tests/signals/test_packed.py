"""Packed samples: what vehicles encode is what we decode, and nothing else is accepted."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.signals.catalogue import BY_NAME
from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.packed import SPAN_US_MAX, decode, encode, read_base_time, read_packed
from motorcade.signals.readings import Scalar

BASE_US = 1_760_000_000_000_000
GOOD = encode(
    [(BASE_US, "vehicle_speed", 3.5), (BASE_US + 7, "mine", "text"), (BASE_US, "x", None)]
)

scalars = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
names = st.text(min_size=1, max_size=40).filter(lambda name: name not in BY_NAME)
samples = st.lists(
    st.tuples(st.integers(0, SPAN_US_MAX).map(lambda us: BASE_US + us), names, scalars), min_size=1
)


@given(samples)
def test_what_was_packed_comes_out(given_samples: list[tuple[int, str, Scalar]]) -> None:
    out = [
        (reading.time_us, name, value)
        for reading in read_packed(encode(given_samples))
        for name, value in reading.signals.items()
    ]
    assert out == given_samples


def test_known_signals_take_names_and_booleans_as_the_catalogue_says() -> None:
    readings = read_packed(encode([(5, "gear", "D"), (5, "locked", True), (9, "gear", None)]))
    assert [reading.time_us for reading in readings] == [5, 9]
    assert readings[0].signals == {"gear": "D", "locked": True}
    assert readings[1].signals == {"gear": None}


def test_a_sample_takes_fourteen_bytes() -> None:
    one, two = (encode([(0, "soc", 1.0)] * count) for count in (1, 2))
    assert len(two) - len(one) == 14


def test_the_header_alone_gives_the_event_time() -> None:
    assert read_base_time(GOOD) == BASE_US
    assert read_base_time(GOOD[:23]) is None
    assert read_base_time(b"{}" + GOOD[2:]) is None


def test_every_cut_is_malformed() -> None:
    for cut in range(len(GOOD)):
        with pytest.raises(MalformedPayloadError):
            decode(GOOD[:cut])
    with pytest.raises(MalformedPayloadError, match="after the last"):
        decode(GOOD + b"\0")


@pytest.mark.parametrize(
    ("offset", "patch", "reason"),
    [
        (0, b"X", "version"),
        (4, b"\x02", "version"),
        (5, b"\x01", "version"),
        (8, b"\xff\xff\xff\xff", "samples announced"),
        (12, b"\xff\xff\xff\xff", "texts announced"),
        (16, b"\xff" * 8, "no instant"),
        (24 + 3 * 12, b"\x09\x80", "does not list"),
        (24 + 8, struct.pack("<Q", 0x7FFA_0000_0000_0001), "does not list"),
    ],
)
def test_broken_payloads_say_what_is_wrong(offset: int, patch: bytes, reason: str) -> None:
    broken = GOOD[:offset] + patch + GOOD[offset + len(patch) :]
    with pytest.raises(MalformedPayloadError, match=reason):
        decode(broken)


@given(st.integers(0, len(GOOD)), st.binary(max_size=12))
def test_fuzzed_payloads_raise_nothing_else(place: int, patch: bytes) -> None:
    fuzzed = GOOD[:place] + patch + GOOD[place + len(patch) :]
    try:
        packed = decode(fuzzed)
    except MalformedPayloadError:
        return
    assert len(packed.time_us) == len(packed.signal) == len(packed.value)
    odd = packed.value[~np.isfinite(packed.value)]
    assert all(math.isnan(value) for value in odd), "infinities became unavailable"


@pytest.mark.parametrize(
    "bad",
    [
        [],
        [(0, "a", 1.0), (SPAN_US_MAX + 1, "a", 1.0)],
        [(0, "", 1.0)],
        [(0, "n" * 129, 1.0)],
        [(0, "a", "t" * 65_536)],
        [(-1, "a", 1.0)],
        [((1 << 62) + 1, "a", 1.0)],
    ],
)
def test_what_does_not_fit_is_refused_when_packing(bad: list[tuple[int, str, Scalar]]) -> None:
    with pytest.raises(ValueError, match=r"."):
        encode(bad)

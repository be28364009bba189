"""Numbers in text: exactly what `float` reads, or not at all."""

import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from motorcade.signals.text.kernels import scan_number


def scan(text: str) -> tuple[bool, bytes, int]:
    data = np.frombuffer(text.encode(), np.uint8)
    understood, value, position = scan_number(data, 0, len(data))
    return understood, struct.pack("<d", value), position


def exact(text: str) -> bytes:
    """As JSON's readers have it: what is written as an integer knows no minus zero."""
    return struct.pack("<d", int(text) if text.lstrip("-").isdigit() else float(text))


digits = st.integers(0, 10**19 - 1)


@given(digits, st.integers(0, 22), st.sampled_from(["", "-"]))
@example(9007199254740993, 1, "")  # 2**53 + 1: its neighbours are even
@example(10**19 - 1, 22, "-")
@settings(max_examples=2_000)
def test_up_to_19_digits_are_read_as_float_reads_them(
    mantissa: int, places: int, sign: str
) -> None:
    text = f"{mantissa:0{places + 1}d}"
    text = sign + (f"{text[:-places]}.{text[-places:]}" if places else f"{text}.0")
    understood, value, _ = scan(text)
    if understood:
        assert value == exact(text)


@given(st.floats(-1e15, 1e15).filter(lambda value: abs(value) > 1e-5))
@settings(max_examples=2_000)
def test_what_other_programs_print_is_understood(value: float) -> None:
    text = repr(value)
    understood, read, position = scan(text)
    if len(text.strip("-").replace(".", "")) <= 19 and "e" not in text:
        assert (understood, read, position) == (True, exact(text), len(text))


@given(st.integers(1 << 52, (1 << 53) - 1), st.integers(0, 11))
def test_halves_between_two_floats_are_never_guessed(odd: int, binary_places: int) -> None:
    """The hardest cases: exactly between two neighbours, and one digit beside it."""
    half = (2 * odd + 1) * 5**binary_places  # (2 odd + 1) / 2**binary_places, as decimal digits
    for digits_of_half in (half - 1, half, half + 1):
        text = f"{digits_of_half:0{binary_places + 1}d}"
        text = f"{text[:-binary_places]}.{text[-binary_places:]}" if binary_places else text + ".0"
        understood, value, _ = scan(text)
        if understood:
            assert value == exact(text)


@pytest.mark.parametrize("text", ["", "-", "01", "-01", "1.", ".5", "1.e5", "1e", "1e+", "+1", "x"])
def test_what_is_no_number_is_not_understood(text: str) -> None:
    assert not scan(text)[0]


@pytest.mark.parametrize(
    ("text", "position"), [("1,", 1), ("-2.5}", 4), ("0]", 1), ("1e2x", 3), ("12 ", 2)]
)
def test_a_number_ends_where_it_ends(text: str, position: int) -> None:
    understood, value, after = scan(text)
    assert (understood, after) == (True, position)
    assert value == struct.pack("<d", float(text[:position]))

"""Values in a float64, and the dictionary that numbers names and texts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.signals.catalogue import BY_NAME, IDS_MAX
from motorcade.signals.samples import Dictionary, bits_of, box, present, text_number, unbox
from motorcade.signals.values import Stored


def dictionary(texts_max: int = 100, text_bytes_max: int = 64) -> Dictionary:
    return Dictionary(names_per_vehicle_max=5, text_bytes_max=text_bytes_max, texts_max=texts_max)


@given(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=16))
def test_a_boxed_value_survives_numpy_and_comes_out(value: Stored) -> None:
    texts: dict[int, str] = {}
    column = np.array([box(value, dictionary(), texts)] * 2)
    again = np.concatenate((column, np.insert(column, 0, column[0])))[1:].tolist()[0]
    out = unbox(again, texts)
    assert out == value
    assert type(out) is type(value)


def test_unavailable_is_the_ordinary_nan() -> None:
    assert bits_of(box(None, dictionary(), {})) == bits_of(float(np.nan))
    assert text_number(box(None, dictionary(), {})) is None


def test_names_are_numbered_in_order_and_for_good() -> None:
    names = dictionary()
    assert names.id_of("soc", 0) == BY_NAME["soc"].id
    assert [names.id_of(name, 0) for name in ("b", "a", "b")] == [IDS_MAX, IDS_MAX + 1, IDS_MAX]
    assert names.name_of(IDS_MAX + 1) == "a"
    assert names.name_of(BY_NAME["soc"].id) == "soc"


@pytest.mark.parametrize("name", ["", "online", "n" * 129, "ä" * 65])
def test_names_that_are_none_are_refused(name: str) -> None:
    names = dictionary()
    assert names.id_of(name, 0) == -1
    assert names.refused == 1


def test_texts_keep_their_number_as_long_as_they_keep_coming() -> None:
    names = dictionary(texts_max=2)
    first = names.number_of("often")[0]
    for number in range(20):
        assert names.number_of(f"once {number}")[0] != first
        assert names.number_of("often")[0] == first
    again = names.number_of("once 0")[0]
    assert again > first, "two generations later it is a new text"
    assert len(names.snapshot()) < 200, "and the table stays small"


def test_long_texts_are_cut_at_a_whole_character() -> None:
    names = dictionary(text_bytes_max=5)
    assert names.number_of("ääää") == (0, "ää")
    assert names.number_of("abcde") == (1, "abcde")
    assert names.number_of("\ud800") == (2, "?"), "a lone surrogate of JSON has no UTF-8"


def test_people_see_booleans_and_names() -> None:
    assert present(BY_NAME["locked"], 1.0, {}) is True
    assert present(BY_NAME["locked"], 2.0, {}) == 2.0
    assert present(BY_NAME["gear"], 5.0, {}) == "D"
    assert present(BY_NAME["gear"], 77.0, {}) == 77.0
    assert present(BY_NAME["gear"], 0.0, {}) == "Unknown"
    assert present(None, 1.0, {}) == 1.0

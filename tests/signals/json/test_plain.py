"""JSON signals: objects and arrays, and every way in which they can be wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.json.plain import read_json
from motorcade.signals.readings import Reading


def test_an_object_and_an_array_of_them() -> None:
    one = b'{"time_us": 5, "signals": {"speed": 1.5, "on": true, "name": "x", "gone": null}}'
    values = {"speed": 1.5, "on": True, "name": "x", "gone": None}
    assert read_json(one) == [Reading(5, values)]
    assert read_json(b"[" + one + b', {"signals": {}}]') == [Reading(5, values), Reading(None, {})]


def test_nested_values_and_bad_names_are_counted_and_the_rest_stands() -> None:
    signals = {"good": 1, "object": {"a": 1}, "list": [1], "": 1, "n" * 129: 1, "huge": 1 << 300}
    payload = json.dumps({"time_us": 5, "signals": signals}).encode()
    assert read_json(payload) == [Reading(5, {"good": 1}, rejected=5)]


@pytest.mark.parametrize("time", ['"5"', "-1", "9223372036854775808", "1.5", "null", "true", "{}"])
def test_an_impossible_time_counts_as_not_given(time: str) -> None:
    assert read_json(f'{{"time_us": {time}, "signals": {{"a": 1}}}}'.encode())[0].time_us is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[]x",
        b"5",
        b"null",
        b'"text"',
        b'{"time_us": 5}',
        b'{"signals": 5}',
        b'{"signals": [1]}',
        b'[{"signals": {"a": 1}}, 5]',
        b'{"signals": {"a": 1}',
        b'{"signals": {"a": 1e999}}',
        b'{"signals": {"\xff": 1}}',
        b"[" * 100_000,
        b'{"signals": ' + b'{"a":' * 100_000,
        b'{"signals": {"a": ' + b"9" * 10_000 + b"}}",
    ],
)
def test_other_payloads_are_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedPayloadError):
        read_json(payload)


def test_an_empty_array_has_no_readings() -> None:
    assert read_json(b"[]") == []


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_json_is_read_or_refused(value: object) -> None:
    for document in (value, {"signals": value}, [{"signals": {"a": value}}]):
        try:
            readings = read_json(json.dumps(document).encode())
        except MalformedPayloadError:
            continue
        assert all(reading.rejected >= 0 for reading in readings)

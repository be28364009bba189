"""The telemetry kernel against the plain rules, bit by bit, on sound, odd and broken payloads."""

import struct
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from motorcade.events import RecordBatch
from motorcade.signals import decoder as decoder_module
from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.kernels import decode_telemetry, read_varint
from motorcade.signals.plain import PlainRules, Row
from motorcade.signals.samples import Dictionary, bits_of, box
from motorcade.signals.tesla import parse_payload
from motorcade.signals.text.kernels import read_number
from motorcade.signals.values import samples_of
from tests.signals.batches import decode, decoder, record
from tests.signals.payloads import damaged, payload, payloads, texts


def by_plain_rules(payloads: list[bytes]) -> tuple[list[tuple[int, int, int]], int]:
    """(slot, signal, bits) of every sample, and how many records were malformed."""
    names = Dictionary(names_per_vehicle_max=100, text_bytes_max=1_024)
    samples, malformed = [], 0
    for slot, data in enumerate(payloads):
        try:
            given_data = parse_payload(data)
        except MalformedPayloadError:
            malformed += 1
            continue
        for datum in given_data:
            for name, value in samples_of(datum):
                signal = name if isinstance(name, int) else names.id_of(name, slot)
                samples.append((slot, signal, bits_of(box(value, names, {}))))
    return samples, malformed


def by_kernel(payloads: list[bytes]) -> tuple[list[tuple[int, int, int]], int]:
    fresh = decoder()
    samples = decode(fresh, *map(record, payloads))
    bits = samples.value.view(np.uint64).tolist()
    rows = zip(samples.vehicle.tolist(), samples.signal.tolist(), bits, strict=True)
    return list(rows), fresh.counts.malformed_records


@given(st.lists(payloads(), max_size=6))
@example([payload([(60, 4, -0.0)])])
@example([payload([(60, 5, -0.0), (8, 5, -0.0), (60, 5, 1.5), (60, 1, "-0")])])
def test_kernel_equals_plain_rules(batch: list[bytes]) -> None:
    assert by_kernel(batch) == by_plain_rules(batch)


@given(st.lists(damaged(), max_size=6))
@settings(max_examples=300)
def test_kernel_equals_plain_rules_on_damaged_payloads(batch: list[bytes]) -> None:
    assert by_kernel(batch) == by_plain_rules(batch)


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_kernel_equals_plain_rules_on_noise(batch: list[bytes]) -> None:
    assert by_kernel(batch) == by_plain_rules(batch)


@given(texts())
def test_the_kernel_reads_a_number_exactly_or_not_at_all(text: str) -> None:
    data = np.frombuffer(text.encode() or b"x", np.uint8)
    understood, value = read_number(data, 0, len(data))
    if understood:
        exact = float(text)
        if text.lstrip("+-").strip("0") == "":
            exact = abs(exact)  # "-0" is an integer, and there is no minus zero among those
        assert struct.pack("<d", value) == struct.pack("<d", exact)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 9))
def test_a_varint_cut_anywhere_is_no_varint(value: int, cut: int) -> None:
    encoded = bytearray()
    rest = value
    while rest >= 0x80:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    data = np.frombuffer(bytes(encoded), np.uint8)
    assert read_varint(data, 0, len(data)) == (value, len(data))
    if cut < len(data):
        assert read_varint(data, 0, cut)[1] == -1


def test_typed_values_and_plain_strings_never_leave_the_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(rules: PlainRules, row: Row, *given: object) -> None:
        raise AssertionError(f"{given} took the slow road")

    for name in ("read_text", "read_datum", "read_payload"):
        monkeypatch.setattr(PlainRules, name, refuse)
    typed = [(4, 4, 31.5), (5, 5, 1e5), (8, 2, 80), (10, 9, 5), (59, 6, True), (85, 10, True)]
    typed += [(21, 7, {"latitude": 48.1, "longitude": 11.5}), (58, 21, {"TrunkRear": True})]
    strings = [(4, 1, "31.5"), (8, 1, "2.15e-2"), (59, 1, "false"), (5, 1, "12345")]
    strings += [(10, 1, "D"), (65, 1, "SentryModeStateArmed"), (21, 1, "(1.5 S, 2.25 W)")]
    data = payload(typed + strings, created_us=1_700_000_000_000_001)
    assert len(decode(decoder(), record(data))) == 6 + 2 + 6 + 4 + 4


def test_more_samples_than_the_kernel_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = [payload([(4, 4, 1.5), (99, 2, 7), (65, 1, "Armed"), (300, 2, 1)])] * 50
    whole = by_kernel(batch)
    monkeypatch.setattr(decoder_module, "SAMPLES_PER_CALL", 100)
    assert by_kernel(batch) == whole
    assert len(whole[0]) == 200


@given(st.lists(payloads(), max_size=3))
@example([payload([(224, 10, True)], vin="")])  # ten samples of nine bytes
@example([payload([(224, 10, True)] * 5, vin="")])
@example([payload([(225, 10, True)], vin="")] * 5)
def test_the_kernel_writes_within_the_room_that_it_is_given(batch: list[bytes]) -> None:
    def guarded(*given_arrays: Any) -> tuple[int, int, int, int]:
        out = given_arrays[7]
        wide = [np.full(len(column) + 32, 77, column.dtype) for column in out]
        inner = tuple(each[:-32] for each in wide)
        told = decode_telemetry(*given_arrays[:7], inner, *given_arrays[8:])
        assert told[1] <= len(out[0])
        assert all((each[-32:] == 77).all() for each in wide)
        for column, each in zip(out, inner, strict=True):
            column[:] = each
        return cast(tuple[int, int, int, int], told)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decoder_module, "decode_telemetry", guarded)
        assert by_kernel(batch) == by_plain_rules(batch)


def test_an_empty_batch_gives_no_samples() -> None:
    samples = decoder().decode(RecordBatch.empty(), np.zeros(0, np.int32))
    assert len(samples) == 0

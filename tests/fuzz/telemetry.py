"""Fleet Telemetry's envelope and payload shapes, readable and compiled side by side."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from motorcade.wire.tesla_telemetry import kernels
from motorcade.wire.tesla_telemetry.envelope import (
    Envelope,
    Tag,
    decode_answer,
    encode_ack,
    encode_error,
    encode_stream,
    parse_envelope,
)
from motorcade.wire.tesla_telemetry.errors import MalformedPayloadError, TelemetryFormatError
from motorcade.wire.tesla_telemetry.records import (
    RECORD_TYPES,
    SECONDS_MAX,
    inspect,
    record_type_of,
)
from tests.fuzz.seeds import drawn
from tests.fuzz.target import Target
from tests.wire.tesla_telemetry import test_kernels as tests
from tests.wire.tesla_telemetry.payloads import varint, wire_payloads
from tests.wire.tesla_telemetry.test_kernels import TOKEN, array, compare_with_oracle

check_answers: Any = tests.test_answers_are_packed_as_by_the_oracle.hypothesis.inner_test  # type: ignore[attr-defined]
check_identity: Any = tests.test_a_record_is_identified_as_by_the_oracle.hypothesis.inner_test  # type: ignore[attr-defined]
check_utf8: Any = tests.test_utf8_is_judged_as_by_python.hypothesis.inner_test  # type: ignore[attr-defined]

WIRE = "motorcade.wire.tesla_telemetry"


def read(data: bytes) -> None:
    """The first byte chooses: a message, or a payload of one of the record types."""
    if not data:
        return
    if data[0] & 0x80:
        _read_message(data[1:])
    else:
        _read_payload(data[0] % len(RECORD_TYPES), data[1:])


def _read_message(data: bytes) -> None:
    """A car's message, a server's answer, and what is made of its parts."""
    if data:
        compare_with_oracle(data)
    else:
        assert parse_envelope(data) == Envelope(b"", b"", Tag.NONE, None)
    check_answers(data[:40], data[40:60])
    check_identity(data[:30], data[30:60], data[60:])
    check_utf8(data[:12])
    try:
        answer = decode_answer(data)
    except TelemetryFormatError:
        return
    if answer.acked:
        assert decode_answer(encode_ack(answer.txid, answer.topic)) == answer
    else:
        again = decode_answer(encode_error(answer.txid, answer.reason))
        assert (again.txid, again.reason) == (answer.txid, answer.reason)


def _read_payload(row: int, payload: bytes) -> None:
    _check_name(payload[:20])
    given = array(b"?" + payload + b"?")
    stack = np.zeros((kernels.STACK_SIZE, 3), np.int64)
    told = np.zeros(kernels.TOLD_SIZE, np.int64)
    good = kernels.check_payload(given, 1, 1 + len(payload), row, array(TOKEN), stack, told)
    assert given[0] == given[-1] == ord("?")
    try:
        plain = inspect(payload, RECORD_TYPES[row], TOKEN)
    except MalformedPayloadError:
        assert not good
        return
    assert good
    assert plain.resend == told[kernels.TOLD_RESEND]
    assert plain.created_at_us == (
        told[kernels.TOLD_TIME_US] if told[kernels.TOLD_HAS_TIME] else None
    )
    appended = b"" if told[kernels.TOLD_VIN_FITS] else plain.payload[len(payload) :]
    assert len(appended) in (0, 19)
    assert given[1:-1].tobytes() + appended == plain.payload


def _check_name(name: bytes) -> None:
    found = kernels.type_of(array(b"?" + name + b"?"), 1, len(name))
    record_type = record_type_of(name)
    assert found == (RECORD_TYPES.index(record_type) if record_type else kernels.OTHER)


def envelopes() -> list[bytes]:
    names = st.sampled_from([b"", b"V", b"alerts", b"n" * 128, b"n" * 129])
    sent = st.tuples(names, names, st.binary(max_size=40), st.integers(0, 2**32 - 1))
    streams = drawn(
        sent,
        40,
        lambda one: encode_stream(
            txid=one[0], topic=one[1], payload=one[2], device_id=b"5YJ3", created_at_s=one[3]
        ),
    )
    long = encode_stream(txid=b"t" * 257, topic=b"", payload=b"", device_id=b"", created_at_s=1)
    whole = [*streams, long, b"", encode_ack(b"tx", b"V"), encode_error(b"tx", b"reason")]
    return [b"\x80" + each for each in whole]


def payloads() -> list[bytes]:
    sent = st.tuples(st.integers(0, len(RECORD_TYPES) - 1), wire_payloads)
    drawn_ones = drawn(sent, 250, lambda one: bytes((one[0],)) + one[1])
    names = [b"\0" + row.name for row in RECORD_TYPES]
    return [*drawn_ones, *names, *_odd_payloads()]


def _odd_payloads() -> list[bytes]:
    """Nesting at its limit, times, and packed numbers: what chance draws too seldom."""
    row_of = {row.message: index for index, row in enumerate(RECORD_TYPES)}
    found = [bytes((0,)) + b"\x0b" * count + b"\x0c" * count for count in (98, 99, 120)]
    found.append(b"\0" + b"\x0b" * 120)
    times = [_number(1, SECONDS_MAX + more) + _number(2, 999_999_999) for more in (0, 1)]
    times += [_number(2, nanos) for nanos in (1_000_000_000, 2**32 + 5, 2**64 - 1)]
    for row, record_type in enumerate(RECORD_TYPES):
        found += [bytes((row,)) + _held(record_type.time_field, time) for time in times]
        vin = _held(record_type.vin_field, b"5YJ3E1EA7KF000001")
        short = _held(record_type.vin_field, b"5YJ3")
        found += [bytes((row,)) + each for each in (vin, vin + vin, vin + short, short + vin)]
    for packed in (b"", b"\x01\x80\x01", b"\x01\x80", b"\xff" * 9 + b"\x01", b"\xff" * 10):
        alert = _held(1, b"name") + _held(2, packed) + _held(3, times[0])
        found.append(bytes((row_of["VehicleAlerts"],)) + _held(1, alert))
    return found


def _number(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def _held(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def _seeds() -> list[bytes]:
    return [*envelopes(), *payloads()]


_MODULES = (f"{WIRE}.envelope", f"{WIRE}.records", f"{WIRE}.kernels")
TARGETS = (Target("telemetry", read, _seeds, _MODULES),)

"""Fleet Telemetry's envelope and payload shapes, readable and compiled side by side."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from motorcade.wire.tesla_telemetry import kernels
from motorcade.wire.tesla_telemetry.envelope import (
    decode_answer,
    encode_ack,
    encode_error,
    encode_stream,
)
from motorcade.wire.tesla_telemetry.errors import MalformedPayloadError, TelemetryFormatError
from motorcade.wire.tesla_telemetry.records import RECORD_TYPES, inspect, record_type_of
from tests.fuzz.seeds import drawn
from tests.fuzz.target import Target
from tests.wire.tesla_telemetry import test_kernels as tests
from tests.wire.tesla_telemetry.payloads import wire_payloads
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
    kernels.type_of(array(payload + b"?"), 0, len(payload))
    given = array(b"?" + payload + b"?")
    stack = np.zeros((kernels.STACK_SIZE, 3), np.int64)
    told = np.zeros(kernels.TOLD_SIZE, np.int64)
    good = kernels.check_payload(given, 1, 1 + len(payload), row, array(TOKEN), stack, told)
    record_type_of(payload[:10])
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


def _envelopes() -> list[bytes]:
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


def _payloads() -> list[bytes]:
    sent = st.tuples(st.integers(0, len(RECORD_TYPES) - 1), wire_payloads)
    deep = b"\x0b" * 120
    return [*drawn(sent, 250, lambda one: bytes((one[0],)) + one[1]), b"\0" + deep]


def _seeds() -> list[bytes]:
    return [*_envelopes(), *_payloads()]


_MODULES = (f"{WIRE}.envelope", f"{WIRE}.records", f"{WIRE}.kernels")
TARGETS = (Target("telemetry", read, _seeds, _MODULES),)

"""Payloads for tests: what Tesla's schema allows, what it does not, and what is damaged."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from tesla_protocol.telemetry.vehicle_alert_pb2 import VehicleAlerts
from tesla_protocol.telemetry.vehicle_connectivity_pb2 import VehicleConnectivity
from tesla_protocol.telemetry.vehicle_data_pb2 import Payload
from tesla_protocol.telemetry.vehicle_error_pb2 import VehicleErrors
from tesla_protocol.telemetry.vehicle_metric_pb2 import VehicleMetrics

MESSAGE_CLASSES = (Payload, VehicleAlerts, VehicleErrors, VehicleConnectivity, VehicleMetrics)
"""In the order of RECORD_TYPES."""

_NUMBERS = st.sampled_from([1, 1, 2, 2, 3, 3, 4, 5, 7, 21, 31, 39, 54, 63, 64, 1_000])
_TEXTS = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=10).map(str.encode),
    st.just(b"5YJ3E1EA7KF000001"),
    st.sampled_from(
        [b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f\x9a\x97", b"\xe2"]
    ),
)
_VARINTS = st.one_of(
    st.integers(0, 2**64 - 1).map(lambda value: varint(value)),
    st.sampled_from([b"\x80\x00", b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x02", b"\x80" * 10]),
)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes((value,))


def _field(inner: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    def tagged(wire: int, body: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
        return st.builds(lambda n, b: varint(n << 3 | wire) + b, _NUMBERS, body)

    def group(number: int, body: bytes) -> bytes:
        return varint(number << 3 | 3) + body + varint(number << 3 | 4)

    delimited = inner.map(lambda body: varint(len(body)) + body)
    return st.one_of(
        tagged(2, delimited),
        tagged(2, delimited),
        tagged(0, _VARINTS),
        tagged(1, st.binary(min_size=8, max_size=8)),
        tagged(5, st.binary(min_size=4, max_size=4)),
        st.builds(group, _NUMBERS, inner),
    )


def _message(inner: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    return st.lists(_field(inner), max_size=5).map(b"".join)


wire_payloads = st.recursive(_TEXTS, _message, max_leaves=12)
"""Bytes that are protobuf more often than not."""

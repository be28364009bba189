"""A small fleet's records, random or by hand, as live state reads them from the log."""

import json

import msgspec
from hypothesis import strategies as st
from tesla_protocol.telemetry.vehicle_connectivity_pb2 import VehicleConnectivity

from motorcade.config import Config, StateConfig
from motorcade.events import (
    NO_VEHICLE,
    Encoding,
    Flags,
    Record,
    RecordBatch,
    Topic,
    VehicleToken,
    make_token,
    partition_of,
)
from motorcade.signals import packed
from tests.signals.payloads import payload, payloads

START_US = 1_760_000_000_000_000
FLEET = [make_token(bytes([number]) * 16) for number in range(5)]
SMALL = Config(state=StateConfig(vehicles_max=100, signals_per_vehicle_max=20))
PARTITIONS = 4


def telemetry(
    token: VehicleToken,
    body: bytes,
    time_us: int,
    *,
    encoding: Encoding = Encoding.TESLA_TELEMETRY,
    received_us: int | None = None,
    flags: Flags = Flags.TIME_GIVEN,
    sequence: int | None = None,
) -> Record:
    return Record(
        vehicle=token,
        topic=Topic.TELEMETRY,
        payload=body,
        received_time_us=START_US + (time_us if received_us is None else received_us),
        event_time_us=START_US + time_us,
        encoding=encoding,
        flags=flags,
        stream=b"s" if sequence is not None else b"",
        sequence=sequence,
        partition=partition_of(token, PARTITIONS),
    )


def tesla(token: VehicleToken, time_us: int, **fields: float) -> Record:
    numbers = {"speed": 4, "soc": 8, "unknown": 300}
    return telemetry(token, payload([(numbers[n], 5, v) for n, v in fields.items()]), time_us)


def signals(token: VehicleToken, time_us: int, **values: object) -> Record:
    body = json.dumps({"time_us": START_US + time_us, "signals": values}).encode()
    return telemetry(token, body, time_us, encoding=Encoding.JSON_SIGNALS)


def presence(token: VehicleToken, connection: str, status: int, time_us: int = 0) -> Record:
    """Status 1: connected, 2: disconnected."""
    message = VehicleConnectivity(vin=token, connection_id=connection, status=status)  # type: ignore[arg-type]
    return msgspec.structs.replace(
        telemetry(token, bytes(message.SerializeToString()), time_us),
        topic=Topic.CONNECTIVITY,
        encoding=Encoding.TESLA_CONNECTIVITY,
        name=b"connectivity",
    )


def gateway_started(time_us: int = 0) -> Record:
    blank = telemetry(NO_VEHICLE, b"", time_us, encoding=Encoding.OPAQUE)
    return msgspec.structs.replace(blank, topic=Topic.CONNECTIVITY, name=b"gateway_started")


def batch(*records: Record) -> RecordBatch:
    return RecordBatch.of(records)


tokens = st.sampled_from(FLEET)
times = st.integers(0, 20)
names = st.sampled_from(["soc", "gear", "own", "mine", "note", *(f"n{i}" for i in range(30))])
values = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["D", "x", "yy"])


def any_record() -> st.SearchStrategy[Record]:
    """Whatever may lie in the topics that live state follows."""
    return st.one_of(
        st.builds(telemetry, tokens, payloads(), times),
        st.builds(telemetry, tokens, st.binary(max_size=20), times),
        st.builds(
            lambda t, at, v: signals(t, at, **v),
            tokens, times, st.dictionaries(names, values)),
        st.builds(
            lambda t, at, v: telemetry(
                t, packed.encode([(START_US + at, n, x) for n, x in v.items()]), at,
                encoding=Encoding.SAMPLES),
            tokens, times, st.dictionaries(names, values, min_size=1)),
        st.builds(presence, tokens, st.sampled_from("abc"), st.integers(0, 2), times),
        st.builds(gateway_started, times),
    )  # fmt: skip

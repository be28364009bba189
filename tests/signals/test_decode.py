"""`decode_record`: a record in its sender's own words."""

import json

import pytest

from motorcade.events import Encoding
from motorcade.signals.decode import decode_record
from motorcade.signals.packed import encode
from tests.signals.batches import record
from tests.signals.payloads import payload


def test_tesla_fields_by_name_and_type() -> None:
    data = [
        (4, 4, 65.5), (59, 6, True), (10, 9, 5), (65, 1, "Armed"), (8, 1, "80.5"), (85, 10, True),
        (21, 1, "(37.412374 N, 122.145867 W)"), (58, 21, {"TrunkRear": True}), (300, 3, 1 << 60),
        (44, 31, {"hour": 7}), (64, 1, "Käthe"), (10, 9, 99),
    ]  # fmt: skip
    expected = {
        "VehicleSpeed": 65.5,
        "Locked": True,
        "Gear": 99,
        "SentryMode": "SentryModeStateArmed",
        "Soc": 80.5,
        "InsideTemp": None,
        "Location": {"latitude": 37.412374, "longitude": -122.145867},
        "DoorState": {
            "DriverFront": False, "DriverRear": False, "PassengerFront": False,
            "PassengerRear": False, "TrunkFront": False, "TrunkRear": True,
        },
        "Field_300": 1 << 60,
        "ScheduledChargingStartTime": {"hour": 7, "minute": 0, "second": 0},
        "VehicleName": "Käthe",
    }  # fmt: skip
    decoded = decode_record(record(payload(data), event_us=5))
    assert decoded == [{"time_us": 5, "signals": expected}]
    assert json.loads(json.dumps(decoded, allow_nan=False)) == decoded


def test_what_is_not_finite_is_not_available() -> None:
    infinite = {"latitude": float("inf"), "longitude": 1.0}
    decoded = decode_record(record(payload([(4, 5, float("nan")), (21, 7, infinite)])))
    assert decoded is not None
    assert decoded[0]["signals"] == {
        "VehicleSpeed": None,
        "Location": {"latitude": None, "longitude": 1.0},
    }


def test_json_and_packed_as_sent() -> None:
    body = [{"time_us": 3, "signals": {"speed": 1, "gear": "D"}}, {"signals": {"x": None}}]
    assert decode_record(record(json.dumps(body).encode(), Encoding.JSON_SIGNALS, event_us=9)) == [
        body[0],
        {"time_us": 9, "signals": {"x": None}},
    ]
    packed = encode([(4, "gear", "D"), (4, "speed", 1.5)])
    assert decode_record(record(packed, Encoding.SAMPLES)) == [
        {"time_us": 4, "signals": {"gear": "D", "speed": 1.5}}
    ]


@pytest.mark.parametrize("encoding", list(Encoding))
def test_what_cannot_be_read_is_none(encoding: Encoding) -> None:
    assert decode_record(record(b"\xff\xff", encoding)) is None

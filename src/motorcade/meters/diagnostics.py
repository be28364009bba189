"""Alerts and errors that cars stream, as the ledger keeps them. No IO.

Source: Fleet Telemetry's `vehicle_alert.proto` and `vehicle_error.proto`; the gateway has checked
that a payload is one. Texts are cut, times that no calendar has are left out.
"""

from typing import Any, Final

from google.protobuf.message import DecodeError
from tesla_protocol.telemetry.vehicle_alert_pb2 import VehicleAlerts
from tesla_protocol.telemetry.vehicle_error_pb2 import VehicleErrors

from motorcade.events import Encoding, Record
from motorcade.meters.port import Alert, StreamError

NAME_CHARACTERS_MAX: Final = 256
BODY_CHARACTERS_MAX: Final = 2_048
TIME_S_MAX: Final = 253_402_300_799  # the last second of the year 9999
_AUDIENCES: Final = {1: "customer", 2: "service", 3: "service-fix"}
"""`Audience` in the words of `recent_alerts`."""


def alerts_of(record: Record) -> list[Alert]:
    """The alerts of a record; none if it is another's."""
    if record.encoding is not Encoding.TESLA_ALERTS:
        return []
    message = VehicleAlerts()
    if not _parse(message, record.payload):
        return []
    return [
        Alert(
            name=alert.name[:NAME_CHARACTERS_MAX],
            started_us=started_us,
            ended_us=_time_us(alert.ended_at) if alert.HasField("ended_at") else 0,
            audiences=tuple(_AUDIENCES[int(one)] for one in alert.audiences if one in _AUDIENCES),
        )
        for alert in message.alerts
        if (started_us := _time_us(alert.started_at))
    ]


def errors_of(record: Record) -> list[StreamError]:
    """The errors of a record; none if it is another's."""
    if record.encoding is not Encoding.TESLA_ERRORS:
        return []
    message = VehicleErrors()
    if not _parse(message, record.payload):
        return []
    return [
        StreamError(
            name=error.name[:NAME_CHARACTERS_MAX],
            time_us=time_us,
            body=error.body[:BODY_CHARACTERS_MAX],
        )
        for error in message.errors
        if (time_us := _time_us(error.created_at))
    ]


def _parse(message: Any, payload: bytes) -> bool:
    try:
        message.ParseFromString(payload)
    except (DecodeError, RecursionError):
        return False
    return True


def _time_us(stamp: Any) -> int:
    """µs since 1970; 0 for none, and for what no calendar has."""
    if not 0 < stamp.seconds <= TIME_S_MAX:
        return 0
    nanoseconds = min(max(int(stamp.nanos), 0), 999_999_999)
    return int(stamp.seconds) * 1_000_000 + nanoseconds // 1_000

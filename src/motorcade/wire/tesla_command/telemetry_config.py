"""What a telemetry configuration says, read out of its claims and bounded. No IO.

Source: Tesla's Fleet Telemetry documentation, "fleet_telemetry_config". The cloud refuses by it
what a car could not obey, and the car reads the same token again by the same rules.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from tesla_protocol.telemetry.vehicle_data_pb2 import Field

from motorcade.wire.tesla_command.errors import TeslaCommandError

FIELDS_MAX: Final = 300  # Tesla has 278
INTERVAL_S_MAX: Final = 604_800  # a week

Seconds = Annotated[float, Meta(ge=0, le=INTERVAL_S_MAX)]


class InvalidConfigError(TeslaCommandError):
    """A configuration that no car could obey; the text names the member."""


class FieldSetting(msgspec.Struct, frozen=True):
    """How often a field may go."""

    interval_seconds: Annotated[float, Meta(gt=0, le=INTERVAL_S_MAX)]  # at least between two
    minimum_delta: Annotated[float, Meta(ge=0)] = 0.0  # a smaller change is none; Location: m
    resend_interval_seconds: Seconds = 0.0  # unchanged it goes again after so long; 0: never


class _Config(msgspec.Struct, frozen=True):
    hostname: Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:\-]+$")]
    fields: Annotated[dict[str, FieldSetting], Meta(min_length=1, max_length=FIELDS_MAX)]
    port: Annotated[int, Meta(ge=1, le=65_535)] = 443
    ca: Annotated[str, Meta(max_length=32_768)] = ""
    exp: Annotated[int, Meta(ge=0)] | None = None
    alert_types: list[str] = []
    prefer_typed: bool = False
    delivery_policy: str = ""


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """What a car streams, and to whom."""

    hostname: str
    port: int
    ca: str  # PEM of who may vouch for the host; "": whom the system trusts
    fields: dict[str, FieldSetting]  # by Tesla's Field names
    expires_s: int | None  # Unix time from which it streams no more


def read_settings(claims: dict[str, Any]) -> TelemetrySettings:
    """Raises `InvalidConfigError`."""
    try:
        config = msgspec.convert(claims, _Config)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidConfigError(str(error)) from error
    for name in config.fields:
        if name not in Field.keys() or name == "Unknown":  # noqa: SIM118 (no mapping)
            raise InvalidConfigError(f"no such field: {name[:64]!r}")
    return TelemetrySettings(config.hostname, config.port, config.ca, config.fields, config.exp)

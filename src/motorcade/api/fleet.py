"""`fleet_status` and `fleet_telemetry_config`: how cars stand to an app's key and configuration.

Keys and configurations are what the cars told (`registry/signing/`); nothing is assumed of a car
that has not told anything yet.
"""

import asyncio
from typing import Any, Final

import msgspec
from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from motorcade.api.counter import AnyRequest, Counter, read_body, told_by
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError, not_found, unregistered
from motorcade.api.listing import note_each
from motorcade.api.partners import point_of
from motorcade.api.shapes import Envelope
from motorcade.identity.port import OPERATOR_CLIENTS, AccessToken
from motorcade.identity.region import fleet_base_url
from motorcade.meters.port import StreamError
from motorcade.registry.port import Vehicle
from motorcade.registry.signing.port import Signing, TelemetryConfig

VINS_MAX: Final = 1_000
ERRORS_MAX: Final = 1_000  # streamed ones, in a partner's list
ROWS_PER_TURN: Final = 16  # each reads live state: up to 1 ms


class FleetVehicle(Struct, kw_only=True):
    firmware_version: str | None  # as the car reports it
    vehicle_command_protocol_required: bool
    discounted_device_data: bool = False  # nothing is charged here
    fleet_telemetry_version: str | None = None  # cars here do not name one
    total_number_of_keys: int
    safety_screen_streaming_toggle_enabled: bool | None = None


class FleetStatus(Struct, kw_only=True):
    key_paired_vins: list[str]
    unpaired_vins: list[str]
    vehicle_info: dict[str, FleetVehicle]


class ConfigShown(Struct, kw_only=True):
    """A vehicle's telemetry configuration; `config` is null when there is none."""

    synced: bool  # the car has it
    config: dict[str, Any] | None
    limit_reached: bool = False  # one configuration per car, a new one takes the place
    key_paired: bool


class Updated(Struct):
    updated_vehicles: int


class TelemetryError(Struct, kw_only=True):
    """What a car said against a configuration."""

    name: str  # the client id of the app that asks
    error: str
    vin: str


class TelemetryErrors(Struct):
    fleet_telemetry_errors: list[TelemetryError]


@post("/api/1/vehicles/fleet_status", status_code=200)
async def fleet_status(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[FleetStatus]]:
    """Which of these vehicles have the calling app's key, and what they report."""
    access = counter.allow(request)
    vins = (await read_body(request)).get("vins")
    point = point_of(counter, access)
    status = FleetStatus(key_paired_vins=[], unpaired_vins=[], vehicle_info={})
    for number, vin in enumerate(_read_vins(vins)):
        vehicle = counter.vehicle(access, vin)
        counter.note(request, access, vehicle)
        told = counter.signing_of(vehicle)
        paired = told is not None and bool(point) and told.has(point)
        (status.key_paired_vins if paired else status.unpaired_vins).append(vehicle.vin)
        version = counter.state.value(vehicle.token, "version")
        known = version is not None and isinstance(version.value, str)
        status.vehicle_info[vehicle.vin] = FleetVehicle(
            firmware_version=str(version.value) if version is not None and known else None,
            vehicle_command_protocol_required=told is not None and told.required,
            total_number_of_keys=0 if told is None else len(told.keys),
        )
        if number % ROWS_PER_TURN == ROWS_PER_TURN - 1:
            await asyncio.sleep(0)
    return ok(status)


@get("/api/1/vehicles/{tag:str}/fleet_telemetry_config")
async def show_config(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[ConfigShown]]:
    """What the vehicle is to stream by the calling app's configuration, and whether it has it."""
    access, vehicle = counter.admit(request, tag)
    point, told = point_of(counter, access), counter.signing_of(vehicle)
    row = _config(counter, access, vehicle)
    config = msgspec.json.decode(row.config, type=dict[str, Any]) if row is not None else None
    return ok(
        ConfigShown(
            synced=row is not None and row.synced,
            config=config,
            key_paired=told is not None and bool(point) and told.has(point),
        )
    )


@delete("/api/1/vehicles/{tag:str}/fleet_telemetry_config", status_code=200)
async def remove_config(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[Updated]]:
    """Have the vehicle stream no more. A partner token will do: also after the owner revoked."""
    access = counter.allow(request)
    vehicle = _any_vehicle(counter, tag) if access.partner else counter.vehicle(access, tag)
    if vehicle is not None and not access.partner:
        counter.count(request, access, vehicle)
    row = _config(counter, access, vehicle) if vehicle is not None else None
    if vehicle is None or row is None:
        raise not_found("this vehicle has no telemetry configuration of this app")
    if access.partner:  # only now: others' cars take nothing from an allowance, and show nothing
        counter.count(request, access, vehicle)
    nothing = ("", "", row.issuer, row.client_id)
    await asyncio.to_thread(_signing(counter).configure, vehicle.id, *nothing)
    return ok(Updated(1))


@get("/api/1/vehicles/{tag:str}/fleet_telemetry_errors")
async def show_errors(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[TelemetryErrors]]:
    """Why the vehicle does not take the calling app's configuration, if it said so, and what it
    told of errors while it streams by it, the newest first."""
    access, vehicle = counter.admit(request, tag)
    row = _config(counter, access, vehicle)
    found = _errors(access, vehicle, row)
    if row is not None:
        found += await asyncio.to_thread(_streamed, counter, access, vehicle)
    return ok(TelemetryErrors(found))


@get("/api/1/partner_accounts/fleet_telemetry_errors")
async def partner_errors(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[TelemetryErrors]]:
    """The same of every vehicle that has a configuration of the calling app, the newest 1,000."""
    access = counter.allow(request)
    return ok(TelemetryErrors(await _noted_errors(request, counter, access)))


@get("/api/1/partner_accounts/fleet_telemetry_error_vins")
async def partner_error_vins(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[list[str]]]:
    """The VINs of those vehicles."""
    access = counter.allow(request)
    found = await _noted_errors(request, counter, access)
    return ok(list(dict.fromkeys(row.vin for row in found)))


async def _noted_errors(
    request: AnyRequest, counter: Counter, access: AccessToken
) -> list[TelemetryError]:
    """`_partner_errors`, and for the owners of these vehicles that the app read them."""
    vehicles, errors = await asyncio.to_thread(_partner_errors, counter, access)
    await note_each(request, counter, access, vehicles)
    return errors


def _read_vins(vins: Any) -> list[str]:
    """Raises the 400."""
    if not isinstance(vins, list) or not all(isinstance(vin, str) for vin in vins):
        raise ApiError(400, "invalid_field", "vins: must be a list of VINs")
    if len(vins) > VINS_MAX:
        raise ApiError(400, "invalid_field", f"vins: {len(vins)} of them, at most {VINS_MAX}")
    return list(dict.fromkeys(vins))


def _any_vehicle(counter: Counter, tag: str) -> Vehicle | None:
    """A vehicle whoever owns it: who configured it decides what the caller may."""
    return counter.registry.vehicle_by_vin(tag.upper())


def _config(counter: Counter, access: AccessToken, vehicle: Vehicle) -> TelemetryConfig | None:
    """The vehicle's configuration, if the calling app brought it, signed by its key. Keys are
    public and registered unproved: the key alone would say nothing. Our own tools see any."""
    row = _signing(counter).config_of(vehicle.id)
    if row is None or not row.token:
        return None
    if access.client_id in OPERATOR_CLIENTS:
        return row
    asking = (point_of(counter, access), access.client_id)
    return row if (row.issuer, row.client_id) == asking else None


def _errors(
    access: AccessToken, vehicle: Vehicle, row: TelemetryConfig | None
) -> list[TelemetryError]:
    if row is None or not row.refusal:
        return []
    return [TelemetryError(name=access.client_id, error=row.refusal, vin=vehicle.vin)]


def _streamed(counter: Counter, access: AccessToken, vehicle: Vehicle) -> list[TelemetryError]:
    """What the vehicle told by `errors` records."""
    return [_told(access, vehicle.vin, told) for told in told_by(counter).errors(vehicle.token)]


def _told(access: AccessToken, vin: str, told: StreamError) -> TelemetryError:
    error = f"{told.name}: {told.body}" if told.body else told.name
    return TelemetryError(name=access.client_id, error=error, vin=vin)


def _partner_errors(
    counter: Counter, access: AccessToken
) -> tuple[list[Vehicle], list[TelemetryError]]:
    """Of every vehicle: refused configurations, then what cars told by `errors` records while they
    have one; and these vehicles. Raises the 412 for an app that is not registered here."""
    if counter.sharing is None or counter.sharing.registration(access.client_id) is None:
        raise unregistered(access.client_id, fleet_base_url(counter.config.identity))
    signing, point = _signing(counter), point_of(counter, access)
    found: list[TelemetryError] = []
    named: dict[int, Vehicle] = {}
    for row in signing.refused(point, access.client_id):
        vehicle = counter.registry.vehicle_by_token(row.vehicle)
        if vehicle is not None:
            found += _errors(access, vehicle, row)
            named[vehicle.id] = vehicle
    cars = signing.configured(point, access.client_id)
    told = told_by(counter).errors_among(cars, ERRORS_MAX)
    vehicles = {
        token: counter.registry.vehicle_by_token(token) for token in {row[0] for row in told}
    }
    for token, error in told:
        vehicle = vehicles[token]
        if vehicle is not None:
            found.append(_told(access, vehicle.vin, error))
            named[vehicle.id] = vehicle
    return list(named.values()), found


def _signing(counter: Counter) -> Signing:
    assert counter.signing is not None  # the composition root gives one
    return counter.signing

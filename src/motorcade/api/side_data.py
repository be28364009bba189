"""What apps ask about a vehicle beside `vehicle_data`: from state and our tables, or not at all.

`docs/protocols/fleet-api.md` says where Tesla knows more than we do.
"""

import asyncio
from typing import Final

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET, Struct, UnsetType

from motorcade.api.charging_places import ChargingPlace, nearby
from motorcade.api.counter import AnyRequest, Counter, read_whole
from motorcade.api.envelope import ok
from motorcade.api.errors import missing_scopes, offline
from motorcade.api.presence import ONLINE, presence
from motorcade.api.rights import LOCATION, sees_location
from motorcade.api.shapes import Envelope
from motorcade.state.port import VehicleState

SITES_DEFAULT: Final = 25
SITES_MAX: Final = 200
RADIUS_MILES_DEFAULT: Final = 50
RADIUS_MILES_MAX: Final = 500


class MobileEnabled(Struct):
    result: bool
    reason: str


class Coordinates(Struct):
    lat: float
    long: float


class Site(Struct, kw_only=True):
    """A place to charge. Who stands there now is not known: null."""

    location: Coordinates
    name: str
    type: str  # supercharger, destination
    distance_miles: float
    available_stalls: int | None = None
    total_stalls: int | UnsetType = UNSET
    site_closed: bool = False


class Sites(Struct, kw_only=True):
    congestion_sync_time_utc_secs: int | None = None  # nobody counts who stands there
    destination_charging: list[Site]
    superchargers: list[Site]
    timestamp: int  # ms, of the position


class ReleaseNote(Struct, kw_only=True):
    title: str
    description: str
    customer_version: str


class ReleaseNotes(Struct, kw_only=True):
    """The version that the car reports. Nobody writes notes to it here: the list is empty."""

    release_notes: list[ReleaseNote] = []
    deployed_version: str | None
    staged_version: str | None = None


class ServiceData(Struct, kw_only=True, omit_defaults=True):
    """Empty while the car is not in service, as Tesla's."""

    service_status: str = ""


@get("/api/1/vehicles/{tag:str}/mobile_enabled")
async def mobile_enabled(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[MobileEnabled]]:
    """Whether apps may reach the car: always, a car here has no switch to forbid it."""
    counter.admit(request, tag)
    return ok(MobileEnabled(True, ""))


@get("/api/1/vehicles/{tag:str}/nearby_charging_sites")
async def nearby_charging_sites(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[Sites]]:
    """The charging places that the operator loaded, around where the car is. They tell where that
    is: needs the location's scope besides. `count` and `radius` (miles) bound the answer. In a
    privacy zone there are none, on a grid they are counted from its corner."""
    access, vehicle = counter.admit(request, tag)
    if not sees_location(access.scopes):
        raise missing_scopes((LOCATION,))
    query = request.query_params
    count = read_whole(query.get("count"), "count", SITES_DEFAULT, 1, SITES_MAX)
    radius = read_whole(query.get("radius"), "radius", RADIUS_MILES_DEFAULT, 1, RADIUS_MILES_MAX)
    state, located = counter.view(access, vehicle)
    if presence(state) != ONLINE:
        raise offline()
    if not located:  # in a privacy zone
        return ok(
            Sites(
                destination_charging=[],
                superchargers=[],
                timestamp=state.last_received_us // 1_000,
            )
        )
    position = _position(state)
    if position is None:
        raise offline("the car has not said where it is")
    latitude_deg, longitude_deg, time_us = position
    here = counter.places, latitude_deg, longitude_deg
    found = await asyncio.to_thread(nearby, *here, radius_miles=radius)
    return ok(
        Sites(
            destination_charging=[_site(*row) for row in found if not row[1].fast][:count],
            superchargers=[_site(*row) for row in found if row[1].fast][:count],
            timestamp=time_us // 1_000,
        )
    )


@get("/api/1/vehicles/{tag:str}/release_notes")
async def release_notes(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[ReleaseNotes]]:
    """The software that runs in the car."""
    access, vehicle = counter.admit(request, tag)
    version = counter.view(access, vehicle).state.signals.get("version")
    known = version is not None and isinstance(version.value, str)
    return ok(ReleaseNotes(deployed_version=str(version.value) if version and known else None))


@get("/api/1/vehicles/{tag:str}/service_data")
async def service_data(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[ServiceData]]:
    """Whether the car is in service mode, by what it reports."""
    access, vehicle = counter.admit(request, tag)
    mode = counter.view(access, vehicle).state.signals.get("service_mode")
    in_service = mode is not None and bool(mode.value)
    return ok(ServiceData(service_status="in_service" if in_service else ""))


def _position(state: VehicleState) -> tuple[float, float, int] | None:
    latitude, longitude = state.signals.get("latitude"), state.signals.get("longitude")
    if latitude is None or longitude is None:
        return None
    if not isinstance(latitude.value, float) or not isinstance(longitude.value, float):
        return None
    return latitude.value, longitude.value, min(latitude.time_us, longitude.time_us)


def _site(distance_miles: float, place: ChargingPlace) -> Site:
    return Site(
        location=Coordinates(place.latitude_deg, place.longitude_deg),
        name=place.name,
        type="supercharger" if place.fast else "destination",
        distance_miles=round(distance_miles, 6),
        total_stalls=place.stalls,
    )

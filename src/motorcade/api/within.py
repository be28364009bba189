"""`GET /api/2/fleet/within`: which vehicles were in an area during a span of time.

Told of fixes as they may be told: one in a zone of its owner's is none, one on a grid is where the
grid has it (`past_sight.py`). Searching blocks, so it runs in a thread.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

from litestar import Response, get
from litestar.di import NamedDependency
from msgspec import Struct

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.errors import ApiError, missing_scopes
from motorcade.api.history import answered, read_span
from motorcade.api.past_sight import told_places
from motorcade.api.rights import LOCATION
from motorcade.api.sight import Sight
from motorcade.api.window.fleet import looking
from motorcade.api.window.picture import Looker, Picture
from motorcade.events import VehicleToken
from motorcade.history.area import Area, AreaError
from motorcade.history.port import Kept
from motorcade.registry.port import Vehicle

CORNER_BYTES_MAX: Final = 64


class Visited(Struct, kw_only=True):
    """A vehicle that was there."""

    id: str
    name: str
    first_us: int
    last_us: int
    fixes: int


class FleetWithin(Struct, kw_only=True):
    response: list[Visited]  # who was there last, first
    count: int  # of all that were there, though `history.within_vehicles_max` are told
    share: float  # of history that was looked at before time was up; 1: all


@get("/api/2/fleet/within")
async def fleet_within(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[FleetWithin]:
    """Who was in `area` (longitude,latitude of each corner, with `;` between) during the span."""
    access, looker, _ = looking(request, counter)
    if not looker.located:
        raise missing_scopes((LOCATION,))
    counter.count_app(request, access)
    limits = counter.config.history
    area = read_area(request.query_params.get("area", ""), limits.area_corners_max)
    span = read_span(request, counter.clock.now_us(), limits)
    sees = partial(_seen, looker=looker)
    known, vehicles, kept = await counter.viewers.read(sees)
    visits = await answered(counter, lambda history: history.within(vehicles, area, span, kept))
    found = [(known[visit.vehicle], visit) for visit in visits.found if visit.vehicle in known]
    found.sort(key=lambda one: (-one[1].last_us, one[0].id))
    told = [
        Visited(
            id=str(vehicle.id),
            name=vehicle.display_name,
            first_us=visit.first_us,
            last_us=visit.last_us,
            fixes=visit.fixes,
        )
        for vehicle, visit in found[: limits.within_vehicles_max]
    ]
    for vehicle, _ in found[: limits.within_vehicles_max]:
        counter.note(request, access, vehicle)
    share = round(visits.share, 3) if visits.share < 1 else 1.0
    return Response(FleetWithin(response=told, count=len(found), share=share), status_code=200)


def read_area(text: str, corners_max: int) -> Area:
    """Raises the 400."""
    words = text[: (corners_max + 1) * CORNER_BYTES_MAX].split(";")
    if len(words) > corners_max:
        raise ApiError(400, "invalid_field", f"area: at most {corners_max} corners")
    try:
        corners = [_corner(word) for word in words]
        return Area.of(corners)
    except AreaError as error:
        raise ApiError(400, "invalid_field", f"area: {error}") from error
    except ValueError as error:
        example = "area: longitude,latitude;... as in 24.9,60.1;25.0,60.1;25.0,60.2"
        raise ApiError(400, "invalid_field", example) from error


def _corner(word: str) -> tuple[float, float]:
    longitude, latitude = map(float, word.split(","))
    return longitude, latitude


def _seen(
    picture: Picture, looker: Looker
) -> tuple[Mapping[VehicleToken, Vehicle], set[VehicleToken] | None, Mapping[VehicleToken, Kept]]:
    """All vehicles, which of them are the looker's (`None`: all), and what is kept from them."""
    known = picture.roster.by_token
    mine = None
    if not looker.sees_all:
        mine = {token for token, vehicle in known.items() if looker.sees(vehicle)}
    kept = {}
    for token, limits in picture.kept_from(looker).items():
        sight = Sight(True, limits.zones, limits.grid_m(looker.client_id))
        if sight.limited:
            kept[token] = Kept(partial(told_places, sight), moves=bool(sight.grid_m))
    return known, mine, kept

"""What Tesla's shop would know about a car: options, upgrades, subscriptions, warranty.

Nothing is sold here, so nothing is for sale and nothing was bought: the lists are empty, in Tesla's
shapes, for apps that ask by habit.
"""

from litestar import Response, get
from litestar.di import NamedDependency
from msgspec import Struct

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError
from motorcade.api.shapes import Envelope
from motorcade.registry.port import Vehicle


class Options(Struct):
    codes: list[str] = []


class Eligibility(Struct, kw_only=True):
    country: str | None = None  # a registration has one, and nobody registers cars here
    eligible: list[str] = []
    vin: str


class Warranty(Struct):
    activeWarranty: list[str] = []  # noqa: N815  Tesla's spelling
    upcomingWarranty: list[str] = []  # noqa: N815
    expiredWarranty: list[str] = []  # noqa: N815


@get("/api/1/dx/vehicles/options")
async def options(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[Options]]:
    """The option codes of a vehicle (`vin`): none, our vehicles were not ordered."""
    _named(request, counter)
    return ok(Options())


@get("/api/1/dx/vehicles/subscriptions/eligibility")
async def subscriptions_eligibility(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[Eligibility]]:
    """Which subscriptions a vehicle (`vin`) could have: none, nothing is sold."""
    return ok(Eligibility(vin=_named(request, counter).vin))


@get("/api/1/dx/vehicles/upgrades/eligibility")
async def upgrades_eligibility(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[Eligibility]]:
    """Which upgrades a vehicle (`vin`) could have: none, nothing is sold."""
    return ok(Eligibility(vin=_named(request, counter).vin))


@get("/api/1/dx/warranty/details")
async def warranty(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[Warranty]]:
    """The warranties of a vehicle (`vin`): nobody gives any here."""
    _named(request, counter)
    return ok(Warranty())


@get("/api/1/vehicle_subscriptions")
async def vehicle_subscriptions(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[list[int]]]:
    """The vehicles about which the caller's phone is told: none, nothing is pushed to phones."""
    counter.allow(request)
    return ok([])


def _named(request: AnyRequest, counter: Counter) -> Vehicle:
    """The caller's vehicle that the query names."""
    access = counter.allow(request)
    vin = request.query_params.get("vin", "")
    if not vin:
        raise ApiError(400, "invalid_field", "vin: missing")
    vehicle = counter.vehicle(access, vin)
    counter.count(request, access, vehicle)
    return vehicle

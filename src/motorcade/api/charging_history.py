"""Charging sessions, as they follow from what cars streamed (`meters/`): three views of one list.

`dx/charging/history` and `sessions` are what Tesla bills; here nothing costs anything, and every
session is listed, at home too. `charge_history` is what the car's owner sees: energy by day. Where
a car charged is told to holders of `vehicle_location` alone.

Source: Fleet API, protocol page §1.3; the members as open clients read them. The ledger is read in
a thread: commands wait for the loop (P6).
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET, Struct, UnsetType

from motorcade import zones
from motorcade.api.counter import AnyRequest, Counter, read_body, read_whole, told_by
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError
from motorcade.api.listing import noted_vehicles
from motorcade.api.rights import sees_location
from motorcade.api.shapes import Envelope
from motorcade.events import VehicleToken, fnv1a_64
from motorcade.identity.port import AccessToken
from motorcade.meters.port import ChargesAsked, ChargeSession
from motorcade.registry.port import Vehicle

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 100
NUMBER_MAX: Final = 999_999_999  # of pages, and of sessions skipped
DAYS_SHOWN: Final = 31
TIME_US_MAX: Final = 253_402_300_799 * 1_000_000  # the last second of the year 9999
ID_BITS: Final = 53  # whole in every JSON reader
NO_CURRENCY: Final = "XXX"  # ISO 4217
_US: Final = 1_000_000
_DAY_US: Final = 86_400 * _US
_J_PER_KWH: Final = 3.6e6
_SORTS: Final = ("chargeStartDateTime", "startTime", "start_time")


class Fee(Struct, kw_only=True):
    """What went into the car; nothing is charged for it here."""

    sessionFeeId: int  # noqa: N815  Tesla's spelling
    feeType: str = "CHARGING"  # noqa: N815
    currencyCode: str = NO_CURRENCY  # noqa: N815
    pricingType: str = "NO_CHARGE"  # noqa: N815
    rateBase: float = 0.0  # noqa: N815
    usageBase: float  # noqa: N815  kWh
    totalBase: float = 0.0  # noqa: N815
    totalDue: float = 0.0  # noqa: N815
    netDue: float = 0.0  # noqa: N815
    uom: str = "kwh"
    isPaid: bool = True  # noqa: N815
    status: str = "PAID"


class ChargedSession(Struct, kw_only=True):
    """A session of the history. What we cannot know has Tesla's null."""

    sessionId: int  # noqa: N815
    vin: str
    siteLocationName: str | UnsetType = UNSET  # noqa: N815  "": none of the operator's places
    chargeStartDateTime: str  # noqa: N815
    chargeStopDateTime: str  # noqa: N815
    unlatchDateTime: str | None = None  # noqa: N815
    countryCode: str | None = None  # noqa: N815
    fees: list[Fee]  # none where the car did not tell its energy
    billingType: str | None = None  # noqa: N815
    invoices: list[str] = []
    vehicleMakeType: str = "TSLA"  # noqa: N815


class ChargingHistory(Struct, kw_only=True):
    data: list[ChargedSession]
    totalResults: int  # noqa: N815  of all pages
    hasMoreData: bool  # noqa: N815


class HistoryAnswer(Struct, kw_only=True):
    """Clients read it with and without the envelope, so it is there both ways."""

    response: ChargingHistory
    data: list[ChargedSession]
    totalResults: int  # noqa: N815
    hasMoreData: bool  # noqa: N815


class Dimension(Struct):
    type: str
    volume: float  # kWh


class Period(Struct):
    dimensions: list[Dimension]
    start_date_time: str


class Location(Struct):
    country: str | None
    name: str


class Cost(Struct, frozen=True):
    excl_vat: float = 0.0
    incl_vat: float = 0.0
    vat: float = 0.0


class FleetSession(Struct, kw_only=True):
    id: str
    vin: str
    start_date_time: str
    stop_date_time: str
    charging_periods: list[Period]
    location: Location | UnsetType = UNSET
    currency: str = NO_CURRENCY
    total_cost: Cost = Cost()
    total_energy: float | None  # kWh
    total_time: float  # hours


class FleetSessions(Struct, kw_only=True):
    data: list[FleetSession]
    status_code: int = 1_000
    status_message: str = "Success"
    timestamp: str


class Amount(Struct, kw_only=True):
    """kWh, for people and as a number."""

    value: str
    raw_value: float
    after_adornment: str = "kWh"
    title: str | UnsetType = UNSET
    sub_title: str | UnsetType = UNSET


class Seconds(Struct):
    seconds: int  # Unix time


class DayStamp(Struct):
    timestamp: Seconds  # its begin
    display_string: str


class DayPoint(Struct):
    timestamp: DayStamp
    values: list[Amount]  # all, at home, by direct current, elsewhere


class Span(Struct):
    start_timestamp: Seconds
    end_timestamp: Seconds


class Graph(Struct):
    data_points: list[DayPoint]
    period: Span


class Breakdown(Struct):
    home: Amount
    super_charger: Amount  # by direct current
    other: Amount


class ChargeHistory(Struct, kw_only=True):
    screen_title: str = "Charge History"
    total_charged: Amount
    total_charged_breakdown: Breakdown
    charging_history_graph: Graph


@get("/api/1/dx/charging/history")
async def charging_history(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[HistoryAnswer]:
    """Sessions of the caller's vehicles, or of one (`vin`), that began in a span of time."""
    access, vehicles = await _asked_vehicles(request, counter)
    query = request.query_params
    if query.get("sortBy", _SORTS[0]) not in _SORTS:
        raise _wrong("sortBy", f"must be {_SORTS[0]}")
    order = query.get("sortOrder", "DESC").upper()
    if order not in ("ASC", "DESC"):
        raise _wrong("sortOrder", "must be ASC or DESC")
    number = read_whole(query.get("pageNo"), "pageNo", 1, 1, NUMBER_MAX)
    size = read_whole(query.get("pageSize"), "pageSize", PAGE_DEFAULT, 1, PAGE_MAX)
    asked = ChargesAsked(
        list(vehicles),
        *_span(request, "startTime", "endTime"),
        limit=size,
        offset=(number - 1) * size,
        newest_first=order == "DESC",
    )
    found, count = await asyncio.to_thread(told_by(counter).sessions, asked)
    history = ChargingHistory(
        data=[
            _charged(one, vehicle.vin, located=_located(counter, access, vehicle))
            for one in found
            for vehicle in [vehicles[one.vehicle]]
        ],
        totalResults=count,
        hasMoreData=asked.offset + len(found) < count,
    )
    answer = HistoryAnswer(
        response=history,
        data=history.data,
        totalResults=count,
        hasMoreData=history.hasMoreData,
    )
    return Response(answer, status_code=200)


@get("/api/1/dx/charging/sessions")
async def charging_sessions(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[FleetSessions]:
    """The same in the words of charging operators, the newest first."""
    access, vehicles = await _asked_vehicles(request, counter)
    query = request.query_params
    asked = ChargesAsked(
        list(vehicles),
        *_span(request, "date_from", "date_to"),
        limit=read_whole(query.get("limit"), "limit", PAGE_DEFAULT, 1, PAGE_MAX),
        offset=read_whole(query.get("offset"), "offset", 0, 0, NUMBER_MAX),
    )
    found, _ = await asyncio.to_thread(told_by(counter).sessions, asked)
    data = [
        _fleet_session(one, vehicle.vin, located=_located(counter, access, vehicle))
        for one in found
        for vehicle in [vehicles[one.vehicle]]
    ]
    answer = FleetSessions(data=data, timestamp=zones.shown(counter.clock.now_us()))
    return Response(answer, status_code=200)


@post("/api/1/vehicles/{tag:str}/charge_history", status_code=200)
async def charge_history(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[ChargeHistory]]:
    """What the vehicle charged on each of the last 31 days, UTC, and in all of them."""
    access, vehicle = counter.admit(request, tag)
    await read_body(request)
    today_us = counter.clock.now_us() // _DAY_US * _DAY_US
    asked = ChargesAsked(
        [vehicle.token],
        today_us - (DAYS_SHOWN - 1) * _DAY_US,
        today_us + _DAY_US,
        limit=counter.config.energy.sessions_per_vehicle_max,
        newest_first=False,
    )
    found, _ = await asyncio.to_thread(told_by(counter).sessions, asked)
    return ok(_by_day(found, asked, located=_located(counter, access, vehicle)))


async def _asked_vehicles(
    request: AnyRequest, counter: Counter
) -> tuple[AccessToken, dict[VehicleToken, Vehicle]]:
    """Who asks, and the vehicles they ask of. Raises the 404."""
    access = counter.allow(request)
    vin = request.query_params.get("vin")
    vehicles: Sequence[Vehicle]
    if vin:
        vehicles = [counter.vehicle(access, vin)]
        counter.count(request, access, vehicles[0])
    else:
        counter.count_app(request, access)  # first: to read 10,000 of them takes a while
        vehicles_max = counter.config.energy.products_max
        vehicles = await noted_vehicles(request, counter, access, vehicles_max)
    return access, {vehicle.token: vehicle for vehicle in vehicles}


def _located(counter: Counter, access: AccessToken, vehicle: Vehicle) -> bool:
    """Whether they may know where it charged: places of the past are not judged by zones."""
    return sees_location(counter.sight(access, vehicle).unjudged(access.scopes))


def _span(request: AnyRequest, start: str, end: str) -> tuple[int, int]:
    """From when until when, µs. Raises the 400."""
    return _moment(request, start, 0), _moment(request, end, TIME_US_MAX)


def _moment(request: AnyRequest, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if not text:
        return default
    try:
        return zones.read_moment(text, "UTC")
    except (ValueError, OverflowError) as error:
        raise _wrong(name, "must be RFC 3339, as 2026-11-26T00:00:00+01:00") from error


def _wrong(name: str, text: str) -> ApiError:
    return ApiError(400, "invalid_field", f"{name}: {text}")


def session_id(session: ChargeSession) -> int:
    """The same for the same session, whenever the ledger was built."""
    name = f"{session.vehicle} {session.start_us}".encode()
    return fnv1a_64(name) >> 64 - ID_BITS


def _kwh(session: ChargeSession) -> float | None:
    return None if session.energy_j is None else round(session.energy_j / _J_PER_KWH, 3)


def _charged(session: ChargeSession, vin: str, *, located: bool) -> ChargedSession:
    number, energy_kwh = session_id(session), _kwh(session)
    return ChargedSession(
        sessionId=number,
        vin=vin,
        siteLocationName=session.place if located else UNSET,
        chargeStartDateTime=zones.shown(session.start_us),
        chargeStopDateTime=zones.shown(session.end_us),
        fees=[] if energy_kwh is None else [Fee(sessionFeeId=number, usageBase=energy_kwh)],
    )


def _fleet_session(session: ChargeSession, vin: str, *, located: bool) -> FleetSession:
    begun, energy_kwh = zones.shown(session.start_us), _kwh(session)
    known = [] if energy_kwh is None else [Period([Dimension("ENERGY", energy_kwh)], begun)]
    return FleetSession(
        id=str(session_id(session)),
        vin=vin,
        start_date_time=begun,
        stop_date_time=zones.shown(session.end_us),
        charging_periods=known,
        location=Location(None, session.place) if located else UNSET,
        total_energy=energy_kwh,
        total_time=round((session.end_us - session.start_us) / 3.6e9, 4),
    )


def _by_day(
    sessions: Sequence[ChargeSession], asked: ChargesAsked, *, located: bool
) -> ChargeHistory:
    days = [[0.0, 0.0, 0.0] for _ in range(DAYS_SHOWN)]  # home, direct current, elsewhere; kWh
    for one in sessions:
        kind = 1 if one.direct_current else 0 if one.home and located else 2
        days[(one.start_us - asked.from_us) // _DAY_US][kind] += _kwh(one) or 0.0
    home, fast, other = (sum(column) for column in zip(*days, strict=True))
    return ChargeHistory(
        total_charged=_amount(home + fast + other, title="Total Charged"),
        total_charged_breakdown=Breakdown(
            home=_amount(home, sub_title="Home"),
            super_charger=_amount(fast, sub_title="Fast charging"),
            other=_amount(other, sub_title="Other"),
        ),
        charging_history_graph=Graph(
            [
                DayPoint(
                    _stamp(asked.from_us + day * _DAY_US), list(map(_amount, [sum(parts), *parts]))
                )
                for day, parts in enumerate(days)
            ],
            Span(Seconds(asked.from_us // _US), Seconds(asked.until_us // _US)),
        ),
    )


def _stamp(time_us: int) -> DayStamp:
    day = datetime.fromtimestamp(time_us // _US, UTC)
    return DayStamp(Seconds(time_us // _US), day.date().isoformat())


def _amount(kwh: float, **titles: Any) -> Amount:
    return Amount(value=f"{kwh:.1f}", raw_value=round(kwh, 3), **titles)

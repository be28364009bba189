"""`calendar_history` and `telemetry_history`: what the site's meters have shown, from the ledger.

A meter is a point per five minutes; in between it is taken as running evenly. So the sum over any
cut of a span is exactly what the meters show from end to end. Where the site has told nothing,
before its first sample and after its last, there is no interval.

A long history takes tens of milliseconds to read, sum and encode: all of it happens in a thread,
because commands wait for the loop (P6).
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET, Raw, Struct, UnsetType

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.energy.access import PATH, admit
from motorcade.api.energy.calendar import PERIODS, Asked, asked_span, edges
from motorcade.api.energy.reading import JOULES_PER_WH, gateway_din
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError
from motorcade.api.shapes import Envelope
from motorcade.meters.port import METERS, Meters, Point
from motorcade.registry.port import Site
from motorcade.zones import UnknownZoneError, shown, zone_of

_S2H, _S2B, _S2G, _B2H, _B2G, _G2H, _G2B = range(len(METERS))

FIELDS: Final[dict[str, tuple[int, ...]]] = {
    "solar_energy_exported": (_S2H, _S2B, _S2G),
    "generator_energy_exported": (),
    "grid_energy_imported": (_G2H, _G2B),
    "grid_services_energy_imported": (),
    "grid_services_energy_exported": (),
    "grid_energy_exported_from_solar": (_S2G,),
    "grid_energy_exported_from_generator": (),
    "grid_energy_exported_from_battery": (_B2G,),
    "battery_energy_exported": (_B2H, _B2G),
    "battery_energy_imported_from_grid": (_G2B,),
    "battery_energy_imported_from_solar": (_S2B,),
    "battery_energy_imported_from_generator": (),
    "consumer_energy_imported_from_grid": (_G2H,),
    "consumer_energy_imported_from_solar": (_S2H,),
    "consumer_energy_imported_from_battery": (_B2H,),
    "consumer_energy_imported_from_generator": (),
    "total_home_usage": (_S2H, _B2H, _G2H),
    "total_battery_charge": (_S2B, _G2B),
    "total_battery_discharge": (_B2H, _B2G),
    "total_solar_generation": (_S2H, _S2B, _S2G),
    "total_grid_energy_exported": (_S2G, _B2G),
}
"""Tesla's members of an interval, each the sum of these meters, in watt hours."""


class BackupEvent(Struct):
    timestamp: str
    duration: int  # seconds


class CalendarHistory(Struct, kw_only=True):
    """`time_series` for energy, `events` for backup: failures of the grid, the newest first."""

    serial_number: str
    period: str
    installation_time_zone: str
    time_series: list[dict[str, Any]] | UnsetType = UNSET  # timestamp, and `FIELDS` in Wh
    events: list[BackupEvent] | UnsetType = UNSET
    total_events: int | UnsetType = UNSET


class Seconds(Struct):
    seconds: int


class Charge(Struct, kw_only=True):
    charge_start_time: Seconds  # Unix time
    charge_duration: Seconds
    energy_added_wh: float


class ChargeHistory(Struct):
    """The wall connector's sessions, the newest first."""

    charge_history: list[Charge]


@get(f"{PATH}/calendar_history")
async def calendar_history(
    request: AnyRequest, counter: NamedDependency[Counter], site_id: FromPath[str]
) -> Response[Envelope[CalendarHistory]]:
    """Energies by interval, or failures of the grid."""
    _, site = admit(counter, request, site_id)
    kind = request.query_params.get("kind", "")
    if kind not in ("energy", "backup"):
        raise _wrong("kind", "must be energy or backup")
    asked = _asked(counter, request, site)
    history = CalendarHistory(
        serial_number=gateway_din(site),
        period=asked.period,
        installation_time_zone=site.description.time_zone,
    )
    fill = _fill_energies if kind == "energy" else _fill_outages
    await asyncio.to_thread(fill, counter, site, asked, history)
    return ok(history)


def _fill_energies(counter: Counter, site: Site, asked: Asked, history: CalendarHistory) -> None:
    try:
        cuts = edges(asked, intervals_max=counter.config.energy.history_intervals_max)
    except ValueError as error:
        raise _wrong("start_date", str(error)) from error
    points = _meters(counter).around(site.token, cuts)
    history.time_series = _encoded(time_series(points, cuts, asked.zone))


def _fill_outages(counter: Counter, site: Site, asked: Asked, history: CalendarHistory) -> None:
    limit = counter.config.energy.history_events_max
    spans, count = _meters(counter).outages(site.token, asked.from_us, asked.until_us, limit)
    history.events = _encoded(
        BackupEvent(shown(span.start_s * 1_000_000, asked.zone), span.duration_s) for span in spans
    )
    history.total_events = count


@get(f"{PATH}/telemetry_history")
async def telemetry_history(
    request: AnyRequest, counter: NamedDependency[Counter], site_id: FromPath[str]
) -> Response[Envelope[ChargeHistory]]:
    """The charging sessions of the wall connector."""
    _, site = admit(counter, request, site_id)
    if request.query_params.get("kind", "") != "charge":
        raise _wrong("kind", "must be charge")
    asked = _asked(counter, request, site, period="lifetime")
    return ok(await asyncio.to_thread(_charges, counter, site, asked))


def _charges(counter: Counter, site: Site, asked: Asked) -> ChargeHistory:
    limit = counter.config.energy.history_events_max
    spans, _ = _meters(counter).charges(site.token, asked.from_us, asked.until_us, limit)
    sessions = (
        Charge(
            charge_start_time=Seconds(span.start_s),
            charge_duration=Seconds(span.duration_s),
            energy_added_wh=round(span.energy_j / JOULES_PER_WH, 3),
        )
        for span in spans
    )
    return ChargeHistory(_encoded(sessions))


def _encoded(rows: Iterable[Any]) -> Any:
    """A list in JSON that the answer takes as it is. Row by row: one call for all of a long list
    would keep the loop's thread from running as long."""
    encode = msgspec.json.Encoder().encode
    return Raw(b"[" + b",".join(map(encode, rows)) + b"]")


def time_series(points: Sequence[Point], cuts: Sequence[int], zone: str) -> list[dict[str, Any]]:
    """The intervals between `cuts` (µs) that the points reach into, energies in Wh."""
    if len(points) < 2 or len(cuts) < 2:
        return []
    times = np.array([point.time_us for point in points], np.float64)
    meters = np.array([point.joules for point in points], np.float64)
    rises = np.diff(meters, axis=0)
    rises = np.where(rises < 0, meters[1:], rises)  # new meters count from 0
    totals = np.vstack([np.zeros(len(METERS)), np.cumsum(rises, axis=0)])
    at_cuts = np.stack([np.interp(cuts, times, column) for column in totals.T], axis=1)
    energies_wh = np.diff(at_cuts, axis=0) / JOULES_PER_WH
    edges_us = np.asarray(cuts, np.float64)
    (told,) = np.nonzero((edges_us[1:] > times[0]) & (edges_us[:-1] < times[-1]))
    members = [
        energies_wh[told][:, list(meters)].sum(axis=1).tolist() for meters in FIELDS.values()
    ]
    names = ("timestamp", *FIELDS)
    starts = (shown(cuts[number], zone) for number in told.tolist())
    return [dict(zip(names, row, strict=True)) for row in zip(starts, *members, strict=True)]


def _asked(
    counter: Counter, request: AnyRequest, site: Site, *, period: str | None = None
) -> Asked:
    """The span of the query. Raises the 400."""
    query = request.query_params
    zone = query.get("time_zone") or site.description.time_zone
    try:
        zone_of(zone)
    except UnknownZoneError as error:
        raise _wrong("time_zone", str(error)) from error
    period = period or query.get("period") or "day"
    if period not in PERIODS:
        raise _wrong("period", f"must be one of {', '.join(PERIODS)}")
    try:
        return asked_span(
            period,
            zone,
            start=query.get("start_date") or None,
            end=query.get("end_date") or None,
            first_us=site.added_time_us,
            now_us=counter.clock.now_us(),
        )
    except (ValueError, OverflowError) as error:
        text = "must be RFC 3339, as 2026-11-26T00:00:00+01:00"
        raise _wrong("start_date, end_date", text) from error


def _meters(counter: Counter) -> Meters:
    assert counter.meters is not None  # roles/api.py gives it; tests of other routes need none
    return counter.meters


def _wrong(name: str, text: str) -> ApiError:
    return ApiError(400, "invalid_field", f"{name}: {text}")


ROUTES: Final[list[Any]] = [calendar_history, telemetry_history]

"""`GET /api/2/audit`: who did what by the page and the API, for admins."""

import asyncio
from typing import Final

from litestar import Response, get
from litestar.di import NamedDependency
from msgspec import Struct

from motorcade.api.counter import AnyRequest, Counter, read_piece, read_whole
from motorcade.api.errors import ApiError
from motorcade.registry.audit.port import DeedsAsked, DeedShown
from motorcade.registry.port import Vehicle

WHO_CHARACTERS_MAX: Final = 200
VEHICLE_ID_MAX: Final = 999_999_999
REMOVED: Final = "a vehicle that was removed"


class DeedVehicle(Struct, kw_only=True):
    """Which vehicle it was about."""

    id: str
    name: str


class DeedEntry(Struct, kw_only=True):
    """What somebody did."""

    id: str
    time_us: int
    who: str  # the name that they had then; without one, the subject
    subject: str
    client_id: str  # by which app
    what: str
    outcome: str  # done, refused; of a command its state when it was answered
    vehicle: DeedVehicle | None
    text: str


class DeedList(Struct, kw_only=True):
    response: list[DeedEntry]
    cursor: str | None  # of the next piece; null: this is the last


@get("/api/2/audit")
async def list_deeds(request: AnyRequest, counter: NamedDependency[Counter]) -> Response[DeedList]:
    """Who did what, the newest first.

    `who`: a subject, or a part of a name; `vehicle`: an id. Commands show within seconds.
    """
    access = counter.allow(request)
    counter.count_app(request, access)
    query = request.query_params
    who = query.get("who", "")
    if len(who) > WHO_CHARACTERS_MAX:
        text = f"who: must be a text of at most {WHO_CHARACTERS_MAX} characters"
        raise ApiError(400, "invalid_field", text)
    before, limit = read_piece(request, counter)
    vehicle_id = read_whole(query.get("vehicle"), "vehicle", 0, 0, VEHICLE_ID_MAX)
    log = counter.audit_log
    assert log is not None  # roles/api.py gives it; tests of other routes need none
    await counter.audit.flush()
    asked = DeedsAsked(before, who, vehicle_id, limit + 1)
    found = await asyncio.to_thread(log.deeds, asked)
    entries = await asyncio.to_thread(_entries, counter, found[:limit])
    for vehicle in {vehicle for _, vehicle in entries if vehicle is not None}:
        counter.note(request, access, vehicle)
    cursor = str(found[limit - 1].id) if len(found) > limit else None
    shown = DeedList(response=[entry for entry, _ in entries], cursor=cursor)
    return Response(shown, status_code=200)


def _entries(counter: Counter, deeds: list[DeedShown]) -> list[tuple[DeedEntry, Vehicle | None]]:
    """For a thread: it asks the registry."""
    return [_entry(counter, deed) for deed in deeds]


def _entry(counter: Counter, deed: DeedShown) -> tuple[DeedEntry, Vehicle | None]:
    vehicle = None
    if deed.vehicle_id is not None:
        vehicle = counter.registry.vehicle_by_id(deed.vehicle_id)
    about = None
    if deed.vehicle_id is not None:
        name = REMOVED if vehicle is None else vehicle.display_name
        about = DeedVehicle(id=str(deed.vehicle_id), name=name)
    entry = DeedEntry(
        id=str(deed.id),
        time_us=deed.time_us,
        who=deed.name or deed.subject,
        subject=deed.subject,
        client_id=deed.client_id,
        what=deed.what,
        outcome=deed.outcome,
        vehicle=about,
        text=deed.text,
    )
    return entry, vehicle


AUDIT_ROUTES: Final = [list_deeds]

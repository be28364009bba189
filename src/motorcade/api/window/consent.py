"""`GET /api/2/vehicles/{id}/consent`: who sees a vehicle, and where it is; for admins.

Owners have the same of their own on their pages (`api/pages/`). It is what the registry holds now:
people by ownership, driving and role, what apps were granted by those whose vehicle it is or who
drive it, shared links, and what the owner keeps back.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.envelope import ok
from motorcade.api.rights import LOCATION, sees_location
from motorcade.api.shapes import Envelope
from motorcade.api.window.people import people_of
from motorcade.identity.port import FIRST_PARTY, VIEWER
from motorcade.registry.people.port import People, Person
from motorcade.registry.port import Vehicle
from motorcade.registry.privacy.port import EVERY_APP, Limits

VEHICLE_SCOPES: Final = "vehicle_"
"""What scopes of vehicles begin with; an app that has none of them sees none."""


class Seer(Struct, kw_only=True):
    """Somebody who sees the vehicle."""

    name: str
    why: str  # owner, driver, or the role by which they do
    location: bool


class AppSeer(Struct, kw_only=True):
    """An app to which the owner or a driver granted something of vehicles."""

    client_id: str
    name: str
    granted_by: str
    scopes: list[str]  # of vehicles
    location: bool
    grid_m: int  # positions that it hears lie on a grid so wide; 0: as exact as they are
    granted_us: int
    used_us: int | None


class LinkSeer(Struct, kw_only=True):
    """A shared link that shows the vehicle, alone or with the fleet."""

    id: str
    alone: bool
    location: bool
    made_by: str
    ends_us: int


class Consent(Struct, kw_only=True):
    people: list[Seer]
    people_count: int  # of all, though `dashboard.page_rows_max` are told; so of links
    apps: list[AppSeer]
    links: list[LinkSeer]
    zones: int  # circles in which apps, links and roles hear no position
    grid_m: int  # ... and the grid for all of them; 0: none


@get("/api/2/vehicles/{tag:str}/consent")
async def show_consent(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[Consent]]:
    """Who sees this vehicle and where it is: people, apps with their scopes, shared links."""
    _, vehicle = counter.admit(request, tag)
    return ok(await asyncio.to_thread(_consent, counter, vehicle))


def _consent(counter: Counter, vehicle: Vehicle) -> Consent:
    """For a thread: it asks the registry."""
    people, rows_max = people_of(counter), counter.config.dashboard.page_rows_max
    limits = Limits() if counter.privacy is None else counter.privacy.limits(vehicle.id)
    near = list(_near(counter, people, vehicle))
    seers = [
        Seer(name=name, why=why, location=True)  # by a token with the scope, which they may ask for
        for name, why, _ in near
    ]
    named = {person.subject for _, _, person in near if person is not None}
    seers += [
        Seer(name=person.full_name or person.email, why=person.role, location=person.role != VIEWER)
        for person in people.people()
        if person.role and person.subject not in named
    ]
    shares = people.shares(0, 0, rows_max)
    return Consent(
        people=seers[:rows_max],
        people_count=len(seers),
        apps=[app for name, _, person in near for app in _apps(people, name, person, limits)],
        links=[
            LinkSeer(
                id=str(share.id),
                alone=share.vehicle_id is not None,
                location=sees_location(share.scopes),
                made_by=share.full_name or share.subject,
                ends_us=share.ends_time_us,
            )
            for share in shares
            if share.vehicle_id in (None, vehicle.id)
        ],
        zones=len(limits.zones),
        grid_m=limits.grid_m(EVERY_APP),
    )


def _near(
    counter: Counter, people: People, vehicle: Vehicle
) -> Iterator[tuple[str, str, Person | None]]:
    """(name, why, person) of the owner and the drivers; no person where only a subject is known."""
    subjects = [(vehicle.owner, "owner")]
    if counter.sharing is not None:
        drivers = counter.sharing.drivers(vehicle.id)
        subjects += [(driver.subject, "driver") for driver in drivers]
    for subject, why in subjects:
        person = people.person(subject)
        name = person.full_name or person.email if person is not None else subject
        yield name, why, person


def _apps(people: People, name: str, person: Person | None, limits: Limits) -> list[AppSeer]:
    grants = people.grants(person.id) if person is not None else []
    told = []
    for grant in grants:
        scopes = sorted(scope for scope in grant.scopes if scope.startswith(VEHICLE_SCOPES))
        if grant.client_id in FIRST_PARTY or not scopes:
            continue
        located = LOCATION in scopes
        seer = AppSeer(
            client_id=grant.client_id,
            name=grant.app_name,
            granted_by=name,
            scopes=scopes,
            location=located,
            grid_m=limits.grid_m(grant.client_id) if located else 0,
            granted_us=grant.granted_time_us,
            used_us=grant.used_time_us,
        )
        told.append(seer)
    return told

"""Sharing a vehicle: invitations, drivers, becoming one. `registry/sharing/` has the promises."""

import asyncio
from typing import Final

from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct, field

from motorcade import zones
from motorcade.api.counter import AnyRequest, Counter, read_body, read_text, read_whole
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError, not_found, unprocessable
from motorcade.api.paging import read_page
from motorcade.api.shapes import Envelope, GranularAccess, Pagination
from motorcade.identity.port import AccessToken
from motorcade.registry.audit.port import What
from motorcade.registry.errors import NotFoundError, TooManyError
from motorcade.registry.port import Vehicle
from motorcade.registry.sharing.port import Driver, Invitation, Sharing

SHARE_LINK: Final = "https://www.tesla.com/_rs/1/"  # what Tesla's app opens; the code is behind it
PAGE_DEFAULT: Final = 25
ID_MAX: Final = 999_999_999
CODE_CHARACTERS_MAX: Final = 200
OWNER_ID: Final = 1  # Tesla's number of an account: ours have subjects instead


class DriverEntry(Struct, kw_only=True):
    """Somebody who may use the vehicle besides its owner. Keys that the car knows: fleet_status."""

    my_tesla_unique_id: int
    user_id: int
    user_id_s: str
    vault_uuid: str  # the account's subject
    driver_first_name: str
    driver_last_name: str
    granular_access: GranularAccess = field(default_factory=GranularAccess)
    active_pubkeys: list[str] = []
    public_key: str = ""


class DriverList(Struct, kw_only=True):
    response: list[DriverEntry]
    count: int


class InvitationEntry(Struct, kw_only=True):
    """An invitation to drive. What we have no use for has Tesla's null."""

    id: int
    id_s: str
    owner_id: int = OWNER_ID
    owner_id_s: str = str(OWNER_ID)
    share_user_id: int | None = None
    share_user_id_s: str = ""
    product_id: str  # the VIN
    product_type: str = "vehicle"
    share_type: str = "customer"
    vin: str
    state: str  # pending, redeemed, revoked, expired
    code: str | None
    share_link: str | None
    expires_at: str
    revoked_at: str | None
    borrowing_device_id: str | None = None
    key_id: str | None = None
    active_pubkeys: list[str | None] = []


class InvitationList(Struct, kw_only=True):
    response: list[InvitationEntry]
    pagination: Pagination
    count: int


class Redeemed(Struct):
    vehicle_id_s: str
    vin: str


class Revoked(Struct):
    """Tesla answers so, and with 200."""

    response: bool


@get("/api/1/vehicles/{tag:str}/drivers")
async def list_drivers(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[DriverList]:
    """Who may drive the vehicle besides its owner. The owner alone may ask."""
    _, vehicle = _own(counter, request, tag)
    entries = [_driver(counter, driver) for driver in _sharing(counter).drivers(vehicle.id)]
    return Response(DriverList(response=entries, count=len(entries)), status_code=200)


@delete("/api/1/vehicles/{tag:str}/drivers", status_code=200)
async def remove_driver(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[str]]:
    """End a driver's access: the owner names one (`share_user_id`), a driver ends their own."""
    access, vehicle = counter.admit(request, tag)
    given = request.query_params.get("share_user_id")
    if given is None:
        given = (await read_body(request)).get("share_user_id")
    drivers = _sharing(counter).drivers(vehicle.id)
    if access.owns(vehicle.owner):
        driver_id = read_whole(str(given), "share_user_id", 0, 1, ID_MAX)
    else:
        driver_id = next((row.id for row in drivers if row.subject == access.subject), 0)
        if not driver_id:  # the owner was quicker
            raise not_found("no such vehicle, or not yours")
        if given is not None and str(given) != str(driver_id):
            raise ApiError(403, "Unauthorized", "a driver may end their own access alone")
    try:
        gone = await asyncio.to_thread(_sharing(counter).remove_driver, vehicle.id, driver_id)
    except NotFoundError as error:
        raise not_found(str(error)) from error
    counter.streams.end(gone.subject, vehicle.id)
    await counter.audit.tell(access, What.REMOVED_DRIVER, gone.subject, vehicle=vehicle.token)
    return ok("ok")


@get("/api/1/vehicles/{tag:str}/invitations")
async def list_invitations(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[InvitationList]:
    """Every invitation of the vehicle, the newest first. The owner alone may ask."""
    _, vehicle = _own(counter, request, tag)
    page, sharing = read_page(request, PAGE_DEFAULT), _sharing(counter)
    entries = [
        _invitation(counter, vehicle, row)
        for row in sharing.invitations(vehicle.id, page.offset, page.size)
    ]
    pagination = page.pagination(sharing.invitation_count(vehicle.id))
    listed = InvitationList(response=entries, pagination=pagination, count=len(entries))
    return Response(listed, status_code=200)


@post("/api/1/vehicles/{tag:str}/invitations", status_code=200)
async def invite(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[InvitationEntry]]:
    """Make an invitation: whoever redeems its code first becomes a driver."""
    access, vehicle = _own(counter, request, tag)
    await read_body(request)
    try:
        invitation = await asyncio.to_thread(_sharing(counter).invite, vehicle.id, access.subject)
    except TooManyError as error:
        raise unprocessable("too many drivers", {"drivers": [str(error)]}) from error
    await counter.audit.tell(access, What.INVITED_DRIVER, vehicle=vehicle.token)
    return ok(_invitation(counter, vehicle, invitation))


@post("/api/1/vehicles/{tag:str}/invitations/{invitation_id:str}/revoke", status_code=200)
async def revoke_invitation(
    request: AnyRequest,
    counter: NamedDependency[Counter],
    tag: FromPath[str],
    invitation_id: FromPath[str],
) -> Response[Revoked]:
    """End an invitation that is pending."""
    access, vehicle = _own(counter, request, tag)
    await read_body(request)
    number = read_whole(invitation_id, "invitation id", 0, 1, ID_MAX)
    try:
        await asyncio.to_thread(_sharing(counter).revoke, vehicle.id, number)
    except NotFoundError as error:
        raise not_found(str(error)) from error
    text = f"invitation {number}"
    await counter.audit.tell(access, What.REVOKED_INVITATION, text, vehicle=vehicle.token)
    return Response(Revoked(True), status_code=200)


@post("/api/1/invitations/redeem", status_code=200)
async def redeem_invitation(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[Redeemed]]:
    """Become a driver by an invitation's code."""
    access = counter.allow(request)
    code = read_text(await read_body(request), "code", characters_max=CODE_CHARACTERS_MAX)
    code = code.removeprefix(SHARE_LINK)
    try:
        driver = await asyncio.to_thread(_sharing(counter).redeem, code, access.subject)
    except NotFoundError as error:
        raise not_found(str(error)) from error
    vehicle = counter.registry.vehicle_by_id(driver.vehicle_id)
    if vehicle is None:  # removed since
        raise not_found("no such vehicle")
    await counter.audit.tell(access, What.BECAME_DRIVER, vehicle=vehicle.token)
    return ok(Redeemed(str(vehicle.id), vehicle.vin))


def _own(counter: Counter, request: AnyRequest, tag: str) -> tuple[AccessToken, Vehicle]:
    access, _ = counter.admit(request, tag)
    return access, counter.owned(access, tag)


def _sharing(counter: Counter) -> Sharing:
    assert counter.sharing is not None  # the composition root gives one
    return counter.sharing


def _driver(counter: Counter, driver: Driver) -> DriverEntry:
    person = counter.people.person(driver.subject) if counter.people is not None else None
    first, _, last = (person.full_name if person is not None else driver.subject).partition(" ")
    return DriverEntry(
        my_tesla_unique_id=driver.id,
        user_id=driver.id,
        user_id_s=str(driver.id),
        vault_uuid=driver.subject,
        driver_first_name=first,
        driver_last_name=last,
    )


def _invitation(counter: Counter, vehicle: Vehicle, row: Invitation) -> InvitationEntry:
    state = row.state(counter.clock.now_us())
    pending = row.code if state == "pending" else None
    revoked_us = row.revoked_time_us
    return InvitationEntry(
        id=row.id,
        id_s=str(row.id),
        product_id=vehicle.vin,
        vin=vehicle.vin,
        state=state,
        code=pending,
        share_link=SHARE_LINK + pending if pending is not None else None,
        expires_at=zones.shown(row.expires_time_us),
        revoked_at=zones.shown(revoked_us) if revoked_us is not None else None,
    )

"""Shared links: a view of the page that somebody without an account reads until a date.

The link's token lies in its address and is kept as a hash. The page exchanges it for an access
token of some minutes, whose claims name the link (`sid`) and its only vehicle (`veh`); what that
opens stands in `rights.py` (`shared`), and each use asks whether the link stands (`standing.py`).
"""

import asyncio
import re
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET, Struct, UnsetType

from motorcade.api.counter import (
    AnyRequest,
    Counter,
    read_body,
    read_piece,
    read_text,
    require,
)
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError, not_found, too_fast, unprocessable
from motorcade.api.oauth.attempts import place_of
from motorcade.api.oauth.desk import NO_STORE
from motorcade.api.oauth.place import base_url
from motorcade.api.oauth.routes import desk_of
from motorcade.api.rights import LOCATION
from motorcade.api.shapes import Envelope
from motorcade.api.window.people import people_of
from motorcade.identity.port import ADMIN, SHARE_CLIENT, AccessToken
from motorcade.registry.audit.port import What
from motorcade.registry.errors import NotFoundError, TooManyError
from motorcade.registry.people.port import Person, Share, ShareRequest

VIEW_CHARACTERS_MAX: Final = 2_000
TOKEN_CHARACTERS_MAX: Final = 200
DAY_US: Final = 86_400_000_000
_VIEW: Final = re.compile(r"/(?:vehicles/([0-9]{1,16}))?")
_RETRY_S: Final = 60


class ShareShown(Struct, kw_only=True):
    """A link."""

    id: str
    view: str
    ends_us: int
    location: bool
    made_by: str
    url: str | UnsetType = UNSET  # only in the answer that makes it


class ShareList(Struct, kw_only=True):
    response: list[ShareShown]
    cursor: str | None  # of the next piece; null: this is the last


class ShareOpened(Struct, kw_only=True):
    """What the page needs to show a link's view."""

    access_token: str
    expires_in: int  # s
    view: str
    ends_us: int
    location: bool


def _shown(share: Share, url: str | UnsetType = UNSET) -> ShareShown:
    return ShareShown(
        id=str(share.id),
        view=share.view,
        ends_us=share.ends_time_us,
        location=LOCATION in share.scopes,
        made_by=share.full_name or share.subject,
        url=url,
    )


@post("/api/2/shares", status_code=200)
async def make_share(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[ShareShown]]:
    """Make a link to a view: `/` for the fleet, or `/vehicles/{id}` for that vehicle alone, with
    the query in which it opens. `url` is told only now."""
    access = counter.allow(request)
    counter.count_app(request, access)
    body = await read_body(request)
    view = read_text(body, "view", characters_max=VIEW_CHARACTERS_MAX)
    days, located = _read_days(body, counter), body.get("location", False)
    if not isinstance(located, bool):
        raise ApiError(400, "invalid_field", "location: must be true or false")
    if located:
        require(access, LOCATION)
    tag = _vehicle_in(view)
    vehicle = counter.vehicle(access, tag) if tag else None
    asked = ShareRequest(
        person_id=_maker(counter, access).id,
        view=view,
        vehicle_id=None if vehicle is None else vehicle.id,
        located=located,
        ends_time_us=counter.clock.now_us() + days * DAY_US,
    )
    url = f"{base_url(request, counter.config)}/s/"
    try:
        share, token = await asyncio.to_thread(people_of(counter).make_share, asked)
    except TooManyError as error:
        raise unprocessable("too many links", {"view": [str(error)]}) from error
    except NotFoundError as error:  # the role went meanwhile
        raise not_found(str(error)) from error
    about = None if vehicle is None else vehicle.token
    await counter.audit.tell(access, What.MADE_SHARE, _told(share), vehicle=about)
    return Response(Envelope(_shown(share, url + token)), status_code=200, headers=NO_STORE)


def _told(share: Share) -> str:
    """For the audit: no token, and of the query nothing, which people may have searched by."""
    positions = "with positions" if share.located else "without positions"
    return f"link {share.id} to {urlsplit(share.view).path}, {positions}"


def _vehicle_in(view: str) -> str:
    """The vehicle's id in the view; "" for the fleet. Raises the 400."""
    parts = urlsplit(view)
    found = _VIEW.fullmatch(parts.path)
    if found is None or parts.scheme or parts.netloc or not view.isprintable():
        text = "view: must be / or /vehicles/{id}, with a query or without"
        raise ApiError(400, "invalid_field", text)
    return found[1] or ""


def _read_days(body: dict[str, Any], counter: Counter) -> int:
    """Raises the 400."""
    days, most = body.get("days"), counter.config.registry.share_days_max
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= most:
        raise ApiError(400, "invalid_field", f"days: must be a whole number 1 to {most}")
    return days


def _maker(counter: Counter, access: AccessToken) -> Person:
    """The person behind the token: a link ends with the role of who made it. Raises the 403."""
    person = people_of(counter).person(access.subject)
    if person is None:
        text = "links are made by people: sign in on the page"
        raise ApiError(403, "Unauthorized token type", text)
    return person


@get("/api/2/shares")
async def list_shares(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[ShareList]:
    """The caller's links that are open, the newest first; an admin's answer has everybody's."""
    access = counter.allow(request)
    counter.count_app(request, access)
    before, limit = read_piece(request, counter)
    whose = _whose(counter, access)
    found = await asyncio.to_thread(people_of(counter).shares, whose, before, limit + 1)
    cursor = str(found[limit - 1].id) if len(found) > limit else None
    shown = ShareList(response=[_shown(share) for share in found[:limit]], cursor=cursor)
    return Response(shown, status_code=200)


@delete("/api/2/shares/{share_id:str}", status_code=200)
async def end_share(
    request: AnyRequest, counter: NamedDependency[Counter], share_id: FromPath[str]
) -> Response[Envelope[ShareShown]]:
    """End a link, and what is open by it, at once."""
    access = counter.allow(request)
    counter.count_app(request, access)
    if not (share_id.isascii() and share_id.isdigit() and len(share_id) < 16):
        raise not_found("no such link")
    whose = _whose(counter, access)
    try:
        share = await asyncio.to_thread(people_of(counter).end_share, int(share_id), whose)
    except NotFoundError as error:
        raise not_found(str(error)) from error
    counter.standing.look()
    await counter.audit.tell(access, What.ENDED_SHARE, _told(share))
    return ok(_shown(share))


def _whose(counter: Counter, access: AccessToken) -> int:
    """Whose links the caller reads and ends; 0: everybody's. Raises the 403."""
    return 0 if counter.role(access) == ADMIN else _maker(counter, access).id


@post("/api/2/shares/open", status_code=200)
async def open_share(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[ShareOpened]]:
    """What a link shows, and an access token that reads it. No token needed but the link's own.

    404 where it has ended, or never was; 429 after too many of those from one address.
    """
    token = read_text(await read_body(request), "token", characters_max=TOKEN_CHARACTERS_MAX)
    place = place_of(request.client.host if request.client else "")
    now_s = counter.clock.monotonic_s()
    if counter.wrong_links.too_many(place, now_s):
        raise too_fast(_RETRY_S, "too many links that are none, from this address")
    counter.wrong_links.add(place, now_s)  # before it is tried: none side by side are let pass
    share = await asyncio.to_thread(people_of(counter).share, token)
    left_us = 0 if share is None else share.ends_time_us - counter.clock.now_us()
    ttl_s = min(counter.config.api.share_token_s, left_us // 1_000_000)
    if share is None or ttl_s <= 0:
        raise not_found("this link has ended, or there never was one")
    counter.wrong_links.give_back(place)
    opened = ShareOpened(
        access_token=await asyncio.to_thread(_mint, counter, share, ttl_s),
        expires_in=ttl_s,
        view=share.view,
        ends_us=share.ends_time_us,
        location=LOCATION in share.scopes,
    )
    return Response(Envelope(opened), status_code=200, headers=NO_STORE)


def _mint(counter: Counter, share: Share, ttl_s: int) -> str:
    """A token that is over no later than the link."""
    return desk_of(counter).tokens.mint(
        f"{SHARE_CLIENT}:{share.id}",
        sorted(share.scopes),
        ttl_s=ttl_s,
        client_id=SHARE_CLIENT,
        further={
            "jti": counter.entropy(16).hex(),
            "sid": share.id,
            "veh": share.vehicle_id or 0,
        },
    )


SHARE_ROUTES: Final = [make_share, list_shares, end_share, open_share]

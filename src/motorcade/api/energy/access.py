"""Who asks for which site, and what that site has said last."""

from typing import Final

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.energy.reading import Reading
from motorcade.api.errors import ApiError, not_found
from motorcade.identity.port import OWNER_SUBJECT, AccessToken
from motorcade.registry.port import Site

OFFLINE: Final = "energy site unavailable: site is offline"
PATH: Final = "/api/1/energy_sites/{site_id:str}"
ID_DIGITS_MAX: Final = 16


def site_of(counter: Counter, access: AccessToken, site_id: str) -> Site:
    """The caller's site. Raises the 404."""
    site = None
    number = site_id.isascii() and site_id.isdigit() and len(site_id) <= ID_DIGITS_MAX
    if access.owns(OWNER_SUBJECT) and number:
        site = counter.registry.site_by_id(int(site_id))
    if site is None:
        raise not_found("no such energy site, or not yours")
    return site


def admit(counter: Counter, request: AnyRequest, site_id: str) -> tuple[AccessToken, Site]:
    """Who asks for which site, counted. Raises the 401, 403, 404 and 429."""
    access = counter.allow(request)
    site = site_of(counter, access, site_id)
    counter.count(request, access, site)
    return access, site


def read_live(counter: Counter, site: Site) -> Reading:
    """What the site last said. Raises the 408 when it has never said anything."""
    reading = Reading(counter.state.read(site.token))
    if not reading.there:
        raise ApiError(408, OFFLINE, "it has not reported yet: is it running?")
    return reading

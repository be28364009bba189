"""What of the page this server has for who holds a token: told in the stream's welcome. No IO.

So that a page need not try routes to find out, and shows nothing that it would be refused.
"""

from collections.abc import Collection, Mapping
from typing import Final

from motorcade.api.rights import (
    AUDIT,
    LOCATION,
    PEOPLE,
    RIGHTS,
    SHARES,
    VEHICLE_2,
    sees_location,
)
from motorcade.api.window.roles import is_at_least
from motorcade.identity.port import AccessToken

PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "work": ("GET", "/api/2/work"),
    "system": ("GET", "/api/2/system"),
    "timeline": ("GET", "/api/2/fleet/timeline"),
    "shares": ("POST", SHARES),
    "people": ("GET", PEOPLE),
    "audit": ("GET", AUDIT),
    "within": ("GET", "/api/2/fleet/within"),
    "export": ("GET", f"{VEHICLE_2}/export"),
    "explain": ("GET", f"{VEHICLE_2}/explain"),
    "consent": ("GET", f"{VEHICLE_2}/consent"),
}
"""Each part's name and the route that it stands on."""

NEEDS: Final[Mapping[str, str]] = {"within": LOCATION}
"""Scopes that a part wants beyond its route's row."""


def parts_of(access: AccessToken, role: str, absent: Collection[str] = ()) -> list[str]:
    """The parts that this token opens, but for those that are `absent` from this server."""
    return [name for name in PARTS if name not in absent and _opens(name, access, role)]


def _opens(name: str, access: AccessToken, role: str) -> bool:
    row = RIGHTS[PARTS[name]]
    if access.shared and not row.shared:
        return False
    if row.scopes and access.scopes.isdisjoint(row.scopes):
        return False
    if NEEDS.get(name) == LOCATION and not sees_location(access.scopes):
        return False
    return is_at_least(role, row.role)

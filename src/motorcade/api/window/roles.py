"""What people may do on the page, by their role. No IO.

`viewer` sees every vehicle, `operator` sees where they are, sends commands and works the queue,
`admin` everything. Somebody without a role sees their own vehicles and those they drive. A shared
link has a role of its own, `share`: it sees every vehicle, or the one that it names. A role
holds for the platform's own page alone: no other app gets more by it than its person owns.
"""

from collections.abc import Callable
from typing import Final

from motorcade.api.rights import CHARGING, COMMANDS, ENERGY_COMMANDS, LOCATION
from motorcade.api.window.picture import Looker
from motorcade.identity.port import (
    ADMIN,
    ADMIN_SUBJECT,
    FIRST_PARTY,
    OWNER_SUBJECT,
    ROLES,
    SHARE,
    VIEWER,
    AccessToken,
)

NOT_A_VIEWERS: Final = frozenset({LOCATION, COMMANDS, CHARGING, ENERGY_COMMANDS})
RoleOf = Callable[[str], str]
"""The role that the registry has of a subject; "" for none."""


def role_of(access: AccessToken, registered: RoleOf) -> str:
    """The role of who holds this token; "" for none."""
    if access.shared:
        return SHARE
    if access.partner or access.client_id not in FIRST_PARTY:
        return ""
    if access.subject in (OWNER_SUBJECT, ADMIN_SUBJECT):
        return ADMIN
    return registered(access.subject)


def is_at_least(role: str, needed: str) -> bool:
    """Whether somebody of this role, "" for none, may do what `needed` may."""
    return not needed or (role in ROLES and ROLES.index(role) >= ROLES.index(needed))


def scopes_of(role: str, asked: tuple[str, ...]) -> tuple[str, ...]:
    """What of the scopes that the page asks for somebody of this role gets."""
    return tuple(scope for scope in asked if role != VIEWER or scope not in NOT_A_VIEWERS)


def looker_of(access: AccessToken, role: str, driven: frozenset[int]) -> Looker:
    """Who looks, as the stream knows them."""
    trusted = access.client_id in FIRST_PARTY
    return Looker(
        subject="" if access.partner or access.shared else access.subject,
        client_id=access.reads_as,
        sees_all=(bool(role) and not access.vehicle_id) or access.sees_all,
        owns_all=access.sees_all and trusted,
        trusted=trusted,
        located=LOCATION in access.scopes,
        driven=frozenset({access.vehicle_id}) if access.vehicle_id else driven,
    )


def rights_shown(access: AccessToken, role: str) -> dict[str, bool]:
    """`rights` of the stream's welcome."""
    return {
        "location": LOCATION in access.scopes,
        "commands": COMMANDS in access.scopes,
        "people": role == ADMIN,
    }

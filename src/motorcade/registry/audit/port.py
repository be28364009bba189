"""Promises of the audit.

1. **One row** for each deed, with the name that its doer had then, in the order of writing.
2. **Durable**: what `write` returned from survives a power cut.
3. **Kept** for `registry.audit_s`, and of each kind of deed the newest `registry.audit_rows_max`: a
   flood of one kind pushes out none of another. `write`, if only with no rows, forgets the others
   within the hour.

Methods may be called from any thread. `write` writes to disk: call it from a thread of its own, in
one process alone; it also takes in what other processes have left (`inbox.py`). `deeds` never waits
for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from motorcade.events import VehicleToken


class What(StrEnum):
    """The kinds of deeds, in plain words."""

    SENT_COMMAND = "sent_command"
    CHANGED_ROLE = "changed_role"
    MADE_SHARE = "made_share"
    ENDED_SHARE = "ended_share"
    EXPORTED = "exported"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    SNOOZED = "snoozed"
    COMMENTED = "commented"
    UNDID = "undid"
    # Owners and developers, on their pages or by apps.
    INVITED_DRIVER = "invited_driver"
    REVOKED_INVITATION = "revoked_invitation"
    BECAME_DRIVER = "became_driver"
    REMOVED_DRIVER = "removed_driver"
    APPROVED_KEY = "approved_key"
    ASKED_TO_REMOVE_KEY = "asked_to_remove_key"
    CHANGED_PRIVACY = "changed_privacy"
    ALLOWED_APP = "allowed_app"
    TOOK_BACK_CONSENT = "took_back_consent"
    REGISTERED_APP = "registered_app"
    CHANGED_APP = "changed_app"
    RENEWED_SECRET = "renewed_secret"
    ENDED_APP = "ended_app"
    # The command line's besides.
    ADDED_VEHICLES = "added_vehicles"
    RENEWED_VEHICLE = "renewed_vehicle"
    REMOVED_VEHICLE = "removed_vehicle"
    ADDED_OPERATOR = "added_operator"
    REMOVED_OPERATOR = "removed_operator"
    MADE_TOKEN = "made_token"
    ADDED_PERSON = "added_person"
    REMOVED_PERSON = "removed_person"
    CHANGED_PASSWORD = "changed_password"
    REGISTERED_DOMAIN = "registered_domain"
    RELEASED_DOMAIN = "released_domain"
    CHANGED_TOKEN_KEY = "changed_token_key"
    ADDED_SITE = "added_site"
    REMOVED_SITE = "removed_site"


class Deed(NamedTuple):
    """What somebody did."""

    time_us: int
    subject: str  # who
    client_id: str  # by which app
    what: What
    outcome: str  # done, refused; of a command its state
    vehicle: VehicleToken | None
    text: str  # what the kind leaves open: the command's name, the new role


class DeedShown(NamedTuple):
    """The same as an admin reads it."""

    id: int  # rising
    time_us: int
    subject: str
    name: str  # the person's, as it was then; "" where it was no person's
    client_id: str
    what: str
    outcome: str
    vehicle_id: int | None
    text: str


@dataclass(frozen=True, slots=True)
class DeedsAsked:
    """Which deeds: all that is given must fit."""

    before_id: int = 0  # 0: from the newest
    who: str = ""  # a subject, or a part of a name
    vehicle_id: int = 0
    limit: int = 100


class AuditLog(Protocol):
    """See the module."""

    def write(self, deeds: Sequence[Deed]) -> None:
        """Add these in one transaction.

        Raises:
            RegistryUnavailableError: none was added; the text says why.
        """

    def deeds(self, asked: DeedsAsked) -> list[DeedShown]:
        """The newest first."""

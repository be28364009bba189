"""Promises about sharing a vehicle, about homes of accounts, and about registered apps.

1. **Durable, shared**, as the registry's other promises: what returned is on disk, and every
   process sees it at its next read.
2. **An invitation works once**, until it expires or is revoked, and not for who sent it.
3. **A driver** may use the vehicle as its owner does, but not share it; removing ends that at once.

Methods may be called from any thread. Those that change something write to disk: call them from a
thread of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from motorcade.registry.port import Vehicle


@dataclass(frozen=True, slots=True)
class Driver:
    """Somebody who may use a vehicle that is not theirs."""

    id: int  # Tesla's `user_id` of a driver, what DELETE drivers names
    vehicle_id: int
    subject: str
    added_time_us: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """To drive a vehicle."""

    id: int
    vehicle_id: int
    inviter: str  # a subject
    code: str | None  # `None` once it is good for nothing
    made_time_us: int
    expires_time_us: int
    redeemed_time_us: int | None
    revoked_time_us: int | None

    def state(self, now_us: int) -> str:
        """One word: redeemed, revoked, expired, pending."""
        if self.redeemed_time_us is not None:
            return "redeemed"
        if self.revoked_time_us is not None:
            return "revoked"
        return "expired" if self.expires_time_us <= now_us else "pending"


@dataclass(frozen=True, slots=True)
class Home:
    """Where an account lives that does not live here."""

    region: str  # lower case
    base_url: str


@dataclass(frozen=True, slots=True)
class Registration:
    """An app in this region."""

    client_id: str
    domain: str  # lower case
    public_key: str  # the uncompressed P-256 point, hex
    registered_time_us: int


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A public key of a person, with the name they gave it."""

    public_key: str
    kind: str
    model: str
    name: str
    tag: str


class Sharing(Protocol):
    """Drivers, invitations, homes, registrations, named keys."""

    def invite(self, vehicle_id: int, inviter: str) -> Invitation:
        """Make an invitation.

        Raises:
            TooManyError: the vehicle has `registry.drivers_max` drivers and pending invitations.
        """

    def invitations(self, vehicle_id: int, offset: int, limit: int) -> list[Invitation]:
        """Every invitation of a vehicle, the newest first."""

    def invitation_count(self, vehicle_id: int) -> int:
        """How many `invitations` there are."""

    def revoke(self, vehicle_id: int, invitation_id: int) -> Invitation:
        """End an invitation that is pending. Raises `NotFoundError`."""

    def redeem(self, code: str, subject: str) -> Driver:
        """Become a driver. Raises `NotFoundError`: no such code, used, expired, or one's own."""

    def drivers(self, vehicle_id: int) -> Sequence[Driver]:
        """Who drives a vehicle, in the order they came."""

    def remove_driver(self, vehicle_id: int, driver_id: int) -> Driver:
        """End somebody's access. Raises `NotFoundError`."""

    def drives(self, subject: str, vehicle_id: int) -> bool:
        """Whether this is a driver of that vehicle."""

    def driven(self, subject: str, offset: int, limit: int) -> list[Vehicle]:
        """The vehicles that somebody drives, in the order they were added."""

    def driven_count(self, subject: str) -> int:
        """How many `driven` there are."""

    def home(self, subject: str) -> Home | None:
        """Where an account lives; `None`: here."""

    def set_home(self, subject: str, home: Home | None) -> None:
        """Move an account to another region, or back here."""

    def register(self, client_id: str, domain: str, public_key: str) -> Registration:
        """Register an app here, or anew. A revoked app's registration is none.

        Raises:
            NotFoundError: no such app.
            AlreadyExistsError: another app's domain, that of an app of the operator or one below
                it, or the key of another person's app.
        """

    def release(self, domain: str) -> Registration:
        """End the registration that holds a domain. Raises `NotFoundError`."""

    def registration(self, client_id: str) -> Registration | None:
        """By app; `None` also once it was revoked.

        An app that the operator added with domain and key is registered with them unasked.
        """

    def registration_of(self, domain: str) -> Registration | None:
        """By domain; `None` also where the app was revoked. The operator's apps come first."""

    def name_key(self, subject: str, key: NamedKey) -> None:
        """Name a public key. Raises `TooManyError` beyond `registry.named_keys_max`."""

    def named_keys(self, subject: str) -> list[NamedKey]:
        """A person's keys, the last named first."""

"""What identity offers the other folders: who holds a bearer token or certificate, and signing.

1. **Verification names its algorithm.** A token is checked as ES256 with our key, whatever its
   header claims. It says who (`subject`) and what (`scopes`), never which vehicles: that is
   `owns`.
2. **Private keys stay inside**: callers hand in bytes and get a signature.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

OPERATOR_CLIENTS: Final = frozenset({"motorcade", "motorcade-cli"})
"""Client ids of tokens that the command line made: no apps, so no app's limits apply."""
PAGE_CLIENT: Final = "motorcade-page"
"""The platform's own page: people sign in to it without being asked whether they trust it."""
SHARE_CLIENT: Final = "motorcade-share"
"""Whoever opened a shared link, on the platform's page: nobody who signed in."""
FIRST_PARTY: Final = OPERATOR_CLIENTS | {PAGE_CLIENT}
"""Client ids of tokens with which people see what is theirs as it is: no app stands between."""
VIEWER, OPERATOR, ADMIN = "viewer", "operator", "admin"
ROLES: Final = (VIEWER, OPERATOR, ADMIN)
"""What people may be on the page; each may do what those before it may."""
SHARE: Final = "share"
"""The role of a shared link: it sees what the link shows, and no person can be given it."""
OWNER_SUBJECT: Final = "owner"  # owns every site, and every vehicle added for nobody else
ADMIN_SUBJECT: Final = "admin"  # sees every vehicle, holds every scope; made at each start
RESERVED_SUBJECTS: Final = frozenset(
    {OWNER_SUBJECT, ADMIN_SUBJECT, "motorcade", "motorcade-cli", SHARE_CLIENT}
)
"""No app is called so, and of people only the owner."""
VEHICLE_CA_NAME: Final = "Motorcade Vehicle CA"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A verified bearer token."""

    subject: str
    scopes: frozenset[str]
    expires_time_us: int
    client_id: str  # the claim `azp`
    session: int = 0  # of an app's token of a person: what revoking ends; 0: none stands behind it
    token_id: str = ""  # the claim `jti`, of tokens that apps got from the token endpoint
    vehicle_id: int = 0  # the claim `veh`, of a shared link's: the only vehicle; 0: the fleet

    @property
    def partner(self) -> bool:
        """Whether an app holds it for itself: its subject is the app (RFC 9068 §2.2)."""
        return self.subject == self.client_id

    @property
    def shared(self) -> bool:
        """Whether it is a shared link's, whose id is `session` then."""
        return self.client_id == SHARE_CLIENT

    @property
    def reads_as(self) -> str:
        """The app whose limits hold: a shared link's are no wider than the page's."""
        return PAGE_CLIENT if self.shared else self.client_id

    @property
    def sees_all(self) -> bool:
        """Whether everybody's vehicles are shown."""
        return self.subject == ADMIN_SUBJECT and not (self.partner or self.shared)

    def owns(self, owner: str) -> bool:
        """Whether what this subject owns is the caller's: the caller's own, the admin's all."""
        return self.subject in (owner, ADMIN_SUBJECT) and not (self.partner or self.shared)


class TokenVerifier(Protocol):
    """Checks bearer tokens."""

    def verify(self, bearer: str) -> AccessToken:
        """Return who holds this token.

        Raises:
            TokenExpiredError: it was good once.
            InvalidTokenError: it never was; the text says why, for logs, not for the caller.
        """

    def generation(self) -> int:
        """A number that rises when a key is forgotten: what was verified before may be no more."""


class CommandSigner(Protocol):
    """Signs what goes down to vehicles, Ed25519."""

    @property
    def key_id(self) -> str:
        """Names the key in `vehicle.json`'s `command_public_keys`."""

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a verified client certificate names."""

    vin: str  # the subject's common name, as it stands there
    serial: str  # of a certificate of our own vehicle CA, else "": what the registry asks for


def peer_of(certificate: Mapping[str, Any]) -> Peer | None:
    """Read what `ssl.SSLSocket.getpeercert()` gives; `None` without a certificate or name.

    The chain is TLS's to verify: call this only with what a context of `identity.tls` accepted.
    """
    name = _common_name(certificate.get("subject", ()))
    if name is None:
        return None
    ours = _common_name(certificate.get("issuer", ())) == VEHICLE_CA_NAME
    return Peer(name, str(certificate.get("serialNumber", "")) if ours else "")


def _common_name(distinguished_name: Any) -> str | None:
    for relative_name in distinguished_name:
        for attribute, value in relative_name:
            if attribute == "commonName":
                return str(value)
    return None

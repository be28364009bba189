"""People and apps: who signs in, which app holds what of whom, and the tokens that carry it.

1. **Durable, shared.** As the registry's: what returned is on disk, every process sees it at its
   next read, and `people_changes` rises whenever something that was good ends or shrinks.
2. **Secrets are shown once.** Of passwords an argon2id hash is kept, of drawn secrets, codes,
   refresh tokens and browsers' sign-ins a keyed hash.
3. **A code works once.** Whoever uses it again ends the session that it began (RFC 9700 §2.1.1).
4. **Refresh tokens rotate.** The one used last may be used again for a day, as Tesla's, because
   its answer may have been lost; an older one, or another's, ends the session (RFC 9700 §4.14),
   if it is of the last 500 turns.
5. **A grant is one per person and app.** Granting again replaces its scopes; tokens of before keep
   only what both hold. Revoking it ends every session of it at once.

Every time is an argument of the engine's clock. Methods may be called from any thread, and write to
disk: call them from a thread of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from motorcade.identity.port import ADMIN, OPERATOR, OWNER_SUBJECT

LOCATION: Final = "vehicle_location"
SHARED: Final = frozenset({"vehicle_device_data", LOCATION})
"""The scopes of a shared link, with positions."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in."""

    id: int
    subject: str  # the claim `sub`
    email: str  # lower case
    full_name: str
    added_time_us: int
    role: str = ""  # on the page, of `identity.port.ROLES`; "": none


@dataclass(frozen=True, slots=True)
class App:
    """A client of the API (RFC 6749 §1.1)."""

    id: int
    client_id: str
    confidential: bool  # holds a secret; a public one proves itself by PKCE alone
    name: str
    purpose: str  # of use, as its developer declares it
    scopes: tuple[str, ...]  # what it may ask for
    redirect_uris: tuple[str, ...]  # compared character by character
    domain: str  # "" for none
    public_key_pem: str  # P-256, "" for none
    person_id: int | None  # whose app it is; none: the command line's
    added_time_us: int


@dataclass(frozen=True, slots=True)
class AppRequest:
    """What a developer registers."""

    name: str
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    purpose: str = ""
    domain: str = ""
    public_key_pem: str = ""
    client_id: str = ""  # "": drawn
    confidential: bool = True
    secret: str = ""  # "": drawn, as it should be where others can reach the API


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person lets an app do."""

    id: int
    client_id: str
    app_name: str
    scopes: tuple[str, ...]
    purpose: str  # as it was shown
    granted_time_us: int
    used_time_us: int | None


@dataclass(frozen=True, slots=True)
class Code:
    """An authorisation code, as it was kept."""

    person: Person
    grant_id: int
    scopes: tuple[str, ...]
    asked: tuple[str, ...]
    redirect_uri: str  # as the app named it; "": it did not
    challenge: str  # S256; "" for none
    nonce: str
    signed_in_time_us: int


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """What a code is to carry."""

    person_id: int
    app_id: int
    scopes: tuple[str, ...]
    asked: tuple[str, ...]
    redirect_uri: str
    challenge: str
    nonce: str
    signed_in_time_us: int
    sign_in_id: str  # of the browser in which it was allowed


@dataclass(frozen=True, slots=True)
class Session:
    """What a code was exchanged for: its refresh tokens and the access tokens they brought."""

    id: int
    person: Person
    scopes: tuple[str, ...]  # of the session and of its grant
    signed_in_time_us: int


@dataclass(frozen=True, slots=True)
class SignIn:
    """A browser that somebody signed in with."""

    person: Person
    signed_in_time_us: int
    id: str  # what a code that is allowed in it names; opens nothing


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """What a link is to show."""

    person_id: int  # who makes it
    view: str  # path and query of the page
    vehicle_id: int | None  # the only vehicle in it; `None`: the fleet
    located: bool  # with positions
    ends_time_us: int


@dataclass(frozen=True, slots=True)
class Share:
    """A link that somebody without an account opens."""

    id: int
    person_id: int
    subject: str  # who made it
    full_name: str
    role: str  # that they have now
    view: str
    vehicle_id: int | None
    located: bool
    made_time_us: int
    ends_time_us: int

    @property
    def scopes(self) -> frozenset[str]:
        """What its tokens may do: never more than who made it may see now."""
        trusted = self.subject == OWNER_SUBJECT or self.role in (OPERATOR, ADMIN)
        return SHARED if self.located and trusted else SHARED - {LOCATION}


class People(Protocol):
    """People, apps, grants, sessions, shared links."""

    # People.

    def add_person(
        self, email: str, full_name: str, password: str | None = None, subject: str = ""
    ) -> tuple[Person, str]:
        """Add somebody; returns the password too, drawn where none was given.

        Raises:
            InvalidNameError: an e-mail, name, subject or password that cannot be; says why.
            AlreadyExistsError: the e-mail or subject is taken.
        """

    def add_first_person(self, email: str, full_name: str, subject: str) -> str:
        """Add the owner and return the password drawn; "" where there ever was anybody."""

    def people(self, after_id: int = 0, limit: int = -1) -> list[Person]:
        """Everybody, in the order they were added; those after this id, so many at most."""

    def person(self, subject: str) -> Person | None:
        """By subject; `None` if there is none or they were removed."""

    def role(self, subject: str) -> str:
        """What they are on the page, of `identity.port.ROLES`; "" for none or nobody."""

    def set_role(self, name: str, role: str) -> Person:
        """Give somebody (e-mail or subject) a role, or none (""). Their page signs in anew.

        Raises:
            NotFoundError: there is nobody of this name.
            InvalidNameError: no such role.
            LastAdminError: nobody would be left who may give roles; or it is the owner's.
        """

    def check_password(self, email: str, password: str) -> Person | None:
        """Who signs in; takes as long for an e-mail that nobody has."""

    def set_password(self, name: str, password: str | None = None) -> str:
        """Give somebody (e-mail or subject) a new password.

        Ends all their sessions and sign-ins; codes that no app has exchanged yet are worth nothing.

        Raises `NotFoundError`, `InvalidNameError`.
        """

    def remove_person(self, name: str) -> Person:
        """End somebody's access, and that of every app to theirs. Raises `NotFoundError`."""

    def browser_mark(self, email: str, browser: str) -> str:
        """What shows that this browser (any text) signed in with the password of now.

        Nobody else can make it, and a new password voids it. "" for an e-mail that nobody has.
        """

    def begin_sign_in(self, person_id: int, browser: str, mark: str) -> str:
        """A browser has signed in; returns the secret for its cookie.

        "" where `mark` is none of now: the password was changed since it was checked.
        """

    def sign_in(self, secret: str) -> SignIn | None:
        """Who holds this cookie."""

    def end_sign_in(self, secret: str) -> None:
        """The browser signs out."""

    # Apps.

    def add_app(self, asked: AppRequest, person_id: int | None = None) -> tuple[App, str]:
        """Register an app; returns its secret too, "" for a public one.

        Raises:
            InvalidNameError: a part that cannot be; the text says which and why.
            AlreadyExistsError: the client id is taken.
        """

    def apps(self) -> list[App]:
        """Every app that stands, in the order they were added."""

    def apps_of(self, person_id: int) -> list[App]:
        """Those of one person, at most `registry.apps_per_person_max`."""

    def apps_with_key(self, public_key_pem: str) -> list[App]:
        """Those for which this key was uploaded, which proves nobody; the PEM as it is kept."""

    def app(self, client_id: str) -> App | None:
        """By client id; `None` if there is none or it was revoked."""

    def secret_fits(self, app: App, secret: str) -> bool:
        """Whether this is the app's secret."""

    def renew_secret(self, client_id: str) -> str:
        """Draw a new secret; the old one is refused. Raises `NotFoundError`."""

    def change_app(
        self, client_id: str, *, redirect_uris: Sequence[str], domain: str, public_key_pem: str
    ) -> App:
        """Replace what a developer may change. Raises `NotFoundError`, `InvalidNameError`."""

    def revoke_app(self, client_id: str) -> App:
        """End an app's access, of all people. Raises `NotFoundError`."""

    # Grants.

    def grants(self, person_id: int) -> list[Grant]:
        """What somebody's apps hold, the newest first."""

    def revoke_grant(self, person_id: int, client_id: str) -> None:
        """End an app's access to what is this person's. Raises `NotFoundError`."""

    def used(self, session_ids: Sequence[int]) -> None:
        """The tokens of these sessions were used just now."""

    # Codes, sessions.

    def issue_code(self, asked: CodeRequest, prefix: str) -> str:
        """Grant, and return the code that says so: `prefix` and 43 characters.

        Raises `NotFoundError`: the sign-in in which it was allowed has ended meanwhile.
        """

    def code(self, code: str, app: App) -> Code | None:
        """What a code of this app says; using one again ends the session that it began."""

    def begin_session(self, code: str, app: App, prefix: str) -> tuple[Session, str] | None:
        """Exchange a code for a session and its first refresh token ("" without `offline_access`).

        Of one app and person the newest `registry.sessions_per_grant_max` go on.
        `None`: somebody else was faster; the session that they began is ended.
        """

    def refresh(self, token: str, app: App, prefix: str) -> tuple[Session, str] | None:
        """Exchange a refresh token for the next; `None` where promise 4 says no."""

    def session_of(self, refresh_token: str, app: App) -> Session | None:
        """The session that a refresh token could go on with now; changes nothing."""

    def end_session(self, session_id: int) -> None:
        """Every token of it is refused from now on."""

    def revoke_token(self, token_id: str, expires_time_us: int) -> None:
        """Refuse one access token, by its claim `jti`."""

    def standing(self, session_id: int, token_id: str, client_id: str) -> frozenset[str] | None:
        """The scopes that a token's session still holds, `None` when it was ended or revoked.

        Of a partner token (session 0): the app's. Of a shared link's (its id in place of the
        session): what its maker's role leaves. Answers from the registry at each call.
        """

    # Shared links.

    def make_share(self, asked: ShareRequest) -> tuple[Share, str]:
        """Make a link; returns its token, which is kept as a hash alone.

        Raises:
            TooManyError: they have `registry.shares_per_person_max`.
            NotFoundError: they have no role.
        """

    def shares(self, person_id: int, before_id: int, limit: int) -> list[Share]:
        """Those that somebody (0: anybody) made and that are open, the newest first; with
        `before_id`, older ones than that."""

    def end_share(self, share_id: int, person_id: int) -> Share:
        """End a link of theirs (0: anybody's). Raises `NotFoundError`."""

    def share(self, token: str) -> Share | None:
        """The link with this token; `None`: it never was, or has ended."""

    def people_changes(self) -> int:
        """A number that rises when a token may have lost something: cached standings are stale."""

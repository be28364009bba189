"""What every handler stands on: who asks, for which vehicle, with what body. Holds the ports."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection

from motorcade.api.accesses import AccessNotes
from motorcade.api.answers import Answers
from motorcade.api.audit import Audit
from motorcade.api.charging_places import ChargingPlace
from motorcade.api.domain_keys import KeyFetchError
from motorcade.api.envelope import note_allowance
from motorcade.api.errors import (
    LOGIN_REQUIRED,
    TOKEN_EXPIRED,
    ApiError,
    missing_scopes,
    not_found,
    not_shared,
    too_fast,
    unauthorized,
    wrong_role,
    wrong_token,
)
from motorcade.api.inside import Inside
from motorcade.api.lifetimes import Lifetimes
from motorcade.api.limits import Limits
from motorcade.api.oauth.attempts import Failures
from motorcade.api.oauth.desk import Desk
from motorcade.api.privacy import PrivacyBook
from motorcade.api.rates import Allowance, Rates
from motorcade.api.residence import Residence
from motorcade.api.rights import Right, Token, right_of
from motorcade.api.sight import Sight, View
from motorcade.api.standing import Standing
from motorcade.api.streams import Streams
from motorcade.api.window.picture import Picture
from motorcade.api.window.roles import is_at_least, role_of
from motorcade.api.window.viewers import Viewers
from motorcade.api.work.queue import WorkQueue
from motorcade.clock import Clock
from motorcade.commands.port import Commands
from motorcade.config import Config
from motorcade.counts import Tally
from motorcade.events import VehicleToken
from motorcade.history.port import History
from motorcade.identity.errors import InvalidTokenError, TokenExpiredError
from motorcade.identity.port import (
    OPERATOR_CLIENTS,
    PAGE_CLIENT,
    AccessToken,
    TokenVerifier,
)
from motorcade.identity.region import fleet_base_url
from motorcade.meters.port import Meters
from motorcade.registry.accesses.port import AccessLog
from motorcade.registry.audit.port import AuditLog
from motorcade.registry.people.port import People
from motorcade.registry.port import Registry, Site, Vehicle
from motorcade.registry.privacy.port import Privacy
from motorcade.registry.sharing.port import Sharing
from motorcade.registry.signing.port import Signing, SigningState
from motorcade.registry.work.port import WorkNotes
from motorcade.state.port import LiveState, Past
from motorcade.streams.chain import ByArrival

AnyRequest = Request[Any, Any, Any]
Connection = ASGIConnection[Any, Any, Any, Any]

TOKENS_CACHED_MAX: Final = 4_096  # a check of the signature costs some 200 µs, a look-up none
VIN_CHARACTERS: Final = 17
ROWS_DEFAULT: Final = 100  # of a list that is read in pieces


async def no_obstacle(_path: str, _access: AccessToken, _tag: str) -> None:
    """Stands where nothing is put before a gRPC call."""


async def no_key(domain: str) -> bytes:
    """Stands where the composition root gives nothing that fetches. Raises `KeyFetchError`."""
    raise KeyFetchError(f"{domain}: this server fetches no keys: the operator vouches")


@dataclass(slots=True)
class Counter:
    """The API's dependencies, and the questions that every handler asks first."""

    config: Config
    clock: Clock
    registry: Registry
    tokens: TokenVerifier
    commands: Commands
    state: LiveState
    entropy: Callable[[int], bytes]
    people: People | None = None
    sharing: Sharing | None = None  # drivers, invitations, homes, registered apps
    fetch_key: Callable[[str], Awaitable[bytes]] = no_key  # of a domain: `domain_keys.py`
    places: tuple[ChargingPlace, ...] = ()  # to charge at
    limits: Limits = field(default_factory=dict)  # of signals, as the operator sets them
    meters: Meters | None = None  # the past of energy sites
    history: Callable[[], History] | None = None  # of vehicles; opened at the first question
    past: Past | None = None  # live state as it was
    records: ByArrival | None = None  # those that a value was computed from
    inside: Inside | None = None  # what the platform says of itself
    desk: Desk | None = None  # OAuth: people, apps and their tokens
    signing: Signing | None = None  # key lists as cars told them
    privacy: Privacy | None = None  # what owners keep from apps
    access_log: AccessLog | None = None  # what apps asked, for owners to read
    audit_log: AuditLog | None = None  # who did what, for admins to read
    work_notes: WorkNotes | None = None  # what people noted on the work queue
    answered: Callable[[str, int, str], None] = lambda _id, _begun_us, _by: None  # for traces
    obstacle: Callable[[str, AccessToken, str], Awaitable[None]] = no_obstacle
    """Before a gRPC call: its path, who calls, which vehicle. Raises `ApiError`. The sandbox's
    faults; before HTTP's routes stands its middleware."""
    requests: Tally = field(default_factory=Tally)  # HTTP answers, by status
    calls: Tally = field(default_factory=Tally)  # gRPC calls that ended, by status code
    streams: Streams = field(init=False)
    rates: Rates = field(init=False)
    standing: Standing = field(init=False)
    residence: Residence = field(init=False)
    lifetimes: Lifetimes = field(init=False)
    answers: Answers = field(init=False)
    accesses: AccessNotes = field(init=False)
    audit: Audit = field(init=False)
    viewers: Viewers = field(init=False)
    work: WorkQueue | None = field(init=False)
    wrong_links: Failures = field(init=False)  # by address
    _exports: int = 0  # downloads under way
    _book: PrivacyBook = field(init=False)
    _verified: dict[str, AccessToken] = field(default_factory=dict)
    _generation: int = 0  # of the keys that verified them

    def __post_init__(self) -> None:
        self.streams = Streams(self.config.api)
        self.rates = Rates(self.config.rates)
        self.answers = Answers(self.config.api.answers_bytes_max)
        if self.people is None and self.desk is not None:
            self.people = self.desk.people
        self._book = PrivacyBook(self.privacy)
        flush_s, guesses = self.config.api.access_flush_s, self.config.api
        self.wrong_links = Failures(
            guesses.failed_shares_per_address_per_s, guesses.failed_shares_per_address_burst
        )
        picture = Picture(self.state, self.registry, self.privacy)
        self.viewers = Viewers(picture, self.past, self.clock, self.config.dashboard)
        self.work = None
        if self.work_notes is not None:
            ports = self.work_notes, self.state, self.commands
            self.work = WorkQueue(*ports, self.config, self.clock)
        self.accesses = AccessNotes(self.access_log, self.clock, flush_s)
        self.audit = Audit(self.audit_log, self.clock, flush_s)
        poll_s = self.config.api.revocation_poll_ms / 1e3
        self.lifetimes = Lifetimes(self.clock)
        self.standing = Standing(self.people, self.tokens, poll_s)
        self.residence = Residence(
            self.sharing,
            self.people,
            clock=self.clock,
            base_url=fleet_base_url(self.config.identity),
            remembered_s=self.config.api.residence_s_max,
        )

    def allow(self, connection: Connection) -> AccessToken:
        """Who asks, if `rights.py` lets them use this route here. Raises 401, 403, 412 and 421."""
        access = self.access(connection)
        check_right(connection, access)
        row = row_of_route(connection)
        if not is_at_least(self.role(access), row.role):
            raise wrong_role(row.role)
        if not row.everywhere:
            self.residence.check(access)
        return access

    def admit(self, request: AnyRequest, tag: str) -> tuple[AccessToken, Vehicle]:
        """Who asks for which vehicle, counted. Raises 401, 403, 404, 412, 421 and 429."""
        access = self.allow(request)
        vehicle = self.vehicle(access, tag)
        self.count(request, access, vehicle)
        return access, vehicle

    def count(self, request: AnyRequest, access: AccessToken, vehicle: Vehicle | Site) -> None:
        """Take one from the app's allowance for the vehicle or site. Raises the 429."""
        self._count(request, access, vehicle.token, " of this vehicle")

    def note(self, request: AnyRequest, access: AccessToken, vehicle: Vehicle) -> None:
        """Have its owner read of this request in the access log; `count` does so, too."""
        self.accesses.note(access, vehicle.token, kind_of(row_of_route(request)))

    def count_app(self, request: AnyRequest, access: AccessToken) -> None:
        """Take one from the app's allowance for what is of no vehicle. Raises the 429."""
        self._count(request, access, "", "")

    def _count(self, request: AnyRequest, access: AccessToken, token: str, whose: str) -> None:
        def note(allowance: Allowance) -> None:
            note_allowance(request, allowance)

        self.take(row_of_route(request), access, token, whose, note)

    def take(
        self,
        row: Right,
        access: AccessToken,
        token: str,
        whose: str = " of this vehicle",
        note: Callable[[Allowance], None] | None = None,
    ) -> None:
        """Take one from the app's allowance for what has this token, and `note` what is left.

        Raises:
            ApiError: the 429.
        """
        if token:
            self.accesses.note(access, VehicleToken(token), kind_of(row))
        pace = row.pace
        if pace is None or access.client_id in OPERATOR_CLIENTS:
            return
        # All people use the same page: there, each has an allowance of their own.
        who = access.client_id
        who = f"{who} {access.subject}" if access.reads_as == PAGE_CLIENT else who
        allowance = self.rates.take(who, token, pace, self.clock.now_us())
        if note is not None:
            note(allowance)
        if allowance.retry_s:
            what = f"at most {allowance.limit} {pace.value}{whose} in a minute"
            raise too_fast(allowance.retry_s, f"this app asks too often: {what}")

    def access(self, connection: Connection) -> AccessToken:
        """Who asks, whatever they may. Raises the 401."""
        return self.holder(connection.headers.get("authorization", ""))

    def holder(self, authorization: str) -> AccessToken:
        """Who holds the bearer token of this `authorization` header. Raises the 401."""
        scheme, _, bearer = authorization.partition(" ")
        if scheme.lower() != "bearer" or not bearer:
            raise unauthorized()
        return self.verify(bearer.strip())

    def verify(self, bearer: str) -> AccessToken:
        """Who holds this token. Raises the 401."""
        generation = self.tokens.generation()
        if generation != self._generation:
            self._generation = generation
            self._verified.clear()
        access = self._verified.get(bearer)
        if access is None:
            access = self._verify(bearer)
            if len(self._verified) >= TOKENS_CACHED_MAX:
                del self._verified[next(iter(self._verified))]
            self._verified[bearer] = access
        if self.lifetimes.left_s(access) <= 0:
            del self._verified[bearer]
            raise unauthorized(TOKEN_EXPIRED)
        held = self.standing.scopes(access)
        if held is None:
            raise unauthorized(LOGIN_REQUIRED)
        return access if held == access.scopes else replace(access, scopes=held)

    @property
    def generation(self) -> int:
        """Of the keys that the last token was verified with: `TokenVerifier.generation`."""
        return self._generation

    def _verify(self, bearer: str) -> AccessToken:
        try:
            return self.tokens.verify(bearer)
        except TokenExpiredError as error:
            raise unauthorized(TOKEN_EXPIRED) from error
        except InvalidTokenError as error:
            raise unauthorized() from error

    def vehicle(self, access: AccessToken, tag: str) -> Vehicle:
        """The caller's vehicle, owned or driven, by VIN or integer id. Raises 404, 412 and 421."""
        self.residence.check(access)
        vehicle = None
        if len(tag) == VIN_CHARACTERS and not access.shared:  # who cannot see VINs tries none
            vehicle = self.registry.vehicle_by_vin(tag.upper())
        elif tag.isascii() and tag.isdigit() and len(tag) < VIN_CHARACTERS:
            vehicle = self.registry.vehicle_by_id(int(tag))
        if vehicle is None or not self.sees(access, vehicle):
            raise not_found("no such vehicle, or not yours")
        return vehicle

    def sees(self, access: AccessToken, vehicle: Vehicle) -> bool:
        """Whether the vehicle is shown to who holds this token: owned, driven, or by a role."""
        if access.shared:
            return access.vehicle_id in (0, vehicle.id)
        if access.owns(vehicle.owner) or self._drives(access, vehicle):
            return True
        return bool(self.role(access))

    def owned(self, access: AccessToken, tag: str) -> Vehicle:
        """The caller's own vehicle. Raises the 404, and the 403 for one that they only drive."""
        vehicle = self.vehicle(access, tag)
        if not access.owns(vehicle.owner):
            raise ApiError(403, "Unauthorized", "only the vehicle's owner may do this")
        return vehicle

    def _drives(self, access: AccessToken, vehicle: Vehicle) -> bool:
        return self.sharing is not None and self.sharing.drives(access.subject, vehicle.id)

    def vehicles(self, access: AccessToken, offset: int, limit: int) -> list[Vehicle]:
        """The caller's vehicles, in the order they were added: owned ones, then driven ones."""
        if access.sees_all or access.partner:
            return self.registry.vehicles(offset, limit) if access.sees_all else []
        owned = self.registry.vehicles(offset, limit, access.subject)
        room = limit - len(owned)
        if room <= 0 or self.sharing is None:
            return owned
        skipped = max(0, offset - self.registry.vehicle_count(access.subject))
        return owned + self.sharing.driven(access.subject, skipped, room)

    def seen_tokens(self, access: AccessToken, most: int) -> set[VehicleToken] | None:
        """The vehicles that are shown to who holds this token, at most so many; `None`: all."""
        if access.vehicle_id:
            vehicle = self.registry.vehicle_by_id(access.vehicle_id)
            return set() if vehicle is None else {vehicle.token}
        if access.sees_all or self.role(access):
            return None
        return {vehicle.token for vehicle in self.vehicles(access, 0, most)}

    def vehicle_count(self, access: AccessToken) -> int:
        """How many `vehicles` there are."""
        if access.sees_all or access.partner:
            return self.registry.vehicle_count() if access.sees_all else 0
        driven = self.sharing.driven_count(access.subject) if self.sharing else 0
        return self.registry.vehicle_count(access.subject) + driven

    def role(self, access: AccessToken) -> str:
        """The role of who holds this token: `window/roles.py`; "" for none."""
        people = self.people
        return role_of(access, people.role if people is not None else lambda _subject: "")

    def driven_ids(self, access: AccessToken, role: str) -> frozenset[int]:
        """The vehicles that somebody without a role drives, by id. Asks the registry."""
        if role or access.partner or self.sharing is None:
            return frozenset()
        driven = self.sharing.driven(access.subject, 0, self.config.dashboard.driven_vehicles_max)
        return frozenset(vehicle.id for vehicle in driven)

    def sight(self, access: AccessToken, vehicle: Vehicle) -> Sight:
        """What the token may see of where the vehicle is. Raises `RegistryUnavailableError`."""
        return self._book.sight(access, vehicle)

    def view(self, access: AccessToken, vehicle: Vehicle) -> View:
        """The vehicle's live state as the token may see it: what every answer is made of."""
        return self.sight(access, vehicle).view(self.state.read(vehicle.token))

    @contextlib.contextmanager
    def export_place(self) -> Iterator[None]:
        """One of `history.exports_max`, while the block runs. Raises the 503."""
        if self._exports >= self.config.history.exports_max:
            text = "as many exports as may be are under way: ask again when one has ended"
            raise ApiError(503, "too_many_exports", text, headers={"Retry-After": "10"})
        self._exports += 1
        try:
            yield
        finally:
            self._exports -= 1

    def signing_of(self, vehicle: Vehicle) -> SigningState | None:
        """How the vehicle stands to signed commands; `None` if it never told."""
        return None if self.signing is None else self.signing.state_of(vehicle.id)


def check_right(connection: Connection, access: AccessToken) -> None:
    """Whether the row of this connection's route lets that token pass. Raises the 403."""
    check_row(row_of_route(connection), access)


def check_row(row: Right, access: AccessToken) -> None:
    """Whether this row lets that token pass. Raises the 403."""
    if access.shared and not row.shared:
        raise not_shared()
    if row.scopes and access.scopes.isdisjoint(row.scopes):
        raise missing_scopes(row.scopes)
    if row.token is Token.PARTNER and not access.partner:
        text = "this route takes a partner token (client credentials) only"
        raise wrong_token("Expected partner account", text)
    if row.token is Token.PERSON and access.partner:
        text = "this route takes a person's token, not a partner token"
        raise wrong_token("Unauthorized token type", text)


def kind_of(row: Right) -> str:
    """What the access log calls a route: the last word of its path that is not a parameter."""
    words = [word for word in row.path.split("/") if word and not word.startswith("{")]
    return words[-1]


def row_of_route(connection: Connection) -> Right:
    """The row of rights of the route that this connection matched."""
    method = str(connection.scope.get("method", "WS"))
    row = right_of(method, connection.scope["path_template"])
    assert row is not None  # a test compares the routes and the rows
    return row


def require(access: AccessToken, *scopes: str) -> None:
    """Any one of `scopes` is enough. Raises the 403."""
    if access.scopes.isdisjoint(scopes):
        raise missing_scopes(scopes)


async def read_body(request: AnyRequest) -> dict[str, Any]:
    """The JSON object in the body; none and `null` are an empty one. Raises 406 and 400."""
    raw = await request.body()
    if not raw.strip():
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise ApiError(406, "not_acceptable", "Content-Type must be application/json")
    try:
        members = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ApiError(400, "invalid_request", f"the body is not JSON: {error}") from error
    if members is None:
        return {}
    if not isinstance(members, dict):
        raise ApiError(400, "invalid_request", "the body must be a JSON object")
    return members


def read_text(
    body: Mapping[str, Any], name: str, *, characters_max: int, default: str | None = None
) -> str:
    """A text member of a body; required where there is no default. Raises the 400."""
    value = body.get(name, default)
    if value is None:
        raise ApiError(400, "invalid_field", f"{name}: missing")
    if not isinstance(value, str) or len(value) > characters_max:
        text = f"{name}: must be a text of at most {characters_max} characters"
        raise ApiError(400, "invalid_field", text)
    return value


def read_whole(text: str | None, name: str, default: int, low: int, high: int) -> int:
    """A whole number from a query or header. Raises the 400."""
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise ApiError(400, "invalid_field", f"{name}: must be a whole number {low} to {high}")
    return int(text)


def read_piece(request: AnyRequest, counter: Counter) -> tuple[int, int]:
    """`cursor` (0: from the begin) and `limit` of a list that is read in pieces. Raises the 400."""
    query, rows_max = request.query_params, counter.config.dashboard.page_rows_max
    limit = read_whole(query.get("limit"), "limit", min(ROWS_DEFAULT, rows_max), 1, rows_max)
    return read_whole(query.get("cursor"), "cursor", 0, 0, 999_999_999), limit


def told_by(counter: Counter) -> Meters:
    """The ledger of what sites and cars have told."""
    assert counter.meters is not None  # roles/api.py gives it; tests of other routes need none
    return counter.meters

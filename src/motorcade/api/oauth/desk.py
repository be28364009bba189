"""What the OAuth endpoints do: token, revoke, introspect, authorize. It writes to disk,
so handlers call it in a thread. The rules of the grants are Authlib's, in a module each.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from motorcade.api.oauth.attempts import SignIns
from motorcade.api.oauth.form import FormError, Pairs, once
from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.identity.errors import InvalidTokenError
from motorcade.identity.port import AccessToken
from motorcade.identity.region import region_code
from motorcade.identity.scopes import OPENID, PARTNER_ONLY
from motorcade.identity.tokens import TokenAuthority
from motorcade.registry.people.port import App, People, Person, Session

if TYPE_CHECKING:
    from motorcade.api.oauth.server import Server

PASSWORD_METHOD: Final = ["pwd"]  # RFC 8176: how somebody signed in


class Answer(NamedTuple):
    """What an endpoint answers."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 §5.1


class Desk:
    """The authorization server over its ports."""

    def __init__(
        self,
        people: People,
        tokens: TokenAuthority,
        *,
        clock: Clock,
        entropy: Callable[[int], bytes],
        config: Config,
    ) -> None:
        self.people = people
        self.tokens = tokens
        self.clock = clock
        self.config = config
        self.prefix = f"{region_code(config.identity)}_"  # clients take their region from it
        self.sign_ins = SignIns(people, clock, config.api)
        self._entropy = entropy

    @cached_property
    def server(self) -> "Server":
        """Authlib's server: 0.1 s to import, at the first request instead of at every start."""
        from motorcade.api.oauth.server import Server

        return Server(self)

    def token(self, pairs: Pairs, authorization: str, issuer: str) -> Answer:
        """`POST token` (RFC 6749 §3.2)."""
        return self._answer("token", pairs, authorization, issuer)

    def revoke(self, pairs: Pairs, authorization: str, issuer: str) -> Answer:
        """`POST revoke` (RFC 7009)."""
        return self._answer("revocation", pairs, authorization, issuer)

    def introspect(self, pairs: Pairs, authorization: str, issuer: str) -> Answer:
        """`POST introspect` (RFC 7662)."""
        return self._answer("introspection", pairs, authorization, issuer)

    def _answer(self, endpoint: str, pairs: Pairs, authorization: str, issuer: str) -> Answer:
        try:
            fields = once(pairs)
            return self.server.answer(endpoint, fields, authorization, issuer)
        except FormError as error:
            return refused(400, "invalid_request", str(error))

    # Tokens.

    def person_tokens(
        self, session: Session, refresh_token: str, app: App, *, issuer: str, nonce: str = ""
    ) -> dict[str, Any]:
        """The answer that brings a person's tokens to an app."""
        ttl_s = self.config.identity.app_token_s
        further = {
            "jti": self._entropy(16).hex(),
            "sid": session.id,
            "amr": PASSWORD_METHOD,
            "auth_time": session.signed_in_time_us // 1_000_000,
        }
        access_token = self.tokens.mint(
            session.person.subject,
            session.scopes,
            ttl_s=ttl_s,
            client_id=app.client_id,
            further=further,
        )
        answer: dict[str, Any] = {"access_token": access_token}
        if refresh_token:
            answer["refresh_token"] = refresh_token
        if OPENID in session.scopes:
            answer["id_token"] = self._identity_token(session, app, issuer, nonce)
        return {**answer, "expires_in": ttl_s, "token_type": "Bearer"}

    def partner_token(self, app: App, scopes: tuple[str, ...]) -> dict[str, Any]:
        """The answer that brings an app a token of its own: its subject is the app."""
        ttl_s = self.config.identity.app_token_s
        access_token = self.tokens.mint(
            app.client_id,
            scopes,
            ttl_s=ttl_s,
            client_id=app.client_id,
            further={"jti": self._entropy(16).hex(), "gty": "client-credentials"},
        )
        return {"access_token": access_token, "expires_in": ttl_s, "token_type": "Bearer"}

    def standing_token(self, bearer: str) -> AccessToken | None:
        """An app's access token that is good and stands, with the scopes it still holds."""
        try:
            token = self.tokens.verify(bearer)
        except InvalidTokenError:
            return None
        if not token.token_id:
            return None
        held = self.people.standing(token.session, token.token_id, token.client_id)
        return None if held is None else narrowed(token, held)

    def _identity_token(self, session: Session, app: App, issuer: str, nonce: str) -> str:
        now_s = self.clock.now_us() // 1_000_000
        claims = {
            "iss": issuer,
            "aud": app.client_id,
            "iat": now_s,
            "exp": now_s + self.config.identity.app_token_s,
            "auth_time": session.signed_in_time_us // 1_000_000,
            "amr": PASSWORD_METHOD,
            **user_info(session.person, frozenset(session.scopes)),
        }
        if nonce:
            claims["nonce"] = nonce
        return self.tokens.identity_token(claims)


def refused(status: int, error: str, description: str) -> Answer:
    """An error in RFC 6749 §5.2's shape."""
    return Answer(status, {"error": error, "error_description": description}, NO_STORE)


def user_info(person: Person, scopes: frozenset[str]) -> dict[str, Any]:
    """What these scopes tell of a person (OpenID Connect Core §5.4)."""
    told: dict[str, Any] = {"sub": person.subject}
    if "email" in scopes:
        told["email"] = person.email
    if "profile" in scopes:
        told["name"] = person.full_name
    return told


def narrowed(token: AccessToken, held: frozenset[str]) -> AccessToken:
    """The token with no more than the scopes that its grant holds now."""
    if token.scopes <= held:
        return token
    return AccessToken(
        token.subject,
        token.scopes & held,
        token.expires_time_us,
        token.client_id,
        token.session,
        token.token_id,
    )


def person_scopes(app: App, asked: str | None) -> tuple[str, ...] | None:
    """What a person may be asked to grant; `None` when the app asks for more than it may."""
    wanted = asked.split() if asked else list(app.scopes)
    if set(wanted) - set(app.scopes):
        return None
    return tuple(scope for scope in app.scopes if scope in wanted and scope != PARTNER_ONLY)

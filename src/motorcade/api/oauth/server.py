"""Authlib's authorization server over our desk: grants, PKCE, revocation, introspection.

Authlib knows the order of checks of RFC 6749, 7636, 7009 and 7662; what is Tesla's, or stricter,
is overridden here, each with its why. One transaction of `People` stands for each of Authlib's
query, save and delete steps, so that nothing is used twice by two requests at once.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientMixin,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    OAuth2Request,
    UnauthorizedClientError,
    grants,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from motorcade.api.oauth.desk import NO_STORE, Answer, person_scopes, refused
from motorcade.identity.port import AccessToken
from motorcade.identity.scopes import OFFLINE_ACCESS, OPENID
from motorcade.registry.people.port import App, Code, CodeRequest, Person, Session, SignIn

if TYPE_CHECKING:
    from motorcade.api.oauth.desk import Desk

_SECRET_METHODS: Final = ["client_secret_basic", "client_secret_post"]
_METHODS: Final = [*_SECRET_METHODS, "none"]
_NOT_PARTNERS: Final = frozenset({OPENID, OFFLINE_ACCESS, "email", "profile", "user_data"})


class LoginRequiredError(OAuth2Error):
    """401 in Tesla's words: clients sign in anew on it."""

    error = "login_required"
    description = "The refresh_token is invalid"
    status_code = 401


class AuthCodeError(OAuth2Error):
    """400 in Tesla's word for RFC 6749's `invalid_grant`."""

    error = "invalid_auth_code"
    description = "The code is invalid, used, or over"


class RedirectError(OAuth2Error):
    """400: the redirect URI is not, to the letter, one of the app's, or not that of the code."""

    error = "invalid_redirect_url"
    description = "The redirect_uri is not registered for this app, or not the one of the code"


class Client(ClientMixin):
    """An `App` as Authlib asks for it."""

    def __init__(self, app: App, desk: "Desk") -> None:
        self.app = app
        self._desk = desk

    def get_client_id(self) -> str:
        return self.app.client_id

    def get_default_redirect_uri(self) -> str | None:
        """Where there is one, it need not be named (RFC 6749 §3.1.2.3)."""
        return self.app.redirect_uris[0] if len(self.app.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str | None:
        scopes = person_scopes(self.app, scope)
        return " ".join(scopes) if scopes else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.app.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return self._desk.people.secret_fits(self.app, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method != "none" or not self.app.confidential

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type != "client_credentials" or self.app.confidential


class Request(OAuth2Request):
    """A request as Authlib reads it. Its URL plays no part: who serves us without TLS knows why."""

    def __init__(self, fields: Mapping[str, str], authorization: str, issuer: str) -> None:
        headers = {"Authorization": authorization} if authorization else {}
        super().__init__("POST", "https://localhost/", headers=headers)
        self.payload = BasicOAuth2Payload(dict(fields))
        self.issuer = issuer
        self.granted: tuple[str, ...] = ()  # by the consent page
        self.signed_in_time_us = 0

    @property
    def args(self) -> Mapping[str, str]:
        return self.payload.data  # type: ignore[no-any-return]

    @property
    def form(self) -> Mapping[str, str]:
        return self.payload.data  # type: ignore[no-any-return]


class Server(AuthorizationServer):
    """The server with our grants and endpoints."""

    def __init__(self, desk: "Desk") -> None:
        super().__init__()
        self.desk = desk
        self.register_grant(CodeGrant, [Pkce()])
        self.register_grant(RefreshGrant)
        self.register_grant(PartnerGrant)
        self.register_endpoint(Revocation)
        self.register_endpoint(Introspection)

    def answer(
        self, endpoint: str, fields: Mapping[str, str], authorization: str, issuer: str
    ) -> Answer:
        """Answer a POST to `token` or one of the further endpoints."""
        try:
            request = Request(fields, authorization, issuer)
            if endpoint == "token":
                return self.create_token_response(request)  # type: ignore[no-any-return]
            return self.create_endpoint_response(endpoint, request)  # type: ignore[no-any-return]
        except ValueError:  # Authlib quotes the peer's text in a description, or decodes it
            return refused(400, "invalid_request", "A parameter has characters that cannot be")

    def query_client(self, client_id: str) -> Client | None:
        app = self.desk.people.app(client_id)
        return None if app is None else Client(app, self.desk)

    def create_oauth2_request(self, request: Request) -> Request:
        return request

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Answer:
        named = {name: value for name, value in headers if name != "Content-Type"}
        return Answer(status, body or {}, {**NO_STORE, **named})

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def save_token(self, token: Any, request: Any) -> None:
        """Done by the transaction that made it."""


class Pkce(CodeChallenge):
    """RFC 7636, S256 alone; without a secret it is required (RFC 9700 §2.1.1)."""

    SUPPORTED_CODE_CHALLENGE_METHOD: Final = ["S256"]

    def validate_code_challenge(self, grant: "CodeGrant", redirect_uri: str) -> None:
        super().validate_code_challenge(grant, redirect_uri)
        fields = grant.request.payload.data
        if not fields.get("code_challenge"):
            if not grant.request.client.app.confidential:
                raise InvalidRequestError("Missing 'code_challenge': this app has no secret")
        elif fields.get("code_challenge_method") != "S256":  # absent would mean `plain` (§4.3)
            raise InvalidRequestError("'code_challenge_method' must be S256")

    def get_authorization_code_challenge(self, authorization_code: "KeptCode") -> str:
        return authorization_code.code.challenge

    def get_authorization_code_challenge_method(self, authorization_code: "KeptCode") -> str:
        return "S256"


class KeptCode:
    """A `Code` as Authlib asks for it."""

    def __init__(self, text: str, code: Code) -> None:
        self.text = text
        self.code = code

    def get_redirect_uri(self) -> str:
        return ""  # compared by `CodeGrant`, in Tesla's word

    def get_scope(self) -> str:
        return " ".join(self.code.scopes)


class CodeGrant(grants.AuthorizationCodeGrant):
    """RFC 6749 §4.1."""

    TOKEN_ENDPOINT_AUTH_METHODS: Final = _METHODS

    @staticmethod
    def validate_authorization_redirect_uri(request: Request, client: Client) -> str:
        """Authlib's own quotes the URI in the error, which not every URI survives."""
        asked = request.payload.redirect_uri or client.get_default_redirect_uri()
        if not asked or not client.check_redirect_uri(asked):
            raise RedirectError
        return str(asked)

    def validate_token_request(self) -> None:
        super().validate_token_request()
        kept: KeptCode = self.request.authorization_code
        named = self.request.payload.redirect_uri or ""
        # §4.1.3: where it was not named, it need not be now, and can be no other than the default.
        fits = named == kept.code.redirect_uri
        if not kept.code.redirect_uri and named:
            fits = named == self.request.client.get_default_redirect_uri()
        if not fits:
            raise RedirectError

    def query_authorization_code(self, code: str, client: Client) -> KeptCode:
        kept = self.server.desk.people.code(code, client.app)
        if kept is None:
            raise AuthCodeError
        return KeptCode(code, kept)

    def authenticate_user(self, authorization_code: KeptCode) -> Person:
        return authorization_code.code.person

    def generate_token(self, **_: Any) -> dict[str, Any]:
        desk: Desk = self.server.desk
        app: App = self.request.client.app
        kept: KeptCode = self.request.authorization_code
        begun = desk.people.begin_session(kept.text, app, desk.prefix)
        if begun is None:
            raise AuthCodeError
        session, refresh_token = begun
        issuer, nonce = self.request.issuer, kept.code.nonce
        answer = desk.person_tokens(session, refresh_token, app, issuer=issuer, nonce=nonce)
        if set(session.scopes) != set(kept.code.asked):  # §5.1: told where it differs
            answer["scope"] = " ".join(session.scopes)
        return answer

    def delete_authorization_code(self, authorization_code: KeptCode) -> None:
        """`begin_session` has marked it used."""

    def generate_authorization_code(self) -> str:
        desk: Desk = self.server.desk
        request: Request = self.request
        fields = request.payload.data
        asked = person_scopes(request.client.app, fields.get("scope")) or ()
        return desk.people.issue_code(
            CodeRequest(
                person_id=request.user.id,
                app_id=request.client.app.id,
                scopes=request.granted,
                asked=tuple((fields.get("scope") or " ".join(asked)).split()),
                redirect_uri=request.payload.redirect_uri or "",
                challenge=fields.get("code_challenge", ""),
                nonce=fields.get("nonce", ""),
                signed_in_time_us=request.signed_in_time_us,
            ),
            desk.prefix,
        )

    def save_authorization_code(self, code: str, request: Request) -> None:
        """`issue_code` has."""


class RefreshGrant(grants.RefreshTokenGrant):
    """RFC 6749 §6 in Tesla's way.

    Tesla's clients send the client id alone, also those that have a secret, so none is demanded: a
    stolen token is noticed when it, or the one it was exchanged for, is used again. A secret that
    is sent must fit. `scope` is ignored, because TeslaMate sends a narrower one and expects all.
    """

    TOKEN_ENDPOINT_AUTH_METHODS: Final = _METHODS

    def authenticate_token_endpoint_client(self) -> Client:
        fields, headers = self.request.form, self.request.headers
        if fields.get("client_secret") or headers:
            return super().authenticate_token_endpoint_client()  # type: ignore[no-any-return]
        client: Client | None = self.server.query_client(fields.get("client_id", ""))
        if client is None:
            raise InvalidClientError(description="The client does not exist on this server.")
        return client

    def authenticate_refresh_token(self, refresh_token: str) -> "Refreshed":
        desk: Desk = self.server.desk
        app: App = self.request.client.app
        refreshed = desk.people.refresh(refresh_token, app, desk.prefix)
        if refreshed is None:
            raise LoginRequiredError
        return Refreshed(*refreshed)

    def _validate_token_scope(self, token: "Refreshed") -> None:
        """See the class."""

    def authenticate_user(self, refresh_token: "Refreshed") -> Person:
        return refresh_token.session.person

    def issue_token(self, user: Person, refresh_token: "Refreshed") -> dict[str, Any]:
        session = refresh_token.session
        answer: dict[str, Any] = self.server.desk.person_tokens(
            session,
            refresh_token.next_token,
            self.request.client.app,
            issuer=self.request.issuer,
        )
        asked = (self.request.payload.scope or "").split()
        if asked and set(asked) != set(session.scopes):
            answer["scope"] = " ".join(session.scopes)
        return answer

    def revoke_old_credential(self, refresh_token: "Refreshed") -> None:
        """`People.refresh` has."""


class Refreshed:
    """What a refresh token was exchanged for."""

    def __init__(self, session: Session, next_token: str) -> None:
        self.session = session
        self.next_token = next_token

    def check_client(self, client: Client) -> bool:
        return True  # `People.refresh` takes the app's own alone


class PartnerGrant(grants.ClientCredentialsGrant):
    """RFC 6749 §4.4: Tesla calls what it brings a partner token."""

    TOKEN_ENDPOINT_AUTH_METHODS: Final = _SECRET_METHODS

    def validate_token_request(self) -> None:
        super().validate_token_request()
        app: App = self.request.client.app
        asked = (self.request.payload.scope or "").split()
        if set(asked) - set(app.scopes):
            raise InvalidScopeError
        wanted = asked or app.scopes
        self.request.granted = tuple(
            scope for scope in app.scopes if scope in wanted and scope not in _NOT_PARTNERS
        )
        if not self.request.granted:
            raise InvalidScopeError

    def generate_token(self, **_: Any) -> dict[str, Any]:
        app: App = self.request.client.app
        answer: dict[str, Any] = self.server.desk.partner_token(app, self.request.granted)
        asked = (self.request.payload.scope or "").split()
        if set(asked) != set(self.request.granted):
            answer["scope"] = " ".join(self.request.granted)
        return answer


class Revocation(RevocationEndpoint):
    """RFC 7009: an access token goes alone, a refresh token with its session."""

    CLIENT_AUTH_METHODS: Final = _METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> "Found | None":
        return None  # `authenticate_token` knows the client, this does not

    def authenticate_token(self, request: Request, client: Client) -> "Found | None":
        self.check_params(request, client)
        return _find(self.server.desk, request.form["token"], client.app)

    def revoke_token(self, token: "Found", request: Request) -> None:
        people = self.server.desk.people
        if isinstance(token, AccessToken):
            people.revoke_token(token.token_id, token.expires_time_us)
        else:
            people.end_session(token.id)


class Introspection(IntrospectionEndpoint):
    """RFC 7662, for an app's own tokens."""

    CLIENT_AUTH_METHODS: Final = _SECRET_METHODS

    def authenticate_token(self, request: Request, client: Client) -> "Found | None":
        self.check_params(request, client)
        return _find(self.server.desk, request.form["token"], client.app)

    def create_introspection_payload(self, token: "Found | None") -> dict[str, Any]:
        if token is None:
            return {"active": False}
        if isinstance(token, Session):
            return {
                "active": True,
                "scope": " ".join(token.scopes),
                "sub": token.person.subject,
                "token_type": "refresh_token",
            }
        return {
            "active": True,
            "scope": " ".join(sorted(token.scopes)),
            "client_id": token.client_id,
            "sub": token.subject,
            "exp": token.expires_time_us // 1_000_000,
            "jti": token.token_id,
            "token_type": "Bearer",
        }


Found = AccessToken | Session


def _find(desk: "Desk", text: str, app: App) -> Found | None:
    """The access or refresh token, if it stands and is this app's; hints change nothing."""
    token = desk.standing_token(text)
    if token is not None:
        return token if token.client_id == app.client_id else None
    return desk.people.session_of(text, app)


def consented(
    server: Server, request: Request, grant: CodeGrant, sign_in: SignIn, granted: tuple[str, ...]
) -> str:
    """The person lets the app have `granted`: where the browser goes with the code."""
    request.granted = granted
    request.signed_in_time_us = sign_in.signed_in_time_us
    answer: Answer = server.create_authorization_response(request, sign_in.person, grant)
    return answer.headers["Location"]


__all__ = [
    "Client",
    "CodeGrant",
    "InvalidGrantError",
    "OAuth2Error",
    "RedirectError",
    "Request",
    "Server",
    "UnauthorizedClientError",
    "consented",
]

"""Tokens that were given out: ending one (RFC 7009), asking about one (RFC 7662)."""

from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from motorcade.api.oauth.client import METHODS, SECRET_METHODS, Client, Request
from motorcade.identity.port import AccessToken
from motorcade.registry.people.port import App, Session

if TYPE_CHECKING:
    from motorcade.api.oauth.desk import Desk


class Revocation(RevocationEndpoint):
    """RFC 7009: an access token goes alone, a refresh token with its session."""

    CLIENT_AUTH_METHODS: Final = METHODS

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

    CLIENT_AUTH_METHODS: Final = SECRET_METHODS

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

"""The grant of a refresh token (RFC 6749 §6), in Tesla's way."""

from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2.rfc6749 import InvalidClientError, grants

from motorcade.api.oauth.client import METHODS, Client
from motorcade.api.oauth.errors import LoginRequiredError
from motorcade.registry.people.port import App, Person, Session

if TYPE_CHECKING:
    from motorcade.api.oauth.desk import Desk


class RefreshGrant(grants.RefreshTokenGrant):
    """RFC 6749 §6 in Tesla's way.

    Tesla's clients send the client id alone, also those that have a secret, so none is demanded: a
    stolen token is noticed when it, or the one it was exchanged for, is used again. A secret that
    is sent must fit. `scope` is ignored, because TeslaMate sends a narrower one and expects all.
    """

    TOKEN_ENDPOINT_AUTH_METHODS: Final = METHODS

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

"""The grant of an app's own credentials (RFC 6749 §4.4)."""

from typing import Any, Final

from authlib.oauth2.rfc6749 import InvalidScopeError, grants

from motorcade.api.oauth.client import SECRET_METHODS
from motorcade.identity.scopes import OFFLINE_ACCESS, OPENID
from motorcade.registry.people.port import App

_NOT_PARTNERS: Final = frozenset({OPENID, OFFLINE_ACCESS, "email", "profile", "user_data"})


class PartnerGrant(grants.ClientCredentialsGrant):
    """RFC 6749 §4.4: Tesla calls what it brings a partner token."""

    TOKEN_ENDPOINT_AUTH_METHODS: Final = SECRET_METHODS

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

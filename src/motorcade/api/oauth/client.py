"""An app and a request as Authlib asks for them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from motorcade.api.oauth.desk import person_scopes
from motorcade.registry.people.port import App

if TYPE_CHECKING:
    from motorcade.api.oauth.desk import Desk

SECRET_METHODS: Final = ["client_secret_basic", "client_secret_post"]
METHODS: Final = [*SECRET_METHODS, "none"]


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

    def __init__(
        self, fields: Mapping[str, str], authorization: str, issuer: str, origin: str = ""
    ) -> None:
        """`origin`: where the browser reached us, of a request for `authorize`."""
        # Clients send the old access token with every request: that is no way to be a client.
        basic = authorization.partition(" ")[0].lower() == "basic"
        headers = {"Authorization": authorization} if basic else {}
        super().__init__("POST", "https://localhost/", headers=headers)
        self.payload = BasicOAuth2Payload(dict(fields))
        self.issuer = issuer
        self.origin = origin
        self.granted: tuple[str, ...] = ()  # by the consent page
        self.signed_in_time_us = 0
        self.sign_in_id = ""

    @property
    def args(self) -> Mapping[str, str]:
        return self.payload.data  # type: ignore[no-any-return]

    @property
    def form(self) -> Mapping[str, str]:
        return self.payload.data  # type: ignore[no-any-return]

"""Authlib's authorization server over our desk: which grants and endpoints it has.

Authlib knows the order of checks of RFC 6749, 7636, 7009 and 7662; what is Tesla's, or stricter,
is overridden in the module of each grant, with its why. One transaction of `People` stands for each
of Authlib's query, save and delete steps, so that nothing is used twice by two requests at once.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import AuthorizationServer

from motorcade.api.oauth.client import Client, Request
from motorcade.api.oauth.code_grant import CodeGrant, Pkce
from motorcade.api.oauth.desk import NO_STORE, Answer, refused
from motorcade.api.oauth.partner_grant import PartnerGrant
from motorcade.api.oauth.refresh_grant import RefreshGrant
from motorcade.api.oauth.standing_tokens import Introspection, Revocation
from motorcade.registry.people.port import SignIn

if TYPE_CHECKING:
    from motorcade.api.oauth.desk import Desk


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


def consented(
    server: Server, request: Request, grant: CodeGrant, sign_in: SignIn, granted: tuple[str, ...]
) -> str:
    """The person lets the app have `granted`: where the browser goes with the code."""
    request.granted = granted
    request.signed_in_time_us, request.sign_in_id = sign_in.signed_in_time_us, sign_in.id
    answer: Answer = server.create_authorization_response(request, sign_in.person, grant)
    return answer.headers["Location"]

"""The grant of a code that a person allowed (RFC 6749 §4.1), with PKCE (RFC 7636)."""

from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2.rfc6749 import InvalidRequestError, grants
from authlib.oauth2.rfc7636 import CodeChallenge

from motorcade.api.oauth.client import METHODS, Client, Request
from motorcade.api.oauth.desk import person_scopes
from motorcade.api.oauth.errors import AuthCodeError, RedirectError
from motorcade.api.oauth.first_party import SIGNED_IN
from motorcade.api.oauth.place import ISSUER_PATH
from motorcade.identity.port import PAGE_CLIENT
from motorcade.registry.people.port import App, Code, CodeRequest, Person

if TYPE_CHECKING:
    from motorcade.api.oauth.desk import Desk


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

    TOKEN_ENDPOINT_AUTH_METHODS: Final = METHODS

    @staticmethod
    def validate_authorization_redirect_uri(request: Request, client: Client) -> str:
        """Authlib's own quotes the URI in the error, which not every URI survives."""
        if client.app.client_id == PAGE_CLIENT:
            return _page_redirect(request)
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
                sign_in_id=request.sign_in_id,
            ),
            desk.prefix,
        )

    def save_authorization_code(self, code: str, request: Request) -> None:
        """`issue_code` has."""


def _page_redirect(request: Request) -> str:
    """The redirect URI that the page named, if it is where the browser is."""
    asked = str(request.payload.redirect_uri or "")
    public = request.issuer.removesuffix(ISSUER_PATH)
    if asked not in (request.origin + SIGNED_IN, public + SIGNED_IN):
        raise RedirectError
    return asked

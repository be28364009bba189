"""An app's wish to be let in (RFC 6749 §4.1.1), judged before anybody is shown anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import OAuth2Error

from motorcade.api.oauth.client import Request
from motorcade.api.oauth.code_grant import CodeGrant
from motorcade.api.oauth.desk import Desk, person_scopes
from motorcade.api.oauth.errors import RedirectError
from motorcade.api.oauth.form import FormError, Pairs, once
from motorcade.api.oauth.server import consented
from motorcade.registry.people.port import App, SignIn


class AskedWrongError(Exception):
    """Who asks, or where the answer goes, is in doubt: nobody is sent anywhere (§4.1.2.1)."""


class SendBackError(Exception):
    """The app asked for what cannot be; the browser takes the answer to it."""

    def __init__(self, app: App, location: str, text: str) -> None:
        super().__init__(text)
        self.app = app
        self.location = location


@dataclass(frozen=True, slots=True)
class Asked:
    """What an app asks of whoever looks at the page."""

    app: App
    scopes: tuple[str, ...]
    redirect_uri: str
    state: str
    prompt: frozenset[str]
    login_hint: str
    request: Request
    grant: CodeGrant


def read_asked(desk: Desk, pairs: Pairs, issuer: str, origin: str) -> Asked:
    """Judge the query of `authorize`, asked at this origin. Raises `AskedWrongError` or
    `SendBackError`."""
    try:
        fields = once(pairs)
        request = Request(fields, "", issuer, origin)
        grant: CodeGrant = desk.server.get_consent_grant(request)
    except RedirectError as error:
        raise AskedWrongError(f"{error.error}: {error.description}") from error
    except OAuth2Error as error:
        if not error.redirect_uri:
            raise AskedWrongError(f"{error.error}: {error.get_error_description()}") from error
        told = dict(error.get_body())
        text = f"{error.error}: {error.get_error_description()}"
        asking = desk.people.app(fields.get("client_id", ""))
        if asking is None:  # revoked since the library looked
            raise AskedWrongError(text) from error
        location = with_answer(error.redirect_uri, told, issuer)
        raise SendBackError(asking, location, text) from error
    except FormError as error:
        raise AskedWrongError(str(error)) from error
    except ValueError as error:  # Authlib quotes the peer's text in a description
        raise AskedWrongError("a parameter has characters that cannot be") from error
    app: App = request.client.app
    return Asked(
        app=app,
        scopes=person_scopes(app, fields.get("scope")) or (),
        redirect_uri=str(grant.redirect_uri),
        state=fields.get("state", ""),
        prompt=frozenset(fields.get("prompt", "").split()),
        login_hint=fields.get("login_hint", ""),
        request=request,
        grant=grant,
    )


def allow(desk: Desk, asked: Asked, sign_in: SignIn, granted: tuple[str, ...], issuer: str) -> str:
    """Where the browser goes with the code."""
    location = consented(desk.server, asked.request, asked.grant, sign_in, granted)
    return _with(location, {"iss": issuer})


def send_back(asked: Asked, error: str, description: str, issuer: str) -> str:
    """Where the browser goes without one."""
    told = {"error": error, "error_description": description, "state": asked.state}
    return with_answer(asked.redirect_uri, told, issuer)


def with_answer(redirect_uri: str, told: Mapping[str, str], issuer: str) -> str:
    """The redirect URI with the answer and who gives it (RFC 9207, against mixed-up servers)."""
    return _with(redirect_uri, {**told, "iss": issuer})


def _with(uri: str, told: Mapping[str, str]) -> str:
    query = urlencode({name: value for name, value in told.items() if value})
    return f"{uri}{'&' if '?' in uri else '?'}{query}"

"""`/oauth2/v3/authorize`: sign in, then allow an app so much, or nothing (RFC 6749 §4.1.1).

The page is answered where it was asked for, without a redirect, and its forms carry the app's whole
wish in their address: each step judges it anew, and nothing is kept in between.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from litestar import get, post
from litestar.di import NamedDependency

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.oauth.attempts import TooManyError
from motorcade.api.oauth.desk import Desk
from motorcade.api.oauth.form import FormError, Pairs, read_query
from motorcade.api.oauth.place import ISSUER_PATH, issuer
from motorcade.api.oauth.routes import desk_of, read_pairs
from motorcade.api.pages.browser import Browser
from motorcade.api.pages.problem import PageError
from motorcade.api.pages.render import page, see_other
from motorcade.api.pages.sign_in import sign_in_with
from motorcade.api.pages.visit import AnyPage
from motorcade.identity.scopes import SCOPES
from motorcade.registry.people.names import redirect_origin

if TYPE_CHECKING:  # Authlib loads with the first request
    from motorcade.api.oauth.consent import Asked

PATH: Final = f"{ISSUER_PATH}/authorize"
ASK_APP: Final = "Nothing was allowed. Go back to the app and tell its developer."


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser before the page."""

    desk: Desk
    counter: Counter
    browser: Browser
    asked: "Asked"
    query: Pairs
    issuer: str
    address: str

    @property
    def action(self) -> str:
        """Where the forms lead: here, with all that the app asked."""
        return f"{PATH}?{urlencode(self.query)}"


@get(PATH, include_in_schema=False)
async def authorize(request: AnyRequest, counter: NamedDependency[Counter]) -> AnyPage:
    """The sign-in page, or what the app asks for."""

    async def answer(visit: Visit) -> AnyPage:
        return _show(visit)

    return await _answered(request, counter, answer)


@post(PATH, status_code=200, include_in_schema=False)
async def decide(request: AnyRequest, counter: NamedDependency[Counter]) -> AnyPage:
    """Somebody signed in, allowed or refused."""

    async def answer(visit: Visit) -> AnyPage:
        pairs = await read_pairs(request)
        fields = dict(pairs)
        visit.browser.check_form(fields.get("form_token", ""))
        if fields.get("step") == "sign_in":
            return await _sign_in(visit, fields.get("email", ""), fields.get("password", ""))
        if visit.browser.sign_in is None or "login" in visit.asked.prompt:
            return _show(visit)
        if fields.get("decision") != "allow":
            return _refuse(visit, "access_denied", "It was refused")
        ticked = {value for name, value in pairs if name == "scope"}
        return await _allow(visit, tuple(s for s in visit.asked.scopes if s in ticked))

    return await _answered(request, counter, answer)


async def _answered(
    request: AnyRequest, counter: Counter, answer: Callable[[Visit], Awaitable[AnyPage]]
) -> AnyPage:
    from motorcade.api.oauth.consent import AskedWrongError, SendBackError

    try:
        return await answer(await asyncio.to_thread(_visit, request, counter))
    except (FormError, AskedWrongError) as error:
        raise PageError(400, "This cannot be asked", str(error), ASK_APP) from error
    except SendBackError as error:
        return see_other(error.location)


def _visit(request: AnyRequest, counter: Counter) -> Visit:
    """Read all that the page depends on; in a thread, it asks the registry."""
    from motorcade.api.oauth.consent import read_asked

    desk = desk_of(counter)
    query = read_query(request.scope["query_string"])
    here = issuer(request, counter.config)
    asked = read_asked(desk, query, here)
    browser = Browser(request, desk.people, counter.entropy)
    address = request.client.host if request.client else ""
    return Visit(desk, counter, browser, asked, query, here, address)


def _show(visit: Visit, trouble: str = "", email: str = "", status: int = 200) -> AnyPage:
    asked, sign_in = visit.asked, visit.browser.sign_in
    if "none" in asked.prompt:  # OpenID Connect Core §3.1.2.6: nobody is to be asked anything
        error = "login_required" if sign_in is None else "consent_required"
        return _refuse(visit, error, "Somebody has to look at the page")
    if sign_in is None or "login" in asked.prompt:
        return page(
            "sign_in",
            status=status,
            cookies=visit.browser.cookies,
            app_name=asked.app.name,
            action=visit.action,
            form_token=visit.browser.form_token,
            email=email or asked.login_hint,
            problem=trouble,
        )
    return page(
        "consent",
        cookies=visit.browser.cookies,
        form_origin=redirect_origin(asked.redirect_uri),
        app=asked.app,
        person=sign_in.person,
        scopes=[(scope, SCOPES[scope]) for scope in asked.scopes],
        destination=asked.redirect_uri,
        action=visit.action,
        form_token=visit.browser.form_token,
    )


async def _sign_in(visit: Visit, email: str, password: str) -> AnyPage:
    try:
        signed_in = await sign_in_with(visit.counter, visit.browser, visit.address, email, password)
    except TooManyError as error:
        return _show(visit, str(error), email, 429)
    if not signed_in:
        return _show(visit, "The e-mail or the password is not right.", email, 403)
    # On with the page; whoever had to sign in anew has.
    prompt = " ".join(sorted(visit.asked.prompt - {"login"}))
    query = [(name, value) for name, value in visit.query if name != "prompt"]
    query += [("prompt", prompt)] if prompt else []
    return see_other(f"{PATH}?{urlencode(query)}", visit.browser.cookies)


async def _allow(visit: Visit, granted: tuple[str, ...]) -> AnyPage:
    from motorcade.api.oauth.consent import allow

    if not granted:
        return _refuse(visit, "access_denied", "Nothing was allowed")
    sign_in = visit.browser.sign_in
    assert sign_in is not None  # looked at before
    location = await asyncio.to_thread(
        allow, visit.desk, visit.asked, sign_in, granted, visit.issuer
    )
    visit.counter.standing.look()  # granting again may have narrowed
    return see_other(location, visit.browser.cookies)


def _refuse(visit: Visit, error: str, description: str) -> AnyPage:
    from motorcade.api.oauth.consent import send_back

    return see_other(send_back(visit.asked, error, description, visit.issuer))

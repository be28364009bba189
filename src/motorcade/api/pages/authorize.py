"""`/oauth2/v3/authorize`: sign in, then allow an app so much, or nothing (RFC 6749 §4.1.1).

The page is answered where it was asked for, without a redirect, and its forms carry the app's whole
wish in their address: each step judges it anew, and nothing is kept in between.

Nobody is sent to an app unasked that anybody may have registered: a link to us would lead to where
its sender likes (RFC 9700 §4.11.2). They see a page that says where it would go.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from litestar import get, post
from litestar.di import NamedDependency

from motorcade.api.audit import Signed
from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.oauth.attempts import TooManyError
from motorcade.api.oauth.desk import Desk
from motorcade.api.oauth.form import FormError, Pairs, read_query
from motorcade.api.oauth.place import ISSUER_PATH, issuer, origin_of
from motorcade.api.oauth.routes import desk_of, read_pairs
from motorcade.api.pages.browser import Browser
from motorcade.api.pages.problem import PageError
from motorcade.api.pages.render import page, see_other
from motorcade.api.pages.sign_in import sign_in_with
from motorcade.api.pages.visit import PAGES_CLIENT, AnyPage
from motorcade.api.window.roles import scopes_of
from motorcade.identity.port import PAGE_CLIENT
from motorcade.identity.scopes import SCOPES
from motorcade.registry.audit.port import What
from motorcade.registry.people.names import redirect_origin
from motorcade.registry.people.port import App, People, SignIn

if TYPE_CHECKING:  # Authlib loads with the first request
    from motorcade.api.oauth.consent import Asked, SendBackError

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
    trusted: bool  # may be sent to the app without a click

    @property
    def of_our_page(self) -> bool:
        """The platform's own page: nobody is asked whether it may. Its code comes back to this
        origin alone (`first_party.py`), so there is nobody else to allow anything."""
        return self.asked.app.client_id == PAGE_CLIENT

    @property
    def action(self) -> str:
        """Where the forms lead: here, with all that the app asked."""
        return f"{PATH}?{urlencode(self.query)}"


@get(PATH, include_in_schema=False)
async def authorize(request: AnyRequest, counter: NamedDependency[Counter]) -> AnyPage:
    """The sign-in page, or what the app asks for."""

    async def answer(visit: Visit) -> AnyPage:
        signed_in = visit.browser.sign_in is not None and "login" not in visit.asked.prompt
        if visit.of_our_page and signed_in:
            return await _allow(visit, await asyncio.to_thread(_scopes_by_role, visit))
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
        return await asyncio.to_thread(_sent_back, request, counter, error)


def _sent_back(request: AnyRequest, counter: Counter, error: "SendBackError") -> AnyPage:
    """The app asked for what cannot be, before anybody was asked anything."""
    desk = desk_of(counter)
    browser = Browser(request, desk.people, counter.entropy)
    trusted = _is_trusted(desk.people, browser.sign_in, error.app)
    return _go_back(browser, error.app, error.location, str(error), trusted=trusted)


def _is_trusted(people: People, sign_in: SignIn | None, app: App) -> bool:
    """Whether a browser may go to the app without a click: the operator added it, or the person
    before it registered it or lets it have something. A query: in a thread."""
    if app.person_id is None:
        return True
    if sign_in is None:
        return False
    if app.person_id == sign_in.person.id:
        return True
    return any(grant.client_id == app.client_id for grant in people.grants(sign_in.person.id))


def _go_back(browser: Browser, app: App, location: str, text: str, *, trusted: bool) -> AnyPage:
    if trusted:
        return see_other(location, browser.cookies)
    return page(
        "back",
        status=400,
        cookies=browser.cookies,
        app=app,
        problem=text,
        location=location,
    )


def _visit(request: AnyRequest, counter: Counter) -> Visit:
    """Read all that the page depends on; in a thread, it asks the registry."""
    from motorcade.api.oauth.consent import read_asked

    desk = desk_of(counter)
    query = read_query(request.scope["query_string"])
    here = issuer(request, counter.config)
    asked = read_asked(desk, query, here, origin_of(request))
    browser = Browser(request, desk.people, counter.entropy)
    address = request.client.host if request.client else ""
    trusted = _is_trusted(desk.people, browser.sign_in, asked.app)
    return Visit(desk, counter, browser, asked, query, here, address, trusted)


def _show(visit: Visit, trouble: str = "", email: str = "", status: int = 200) -> AnyPage:
    from motorcade.api.oauth.consent import send_back

    asked, sign_in = visit.asked, visit.browser.sign_in
    if "none" in asked.prompt:  # OpenID Connect Core §3.1.2.6: nobody is to be asked anything
        error = "login_required" if sign_in is None else "consent_required"
        text = "Somebody has to look at the page"
        location = send_back(asked, error, text, visit.issuer)
        return _go_back(
            visit.browser, asked.app, location, f"{error}: {text}", trusted=visit.trusted
        )
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


def _scopes_by_role(visit: Visit) -> tuple[str, ...]:
    """What the page gets of what it asks for; a query: in a thread."""
    assert visit.browser.sign_in is not None  # looked at before
    role = visit.desk.people.role(visit.browser.sign_in.person.subject)
    return scopes_of(role, visit.asked.scopes)


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
    if not visit.of_our_page:
        app, doer = visit.asked.app, Signed(sign_in.person.subject, PAGES_CLIENT)
        text = f"{app.name} ({app.client_id}): {' '.join(granted)}"
        await visit.counter.audit.tell(doer, What.ALLOWED_APP, text)
    return see_other(location, visit.browser.cookies)


def _refuse(visit: Visit, error: str, description: str) -> AnyPage:
    """Somebody pressed a button of the page, which named where it leads."""
    from motorcade.api.oauth.consent import send_back

    return see_other(send_back(visit.asked, error, description, visit.issuer))

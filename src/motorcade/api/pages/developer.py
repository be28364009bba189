"""The developer's pages: register an app, see its secret once, change where browsers go back to."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.pages.problem import PageError
from motorcade.api.pages.render import see_other
from motorcade.api.pages.visit import AnyPage, Visit, begin, entered, read_form_of
from motorcade.identity.scopes import APP_SCOPES, SCOPES
from motorcade.registry.audit.port import What
from motorcade.registry.errors import InvalidNameError
from motorcade.registry.people.port import App, AppRequest

PATH: Final = "/developer"
APP_PATH: Final = "/developer/apps/{client_id:str}"


@get(PATH, include_in_schema=False)
async def developer(request: AnyRequest, counter: NamedDependency[Counter]) -> AnyPage:
    """This person's apps, and a form for another."""
    visit = await begin(request, counter)
    if visit.browser.sign_in is None:
        return visit.sign_in_page()
    return await _show_all(visit)


@post(PATH, status_code=200, include_in_schema=False)
async def register(request: AnyRequest, counter: NamedDependency[Counter]) -> AnyPage:
    """Sign in or out, register an app."""
    visit = await begin(request, counter)
    pairs = await read_form_of(request, visit)
    fields = dict(pairs)
    answer = await entered(visit, fields)
    if answer is not None:
        return answer
    if fields.get("step") != "register":
        return see_other(PATH, visit.browser.cookies)
    asked = AppRequest(
        name=fields.get("name", ""),
        purpose=fields.get("purpose", ""),
        redirect_uris=_lines(fields.get("redirect_uris", "")),
        scopes=tuple(value for name, value in pairs if name == "scope"),
        domain=fields.get("domain", ""),
        public_key_pem=_key(fields),
        confidential=fields.get("kind") != "public",
    )
    try:
        app, secret = await asyncio.to_thread(visit.desk.people.add_app, asked, visit.person.id)
    except InvalidNameError as error:
        return await _show_all(visit, str(error), fields, asked.scopes)
    await visit.tell(What.REGISTERED_APP, _told(app))
    return _show_app(visit, app, secret=secret)


@get(APP_PATH, include_in_schema=False)
async def show_app(
    request: AnyRequest, counter: NamedDependency[Counter], client_id: FromPath[str]
) -> AnyPage:
    """One of this person's apps."""
    visit = await begin(request, counter)
    if visit.browser.sign_in is None:
        return visit.sign_in_page()
    return _show_app(visit, await _own(visit, client_id))


@post(APP_PATH, status_code=200, include_in_schema=False)
async def change_app(
    request: AnyRequest, counter: NamedDependency[Counter], client_id: FromPath[str]
) -> AnyPage:
    """Change it, renew its secret, or end it."""
    visit = await begin(request, counter)
    fields = dict(await read_form_of(request, visit))
    answer = await entered(visit, fields)
    if answer is not None:
        return answer
    app = await _own(visit, client_id)
    people = visit.desk.people
    step = fields.get("step")
    if step == "change":
        try:
            app = await asyncio.to_thread(_change(people.change_app, app, fields))
        except InvalidNameError as error:
            return _show_app(visit, app, trouble=str(error))
        await visit.tell(What.CHANGED_APP, _told(app))
        return _show_app(visit, app, done="Changed.")
    if step == "renew" and app.confidential:
        secret = await asyncio.to_thread(people.renew_secret, client_id)
        await visit.tell(What.RENEWED_SECRET, _told(app))
        return _show_app(visit, app, secret=secret)
    if step == "revoke":
        await asyncio.to_thread(people.revoke_app, client_id)
        visit.counter.standing.look()
        await visit.tell(What.ENDED_APP, _told(app))
        return see_other(PATH, visit.browser.cookies)
    return _show_app(visit, app)


def _told(app: App) -> str:
    return f"{app.name} ({app.client_id})"


def _change(change: Callable[..., App], app: App, fields: dict[str, str]) -> Callable[[], App]:
    """The call, with what the form says; a key that was not sent stays."""
    key = "" if fields.get("forget_key") else _key(fields) or app.public_key_pem
    return lambda: change(
        app.client_id,
        redirect_uris=_lines(fields.get("redirect_uris", "")),
        domain=fields.get("domain", ""),
        public_key_pem=key,
    )


async def _own(visit: Visit, client_id: str) -> App:
    """The same answer for another's app as for one that is not there."""
    app = await asyncio.to_thread(visit.desk.people.app, client_id)
    if app is None or app.person_id != visit.person.id:
        text = "None of your apps has this client id."
        raise PageError(404, "No such app", text, "Your apps are listed on /developer.")
    return app


async def _show_all(
    visit: Visit,
    trouble: str = "",
    fields: dict[str, str] | None = None,
    ticked: tuple[str, ...] = (),
) -> AnyPage:
    return visit.page(
        "developer",
        400 if trouble else 200,
        person=visit.person,
        apps=await asyncio.to_thread(visit.desk.people.apps_of, visit.person.id),
        problem=trouble,
        fields=fields or {},
        scopes=[(scope, SCOPES[scope], scope in ticked) for scope in APP_SCOPES],
    )


def _show_app(
    visit: Visit, app: App, *, secret: str = "", trouble: str = "", done: str = ""
) -> AnyPage:
    shown: dict[str, Any] = {"secret": secret, "problem": trouble, "done": done}
    status = 400 if trouble else 200
    path = f"{PATH}/apps/{app.client_id}"
    return visit.at(path).page("app", status, app=app, person=visit.person, **shown)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _key(fields: dict[str, str]) -> str:
    """The file that was sent, else the text."""
    return fields.get("public_key_file", "").strip() or fields.get("public_key", "").strip()

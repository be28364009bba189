"""`/_ak/DOMAIN`: an owner lets a vehicle obey the key of a registered app, or refuses.

An app leads its users here, as to Tesla's page of the same path. The form carries the key that was
shown: what is approved is that key and no other that the domain may have by then.
"""

import asyncio
import hmac
from typing import Final, NamedTuple

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.pages.problem import PageError
from motorcade.api.pages.vehicle import own_vehicle, sharing_of, signing_of
from motorcade.api.pages.visit import AnyPage, Visit, begin, entered, read_form_of
from motorcade.registry.audit.port import What
from motorcade.registry.people.port import App
from motorcade.registry.port import Vehicle
from motorcade.registry.sharing.port import Registration
from motorcade.registry.signing.port import ADD_KEY, key_told

PATH: Final = "/_ak/{domain:str}"
ROLE: Final = "OWNER"  # as `motorcade vehicle pair` and Tesla give
CLOUD_KEY: Final = 9  # KEY_FORM_FACTOR_CLOUD_KEY
VEHICLES_SHOWN: Final = 200


@get(PATH, include_in_schema=False)
async def ask_to_pair(
    request: AnyRequest, counter: NamedDependency[Counter], domain: FromPath[str]
) -> AnyPage:
    """Whose key would be added, and to which vehicle."""
    visit = await begin(request, counter)
    if visit.browser.sign_in is None:
        return visit.sign_in_page()
    return await _show(visit, domain)


@post(PATH, status_code=200, include_in_schema=False)
async def decide_pairing(
    request: AnyRequest, counter: NamedDependency[Counter], domain: FromPath[str]
) -> AnyPage:
    """The owner signed in, approved or refused."""
    visit = await begin(request, counter)
    fields = dict(await read_form_of(request, visit))
    answer = await entered(visit, fields)
    if answer is not None:
        return answer
    if fields.get("step") != "pair":
        return await _show(visit, domain)
    if fields.get("decision") != "approve":
        return await _show(visit, domain, done="Refused: no key was added.")
    shown, asked = await asyncio.to_thread(_approve, visit, domain, fields)
    if asked is not None:
        await visit.tell(What.APPROVED_KEY, asked.text, asked.vehicle)
    return shown


class _Asked(NamedTuple):
    vehicle: Vehicle
    text: str


def _approve(visit: Visit, domain: str, fields: dict[str, str]) -> tuple[AnyPage, _Asked | None]:
    """The answer, and what was asked of a vehicle, if anything was."""
    app, row = _find(visit, domain)
    given = fields.get("public_key", "").encode("utf-8", "replace")
    if not hmac.compare_digest(given, row.public_key.encode()):
        return _page(visit, app, row, trouble="The app has another key by now: look again."), None
    vehicle = own_vehicle(visit, fields.get("vehicle", ""))
    if vehicle is None:
        return _page(visit, app, row, trouble="Choose one of your vehicles."), None
    signing = signing_of(visit.counter)
    state = signing.state_of(vehicle.id)
    if state is not None and state.has(row.public_key):
        return _page(visit, app, row, done=f"{named(vehicle)} obeys this key already."), None
    waits = any(
        (one.action, one.public_key) == (ADD_KEY, row.public_key)
        for one in signing.requests(vehicle.id)
    )
    if not waits:
        signing.ask(vehicle.id, ADD_KEY, row.public_key, ROLE, CLOUD_KEY)
    text = f"Approved: {named(vehicle)} gets the key as soon as it is connected."
    asked = None if waits else _Asked(vehicle, f"{row.domain}, {key_told(row.public_key)}")
    return _page(visit, app, row, done=text), asked


async def _show(visit: Visit, domain: str, done: str = "") -> AnyPage:
    def made() -> AnyPage:
        return _page(visit, *_find(visit, domain), done=done)

    return await asyncio.to_thread(made)


def _find(visit: Visit, domain: str) -> tuple[App, Registration]:
    """The app that is registered with this domain. Raises `PageError`."""
    row = sharing_of(visit.counter).registration_of(domain.lower())
    app = visit.desk.people.app(row.client_id) if row is not None else None
    if row is None or app is None:
        text = "No app is registered with this domain here, so there is no key to add."
        raise PageError(404, "No such app", text, "Nothing was changed. Tell the app's developer.")
    return app, row


def _page(
    visit: Visit, app: App, row: Registration, *, trouble: str = "", done: str = ""
) -> AnyPage:
    subject = visit.person.subject
    vehicles = visit.counter.registry.vehicles(0, VEHICLES_SHOWN, subject)
    return visit.page(
        "pairing",
        400 if trouble else 200,
        person=visit.person,
        app=app,
        domain=row.domain,
        public_key=row.public_key,
        vehicles=[(vehicle.id, named(vehicle)) for vehicle in vehicles],
        problem=trouble,
        done=done,
    )


def named(vehicle: Vehicle) -> str:
    """A vehicle in words."""
    return f"{vehicle.display_name} ({vehicle.vin})" if vehicle.display_name else vehicle.vin

"""The owner's page: which app holds what since when, when it last used it, and taking it back."""

import asyncio
from typing import Final

from litestar import get, post
from litestar.di import NamedDependency

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.pages.dates import date_of
from motorcade.api.pages.render import see_other
from motorcade.api.pages.vehicle import sharing_of
from motorcade.api.pages.visit import AnyPage, Visit, begin, entered, read_form_of
from motorcade.identity.scopes import SCOPES
from motorcade.registry.audit.port import What
from motorcade.registry.port import Vehicle

PATH: Final = "/account"
VEHICLES_SHOWN: Final = 200
REVOKE_PATH: Final = "/user/revoke/consent"  # Tesla's, to which apps lead


@get(PATH, include_in_schema=False)
async def account(request: AnyRequest, counter: NamedDependency[Counter]) -> AnyPage:
    """What this person's apps hold."""
    visit = await begin(request, counter)
    if visit.browser.sign_in is None:
        return visit.sign_in_page()
    return await _show(visit)


@post(PATH, status_code=200, include_in_schema=False)
async def change_account(request: AnyRequest, counter: NamedDependency[Counter]) -> AnyPage:
    """Sign in or out, take back what an app holds."""
    visit = await begin(request, counter)
    fields = dict(await read_form_of(request, visit))
    answer = await entered(visit, fields)
    if answer is not None:
        return answer
    if fields.get("step") == "revoke":
        revoke = visit.desk.people.revoke_grant
        client_id = fields.get("client_id", "")
        await asyncio.to_thread(revoke, visit.person.id, client_id)
        visit.counter.standing.look()
        await visit.tell(What.TOOK_BACK_CONSENT, client_id)
    if fields.get("step") == "redeem":
        redeem, subject = sharing_of(counter).redeem, visit.person.subject
        driver = await asyncio.to_thread(redeem, fields.get("code", "").strip(), subject)
        registry = visit.counter.registry
        vehicle = await asyncio.to_thread(registry.vehicle_by_id, driver.vehicle_id)
        await visit.tell(What.BECAME_DRIVER, vehicle=vehicle)
    return see_other(PATH, visit.browser.cookies)


@get(REVOKE_PATH, include_in_schema=False)
async def ask_to_revoke(request: AnyRequest, counter: NamedDependency[Counter]) -> AnyPage:
    """The page that an app leads to, so that its access can be taken back."""
    client_id = request.query_params.get("revoke_client_id", "")
    visit = await begin(request, counter, PATH)
    if visit.browser.sign_in is None:
        return visit.sign_in_page()
    return await _show(visit, client_id)


async def _show(visit: Visit, client_id: str = "") -> AnyPage:
    """Everything, or what one app holds."""
    grants = await asyncio.to_thread(visit.desk.people.grants, visit.person.id)
    shown = [
        {
            "client_id": grant.client_id,
            "name": grant.app_name,
            "purpose": grant.purpose,
            "scopes": [(scope, SCOPES.get(scope, "")) for scope in grant.scopes],
            "since": date_of(grant.granted_time_us),
            "used": date_of(grant.used_time_us) if grant.used_time_us else "never",
        }
        for grant in grants
        if client_id in ("", grant.client_id)
    ]
    owned, driven = ([], []) if client_id else await asyncio.to_thread(_vehicles, visit)
    return visit.page(
        "account",
        person=visit.person,
        grants=shown,
        one=bool(client_id),
        vehicles=owned,
        driven=driven,
    )


def _vehicles(visit: Visit) -> tuple[list[Vehicle], list[Vehicle]]:
    """The person's own, and those they drive."""
    counter, subject = visit.counter, visit.person.subject
    owned = counter.registry.vehicles(0, VEHICLES_SHOWN, subject)
    driven = counter.sharing.driven(subject, 0, VEHICLES_SHOWN) if counter.sharing else []
    return owned, driven

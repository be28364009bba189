"""The owner's page of one vehicle: who drives it, which keys it obeys, what apps do not hear."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.pages.dates import date_of
from motorcade.api.pages.problem import PageError
from motorcade.api.pages.render import see_other
from motorcade.api.pages.visit import AnyPage, Visit, begin, entered, read_form_of
from motorcade.registry.audit.port import What
from motorcade.registry.errors import InvalidNameError, TooManyError
from motorcade.registry.port import Vehicle
from motorcade.registry.privacy.port import EVERY_APP, Privacy
from motorcade.registry.sharing.port import Invitation, Sharing
from motorcade.registry.signing.port import REMOVE_KEY, PairedKey, Signing, key_told

PATH: Final = "/account/vehicles/{vehicle_id:str}"
ACCESSES_SHOWN: Final = 200
INVITATIONS_SHOWN: Final = 50
DIGITS_MAX: Final = 18
FORM_FACTORS: Final[Mapping[int, str]] = {
    1: "key card",
    6: "phone, iOS",
    7: "phone, Android",
    9: "an app's, in the cloud",
}
"""`VCSEC.KeyFormFactor`, the common ones in words."""

Fields = Mapping[str, str]


@get(PATH, include_in_schema=False)
async def show_vehicle_page(
    request: AnyRequest, counter: NamedDependency[Counter], vehicle_id: FromPath[str]
) -> AnyPage:
    """One of this person's vehicles."""
    visit = await begin(request, counter)
    if visit.browser.sign_in is None:
        return visit.sign_in_page()
    return await _show(visit, await _own(visit, vehicle_id))


@post(PATH, status_code=200, include_in_schema=False)
async def change_vehicle_page(
    request: AnyRequest, counter: NamedDependency[Counter], vehicle_id: FromPath[str]
) -> AnyPage:
    """Sign in or out; change who drives it, which keys it obeys, what apps hear."""
    visit = await begin(request, counter)
    fields = dict(await read_form_of(request, visit))
    answer = await entered(visit, fields)
    if answer is not None:
        return answer
    vehicle = await _own(visit, vehicle_id)
    step = _STEPS.get(fields.get("step", ""))
    if step is not None:
        try:
            done = await asyncio.to_thread(step, visit, vehicle, fields)
        except (InvalidNameError, TooManyError) as error:
            return await _show(visit, vehicle, str(error))
        if done is not None:
            if done.gone:
                counter.streams.end(done.gone, vehicle.id)
            await visit.tell(done.what, done.text, vehicle)
    return see_other(visit.path, visit.browser.cookies)


async def _own(visit: Visit, vehicle_id: str) -> Vehicle:
    """The same answer for another's vehicle as for one that is not there."""
    vehicle = await asyncio.to_thread(own_vehicle, visit, vehicle_id)
    if vehicle is None:
        text = "None of your vehicles has this number."
        raise PageError(404, "No such vehicle", text, "Your vehicles are listed on /account.")
    return vehicle


def own_vehicle(visit: Visit, vehicle_id: str) -> Vehicle | None:
    """The person's vehicle of this number."""
    number = _number(vehicle_id)
    vehicle = visit.counter.registry.vehicle_by_id(number) if number else None
    return vehicle if vehicle is not None and vehicle.owner == visit.person.subject else None


class _Done(NamedTuple):
    """For the audit, which is told of no place: neither a zone's name nor where it is."""

    what: What
    text: str = ""
    gone: str = ""  # the subject whose access ended


# What the forms do; `None`: there was nothing to do.


def _invite(visit: Visit, vehicle: Vehicle, _: Fields) -> _Done:
    sharing_of(visit.counter).invite(vehicle.id, visit.person.subject)
    return _Done(What.INVITED_DRIVER)


def _revoke_invitation(visit: Visit, vehicle: Vehicle, fields: Fields) -> _Done:
    row = sharing_of(visit.counter).revoke(vehicle.id, _number(fields.get("invitation", "")))
    return _Done(What.REVOKED_INVITATION, f"invitation {row.id}")


def _remove_driver(visit: Visit, vehicle: Vehicle, fields: Fields) -> _Done:
    sharing = sharing_of(visit.counter)
    driver = sharing.remove_driver(vehicle.id, _number(fields.get("driver", "")))
    return _Done(What.REMOVED_DRIVER, driver.subject, driver.subject)


def _remove_key(visit: Visit, vehicle: Vehicle, fields: Fields) -> _Done | None:
    signing = signing_of(visit.counter)
    state = signing.state_of(vehicle.id)
    key = fields.get("public_key", "")
    if state is None or not state.has(key):
        return None
    waits = any(
        (row.action, row.public_key) == (REMOVE_KEY, key) for row in signing.requests(vehicle.id)
    )
    if waits:
        return None
    signing.ask(vehicle.id, REMOVE_KEY, key, "", 0)
    return _Done(What.ASKED_TO_REMOVE_KEY, key_told(key))


def _add_zone(visit: Visit, vehicle: Vehicle, fields: Fields) -> _Done:
    places = [_decimal(fields, name) for name in ("latitude", "longitude", "radius")]
    zone = _privacy(visit.counter).add_zone(vehicle.id, fields.get("name", ""), *places)
    return _Done(What.CHANGED_PRIVACY, f"zone {zone.id} added")


def _remove_zone(visit: Visit, vehicle: Vehicle, fields: Fields) -> _Done:
    zone = _privacy(visit.counter).remove_zone(vehicle.id, _number(fields.get("zone", "")))
    return _Done(What.CHANGED_PRIVACY, f"zone {zone.id} removed")


def _set_grid(visit: Visit, vehicle: Vehicle, fields: Fields) -> _Done:
    width = fields.get("grid", "").strip()
    if not (width.isascii() and width.isdigit() and len(width) <= DIGITS_MAX):
        raise InvalidNameError("The grid's width: write whole metres; 0 ends the limit.")
    client_id = fields.get("client_id", EVERY_APP)
    _privacy(visit.counter).set_grid(vehicle.id, client_id, int(width))
    return _Done(What.CHANGED_PRIVACY, f"grid of {int(width)} m for {client_id or 'every app'}")


_STEPS: Final[Mapping[str, Callable[[Visit, Vehicle, Fields], _Done | None]]] = {
    "invite": _invite,
    "revoke_invitation": _revoke_invitation,
    "remove_driver": _remove_driver,
    "remove_key": _remove_key,
    "add_zone": _add_zone,
    "remove_zone": _remove_zone,
    "set_grid": _set_grid,
}


async def _show(visit: Visit, vehicle: Vehicle, trouble: str = "") -> AnyPage:
    shown = await asyncio.to_thread(_shown, visit, vehicle)
    return visit.page("vehicle", 400 if trouble else 200, problem=trouble, **shown)


def _shown(visit: Visit, vehicle: Vehicle) -> dict[str, Any]:
    """What the page is made of; asks the registry."""
    counter = visit.counter
    sharing, signing, people = sharing_of(counter), signing_of(counter), visit.desk.people
    names = {}
    for driver in sharing.drivers(vehicle.id):
        person = people.person(driver.subject)
        names[driver.id] = person.full_name if person is not None else driver.subject
    now_us = counter.clock.now_us()
    invitations = sharing.invitations(vehicle.id, 0, INVITATIONS_SHOWN)
    state = signing.state_of(vehicle.id)
    limits = _privacy(counter).limits(vehicle.id)
    apps = [("", "every app"), *((g.client_id, g.app_name) for g in people.grants(visit.person.id))]
    return {
        "vehicle": vehicle,
        "drivers": [
            {"id": row.id, "name": names[row.id], "since": date_of(row.added_time_us)}
            for row in sharing.drivers(vehicle.id)
            if row.id in names
        ],
        "invitations": [_invitation(row) for row in invitations if row.state(now_us) == "pending"],
        "keys": [_key(row) for row in (state.keys if state is not None else ())],
        "waiting": signing.requests(vehicle.id),
        "accesses": _accesses(counter, vehicle),
        "zones": limits.zones,
        "grids": [(client, name, limits.grids_m.get(client, 0)) for client, name in apps],
    }


def _invitation(row: Invitation) -> dict[str, Any]:
    return {"id": row.id, "code": row.code, "until": date_of(row.expires_time_us)}


def _accesses(counter: Counter, vehicle: Vehicle) -> list[dict[str, Any]]:
    if counter.access_log is None:
        return []
    rows = counter.access_log.accesses(vehicle.id, ACCESSES_SHOWN)
    return [row._asdict() | {"last": date_of(row.last_time_us)} for row in rows]


def _key(row: PairedKey) -> dict[str, Any]:
    return {
        "public_key": row.public_key,
        "role": row.role.replace("_", " ").lower(),
        "form": FORM_FACTORS.get(row.form_factor, f"form factor {row.form_factor}"),
    }


def _number(text: str) -> int:
    """A whole number, 0 for what is none: nothing has that number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else 0


def _decimal(fields: Fields, name: str) -> float:
    try:
        return float(fields.get(name, ""))
    except ValueError as error:
        raise InvalidNameError(f"The {name}: write a number, such as 52.52.") from error


def sharing_of(counter: Counter) -> Sharing:
    assert counter.sharing is not None  # the composition root gives all three
    return counter.sharing


def signing_of(counter: Counter) -> Signing:
    assert counter.signing is not None
    return counter.signing


def _privacy(counter: Counter) -> Privacy:
    assert counter.privacy is not None
    return counter.privacy

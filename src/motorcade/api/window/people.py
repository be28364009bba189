"""Who there is and what they may do on the page: for admins."""

import asyncio
from dataclasses import replace
from typing import Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from motorcade.api.audit import REFUSED
from motorcade.api.counter import AnyRequest, Counter, read_body, read_piece
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError, not_found, unprocessable
from motorcade.api.shapes import Envelope
from motorcade.identity.port import ADMIN, OWNER_SUBJECT, ROLES
from motorcade.registry.audit.port import What
from motorcade.registry.errors import LastAdminError, NotFoundError
from motorcade.registry.people.port import People, Person


class PersonShown(Struct, kw_only=True):
    """Somebody who can sign in."""

    subject: str
    name: str
    email: str
    role: str | None  # null: their own vehicles alone


class PeopleList(Struct, kw_only=True):
    response: list[PersonShown]
    cursor: str | None  # of the next piece; null: this is the last


def people_of(counter: Counter) -> People:
    """Everybody."""
    assert counter.people is not None  # roles/api.py gives it; tests of other routes need none
    return counter.people


def _shown(person: Person) -> PersonShown:
    role = ADMIN if person.subject == OWNER_SUBJECT else person.role or None
    return PersonShown(subject=person.subject, name=person.full_name, email=person.email, role=role)


@get("/api/2/people")
async def list_people(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[PeopleList]:
    """Everybody who can sign in, in the order they were added, with their roles."""
    counter.count_app(request, counter.allow(request))
    after, limit = read_piece(request, counter)
    found = await asyncio.to_thread(people_of(counter).people, after, limit + 1)
    cursor = str(found[limit - 1].id) if len(found) > limit else None
    return Response(
        PeopleList(response=[_shown(person) for person in found[:limit]], cursor=cursor),
        status_code=200,
    )


@post("/api/2/people/{subject:str}/role", status_code=200)
async def set_role(
    request: AnyRequest, counter: NamedDependency[Counter], subject: FromPath[str]
) -> Response[Envelope[PersonShown]]:
    """Give somebody another role, or none (null). Their page signs in anew, at once."""
    access = counter.allow(request)
    counter.count_app(request, access)
    role = _read_role(await read_body(request))
    people = people_of(counter)
    try:
        if people.person(subject) is None:  # or it is somebody's e-mail
            raise NotFoundError("nobody of this subject")
        person = await asyncio.to_thread(people.set_role, subject, role)
    except NotFoundError as error:
        raise not_found(str(error)) from error
    except LastAdminError as error:
        what, text = What.CHANGED_ROLE, f"{subject}: {error}"
        await counter.audit.tell(access, what, text, outcome=REFUSED)
        raise unprocessable("last admin", {"role": [str(error)]}) from error
    finally:
        counter.standing.look()  # open streams of theirs end
    text = f"{person.full_name or person.email} ({subject}) is {role or 'without a role'}"
    await counter.audit.tell(access, What.CHANGED_ROLE, text)
    return ok(_shown(replace(person, role=role)))


def _read_role(body: dict[str, object]) -> str:
    """Raises the 400."""
    role = body.get("role", "")
    if role is None:
        return ""
    if role not in ROLES:
        text = f"role: must be one of {', '.join(ROLES)}, or null for none"
        raise ApiError(400, "invalid_field", text)
    return str(role)


PEOPLE_ROUTES: Final = [list_people, set_role]

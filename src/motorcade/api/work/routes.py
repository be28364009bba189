"""The work queue over HTTP: who may see it, and who works it."""

import asyncio
from typing import Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from motorcade.api.counter import AnyRequest, Counter, read_body, read_text
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError, not_found
from motorcade.api.shapes import Envelope
from motorcade.api.window.picture import Picture
from motorcade.api.window.roles import is_at_least, looker_of
from motorcade.api.work.queue import Noted, NotNotedError, NotOpenError, Seen, WorkQueue
from motorcade.api.work.shown import (
    ClosedShown,
    Desk,
    Evidence,
    Queue,
    Shown,
    WorkItem,
    WorkItemWhole,
    cause_of,
    evidence_of,
    open_items,
    row_of,
    show,
    show_closed,
    whole,
)
from motorcade.identity.port import OPERATOR, AccessToken
from motorcade.registry.audit.port import What
from motorcade.registry.work.port import WorkNote

UNDO: Final = "undo"
ACTIONS: Final = {
    "acknowledge": What.ACKNOWLEDGED,
    "assign": What.ASSIGNED,
    "snooze": What.SNOOZED,
    "comment": What.COMMENTED,
    UNDO: What.UNDID,
}
"""... and what the audit calls each."""
NO_ITEM: Final = "no such item, or not yours; it may have closed: its cause is gone"


@get("/api/2/work")
async def list_work(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[Queue]]:
    """What needs somebody, the worst first, then the oldest; with `open=false` what is snoozed, and
    what closed lately, of that which somebody had worked on."""
    access, desk, queue = _desk(request, counter)
    wanted = request.query_params.get("open", "true")
    if wanted not in ("true", "false"):
        raise ApiError(400, "invalid_field", "open: must be true or false")
    snoozed = wanted == "false"

    def ask(picture: Picture) -> tuple[Seen, list[Shown]]:
        seen = queue.look(picture)
        found = open_items(seen, desk, counter.config.work, snoozed=snoozed)
        return seen, found + (_closed(queue, picture, desk) if snoozed else [])

    seen, found = await _asked(counter, queue, ask)
    for _, vehicles in found:
        for vehicle in vehicles:
            counter.note(request, access, vehicle)
    last = seen.last_closed if desk.role else None
    closed = ClosedShown(time_us=last.time_us, who=last.who) if last else None
    return ok(Queue(items=[item for item, _ in found], last_closed=closed))


@get("/api/2/work/{item:str}")
async def show_work(
    request: AnyRequest, counter: NamedDependency[Counter], item: FromPath[str]
) -> Response[Envelope[WorkItemWhole]]:
    """One item, its cause and the evidence; of one that has closed what was noted on it."""
    access, desk, queue = _desk(request, counter)

    def ask(picture: Picture) -> tuple[Shown, str, list[Evidence]] | None:
        seen = queue.look(picture)
        found = seen.items.get(item)
        if found is None:
            closed = [one for one in _closed(queue, picture, desk) if one.item.id == item]
            return (closed[0], "", []) if closed else None
        shown = show(found, seen.noted.get(item), desk, counter.config.work)
        if shown is None:
            return None
        limits = counter.config.dashboard
        cause = cause_of(found, limits.silent_s, limits.silent_resting_s)
        return shown, cause, evidence_of(found, desk, queue)

    told = await _asked(counter, queue, ask)
    if told is None:
        raise not_found(NO_ITEM)
    shown, cause, evidence = told
    for vehicle in shown.vehicles:
        counter.note(request, access, vehicle)
    return ok(whole(shown.item, cause, evidence))


@post("/api/2/work/{item:str}/{action:str}", status_code=200)
async def do_work(
    request: AnyRequest,
    counter: NamedDependency[Counter],
    item: FromPath[str],
    action: FromPath[str],
) -> Response[Envelope[WorkItem]]:
    """Acknowledge an item, assign it (`to` a subject, else to oneself), snooze it for `for_s`,
    comment it with `text`, or undo what one did to it last, for ten seconds."""
    access, desk, queue = _desk(request, counter)
    if action not in ACTIONS:
        raise not_found(f"an item can be: {', '.join(ACTIONS)}")
    body = await read_body(request)
    found = await _asked(counter, queue, lambda picture: queue.look(picture).items.get(item))
    try:
        if found is None:
            raise NotOpenError(item)
        if action == UNDO:
            await asyncio.to_thread(queue.undo, item, access.subject)
        else:
            note = _note(counter, access, item, action, body)
            await asyncio.to_thread(queue.note, row_of(found), note)
    except NotOpenError as error:
        raise not_found(NO_ITEM) from error
    except NotNotedError as error:
        raise ApiError(422, "not possible", str(error)) from error

    vehicle = None if found.folded else found.vehicles[0].token
    await counter.audit.tell(access, ACTIONS[action], row_of(found).title, vehicle=vehicle)

    def ask(picture: Picture) -> Shown | None:
        return show(found, queue.look(picture).noted.get(item), desk, counter.config.work)

    shown = await _asked(counter, queue, ask)
    if shown is None:
        raise not_found(NO_ITEM)
    for vehicle in shown.vehicles:
        counter.note(request, access, vehicle)
    return ok(shown.item)


def _note(
    counter: Counter, access: AccessToken, item: str, action: str, body: dict[str, Any]
) -> WorkNote:
    """What is to be kept of an action. Raises the 400."""
    limits = counter.config.work
    now_us = counter.clock.now_us()
    who = _name_of(counter, access.subject)
    text, until_us = "", None
    if action == "comment":
        text = read_text(body, "text", characters_max=limits.comment_bytes_max).strip()
        if not text or len(text.encode("utf-8", "replace")) > limits.comment_bytes_max:
            raise ApiError(400, "invalid_field", f"text: 1 to {limits.comment_bytes_max} bytes")
    elif action == "snooze":
        for_s: Any = body.get("for_s")
        whole_s = isinstance(for_s, int) and not isinstance(for_s, bool)
        if not whole_s or not 1 <= for_s <= limits.snooze_s_max:
            text = f"for_s: must be a whole number 1 to {limits.snooze_s_max}"
            raise ApiError(400, "invalid_field", text)
        until_us = now_us + for_s * 1_000_000
    elif action == "assign":
        subject = read_text(body, "to", characters_max=256, default=access.subject)
        text = _name_of(counter, subject)
        role = counter.people.role(subject) if counter.people is not None else ""
        if subject != access.subject and not is_at_least(role, OPERATOR):
            raise ApiError(400, "invalid_field", "to: nobody of this subject works the queue")
    return WorkNote(0, item, now_us, access.subject, who, action, text, until_us)


def _name_of(counter: Counter, subject: str) -> str:
    person = counter.people.person(subject) if counter.people is not None else None
    return person.full_name if person is not None else subject


def _desk(request: AnyRequest, counter: Counter) -> tuple[AccessToken, Desk, WorkQueue]:
    """Who asks. Raises 401, 403, 412 and 421."""
    access = counter.allow(request)
    role = counter.role(access)
    looker = looker_of(access, role, counter.driven_ids(access, role))
    assert counter.work is not None  # the composition root gives notes
    return access, Desk(looker, role, counter.clock.now_us()), counter.work


def _closed(queue: WorkQueue, picture: Picture, desk: Desk) -> list[Shown]:
    """Items that somebody had worked on and that are closed, the last closed first."""
    vehicles = {vehicle.id: vehicle for vehicle in picture.roster.by_token.values()}
    found = []
    for row in queue.notes.closed(queue.config.work.closed_max):
        vehicle = vehicles.get(row.vehicle_id) if row.vehicle_id is not None else None
        shown = show_closed(Noted(row, tuple(queue.notes.notes(row.id))), vehicle, desk)
        if shown is not None and row.closed_by:
            found.append(shown)
    return found


async def _asked(counter: Counter, queue: WorkQueue, question: Any) -> Any:
    """Ask in the picture's thread; then put on disk what closed meanwhile."""
    told = await counter.viewers.read(question, counter.config.work.look_s)
    await asyncio.to_thread(queue.write)
    return told


WORK_ROUTES: Final = [list_work, show_work, do_work]

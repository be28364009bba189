"""Items of the queue as somebody is shown them: their own vehicles, names in place of tokens."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from msgspec import Struct

from motorcade.api.window.picture import Looker
from motorcade.api.work.causes import Item
from motorcade.api.work.queue import Noted, Seen, WorkQueue
from motorcade.config import WorkConfig
from motorcade.registry.port import Vehicle
from motorcade.registry.work.port import NotedItem
from motorcade.state.columns import ALARM_TEXTS

DONE: Final = {
    "acknowledge": "acknowledged",
    "assign": "assigned",
    "snooze": "snoozed",
    "comment": "commented",
}


class VehicleNamed(Struct, kw_only=True):
    id: str
    name: str


class NoteShown(Struct, kw_only=True):
    """What somebody did."""

    time_us: int
    who: str
    what: str  # acknowledged, assigned, snoozed, commented
    text: str  # a comment; to whom it was assigned
    until_us: int | None  # of a snooze


class WorkItem(Struct, kw_only=True):
    """An item of the queue."""

    id: str
    kind: str  # alarm, silent, command
    severity: str  # critical, warning, notice
    title: str
    detail: str
    since_us: int
    vehicle: VehicleNamed | None  # null: of several
    vehicles: list[VehicleNamed]  # the first of them; none once it is closed
    count: int  # of all its vehicles that the caller may see
    acknowledged_by: str | None
    assigned_to: str | None
    snoozed_until_us: int | None
    closed_us: int | None
    log: list[NoteShown]


class Evidence(Struct, kw_only=True):
    """Something that was heard, or that happened."""

    time_us: int
    what: str
    text: str
    vehicle: VehicleNamed


class WorkItemWhole(WorkItem, kw_only=True):
    """One item with why it is one; without, once it is closed."""

    cause: str
    evidence: list[Evidence]


class ClosedShown(Struct, kw_only=True):
    time_us: int
    who: str


class Queue(Struct, kw_only=True):
    """The queue, worst first, then oldest."""

    items: list[WorkItem]
    last_closed: ClosedShown | None


class Shown(NamedTuple):
    """An item as it is answered, and the vehicles that it tells of."""

    item: WorkItem
    vehicles: Sequence[Vehicle]


class Desk(NamedTuple):
    """Who asks."""

    looker: Looker
    role: str
    now_us: int


def open_items(seen: Seen, desk: Desk, config: WorkConfig, *, snoozed: bool) -> list[Shown]:
    """Those that are to be done, or those that are snoozed."""
    found = []
    for item in seen.items.values():
        noted = seen.noted.get(item.id)
        if (_snoozed_until(noted, desk.now_us) is not None) == snoozed:
            one = show(item, noted, desk, config)
            if one is not None:
                found.append(one)
    return found


def show(item: Item, noted: Noted | None, desk: Desk, config: WorkConfig) -> Shown | None:
    """An open item; `None`: none of its vehicles is the caller's to see."""
    seen = _visible(item, desk.looker)
    if not seen:
        return None
    told = [item.vehicles[place] for place in seen[: config.members_max]]
    title, detail = _words(item, told, len(seen))
    shown = WorkItem(
        id=item.id,
        kind=item.subject.kind,
        severity=item.subject.severity.name.lower(),
        title=title,
        detail=detail,
        since_us=item.since_us,
        vehicle=_named(told[0]) if len(seen) == 1 else None,
        vehicles=[_named(vehicle) for vehicle in told],
        count=len(seen),
        closed_us=None,
        **_notes(noted, desk, alone=len(item.vehicles) == 1),
    )
    return Shown(shown, told)


def _visible(item: Item, looker: Looker) -> Sequence[int]:
    """The places of its vehicles that they may see."""
    if looker.sees_all:
        return range(len(item.vehicles))
    return [place for place, vehicle in enumerate(item.vehicles) if looker.sees(vehicle)]


def _words(item: Item, told: Sequence[Vehicle], count: int) -> tuple[str, str]:
    """Title and detail."""
    subject = item.subject
    if count == 1:
        return subject.alone, subject.detail
    names = ", ".join(vehicle.display_name for vehicle in told[:3])
    more = f" and {count - 3} more" if count > 3 else ""
    return f"{count} {subject.together}", f"{names}{more}"


def row_of(item: Item) -> NotedItem:
    """What is kept of an item that somebody notes something on."""
    title, detail = _words(item, item.vehicles[:3], len(item.vehicles))
    subject = item.subject
    return NotedItem(
        id=item.id,
        kind=subject.kind,
        severity=subject.severity.name.lower(),
        topic=subject.topic,
        title=title,
        detail=detail,
        since_us=item.since_us,
        vehicle_id=None if item.folded else item.vehicles[0].id,
    )


def show_closed(noted: Noted, vehicle: Vehicle | None, desk: Desk) -> Shown | None:
    """A closed item; `None`: it is not the caller's to see."""
    row = noted.row
    if not desk.role and not (vehicle is not None and desk.looker.sees(vehicle)):
        return None
    named = [_named(vehicle)] if vehicle is not None else []
    shown = WorkItem(
        id=row.id,
        kind=row.kind,
        severity=row.severity,
        title=row.title,
        detail=row.detail,
        since_us=row.since_us,
        vehicle=named[0] if named else None,
        vehicles=named,
        count=len(named),
        closed_us=row.closed_us,
        **_notes(noted, desk, alone=vehicle is not None),
    )
    return Shown(shown, [vehicle] if vehicle is not None else [])


def whole(shown: WorkItem, cause: str, evidence: list[Evidence]) -> WorkItemWhole:
    members = {name: getattr(shown, name) for name in shown.__struct_fields__}
    return WorkItemWhole(**members, cause=cause, evidence=evidence)


def cause_of(item: Item, silent_s: float, silent_resting_s: float) -> str:
    """Why it is one, for people."""
    if item.subject.kind == "alarm":
        return "The car's own supervision says so, and has not taken it back."
    if item.subject.kind == "command":
        return "It has ended without being carried out, and none of its name was since."
    drove = item.subject.topic == "driving"
    limit_s = silent_s if drove else silent_resting_s
    return (
        f"Nothing has been heard for {limit_s:.0f} s or more; when it was heard last, it "
        f"{'drove or charged' if drove else 'rested'}."
    )


def evidence_of(item: Item, desk: Desk, queue: WorkQueue) -> list[Evidence]:
    """What was heard of its vehicles, in the order in which it was."""
    found: list[Evidence] = []
    for place in _visible(item, desk.looker)[: queue.config.work.members_max]:
        found += _evidence(item, place, queue)
    return sorted(found, key=lambda one: one.time_us)


def _evidence(item: Item, place: int, queue: WorkQueue) -> Iterable[Evidence]:
    vehicle = item.vehicles[place]
    named = _named(vehicle)
    if item.subject.kind == "silent":
        at_us = item.times_us[place]
        return [Evidence(time_us=at_us, what="heard last", text="", vehicle=named)]
    if item.subject.kind == "command":
        view = item.commands[place]
        return [
            Evidence(
                time_us=step.time_us,
                what=f"{view.name} {step.state}",
                text=step.reason,
                vehicle=named,
            )
            for step in view.timeline
        ]
    texts = "; ".join(text for bit, text in ALARM_TEXTS.items() if item.alarms & bit)
    signals = queue.alarm_signals(vehicle, item.alarms)
    return [
        Evidence(time_us=at_us, what=name, text=texts, vehicle=named) for name, at_us in signals
    ]


def _notes(noted: Noted | None, desk: Desk, *, alone: bool) -> dict[str, Any]:
    """What people did. What they wrote on an item of several cars may be of others' cars, so
    somebody without a role does not read it."""
    acknowledged = noted.last("acknowledge") if noted else None
    assigned = noted.last("assign") if noted else None
    notes = noted.notes if noted is not None and (desk.role or alone) else ()
    return {
        "acknowledged_by": acknowledged.who if acknowledged else None,
        "assigned_to": assigned.text if assigned else None,
        "snoozed_until_us": _snoozed_until(noted, desk.now_us),
        "log": [
            NoteShown(
                time_us=note.time_us,
                who=note.who,
                what=DONE[note.what],
                text=note.text,
                until_us=note.until_us,
            )
            for note in notes
        ],
    }


def _snoozed_until(noted: Noted | None, now_us: int) -> int | None:
    snooze = noted.last("snooze") if noted else None
    until_us = snooze.until_us if snooze else None
    return until_us if until_us is not None and until_us > now_us else None


def _named(vehicle: Vehicle) -> VehicleNamed:
    return VehicleNamed(id=str(vehicle.id), name=vehicle.display_name)

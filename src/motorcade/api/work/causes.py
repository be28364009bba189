"""What needs somebody, derived from the fleet's columns and from commands that failed. No IO, no
clock, and the same items for the same state.

An item is of one vehicle, or of several where the same began within `work.fold_s`. Its id says what
it is of and what began it, so notes find it again: a car's silence began with the last record that
was heard, a command with its request. An alarm's beginning is not in the columns: it is told.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from motorcade.commands.port import CommandView
from motorcade.config import WorkConfig
from motorcade.registry.port import Vehicle
from motorcade.state.columns import ALARM, ALARM_TEXTS, SILENT, rested
from motorcade.state.port import FleetColumns

Times = npt.NDArray[np.int64]


class Severity(IntEnum):
    """The worst first."""

    CRITICAL = 0
    WARNING = 1
    NOTICE = 2


class Subject(NamedTuple):
    """What an item is about, whichever vehicles it is of: those of the same fold."""

    kind: str  # alarm, silent, command
    topic: str  # which alarms, whether it drove, which command and why not
    severity: Severity
    alone: str  # a title of one vehicle
    together: str  # ... of several, after their number
    detail: str


@dataclass(frozen=True, slots=True)
class Item:
    """Something that needs somebody."""

    id: str
    subject: Subject
    since_us: int
    vehicles: Sequence[Vehicle]  # since when it is so of each, the first first
    times_us: Sequence[int]  # ... when that was
    commands: Sequence[CommandView] = ()  # those that failed, in the same order
    alarms: int = 0  # bits of `ALARM_TEXTS`
    folded: bool = False

    @property
    def rank(self) -> tuple[int, int, str]:
        """Worst first, then oldest."""
        return self.subject.severity, self.since_us, self.id


class Before(NamedTuple):
    """What was told until now, so that an item stays the item that it was."""

    anchors: Mapping[str, Sequence[int]]  # of folded items, by kind and topic: when each began
    alone: Collection[str] = frozenset()  # ids of items of one vehicle that somebody noted


NOTHING: Final = Before({})


@dataclass(frozen=True, slots=True)
class State:
    """What items are derived from."""

    fleet: FleetColumns
    vehicles: Sequence[Vehicle | None]  # by slot
    known: npt.NDArray[np.uint8]  # by slot: there is one
    alarms_since_us: Mapping[int, int]  # by slot, of cars in alarm
    failed: Sequence[tuple[CommandView, Vehicle]]
    moving_speed_mps: float


def derive(state: State, before: Before, config: WorkConfig) -> list[Item]:
    """All items, the worst first, then the oldest; the first `items_max`."""
    items = [
        *_alarms(state, before, config),
        *_commands(state, before, config),
        *_silences(state, before, config),
    ]
    return sorted(items, key=lambda item: item.rank)[: config.items_max]


def fold_key(subject: Subject) -> str:
    """By what items fold: one vehicle's with another's."""
    return f"{subject.kind}.{subject.topic}"


def _alarms(state: State, before: Before, config: WorkConfig) -> Iterator[Item]:
    fleet = state.fleet
    slots = np.flatnonzero((fleet.state == ALARM) & (state.known != 0))
    since = np.array([state.alarms_since_us[slot] for slot in slots.tolist()], np.int64)
    for bits in np.unique(fleet.alarms[slots]).tolist():
        of_these = fleet.alarms[slots] == bits
        texts = [text for bit, text in ALARM_TEXTS.items() if bits & bit]
        subject = Subject(
            kind="alarm",
            topic=str(bits),
            severity=Severity.CRITICAL,
            alone=_sentence(", ".join(texts)),
            together=f"cars in alarm: {', '.join(texts)}",
            detail="",
        )
        for item in _folded(state, subject, slots[of_these], since[of_these], before, config):
            yield Item(item.id, subject, *item[1:4], alarms=bits, folded=item.folded)


def _silences(state: State, before: Before, config: WorkConfig) -> Iterator[Item]:
    fleet = state.fleet
    oldest_us = fleet.at_us - config.silent_s_max * 1_000_000
    silent = (fleet.state == SILENT) & (fleet.received_us > oldest_us) & (fleet.received_us > 0)
    silent &= state.known != 0
    resting = rested(fleet, state.moving_speed_mps)
    for drove in (True, False):
        slots = np.flatnonzero(silent & (resting != drove))
        subject = Subject(
            kind="silent",
            topic="driving" if drove else "resting",
            severity=Severity.WARNING if drove else Severity.NOTICE,
            alone="Gone silent" if drove else "Silent for long",
            together="cars silent together",
            detail="while it drove or charged" if drove else "while it rested",
        )
        since = fleet.received_us[slots]
        for item in _folded(state, subject, slots, since, before, config):
            yield Item(item.id, subject, *item[1:4], folded=item.folded)


def _commands(state: State, before: Before, config: WorkConfig) -> Iterator[Item]:
    by_subject: dict[Subject, list[tuple[CommandView, Vehicle]]] = {}
    for view, vehicle in state.failed:
        words = _sentence(view.name.replace("_", " "))
        why = view.reason.replace("_", " ") or str(view.state)
        subject = Subject(
            kind="command",
            topic=f"{view.name}.{view.reason or view.state}",
            severity=Severity.WARNING,
            alone=f"{words} failed: {why}",
            together=f"× {words} failed: {why}",
            detail=str(view.state),
        )
        by_subject.setdefault(subject, []).append((view, vehicle))
    for subject, failed in by_subject.items():
        failed.sort(key=lambda one: (one[0].timeline[-1].time_us, one[0].id))
        times = np.array([view.timeline[-1].time_us for view, _ in failed], np.int64)

        def name(place: int, failed: list[tuple[CommandView, Vehicle]] = failed) -> str:
            return f"command.{failed[place][0].id}"

        places = range(len(failed))
        for group in fold(times, name, places, fold_key(subject), before, config):
            chosen = [failed[place] for place in group.places]
            yield Item(
                group.id,
                subject,
                group.since_us,
                [vehicle for _, vehicle in chosen],
                times[group.places].tolist(),
                commands=[view for view, _ in chosen],
                folded=group.folded,
            )


class _Found(NamedTuple):
    id: str
    since_us: int
    vehicles: Sequence[Vehicle]
    times_us: Sequence[int]
    folded: bool


def _folded(
    state: State,
    subject: Subject,
    slots: npt.NDArray[np.int64],
    since_us: Times,
    before: Before,
    config: WorkConfig,
) -> Iterator[_Found]:
    """The groups of these cars."""
    order = np.lexsort((slots, since_us))
    slots, since_us = slots[order], since_us[order]
    key = fold_key(subject)

    def name(place: int) -> str:
        vehicle = state.vehicles[slots[place]]
        return f"{key}.{vehicle.id if vehicle is not None else 0}.{since_us[place] // 1_000_000}"

    seconds = [int(one.rpartition(".")[2]) for one in before.alone if one.startswith(key)]
    maybe_alone = np.flatnonzero(np.isin(since_us // 1_000_000, seconds)) if seconds else ()
    for group in fold(since_us, name, map(int, maybe_alone), key, before, config):
        members = [state.vehicles[slot] for slot in slots[group.places].tolist()]
        yield _Found(
            group.id,
            group.since_us,
            [vehicle for vehicle in members if vehicle is not None],
            since_us[group.places].tolist(),
            group.folded,
        )


class Group(NamedTuple):
    """What is one item, by places in what was given."""

    id: str
    since_us: int
    places: npt.NDArray[np.int64]
    folded: bool


def fold(
    times_us: Times,
    name: Callable[[int], str],
    maybe_alone: Iterable[int],
    key: str,
    before: Before,
    config: WorkConfig,
) -> Iterator[Group]:
    """Groups of what began at `times_us` (ascending) within `fold_s` of each other; `name` gives
    the id of one alone, by its place; `maybe_alone` are the places to look for those of `before`.

    A group that was told before stays with its beginning, whoever has left or joined it since. What
    somebody noted on its own stays on its own. The others: from each beginning on, those within
    `fold_s`, if they are `fold_cars_min`.
    """
    window_us = int(config.fold_s * 1e6)
    free = np.ones(len(times_us), np.bool_)
    for place in maybe_alone:
        if name(place) in before.alone:
            free[place] = False
            yield _single(times_us, name, place)
    for anchor_us in sorted(before.anchors.get(key, ())):
        first = int(np.searchsorted(times_us, anchor_us))
        end = int(np.searchsorted(times_us, anchor_us + window_us, "right"))
        places = first + np.flatnonzero(free[first:end])
        if len(places):
            free[places] = False
            yield _together(key, anchor_us, places)
    left = np.flatnonzero(free)
    at, left_us = 0, times_us[left]
    for _ in range(config.items_max):
        if at >= len(left):
            return
        end = int(np.searchsorted(left_us, left_us[at] + window_us, "right"))
        if end - at >= config.fold_cars_min:
            yield _together(key, int(left_us[at]), left[at:end])
            at = end
        else:
            yield _single(times_us, name, int(left[at]))
            at += 1


def _single(times_us: Times, name: Callable[[int], str], place: int) -> Group:
    return Group(name(place), int(times_us[place]), np.array([place]), folded=False)


def _together(key: str, anchor_us: int, places: npt.NDArray[np.int64]) -> Group:
    return Group(f"{key}.together.{anchor_us}", anchor_us, places, folded=True)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]

"""Promises about people's notes on the work queue.

1. **Durable, shared**, as the registry's other promises. What an item is, is derived elsewhere
   (`api/work/`); kept is what people did, and enough of the item to show it once it is closed.
2. **One writer.** The api process alone adds and closes; it may keep what it read.

Methods may be called from any thread. Those that change something write to disk: call them from a
thread of their own.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class NotedItem(NamedTuple):
    """An item that somebody has noted something on, as it was then."""

    id: str
    kind: str
    severity: str
    topic: str  # what it folds by
    title: str
    detail: str
    since_us: int
    vehicle_id: int | None  # none: of several vehicles
    closed_us: int | None = None
    closed_by: str = ""


class WorkNote(NamedTuple):
    """What somebody did to an item."""

    id: int
    item: str
    time_us: int
    subject: str
    who: str  # their name, as it was
    what: str  # acknowledge, assign, snooze, comment
    text: str  # a comment; to whom it was assigned
    until_us: int | None  # of a snooze


class WorkNotes(Protocol):
    """See the module."""

    def open(self) -> list[NotedItem]:
        """Those that are not closed, in the order they were noted first."""

    def closed(self, limit: int) -> list[NotedItem]:
        """The others, the last closed first."""

    def notes(self, item: str) -> list[WorkNote]:
        """Of one item, but for those that were undone, the first first."""

    def add(self, item: NotedItem, note: WorkNote) -> WorkNote:
        """Keep a note, and the item with its first; returns it with its `id`."""

    def undo(self, note_id: int, time_us: int) -> None:
        """A note does not count any more; that it was, stays in the file."""

    def close(self, closings: Sequence[tuple[str, int, str]], before_us: int) -> None:
        """Close items: (id, when, by whom). Those closed before `before_us` are forgotten."""

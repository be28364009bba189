"""Notes on the work queue in the registry's file. `port.py` has the promises."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from motorcade.registry.people.store import Store
from motorcade.registry.statements import text_of
from motorcade.registry.work.port import NotedItem, WorkNote
from motorcade.registry.work.tables import WORK_ITEMS, WORK_NOTES

_CLOSED: Final = WORK_ITEMS.c.closed_time_us
OPEN: Final = text_of(select(WORK_ITEMS).where(_CLOSED.is_(None)).order_by(WORK_ITEMS.c.id))
CLOSED: Final = text_of(
    select(WORK_ITEMS)
    .where(_CLOSED.is_not(None))
    .order_by(_CLOSED.desc(), WORK_ITEMS.c.id)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
_NOTE: Final = [column for column in WORK_NOTES.c if column.name != "undone_time_us"]
NOTES: Final = text_of(
    select(*_NOTE)
    .where(WORK_NOTES.c.item == bindparam("item"), WORK_NOTES.c.undone_time_us.is_(None))
    .order_by(WORK_NOTES.c.id)
)


class EmbeddedWorkNotes:
    """A `WorkNotes`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self) -> list[NotedItem]:
        return [NotedItem(*row) for row in self._store.rows(OPEN)]

    def closed(self, limit: int) -> list[NotedItem]:
        return [NotedItem(*row) for row in self._store.rows(CLOSED, limit, 0)]

    def notes(self, item: str) -> list[WorkNote]:
        return [WorkNote(*row) for row in self._store.rows(NOTES, item)]

    def add(self, item: NotedItem, note: WorkNote) -> WorkNote:
        columns = [column.name for column in WORK_ITEMS.c]
        row = dict(zip(columns, item, strict=True))
        made = insert(WORK_NOTES).values(
            item=note.item,
            time_us=note.time_us,
            subject=note.subject,
            who=note.who,
            what=note.what,
            text=note.text,
            until_time_us=note.until_us,
        )
        with self._store.changing() as connection:
            again = {"closed_time_us": None, "closed_by": ""}
            kept = insert_or(WORK_ITEMS).values(**row).on_conflict_do_update(["id"], set_=again)
            connection.execute(kept)
            note_id: Any = connection.execute(made.returning(WORK_NOTES.c.id)).scalar_one()
        return note._replace(id=int(note_id))

    def undo(self, note_id: int, time_us: int) -> None:
        mine = update(WORK_NOTES).where(WORK_NOTES.c.id == note_id)
        with self._store.changing() as connection:
            connection.execute(mine.values(undone_time_us=time_us))

    def close(self, closings: Sequence[tuple[str, int, str]], before_us: int) -> None:
        is_old = _CLOSED.between(0, before_us)
        old = select(WORK_ITEMS.c.id).where(is_old)
        with self._store.changing() as connection:
            for item, time_us, who in closings:
                mine = update(WORK_ITEMS).where(WORK_ITEMS.c.id == item)
                connection.execute(mine.values(closed_time_us=time_us, closed_by=who))
            connection.execute(delete(WORK_NOTES).where(WORK_NOTES.c.item.in_(old)))
            connection.execute(delete(WORK_ITEMS).where(is_old))

"""Links by which somebody without an account reads a view, in the embedded registry."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select

from motorcade.identity.port import OWNER_SUBJECT
from motorcade.registry.errors import NotFoundError, TooManyError
from motorcade.registry.people import statements
from motorcade.registry.people.port import Share, ShareRequest
from motorcade.registry.people.store import Store, shrink
from motorcade.registry.people.tables import PEOPLE, SHARES

NO_SHARE: Final = "no such link, or it has ended, or it is another's"
_ID_MAX: Final = (1 << 63) - 1
_HAS_A_ROLE: Final = select(PEOPLE.c.id).where(
    statements.HERE, (PEOPLE.c.role != "") | (PEOPLE.c.subject == OWNER_SUBJECT)
)


class Shares:
    """The part of `People` that is about shared links."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def make_share(self, asked: ShareRequest) -> tuple[Share, str]:
        store = self._store
        token, now_us, most = store.draw(), store.clock.now_us(), store.config.shares_per_person_max
        mine = SHARES.c.person_id == asked.person_id
        with store.changing() as connection:
            connection.execute(delete(SHARES).where(SHARES.c.ends_time_us <= now_us))
            open_now = connection.scalar(select(func.count()).select_from(SHARES).where(mine))
            if (open_now or 0) >= most:
                raise TooManyError(f"{most} links of yours are open, which is the most: end one")
            if not connection.execute(_HAS_A_ROLE.where(PEOPLE.c.id == asked.person_id)).first():
                raise NotFoundError("you have no role any more, so there is no view to share")
            share_id = connection.execute(
                insert(SHARES)
                .values(
                    hash=store.hash("share", token),
                    person_id=asked.person_id,
                    view=asked.view,
                    vehicle_id=asked.vehicle_id,
                    located=asked.located,
                    made_time_us=now_us,
                    ends_time_us=asked.ends_time_us,
                )
                .returning(SHARES.c.id)
            ).scalar_one()
            return _share(connection, share_id), token

    def shares(self, person_id: int, before_id: int, limit: int) -> list[Share]:
        whose = (person_id, person_id or _ID_MAX)
        asked = (self._store.clock.now_us(), *whose, before_id or _ID_MAX, limit)
        return [Share(*row) for row in self._store.rows(statements.SHARES_PAGE, *asked)]

    def end_share(self, share_id: int, person_id: int) -> Share:
        with self._store.changing() as connection:
            share = _share(connection, share_id)
            if person_id not in (0, share.person_id):
                raise NotFoundError(NO_SHARE)
            connection.execute(delete(SHARES).where(SHARES.c.id == share_id))
            shrink(connection)
        return share

    def share(self, token: str) -> Share | None:
        hashed = self._store.hash("share", token)
        rows = self._store.rows(statements.SHARE_BY_HASH, hashed, self._store.clock.now_us())
        return Share(*rows[0]) if rows else None

    def share_scopes(self, share_id: int) -> frozenset[str] | None:
        """What its tokens may do now; `None`: it has ended."""
        rows = self._store.rows(statements.SHARE_STANDING, share_id, self._store.clock.now_us())
        return Share(*rows[0]).scopes if rows else None


def _share(connection: Connection, share_id: int) -> Share:
    """Raises `NotFoundError`."""
    row: Sequence[Any] | None = connection.execute(statements.SHARE, {"id": share_id}).first()
    if row is None:
        raise NotFoundError(NO_SHARE)
    return Share(*row)


def end_shares(connection: Connection, person_id: int) -> None:
    """Of somebody who has no role any more."""
    connection.execute(delete(SHARES).where(SHARES.c.person_id == person_id))

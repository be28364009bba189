"""What people grant to apps, and the codes and sessions that carry it, in the embedded registry."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from motorcade.identity.port import SHARE_CLIENT
from motorcade.identity.scopes import OFFLINE_ACCESS
from motorcade.registry.errors import NotFoundError
from motorcade.registry.people import statements
from motorcade.registry.people.port import App, Code, CodeRequest, Grant, Person, Session
from motorcade.registry.people.shares import Shares
from motorcade.registry.people.store import shrink, words
from motorcade.registry.people.tables import (
    APPS,
    CODES,
    GRANTS,
    REFRESH_TOKENS,
    REVOKED_TOKENS,
    SESSIONS,
    SIGN_INS,
)

CODES_KNOWN_S: Final = 86_400  # so long after its end, a code that is used again ends its session
IN_LIST_MAX: Final = 500  # SQLite takes 999 parameters in its oldest builds
SIBLINGS_MAX: Final = 16  # refresh tokens of one turn: the oldest are forgotten
TURNS_MAX: Final = 500  # of one session whose refresh tokens are known as used; older: unknown
_SWEPT_TURNS: Final = 100  # older ones are deleted once in so many


class Grants(Shares):
    """The part of `People` that is about grants, and whose tokens stand."""

    def grants(self, person_id: int) -> list[Grant]:
        return [
            Grant(grant_id, client_id, name, words(scopes), purpose, granted_us, used_us)
            for grant_id, client_id, name, scopes, purpose, granted_us, used_us in self._store.rows(
                statements.GRANTS_OF, person_id
            )
        ]

    def revoke_grant(self, person_id: int, client_id: str) -> None:
        app_id = select(APPS.c.id).where(APPS.c.client_id == client_id).scalar_subquery()
        mine = (
            GRANTS.c.person_id == person_id,
            GRANTS.c.app_id == app_id,
            statements.GRANT_STANDS,
        )
        now_us = self._store.clock.now_us()
        with self._store.changing() as connection:
            revoked = update(GRANTS).where(*mine).values(revoked_time_us=now_us)
            if connection.execute(revoked).rowcount == 0:
                raise NotFoundError(f"no app {client_id[:80]!r} holds anything of this person")
            shrink(connection)

    def used(self, session_ids: Sequence[int]) -> None:
        now_us = self._store.clock.now_us()
        for start in range(0, len(session_ids), IN_LIST_MAX):
            some = session_ids[start : start + IN_LIST_MAX]
            granted = select(SESSIONS.c.grant_id).where(SESSIONS.c.id.in_(some))
            with self._store.changing() as connection:
                connection.execute(
                    update(GRANTS).where(GRANTS.c.id.in_(granted)).values(used_time_us=now_us)
                )

    def issue_code(self, asked: CodeRequest, prefix: str) -> str:
        store = self._store
        code, now_us = prefix + store.draw(), store.clock.now_us()
        with store.changing() as connection:
            _refuse_signed_out(connection, asked, now_us)
            known_us = now_us - CODES_KNOWN_S * 1_000_000
            connection.execute(delete(CODES).where(CODES.c.expires_time_us <= known_us))
            connection.execute(
                insert(CODES).values(
                    hash=store.hash("code", code),
                    grant_id=_grant(connection, asked, now_us),
                    scopes=" ".join(asked.scopes),
                    asked=" ".join(asked.asked),
                    redirect_uri=asked.redirect_uri,
                    challenge=asked.challenge,
                    nonce=asked.nonce,
                    signed_in_time_us=asked.signed_in_time_us,
                    expires_time_us=now_us + store.config.code_s * 1_000_000,
                )
            )
        return code

    def code(self, code: str, app: App) -> Code | None:
        rows = self._store.rows(statements.CODE_TEXT, *self._code_key(code, app).values())
        if not rows:
            return None
        session_id, expires_us = rows[0][:2]
        if session_id is not None:
            self.end_session(session_id)
            return None
        return _code(rows[0]) if expires_us > self._store.clock.now_us() else None

    def begin_session(self, code: str, app: App, prefix: str) -> tuple[Session, str] | None:
        store = self._store
        now_us = store.clock.now_us()
        with store.changing() as connection:
            key = self._code_key(code, app)
            row = connection.execute(statements.CODE, key).one_or_none()
            if row is None:
                return None
            if row[0] is not None:
                _end_session(connection, row[0], now_us)
            if row[0] is not None or row[1] <= now_us:
                return None
            kept = _code(row)
            _end_oldest(connection, kept.grant_id, store.config.sessions_per_grant_max - 1)
            session_id = connection.execute(
                insert(SESSIONS)
                .values(
                    grant_id=kept.grant_id,
                    scopes=" ".join(kept.scopes),
                    signed_in_time_us=kept.signed_in_time_us,
                    begun_time_us=now_us,
                    turn=0,
                    last_hash="",
                    last_time_us=now_us,
                )
                .returning(SESSIONS.c.id)
            ).scalar_one()
            mine = CODES.c.hash == key["hash"]
            connection.execute(update(CODES).where(mine).values(session_id=session_id))
            _mark_used(connection, session_id, now_us)
            session = Session(session_id, kept.person, kept.scopes, kept.signed_in_time_us)
            if OFFLINE_ACCESS not in kept.scopes:
                return session, ""
            return session, self._issue_refresh(connection, session_id, 0, prefix)

    def refresh(self, token: str, app: App, prefix: str) -> tuple[Session, str] | None:
        store = self._store
        now_us = store.clock.now_us()
        key = self._refresh_key(token, app)
        if not store.rows(statements.REFRESHABLE_TEXT, *key.values()):
            return None  # a stranger's guess holds up nobody who writes
        with store.changing() as connection:
            row = connection.execute(statements.REFRESHABLE, key).one_or_none()
            if row is None:
                return None
            turn, last_hash, token_turn, expires_us = row[1], row[2], row[7], row[8]
            mine = SESSIONS.c.id == row[0]
            if expires_us <= now_us:
                return None
            if token_turn < turn and not self._again(row, key["hash"], now_us):
                _end_session(connection, row[0], now_us)
                return None
            if key["hash"] != last_hash:
                connection.execute(
                    update(SESSIONS)
                    .where(mine)
                    .values(turn=turn + 1, last_hash=key["hash"], last_time_us=now_us)
                )
                turn += 1
            _mark_used(connection, row[0], now_us)
            return _session(row), self._issue_refresh(connection, row[0], turn, prefix)

    def session_of(self, refresh_token: str, app: App) -> Session | None:
        key = self._refresh_key(refresh_token, app)
        rows = self._store.rows(statements.REFRESHABLE_TEXT, *key.values())
        now_us = self._store.clock.now_us()
        if not rows or rows[0][8] <= now_us:
            return None
        row = rows[0]
        good = row[7] == row[1] or self._again(row, key["hash"], now_us)
        return _session(row) if good else None

    def end_session(self, session_id: int) -> None:
        with self._store.changing() as connection:
            _end_session(connection, session_id, self._store.clock.now_us())

    def revoke_token(self, token_id: str, expires_time_us: int) -> None:
        over = REVOKED_TOKENS.c.expires_time_us <= self._store.clock.now_us()
        mine = REVOKED_TOKENS.c.token_id == token_id
        with self._store.changing() as connection:
            connection.execute(delete(REVOKED_TOKENS).where(over | mine))
            revoked = {"token_id": token_id, "expires_time_us": expires_time_us}
            connection.execute(insert(REVOKED_TOKENS).values(**revoked))
            shrink(connection)

    def standing(self, session_id: int, token_id: str, client_id: str) -> frozenset[str] | None:
        if client_id == SHARE_CLIENT:
            return self.share_scopes(session_id)
        if token_id and self._store.rows(statements.TOKEN_REVOKED, token_id):
            return None
        if not session_id:
            rows = self._store.rows(statements.BY_CLIENT_ID, client_id)
            return frozenset(words(rows[0][5])) if rows else None
        rows = self._store.rows(statements.STANDING, session_id, client_id)
        return frozenset(words(rows[0][0])) & frozenset(words(rows[0][1])) if rows else None

    def people_changes(self) -> int:
        return int(self._store.rows(statements.CHANGE_COUNT)[0][0])

    def _code_key(self, code: str, app: App) -> dict[str, Any]:
        hashed = self._store.hash("code", code)
        return {"hash": hashed, "app_id": app.id}

    def _refresh_key(self, token: str, app: App) -> dict[str, Any]:
        return {"hash": self._store.hash("refresh", token), "app_id": app.id}

    def _again(self, row: Any, hashed: str, now_us: int) -> bool:
        """Whether this is the refresh token used last, within its day."""
        again_us = self._store.config.refresh_again_s * 1_000_000
        return bool(row[2] == hashed and now_us < row[3] + again_us)

    def _issue_refresh(
        self, connection: Connection, session_id: int, turn: int, prefix: str
    ) -> str:
        store = self._store
        token, now_us = prefix + store.draw(), store.clock.now_us()
        mine = REFRESH_TOKENS.c.session_id == session_id
        over = REFRESH_TOKENS.c.expires_time_us <= now_us
        connection.execute(delete(REFRESH_TOKENS).where(mine, over))
        if turn % _SWEPT_TURNS == 0:
            old = REFRESH_TOKENS.c.turn < turn - TURNS_MAX
            connection.execute(delete(REFRESH_TOKENS).where(mine, old))
        siblings = (mine, REFRESH_TOKENS.c.turn == turn)
        newest = select(REFRESH_TOKENS.c.hash).where(*siblings)
        newest = newest.order_by(REFRESH_TOKENS.c.expires_time_us.desc()).limit(SIBLINGS_MAX - 1)
        kept = connection.scalars(newest).all()
        forgotten = delete(REFRESH_TOKENS).where(*siblings, REFRESH_TOKENS.c.hash.not_in(kept))
        connection.execute(forgotten)
        connection.execute(
            insert(REFRESH_TOKENS).values(
                hash=store.hash("refresh", token),
                session_id=session_id,
                turn=turn,
                expires_time_us=now_us + store.config.refresh_token_s * 1_000_000,
            )
        )
        return token


def _refuse_signed_out(connection: Connection, asked: CodeRequest, now_us: int) -> None:
    """Whoever allows while the password is changed, or the person removed, is too late."""
    standing = select(SIGN_INS.c.hash).where(
        SIGN_INS.c.hash == asked.sign_in_id,
        SIGN_INS.c.person_id == asked.person_id,
        SIGN_INS.c.expires_time_us > now_us,
    )
    if connection.execute(standing).first() is None:
        raise NotFoundError("the browser in which this was allowed is signed in no longer")


def _grant(connection: Connection, asked: CodeRequest, now_us: int) -> int:
    """The id of the person's grant to the app, which holds these scopes from now on."""
    mine = (
        GRANTS.c.person_id == asked.person_id,
        GRANTS.c.app_id == asked.app_id,
        statements.GRANT_STANDS,
    )
    purpose = connection.execute(select(APPS.c.purpose).where(APPS.c.id == asked.app_id)).scalar()
    now = {"scopes": " ".join(asked.scopes), "purpose": purpose or ""}
    found = connection.execute(select(GRANTS.c.id, GRANTS.c.scopes).where(*mine)).one_or_none()
    if found is None:
        row = {"person_id": asked.person_id, "app_id": asked.app_id, "granted_time_us": now_us}
        added = insert(GRANTS).values(**row, **now).returning(GRANTS.c.id)
        return int(connection.execute(added).scalar_one())
    connection.execute(update(GRANTS).where(GRANTS.c.id == found[0]).values(**now))
    if set(words(found[1])) - set(asked.scopes):
        shrink(connection)
    return int(found[0])


def _end_oldest(connection: Connection, grant_id: int, kept: int) -> None:
    """Forget all but the newest sessions of a grant: what an app can store has an end."""
    newest = select(SESSIONS.c.id).where(SESSIONS.c.grant_id == grant_id)
    rest = newest.order_by(SESSIONS.c.id.desc()).limit(IN_LIST_MAX).offset(kept)
    gone = connection.scalars(rest).all()
    if not gone:
        return
    connection.execute(delete(REFRESH_TOKENS).where(REFRESH_TOKENS.c.session_id.in_(gone)))
    connection.execute(delete(CODES).where(CODES.c.session_id.in_(gone)))
    connection.execute(delete(SESSIONS).where(SESSIONS.c.id.in_(gone)))
    shrink(connection)


def _mark_used(connection: Connection, session_id: int, now_us: int) -> None:
    grant = select(SESSIONS.c.grant_id).where(SESSIONS.c.id == session_id).scalar_subquery()
    connection.execute(update(GRANTS).where(GRANTS.c.id == grant).values(used_time_us=now_us))


def _end_session(connection: Connection, session_id: int, now_us: int) -> None:
    """Its refresh tokens stay, so that one used again is still known as of an ended session."""
    standing = (SESSIONS.c.id == session_id, statements.SESSION_STANDS)
    ended = update(SESSIONS).where(*standing).values(ended_time_us=now_us)
    if connection.execute(ended).rowcount:
        shrink(connection)


def _code(row: Any) -> Code:
    grant_id, scopes, asked, redirect_uri, challenge, nonce, signed_in_us = row[2:9]
    return Code(
        person=Person(*row[9:]),
        grant_id=grant_id,
        scopes=words(scopes),
        asked=words(asked),
        redirect_uri=redirect_uri,
        challenge=challenge,
        nonce=nonce,
        signed_in_time_us=signed_in_us,
    )


def _session(row: Any) -> Session:
    held = set(words(row[5]))
    scopes = tuple(scope for scope in words(row[4]) if scope in held)
    return Session(row[0], Person(*row[9:]), scopes, row[6])

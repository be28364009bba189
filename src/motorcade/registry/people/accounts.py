"""People and their browsers, in the embedded registry."""

import hmac
from collections.abc import Sequence
from functools import cached_property

from sqlalchemy import Connection, delete, insert, select, update

from motorcade.identity.port import (
    ADMIN,
    OWNER_SUBJECT,
    PAGE_CLIENT,
    RESERVED_SUBJECTS,
    ROLES,
)
from motorcade.registry.errors import (
    AlreadyExistsError,
    InvalidNameError,
    LastAdminError,
    NotFoundError,
)
from motorcade.registry.people import statements
from motorcade.registry.people.names import check_email, check_subject, check_text
from motorcade.registry.people.port import Person, SignIn
from motorcade.registry.people.shares import end_shares
from motorcade.registry.people.store import Store, shrink
from motorcade.registry.people.stretching import SALT_BYTES, fits, stretch
from motorcade.registry.people.tables import APPS, CODES, GRANTS, PEOPLE, SESSIONS, SIGN_INS
from motorcade.registry.sharing.tables import DRIVERS

_SIGN_INS_MAX = 50  # of one person; more: the oldest is forgotten


class Accounts:
    """The part of `People` that is about people."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_person(
        self, email: str, full_name: str, password: str | None = None, subject: str = ""
    ) -> tuple[Person, str]:
        store = self._store
        email, full_name = check_email(email), check_text(full_name, "full name")
        subject = check_subject(subject) if subject else store.entropy(16).hex()
        if subject in RESERVED_SUBJECTS - {OWNER_SUBJECT}:
            raise InvalidNameError(f"subject {subject!r} is the platform's: choose another")
        chosen = password if password is not None else store.draw()
        hashed = stretch(chosen, store.entropy(SALT_BYTES), store.config)
        with store.changing() as connection:
            _refuse_taken(connection, email, subject)
            person = _insert(connection, email, full_name, subject, hashed, store.clock.now_us())
        return person, chosen

    def add_first_person(self, email: str, full_name: str, subject: str) -> str:
        store = self._store
        password = store.draw()
        hashed = stretch(password, store.entropy(SALT_BYTES), store.config)
        with store.changing() as connection:
            if connection.execute(select(PEOPLE.c.id).limit(1)).first():
                return ""
            _insert(connection, email, full_name, subject, hashed, store.clock.now_us())
        return password

    def people(self, after_id: int = 0, limit: int = -1) -> list[Person]:
        rows = self._store.rows(statements.PEOPLE_PAGE, after_id, limit)
        return [Person(*row) for row in rows]

    def person(self, subject: str) -> Person | None:
        rows = self._store.rows(statements.BY_SUBJECT, subject)
        return Person(*rows[0]) if rows else None

    def role(self, subject: str) -> str:
        rows = self._store.rows(statements.ROLE, subject)
        return str(rows[0][0]) if rows else ""

    def set_role(self, name: str, role: str) -> Person:
        if role not in ("", *ROLES):
            raise InvalidNameError(f"role {role[:40]!r}: write one of {', '.join(ROLES)}, or none")
        now_us = self._store.clock.now_us()
        with self._store.changing() as connection:
            person = find_person(connection, name)
            if role != ADMIN:
                _refuse_last_admin(connection, person)
            mine = PEOPLE.c.id == person.id
            connection.execute(update(PEOPLE).where(mine).values(role=role))
            if not role:
                end_shares(connection, person.id)
            page = select(APPS.c.id).where(APPS.c.client_id == PAGE_CLIENT).scalar_subquery()
            held = (GRANTS.c.person_id == person.id, GRANTS.c.app_id == page)
            ended = update(GRANTS).where(*held, statements.GRANT_STANDS)
            connection.execute(ended.values(revoked_time_us=now_us))
            shrink(connection)
        return person

    def check_password(self, email: str, password: str) -> Person | None:
        rows = self._store.rows(statements.PASSWORD, email.strip().lower())
        stored = rows[0][0] if rows else self._nobody
        good = fits(stored, password, self._store.config)
        return Person(*rows[0][1:]) if rows and good else None

    def set_password(self, name: str, password: str | None = None) -> str:
        store = self._store
        chosen = password if password is not None else store.draw()
        hashed = stretch(chosen, store.entropy(SALT_BYTES), store.config)
        with store.changing() as connection:
            person = find_person(connection, name)
            mine = PEOPLE.c.id == person.id
            connection.execute(update(PEOPLE).where(mine).values(password_hash=hashed))
            self._end_sessions(connection, person)
        return chosen

    def remove_person(self, name: str) -> Person:
        now_us = self._store.clock.now_us()
        with self._store.changing() as connection:
            person = find_person(connection, name)
            mine = PEOPLE.c.id == person.id
            connection.execute(update(PEOPLE).where(mine).values(removed_time_us=now_us))
            connection.execute(
                update(GRANTS)
                .where(GRANTS.c.person_id == person.id, statements.GRANT_STANDS)
                .values(revoked_time_us=now_us)
            )
            connection.execute(
                update(APPS)
                .where(APPS.c.person_id == person.id, statements.APP_STANDS)
                .values(revoked_time_us=now_us)
            )
            # The subject may be given to somebody else, who was never invited.
            connection.execute(delete(DRIVERS).where(DRIVERS.c.subject == person.subject))
            end_shares(connection, person.id)
            self._end_sessions(connection, person)
        return person

    def browser_mark(self, email: str, browser: str) -> str:
        rows = self._store.rows(statements.PASSWORD, email.strip().lower())
        mark = self._mark(rows[0][0] if rows else "", browser)
        return mark if rows else ""

    def begin_sign_in(self, person_id: int, browser: str, mark: str) -> str:
        store = self._store
        secret, now_us = store.draw(), store.clock.now_us()
        password = select(PEOPLE.c.password_hash).where(PEOPLE.c.id == person_id, statements.HERE)
        with store.changing() as connection:
            stored = connection.scalar(password)
            if stored is None or not hmac.compare_digest(self._mark(stored, browser), mark):
                return ""
            connection.execute(delete(SIGN_INS).where(SIGN_INS.c.expires_time_us <= now_us))
            mine = SIGN_INS.c.person_id == person_id
            newest = select(SIGN_INS.c.hash).where(mine).limit(_SIGN_INS_MAX - 1)
            newest = newest.order_by(SIGN_INS.c.signed_in_time_us.desc())
            kept = connection.scalars(newest).all()
            connection.execute(delete(SIGN_INS).where(mine, SIGN_INS.c.hash.not_in(kept)))
            connection.execute(
                insert(SIGN_INS).values(
                    hash=store.hash("sign-in", secret),
                    person_id=person_id,
                    signed_in_time_us=now_us,
                    expires_time_us=now_us + store.config.sign_in_s * 1_000_000,
                )
            )
        return secret

    def sign_in(self, secret: str) -> SignIn | None:
        store = self._store
        hashed = store.hash("sign-in", secret)
        rows = store.rows(statements.SIGN_IN, hashed, store.clock.now_us())
        return SignIn(Person(*rows[0][1:]), rows[0][0], hashed) if rows else None

    def end_sign_in(self, secret: str) -> None:
        hashed = self._store.hash("sign-in", secret)
        with self._store.changing() as connection:
            connection.execute(delete(SIGN_INS).where(SIGN_INS.c.hash == hashed))

    def _mark(self, password_hash: str, browser: str) -> str:
        return self._store.hash("browser", f"{password_hash}\0{browser}")

    @cached_property
    def _nobody(self) -> str:
        """A hash that no password fits, as costly to check as anybody's."""
        return stretch(self._store.draw(), self._store.entropy(SALT_BYTES), self._store.config)

    def _end_sessions(self, connection: Connection, person: Person) -> None:
        """Of this person: browsers, every session of an app, and codes that would begin one."""
        connection.execute(delete(SIGN_INS).where(SIGN_INS.c.person_id == person.id))
        granted = select(GRANTS.c.id).where(GRANTS.c.person_id == person.id)
        # Codes that were used stay: one used again is known by them.
        unused = (CODES.c.grant_id.in_(granted), CODES.c.session_id.is_(None))
        connection.execute(delete(CODES).where(*unused))
        connection.execute(
            update(SESSIONS)
            .where(SESSIONS.c.grant_id.in_(granted), statements.SESSION_STANDS)
            .values(ended_time_us=self._store.clock.now_us())
        )
        shrink(connection)


def find_person(connection: Connection, name: str) -> Person:
    """By e-mail or subject. Raises `NotFoundError`."""
    either = (PEOPLE.c.email == name.strip().lower()) | (PEOPLE.c.subject == name)
    rows: Sequence[tuple[object, ...]] = connection.execute(statements.PERSON.where(either)).all()
    if len(rows) != 1:  # two: one's e-mail is the other's subject
        known = "`motorcade person list` shows all"
        raise NotFoundError(f"no person with the e-mail or subject {name[:80]!r}: {known}")
    return Person(*rows[0])  # type: ignore[arg-type]


def _refuse_last_admin(connection: Connection, person: Person) -> None:
    """Raises `LastAdminError`."""
    if person.subject == OWNER_SUBJECT:
        raise LastAdminError("the owner is an admin and stays one")
    if person.role != ADMIN:
        return
    admins = (PEOPLE.c.role == ADMIN) | (PEOPLE.c.subject == OWNER_SUBJECT)
    others = select(PEOPLE.c.id).where(statements.HERE, admins, PEOPLE.c.id != person.id)
    if connection.execute(others.limit(1)).first() is None:
        raise LastAdminError(f"{person.email} is the last admin: make somebody else one first")


def _insert(
    connection: Connection, email: str, full_name: str, subject: str, hashed: str, now_us: int
) -> Person:
    row = {
        "subject": subject,
        "email": email,
        "full_name": full_name,
        "password_hash": hashed,
        "added_time_us": now_us,
    }
    added = insert(PEOPLE).values(**row).returning(*statements.PERSON_COLUMNS)
    return Person(*connection.execute(added).one())


def _refuse_taken(connection: Connection, email: str, subject: str) -> None:
    either = (PEOPLE.c.email == email) | (PEOPLE.c.subject == subject)
    if connection.execute(select(PEOPLE.c.id).where(either, statements.HERE)).first():
        raise AlreadyExistsError(f"there is a person {email!r} or a subject {subject!r} already")
    # A token whose subject is its client is an app's own (RFC 9068 §2.2): never a person's.
    if connection.execute(select(APPS.c.id).where(APPS.c.client_id == subject)).first():
        raise AlreadyExistsError(f"the subject {subject!r} is an app's client id: choose another")

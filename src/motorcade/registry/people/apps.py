"""Apps, in the embedded registry."""

import hmac
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from motorcade.identity.port import RESERVED_SUBJECTS
from motorcade.registry.errors import AlreadyExistsError, InvalidNameError, NotFoundError
from motorcade.registry.people import statements
from motorcade.registry.people.names import (
    check_domain,
    check_public_key,
    check_redirects,
    check_scopes,
    check_subject,
    check_text,
)
from motorcade.registry.people.port import App, AppRequest
from motorcade.registry.people.store import Store, shrink, words
from motorcade.registry.people.tables import APPS, GRANTS, PEOPLE


class Apps:
    """The part of `People` that is about apps."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_app(self, asked: AppRequest, person_id: int | None = None) -> tuple[App, str]:
        store = self._store
        client_id = asked.client_id or store.entropy(16).hex()
        secret = (asked.secret or store.draw()) if asked.confidential else ""
        redirects = check_redirects(asked.redirect_uris, uris_max=store.config.redirect_uris_max)
        _refuse_useless(redirects, asked.confidential)
        row = {
            "client_id": check_subject(client_id, "client id"),
            "secret_hash": store.hash("app", secret) if secret else None,
            "name": check_text(asked.name, "name"),
            "purpose": check_text(asked.purpose, "purpose", empty=True),
            "scopes": " ".join(check_scopes(asked.scopes)),
            "redirect_uris": "\n".join(redirects),
            "domain": check_domain(asked.domain),
            "public_key_pem": check_public_key(asked.public_key_pem),
            "person_id": person_id,
            "added_time_us": store.clock.now_us(),
        }
        with store.changing() as connection:
            _refuse_taken(connection, client_id)
            if person_id is not None:
                self._refuse_many(connection, person_id)
            added = insert(APPS).values(**row).returning(*statements.APP_COLUMNS)
            return _app(connection.execute(added).one()), secret

    def apps(self) -> list[App]:
        return [_app(row) for row in self._store.rows(statements.APPS_ALL)]

    def apps_of(self, person_id: int) -> list[App]:
        return [_app(row) for row in self._store.rows(statements.BY_PERSON, person_id)]

    def apps_with_key(self, public_key_pem: str) -> list[App]:
        return [_app(row) for row in self._store.rows(statements.BY_KEY, public_key_pem)]

    def app(self, client_id: str) -> App | None:
        rows = self._store.rows(statements.BY_CLIENT_ID, client_id)
        return _app(rows[0]) if rows else None

    def secret_fits(self, app: App, secret: str) -> bool:
        rows = self._store.rows(statements.BY_CLIENT_ID, app.client_id)
        stored = (rows[0][2] if rows else None) or ""
        return hmac.compare_digest(stored, self._store.hash("app", secret))

    def renew_secret(self, client_id: str) -> str:
        secret = self._store.draw()
        with self._store.changing() as connection:
            app = find_app(connection, client_id)
            if not app.confidential:
                raise InvalidNameError(f"app {client_id!r} has no secret, it proves itself by PKCE")
            hashed = self._store.hash("app", secret)
            mine = APPS.c.id == app.id
            connection.execute(update(APPS).where(mine).values(secret_hash=hashed))
        return secret

    def change_app(
        self, client_id: str, *, redirect_uris: Sequence[str], domain: str, public_key_pem: str
    ) -> App:
        redirects = check_redirects(redirect_uris, uris_max=self._store.config.redirect_uris_max)
        values = {
            "redirect_uris": "\n".join(redirects),
            "domain": check_domain(domain),
            "public_key_pem": check_public_key(public_key_pem),
        }
        with self._store.changing() as connection:
            app = find_app(connection, client_id)
            _refuse_useless(redirects, app.confidential)
            changed = update(APPS).where(APPS.c.id == app.id).values(**values)
            row = connection.execute(changed.returning(*statements.APP_COLUMNS)).one()
        return _app(row)

    def revoke_app(self, client_id: str) -> App:
        now_us = self._store.clock.now_us()
        with self._store.changing() as connection:
            app = find_app(connection, client_id)
            ended = {"revoked_time_us": now_us}
            connection.execute(update(APPS).where(APPS.c.id == app.id).values(**ended))
            mine = (GRANTS.c.app_id == app.id, statements.GRANT_STANDS)
            connection.execute(update(GRANTS).where(*mine).values(**ended))
            shrink(connection)
        return app

    def _refuse_many(self, connection: Connection, person_id: int) -> None:
        mine = (APPS.c.person_id == person_id, statements.APP_STANDS)
        count = connection.execute(select(func.count()).select_from(APPS).where(*mine)).scalar_one()
        if count >= self._store.config.apps_per_person_max:
            raise InvalidNameError(f"{count} apps are the most that one person registers")


def find_app(connection: Connection, client_id: str) -> App:
    """The app of this client id. Raises `NotFoundError`."""
    row = connection.execute(statements.APP.where(APPS.c.client_id == client_id)).one_or_none()
    if row is None:
        known = "`motorcade app list` shows all"
        raise NotFoundError(f"no app has the client id {client_id[:80]!r}: {known}")
    return _app(row)


def _refuse_useless(redirects: Sequence[str], confidential: bool) -> None:
    if not redirects and not confidential:
        raise InvalidNameError("an app without a secret needs a redirect URI")


def _refuse_taken(connection: Connection, client_id: str) -> None:
    """A revoked app's id stays taken: its tokens name it.

    So do the subjects that own or see everything: an app's own token has its id as its subject.
    """
    if client_id in RESERVED_SUBJECTS:
        raise AlreadyExistsError(f"the client id {client_id!r} is the platform's: choose another")
    if connection.execute(select(APPS.c.id).where(APPS.c.client_id == client_id)).first():
        raise AlreadyExistsError(f"the client id {client_id!r} is or was an app's: choose another")
    if connection.execute(select(PEOPLE.c.id).where(PEOPLE.c.subject == client_id)).first():
        raise AlreadyExistsError(f"the client id {client_id!r} is a person's subject")


def _app(row: Any) -> App:
    app_id, client_id, secret, name, purpose, scopes, redirects, domain, key, person, added = row
    return App(
        id=app_id,
        client_id=client_id,
        confidential=secret is not None,
        name=name,
        purpose=purpose,
        scopes=words(scopes),
        redirect_uris=tuple(redirects.split("\n")) if redirects else (),
        domain=domain,
        public_key_pem=key,
        person_id=person,
        added_time_us=added,
    )

"""Sharing in the registry's file. `port.py` has the promises."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update

from motorcade.registry.errors import AlreadyExistsError, NotFoundError, TooManyError
from motorcade.registry.people.apps import find_app
from motorcade.registry.people.names import public_point
from motorcade.registry.people.port import App
from motorcade.registry.people.statements import APP_STANDS
from motorcade.registry.people.store import Store
from motorcade.registry.people.tables import APPS
from motorcade.registry.port import Vehicle
from motorcade.registry.sharing import statements
from motorcade.registry.sharing.port import Driver, Home, Invitation, NamedKey, Registration
from motorcade.registry.sharing.tables import (
    DRIVERS,
    HOMES,
    INVITATIONS,
    NAMED_KEYS,
    REGISTRATIONS,
)
from motorcade.registry.tables import VEHICLES

_SECOND_US: Final = 1_000_000
_PENDING: Final = (
    INVITATIONS.c.redeemed_time_us.is_(None),
    INVITATIONS.c.revoked_time_us.is_(None),
)


class EmbeddedSharing:
    """A `Sharing` on the registry's connections."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows, self._changing = store.rows, store.changing
        self._clock, self._config = store.clock, store.config

    # Invitations.

    def invite(self, vehicle_id: int, inviter: str) -> Invitation:
        now_us = self._clock.now_us()
        invitation = {
            "vehicle_id": vehicle_id,
            "inviter": inviter,
            "code": self._store.draw(),
            "made_time_us": now_us,
            "expires_time_us": now_us + self._config.invitation_s * _SECOND_US,
        }
        with self._changing() as connection:
            self._refuse_too_many(connection, vehicle_id, now_us)
            made = insert(INVITATIONS).returning(*statements.INVITATION_COLUMNS)
            return Invitation(*connection.execute(made, invitation).one())

    def _refuse_too_many(self, connection: Connection, vehicle_id: int, now_us: int) -> None:
        pending = select(func.count()).where(
            INVITATIONS.c.vehicle_id == vehicle_id,
            INVITATIONS.c.expires_time_us > now_us,
            *_PENDING,
        )
        drivers = select(func.count()).where(DRIVERS.c.vehicle_id == vehicle_id)
        count = (connection.scalar(pending) or 0) + (connection.scalar(drivers) or 0)
        if count >= self._config.drivers_max:
            raise TooManyError(
                f"{count} drivers and pending invitations, at most {self._config.drivers_max}: "
                "revoke an invitation or remove a driver first"
            )

    def invitations(self, vehicle_id: int, offset: int, limit: int) -> list[Invitation]:
        rows = self._rows(statements.INVITATIONS_PAGE, vehicle_id, limit, offset)
        return [Invitation(*row) for row in rows]

    def invitation_count(self, vehicle_id: int) -> int:
        return int(self._rows(statements.INVITATION_COUNT, vehicle_id)[0][0])

    def revoke(self, vehicle_id: int, invitation_id: int) -> Invitation:
        now_us = self._clock.now_us()
        ended = (
            update(INVITATIONS)
            .where(
                INVITATIONS.c.id == invitation_id,
                INVITATIONS.c.vehicle_id == vehicle_id,
                INVITATIONS.c.expires_time_us > now_us,
                *_PENDING,
            )
            .values(code=None, revoked_time_us=now_us)
            .returning(*statements.INVITATION_COLUMNS)
        )
        with self._changing() as connection:
            row = connection.execute(ended).one_or_none()
        if row is None:
            raise NotFoundError("no such invitation of this vehicle, or not pending any more")
        return Invitation(*row)

    def redeem(self, code: str, subject: str) -> Driver:
        now_us = self._clock.now_us()
        used = (
            update(INVITATIONS)
            .where(
                INVITATIONS.c.code == code,
                INVITATIONS.c.inviter != subject,
                INVITATIONS.c.expires_time_us > now_us,
                INVITATIONS.c.vehicle_id.in_(
                    select(VEHICLES.c.id).where(VEHICLES.c.removed_time_us.is_(None))
                ),
                *_PENDING,
            )
            .values(code=None, redeemed_time_us=now_us)
            .returning(INVITATIONS.c.id, INVITATIONS.c.vehicle_id)
        )
        with self._changing() as connection:
            row = connection.execute(used).one_or_none()
            if row is None:
                raise NotFoundError("no such invitation: unknown, used, revoked, expired, or yours")
            return self._add_driver(connection, row[0], row[1], subject, now_us)

    def _add_driver(
        self, connection: Connection, invitation_id: int, vehicle_id: int, subject: str, now_us: int
    ) -> Driver:
        known = select(*statements.DRIVER_COLUMNS).where(
            DRIVERS.c.vehicle_id == vehicle_id, DRIVERS.c.subject == subject
        )
        row = connection.execute(known).one_or_none()
        if row is None:
            added = insert(DRIVERS).returning(*statements.DRIVER_COLUMNS)
            driver = {
                "vehicle_id": vehicle_id,
                "subject": subject,
                "invitation_id": invitation_id,
                "added_time_us": now_us,
            }
            row = connection.execute(added, driver).one()
        return Driver(*row)

    # Drivers.

    def drivers(self, vehicle_id: int) -> list[Driver]:
        return [Driver(*row) for row in self._rows(statements.DRIVERS_OF, vehicle_id)]

    def remove_driver(self, vehicle_id: int, driver_id: int) -> Driver:
        gone = (
            delete(DRIVERS)
            .where(DRIVERS.c.id == driver_id, DRIVERS.c.vehicle_id == vehicle_id)
            .returning(*statements.DRIVER_COLUMNS)
        )
        with self._changing() as connection:
            row = connection.execute(gone).one_or_none()
        if row is None:
            raise NotFoundError("no such driver of this vehicle")
        return Driver(*row)

    def drives(self, subject: str, vehicle_id: int) -> bool:
        return bool(self._rows(statements.DRIVES, subject, vehicle_id))

    def driven(self, subject: str, offset: int, limit: int) -> list[Vehicle]:
        return [Vehicle(*row) for row in self._rows(statements.DRIVEN, subject, limit, offset)]

    def driven_count(self, subject: str) -> int:
        return int(self._rows(statements.DRIVEN_COUNT, subject)[0][0])

    # Homes.

    def home(self, subject: str) -> Home | None:
        rows = self._rows(statements.HOME, subject)
        return Home(*rows[0]) if rows else None

    def set_home(self, subject: str, home: Home | None) -> None:
        with self._changing() as connection:
            connection.execute(delete(HOMES).where(HOMES.c.subject == subject))
            if home is not None:
                row = {"subject": subject, "region": home.region, "base_url": home.base_url}
                connection.execute(insert(HOMES).values(**row))

    # Apps.

    def register(self, client_id: str, domain: str, public_key: str) -> Registration:
        row = Registration(client_id, domain, public_key, self._clock.now_us())
        standing = select(APPS.c.client_id).where(APP_STANDS)
        gone = REGISTRATIONS.c.client_id.not_in(standing) | (REGISTRATIONS.c.client_id == client_id)
        with self._changing() as connection:
            app = find_app(connection, client_id)
            connection.execute(delete(REGISTRATIONS).where(gone))
            _refuse_operators(connection, row, app)
            _refuse_anothers(connection, row, app.person_id)
            connection.execute(
                insert(REGISTRATIONS).values(
                    client_id=row.client_id,
                    domain=row.domain,
                    public_key=row.public_key,
                    registered_time_us=row.registered_time_us,
                )
            )
        return row

    def release(self, domain: str) -> Registration:
        mine = REGISTRATIONS.c.domain == domain
        with self._changing() as connection:
            found = connection.execute(statements.REGISTERED.where(mine)).one_or_none()
            connection.execute(delete(REGISTRATIONS).where(mine))
        if found is None:
            raise NotFoundError(f"no app is registered with the domain {domain[:80]!r}")
        return Registration(*found)

    def registration(self, client_id: str) -> Registration | None:
        rows = self._rows(statements.REGISTRATION, client_id)
        if rows:
            return Registration(*rows[0])
        return _first_added(self._rows(statements.OPERATORS_APP, client_id))

    def registration_of(self, domain: str) -> Registration | None:
        rows = self._rows(statements.OPERATORS_REGISTRATION_OF, domain)
        if not rows:
            added = _first_added(self._rows(statements.OPERATORS_OF, domain))
            if added is not None:
                return added
            rows = self._rows(statements.REGISTRATION_OF, domain)
        return Registration(*rows[0]) if rows else None

    # Keys.

    def name_key(self, subject: str, key: NamedKey) -> None:
        own = NAMED_KEYS.c.subject == subject
        row = {
            "subject": subject,
            "public_key": key.public_key,
            "kind": key.kind,
            "model": key.model,
            "name": key.name,
            "tag": key.tag,
            "named_time_us": self._clock.now_us(),
        }
        with self._changing() as connection:
            connection.execute(
                delete(NAMED_KEYS).where(own, NAMED_KEYS.c.public_key == key.public_key)
            )
            count = connection.scalar(select(func.count()).where(own)) or 0
            if count >= self._config.named_keys_max:
                raise TooManyError(f"{count} named keys, at most {self._config.named_keys_max}")
            connection.execute(insert(NAMED_KEYS).values(**row))

    def named_keys(self, subject: str) -> list[NamedKey]:
        return [NamedKey(*row) for row in self._rows(statements.KEYS_OF, subject)]


def _first_added(rows: Sequence[Any]) -> Registration | None:
    """What the operator named with `motorcade app add`, in the columns of `OPERATORS`."""
    if not rows:
        return None
    client_id, domain, pem, added_time_us = rows[0]
    return Registration(client_id, domain, public_point(pem), added_time_us)


def _refuse_operators(connection: Connection, row: Registration, app: App) -> None:
    """A domain that the operator named is theirs with all below it, whether or not its app calls
    to register. Of their own apps, one that names such a domain itself may."""
    names = [row.domain, *_parents(row.domain)]
    if app.person_id is None and app.domain in names:
        return
    taken = statements.OPERATORS.where(APPS.c.domain.in_(names), APPS.c.client_id != row.client_id)
    found = connection.execute(taken).first()
    if found is not None:
        raise AlreadyExistsError(
            f"an app of the operator has the domain {found.domain}: choose another domain"
        )


def _parents(domain: str) -> Iterator[str]:
    while "." in domain:
        domain = domain.partition(".")[2]
        yield domain


def _refuse_anothers(connection: Connection, row: Registration, person_id: int | None) -> None:
    """A domain is one app's, a key one person's: a public key proves nobody."""
    taken = statements.REGISTERED.where(REGISTRATIONS.c.domain == row.domain)
    release = "`motorcade app release` frees one that was taken wrongly"
    if connection.execute(taken).first() is not None:
        raise AlreadyExistsError(
            f"another app is registered with the domain {row.domain}: {release}"
        )
    others = APPS.c.person_id.is_distinct_from(person_id)
    taken = statements.REGISTERED.where(REGISTRATIONS.c.public_key == row.public_key, others)
    if connection.execute(taken).first() is not None:
        raise AlreadyExistsError(f"somebody else's app is registered with this key: {release}")

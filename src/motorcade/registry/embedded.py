"""The registry in one SQLite file that several processes share. `port.py` has the promises.

The file uses a rollback journal, not WAL: SQLite before 3.51.3 can corrupt a WAL file that several
processes share, and the interpreter's SQLite is what the machine has. Figures and alternatives:
`docs/decisions/0004-registry-with-a-rollback-journal.md`. Reads go through one driver connection
with the texts of `statements.py`, writes through SQLAlchemy, one transaction per call.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, create_engine, event, pool
from sqlalchemy.exc import DBAPIError

from motorcade import at_rest
from motorcade.clock import Clock
from motorcade.config import RegistryConfig
from motorcade.events import VehicleToken
from motorcade.identity.port import OWNER_SUBJECT
from motorcade.registry import changing, migrate, sites, statements
from motorcade.registry.accesses.embedded import EmbeddedAccessLog
from motorcade.registry.audit.embedded import EmbeddedAuditLog
from motorcade.registry.errors import RegistryUnavailableError
from motorcade.registry.operators import check_filters, check_name
from motorcade.registry.passwords import constant_time_equal, hash_password, make_password
from motorcade.registry.people.embedded import EmbeddedPeople
from motorcade.registry.people.names import check_subject
from motorcade.registry.people.store import Store
from motorcade.registry.port import (
    IssuedCertificate,
    NewSite,
    NewVehicle,
    Operator,
    Principal,
    PrincipalKind,
    Site,
    SiteDescription,
    Vehicle,
)
from motorcade.registry.privacy.embedded import EmbeddedPrivacy
from motorcade.registry.reads import ChangeCounter, Reads
from motorcade.registry.sharing.embedded import EmbeddedSharing
from motorcade.registry.signing.embedded import EmbeddedSigning
from motorcade.registry.vin import check_vins
from motorcade.registry.work.embedded import EmbeddedWorkNotes

Entropy = Callable[[int], bytes]
"""So many random bytes: `os.urandom` in production, a seeded source in tests."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode=DELETE",
    "PRAGMA synchronous=EXTRA",  # the directory is synced too: a commit survives a power cut
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",  # a destroyed data key is overwritten in the file (P8)
    "PRAGMA cache_spill=OFF",  # readers wait for a commit only, never for a long transaction
    "PRAGMA trusted_schema=OFF",
)


class EmbeddedRegistry:
    """A `Registry` in a SQLite file."""

    def __init__(
        self,
        path: Path,
        *,
        account_key: bytes,
        clock: Clock,
        entropy: Entropy = os.urandom,
        config: RegistryConfig,
    ) -> None:
        """Open the file, made if it is missing, its tables brought to this version.

        Raises:
            RegistryUnavailableError: the file cannot be opened, or is of a newer version.
        """
        self._path = path
        self._account_key = account_key
        self._clock = clock
        self._entropy = entropy
        self._config = config
        self._read_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._engine = create_engine(
            "sqlite+pysqlite://", creator=self._connect, poolclass=pool.StaticPool
        )
        event.listen(self._engine, "begin", _begin_immediate)
        with _wrapped(path):
            _create_private(path)
            at_rest.check(path, alone=False)
            self._counter = ChangeCounter(path)
            self._reading = self._connect()
        self._reads = Reads(self._reading, self._counter.read)
        self._migrate()
        store = Store(self._rows, self._changing_apart, clock, entropy, account_key, config)
        self.people = EmbeddedPeople(store)
        self.sharing = EmbeddedSharing(store)
        self.signing = EmbeddedSigning(store)
        self.privacy = EmbeddedPrivacy(store)
        self.work = EmbeddedWorkNotes(store)
        self.access_log = EmbeddedAccessLog(store, path.parent)
        self.audit = EmbeddedAuditLog(store, path.parent)

    # Reading.

    def vehicle_by_vin(self, vin: str) -> Vehicle | None:
        return self._vehicle(statements.BY_VIN, vin)

    def vehicle_by_token(self, token: str) -> Vehicle | None:
        return self._vehicle(statements.BY_TOKEN, token)

    def vehicle_by_id(self, vehicle_id: int) -> Vehicle | None:
        if not 0 < vehicle_id < 1 << 63:  # beyond SQLite's integers
            return None
        return self._vehicle(statements.BY_ID, vehicle_id)

    def vehicles(self, offset: int, limit: int, owner: str = "") -> list[Vehicle]:
        place = (max(0, limit), max(0, offset))
        if owner:
            rows = self._rows(statements.PAGE_OWNED, owner, *place)
        else:
            rows = self._rows(statements.PAGE, *place)
        return [Vehicle(*row) for row in rows]

    def vehicle_count(self, owner: str = "") -> int:
        if owner:
            return int(self._rows(statements.COUNT_OWNED, owner)[0][0])
        return int(self._rows(statements.COUNT)[0][0])

    def changes(self) -> int:
        return int(self._rows(statements.CHANGE_COUNT)[0][0])

    def authenticate(self, username: str, password: bytes) -> Principal | None:
        rows = self._rows(statements.ACCOUNT, username)
        given = hash_password(self._account_key, username, password)
        if not rows:
            return self._authenticate_site(username, given)
        if not constant_time_equal(rows[0][1], given):
            return None
        kind, _, token, key_id = rows[0]
        if kind == PrincipalKind.VEHICLE:
            return Principal(PrincipalKind.VEHICLE, token, VehicleToken(token), key_id)
        denied = tuple(row[0] for row in self._rows(statements.DENIED, username))
        return Principal(PrincipalKind.OPERATOR, username, deny_subscribe=denied)

    def _authenticate_site(self, token: str, given: bytes) -> Principal | None:
        rows = self._rows(sites.ACCOUNT, token)
        if not rows or not constant_time_equal(rows[0][0], given):
            return None
        return Principal(PrincipalKind.VEHICLE, token, VehicleToken(token), rows[0][1])

    def principal_of_vin(self, vin: str, serial: str = "") -> Principal | None:
        if serial:
            rows = self._rows(statements.BY_CERTIFICATE, vin, serial)
        else:
            rows = self._rows(statements.BY_NAME, vin)
        if not rows:
            return None
        token, key_id = rows[0]
        return Principal(PrincipalKind.VEHICLE, token, VehicleToken(token), key_id)

    def operators(self) -> list[Operator]:
        rows = self._rows(statements.OPERATORS)
        return [
            Operator(name, tuple(row[2] for row in of_one if row[2] is not None), made_time_us)
            for (name, made_time_us), of_one in groupby(rows, key=lambda row: (row[0], row[1]))
        ]

    def site_by_id(self, site_id: int) -> Site | None:
        if not 0 < site_id < 1 << 63:
            return None
        rows = self._rows(sites.BY_ID, site_id)
        return sites.read_site(rows[0]) if rows else None

    def sites(self, offset: int, limit: int) -> list[Site]:
        rows = self._rows(sites.PAGE, max(0, limit), max(0, offset))
        return [sites.read_site(row) for row in rows]

    def site_count(self) -> int:
        return int(self._rows(sites.COUNT)[0][0])

    # Changing.

    def add_vehicles(self, vins: Sequence[str], owner: str = OWNER_SUBJECT) -> list[NewVehicle]:
        checked = check_vins(vins, vins_max=self._config.vehicles_per_call_max)
        check_subject(owner, "owner")
        passwords = [make_password(self._entropy(32)) for _ in checked]
        now_us = self._clock.now_us()
        with self._changing() as connection:
            vehicles = changing.add_vehicles(connection, checked, owner, now_us, self._entropy)
            changing.add_vehicle_accounts(
                connection,
                [
                    (vehicle, hash_password(self._account_key, vehicle.token, password.encode()))
                    for vehicle, password in zip(vehicles, passwords, strict=True)
                ],
                now_us,
            )
        return [
            NewVehicle(vehicle, password)
            for vehicle, password in zip(vehicles, passwords, strict=True)
        ]

    def renew_vehicle(self, vin: str) -> NewVehicle:
        password = make_password(self._entropy(32))
        now_us = self._clock.now_us()
        with self._changing() as connection:
            vehicle = changing.find_vehicle(connection, vin)
            changing.end_access(connection, vehicle, now_us)
            hashed = hash_password(self._account_key, vehicle.token, password.encode())
            changing.add_vehicle_accounts(connection, [(vehicle, hashed)], now_us)
        return NewVehicle(vehicle, password)

    def remove_vehicle(self, vin: str) -> Vehicle:
        now_us = self._clock.now_us()
        with self._changing() as connection:
            vehicle = changing.find_vehicle(connection, vin)
            changing.end_access(connection, vehicle, now_us)
            changing.remove_vehicle(connection, vehicle, now_us)
        return vehicle

    def record_certificates(self, certificates: Sequence[IssuedCertificate]) -> None:
        with self._changing() as connection:
            changing.record_certificates(connection, certificates)

    def add_site(self, description: SiteDescription) -> NewSite:
        sites.check_description(description)
        password = make_password(self._entropy(32))
        with self._changing() as connection:
            site = sites.add_site(
                connection,
                description,
                self._clock.now_us(),
                self._entropy,
                lambda token: hash_password(self._account_key, token, password.encode()),
            )
        return NewSite(site, password)

    def remove_site(self, site_id: int) -> Site:
        with self._changing() as connection:
            return sites.remove_site(connection, site_id, self._clock.now_us())

    def add_operator(self, name: str, deny_subscribe: Sequence[str] = ()) -> str:
        check_name(name)
        filters = check_filters(deny_subscribe, filters_max=self._config.deny_filters_max)
        password = make_password(self._entropy(32))
        hashed = hash_password(self._account_key, name, password.encode())
        with self._changing() as connection:
            changing.add_operator(connection, name, hashed, filters, self._clock.now_us())
        return password

    def remove_operator(self, name: str) -> None:
        with self._changing() as connection:
            changing.remove_operator(connection, name)

    def close(self) -> None:
        with self._read_lock, self._write_lock:
            self._reading.close()
            self._engine.dispose()
            self._counter.close()
            at_rest.seal(self._path, alone=False)
        self.access_log.close()
        self.audit.close()

    # The file.

    def _vehicle(self, statement: str, key: str | int) -> Vehicle | None:
        rows = self._rows(statement, key)
        return Vehicle(*rows[0]) if rows else None

    def _rows(self, statement: str, *values: str | int) -> list[Any]:
        with _wrapped(self._path), self._read_lock:
            try:
                return self._reads.rows(statement, values)
            except UnicodeEncodeError:  # a peer's lone surrogates: no such text is stored
                return []

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """One transaction that excludes every other writer and raises `changes`."""
        with _wrapped(self._path), self._write_lock, self._engine.begin() as connection:
            yield connection
            changing.count_change(connection)

    @contextmanager
    def _changing_apart(self) -> Iterator[Connection]:
        """The same for what no car's connection depends on: `changes` stays."""
        with _wrapped(self._path), self._write_lock, self._engine.begin() as connection:
            yield connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=self._config.busy_s_max,
            isolation_level=None,  # we begin and commit; the driver adds nothing
            check_same_thread=False,  # the locks above serialise
        )
        for pragma in _PRAGMAS:
            with closing(connection.execute(pragma)) as cursor:
                cursor.fetchall()
        return connection

    def _migrate(self) -> None:
        with _wrapped(self._path), self._engine.connect() as connection:
            if migrate.stored_version(connection) == migrate.HEAD:
                return
        with _wrapped(self._path), self._engine.begin() as connection:
            migrate.upgrade(connection)


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _create_private(path: Path) -> None:
    """Make the file readable to its owner alone; SQLite gives its journal the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


@contextmanager
def _wrapped(path: Path) -> Iterator[None]:
    try:
        yield
    except at_rest.DamagedFileError as error:
        raise RegistryUnavailableError(f"registry {error}") from error
    except (DBAPIError, sqlite3.Error, OSError) as error:
        raise RegistryUnavailableError(
            f"registry {path}: {error}; is it locked, full, damaged, or not writable for you?"
        ) from error

"""Registry and command ledger under faults: their code on apsw's SQLite over `sqlite_vfs.py`.

After the fault the files are opened by the product as it is, with the interpreter's SQLite.
"""

import sqlite3
from concurrent.futures import Future, wait
from contextlib import closing
from typing import Final

from motorcade.commands.ledger import Ledger, is_full
from motorcade.config import RegistryConfig
from motorcade.gateway.mqtt.store import SessionStoreError, SqliteSessionStore, StoredSession
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.errors import RegistryUnavailableError
from tests.commands.test_ledger import apply, entered, requested
from tests.faults.plan import Stopped
from tests.faults.world import World

VIN: Final = "5YJ3E1EA7KF{:06d}"


class OnRegistry:
    """A vehicle whose `add_vehicles` returned is there, with its account; others whole or not."""

    name = "registry: changes"
    costly = 10  # times as long as others: its tables are made by Alembic

    def __init__(self, world: World) -> None:
        self.world = world
        self.path = world.root / "registry.sqlite"
        self.registry: EmbeddedRegistry | None = None
        self.next = 1
        self.passwords: dict[str, tuple[str, str]] = {}  # vin: user name and password, if added
        self.tried: set[str] = set()
        self.removed: set[str] = set()
        self.removing: set[str] = set()

    def prepare(self) -> None:
        self.open_or_not()
        self.add()
        self.add()

    def act(self) -> None:
        self.add()
        self.remove()
        self.add()

    def go_on(self) -> None:
        before = len(self.passwords)
        self.add()
        assert len(self.passwords) == before + 1, "the registry takes nothing after the fault"

    def check(self) -> None:
        self.registry = None
        self.world.use_real_sqlite()
        if self.path.exists():
            with closing(sqlite3.connect(self.path)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert self.open_or_not(), "the registry does not open"
        assert self.registry is not None
        for vin in self.tried:
            self.check_vehicle(self.registry, vin)
        self.go_on()
        self.registry.close()
        self.world.settle()

    def check_vehicle(self, registry: EmbeddedRegistry, vin: str) -> None:
        vehicle = registry.vehicle_by_vin(vin)
        added = self.passwords.get(vin)
        if added is None:
            return
        principal = registry.authenticate(added[0], added[1].encode())
        assert (vehicle is None) == (principal is None), f"half of {vin} is there"
        if vin in self.removed:
            assert vehicle is None, f"{vin} was removed and is there again"
        elif vin not in self.removing:
            assert vehicle is not None, f"{vin} was added and is lost"

    def add(self) -> None:
        vin = VIN.format(self.next)
        self.next += 1
        self.tried.add(vin)
        if not self.open_or_not():
            return
        assert self.registry is not None
        try:
            (new,) = self.registry.add_vehicles([vin])
        except RegistryUnavailableError as error:
            self.world.check_named(error)
        else:
            self.passwords[vin] = (new.vehicle.token, new.password)

    def remove(self) -> None:
        vin = VIN.format(1)
        if not self.open_or_not():
            return
        assert self.registry is not None
        self.removing.add(vin)
        try:
            self.registry.remove_vehicle(vin)
        except RegistryUnavailableError as error:
            self.world.check_named(error)
        else:
            self.removed.add(vin)

    def open_or_not(self) -> bool:
        if self.registry is None:
            try:
                self.registry = EmbeddedRegistry(
                    self.path,
                    account_key=b"k" * 32,
                    clock=self.world.clock,
                    entropy=self.entropy,
                    config=RegistryConfig(busy_s_max=0.2),
                )
            except RegistryUnavailableError as error:
                self.world.check_named(error)
        return self.registry is not None

    def entropy(self, size: int) -> bytes:
        return bytes((self.next * 7 + index) % 256 for index in range(size))


class RestartedRegistry(OnRegistry):
    name = "registry: restart"

    def act(self) -> None:
        self.registry = None
        self.add()


class FirstRegistry(OnRegistry):
    """The tables are made, all or none."""

    name = "registry: first start"

    def prepare(self) -> None:
        pass

    def act(self) -> None:
        self.add()


class OnLedger:
    """At any time it equals the log up to its cursor; if damage is met, it is built anew."""

    name = "ledger: commands"
    costly = 4

    def __init__(self, world: World) -> None:
        self.world = world
        self.path = world.root / "commands" / "ledger.sqlite"
        self.ledger: Ledger | None = None
        self.applied = 0

    def prepare(self) -> None:
        self.follow(2)

    def act(self) -> None:
        self.follow(4)

    def go_on(self) -> None:
        self.follow(6)
        assert self.applied == 6, "the ledger takes nothing after the fault"

    def check(self) -> None:
        self.ledger = None
        self.world.use_real_sqlite()
        self.check_equal()
        self.follow(7)
        self.check_equal()
        assert self.applied == 7
        assert self.ledger is not None
        self.ledger.close()
        self.world.settle()

    def check_equal(self) -> None:
        ledger = self.opened()
        assert ledger is not None, "the ledger does not open"
        cursor = ledger.cursor("commands")
        self.applied = int(cursor) if cursor else 0
        for number in range(1, 9):
            view = ledger.find(f"c{number}")
            assert (view is not None) == (number <= self.applied), f"{number}, {self.applied}"
            if view is not None:
                states = [str(step.state) for step in view.timeline]
                assert states == ["requested", "refused"], states
        assert ledger.counter(requested("x").vehicle) == self.applied

    def follow(self, upto: int) -> None:
        """Apply the log's records as the follower does; on an error the process starts anew."""
        for _ in range(3):
            ledger = self.opened()
            if ledger is None:
                continue
            try:
                self.apply(ledger, upto)
                return
            except sqlite3.DatabaseError as error:
                if not is_full(error):
                    ledger.condemn()
                self.end_process()

    def apply(self, ledger: Ledger, upto: int) -> None:
        cursor = ledger.cursor("commands")
        self.applied = int(cursor) if cursor else 0
        for number in range(self.applied + 1, upto + 1):
            entries = [
                requested(f"c{number}", at=number, counter=number),
                entered(f"c{number}", "refused", at=number),
            ]
            apply(ledger, *entries, cursor=b"%d" % number)
            self.applied = number

    def opened(self) -> Ledger | None:
        if self.ledger is None:
            try:
                self.ledger = Ledger(self.path)
            except (sqlite3.DatabaseError, OSError):
                self.end_process()
        return self.ledger

    def end_process(self) -> None:
        self.ledger = None
        self.world.end_sqlite_process()


class FirstLedger(OnLedger):
    name = "ledger: first start"

    def prepare(self) -> None:
        pass


class RestartedLedger(OnLedger):
    name = "ledger: restart"

    def act(self) -> None:
        self.end_process()
        self.follow(3)
        self.end_process()
        self.follow(4)


class OnSessions:
    """A session whose `put` resolved is there after whatever happens."""

    name = "MQTT sessions: puts"
    costly = 4

    def __init__(self, world: World) -> None:
        self.world = world
        self.directory = world.root / "mqtt"
        self.store: SqliteSessionStore | None = None
        self.next = 0
        self.stored: set[str] = set()

    def prepare(self) -> None:
        self.put(2)

    def act(self) -> None:
        self.put(3)

    def go_on(self) -> None:
        before = len(self.stored)
        self.put(1)
        assert len(self.stored) == before + 1, "no session is stored after the fault"

    def check(self) -> None:
        self.store = None
        self.world.use_real_sqlite()
        store = self.opened()
        assert store is not None, "the session store does not open"
        assert {session.key for session in store.load()} >= self.stored, "a session is lost"
        self.go_on()
        store.close()
        self.world.settle()

    def put(self, sessions: int) -> None:
        for _ in range(sessions):
            self.next += 1
            store = self.opened()
            if store is None:
                continue
            key = f"client {self.next}"
            future = store.put(StoredSession(key, 60, 0, b"cursor"))
            try:
                self.wait_for(store, future)
            except SessionStoreError as error:
                self.world.check_named(error)
            else:
                self.stored.add(key)

    def wait_for(self, store: SqliteSessionStore, future: Future[None]) -> None:
        while not future.done():
            if not store._thread.is_alive() and not future.done():
                if self.world.stopped:
                    raise Stopped
                raise AssertionError("the thread ended and told nobody")
            wait([future], timeout=0.05)
        future.result()

    def opened(self) -> SqliteSessionStore | None:
        if self.store is None:
            try:
                self.store = SqliteSessionStore(self.directory)
            except SessionStoreError as error:
                self.world.check_named(error)
                self.world.end_sqlite_process()
        return self.store


class FirstSessions(OnSessions):
    name = "MQTT sessions: first start"

    def prepare(self) -> None:
        pass


ALL: Final = (
    FirstRegistry,
    OnRegistry,
    RestartedRegistry,
    FirstLedger,
    OnLedger,
    RestartedLedger,
    FirstSessions,
    OnSessions,
)

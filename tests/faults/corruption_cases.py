"""The files at rest: how each comes to be, and what must still be right when it is damaged."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from motorcade.cli.provisioning import add_vehicles
from motorcade.clock import SimulatedClock
from motorcade.commands.ledger import Ledger
from motorcade.config import Config
from motorcade.events import Encoding, Topic
from motorcade.gateway.mqtt.store import SqliteSessionStore, StoredSession, StoredSubscription
from motorcade.identity.authority import open_authority
from motorcade.identity.certificates import Certified
from motorcade.identity.signing import command_signer
from motorcade.identity.tokens import token_authority
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.errors import LogCorruptError
from motorcade.log.files import OsFiles
from motorcade.log.port import Edge
from motorcade.log.topics import Lane
from motorcade.meters.embedded import EmbeddedMeters
from motorcade.registry.audit.port import Deed, DeedsAsked, What
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.state.snapshots import SnapshotStore
from motorcade.vehicle.buffer import Buffer
from motorcade.vehicle.disk import DirectoryDisk
from motorcade.vehicle.journal import Journal
from motorcade.vehicle.vehicle_file import checks_of, read_vehicle_file
from tests.commands.test_ledger import apply, entered, requested
from tests.history.deployment import EVER, Deployment, shown
from tests.history.test_crash import CARS, RECORDS
from tests.log.lanes import SMALL, START_US, batch, numbers
from tests.meters.test_sessions import ALL as SESSIONS
from tests.meters.test_sessions import session

Say = Callable[[str], None]
_LOG: Final = dataclasses.replace(
    SMALL, segment_bytes_max=1_500, segment_allocate_bytes=256, housekeeping_s=3_600.0
)


def is_part(found: list[Any], whole: list[Any]) -> bool:
    """Whether `found` is `whole` with some left out."""
    rest = iter(whole)
    return all(each in rest for each in found)


class LogAtRest:
    """Three segments, the last one sealed: a clean stop."""

    name = "log, stopped"

    def make(self, directory: Path) -> None:
        log = EmbeddedLog(directory / "log", _LOG, SimulatedClock(START_US))
        writer = log.writer("test", Lane.BULK)
        for number in range(0, 40, 4):
            writer.append(batch(number, 4), b"input %d" % number).result(60)
        log.store_cursor("group", log.end(frozenset(Topic)))
        self.finish(log)

    def finish(self, log: EmbeddedLog) -> None:
        log.close()

    def open(self, directory: Path, say: Say) -> list[int]:
        """What is read; and that it can be written on."""
        log = EmbeddedLog(directory / "log", _LOG, SimulatedClock(START_US))
        try:
            found = self.read(log, say)
            say(self.check_cursor(log))
            log.writer("test", Lane.BULK).append(batch(100, 2)).result(60)
            assert self.read(log, say) == [*found, 100, 101], "wrong after writing on"
            return found
        finally:
            log.close()

    def check_cursor(self, log: EmbeddedLog) -> str:
        cursor = log.load_cursor("group")
        assert cursor is not None
        reader = log.reader(frozenset(Topic), cursor)
        assert not reader.poll(0.0)
        reader.close()
        return ""

    def read(self, log: EmbeddedLog, say: Say) -> list[int]:
        reader = log.reader(frozenset(Topic), Edge.EARLIEST)
        found = []
        for _ in range(200):
            try:
                slices = reader.poll(0.0)
            except LogCorruptError as error:
                say(str(error))
                reader.skip_damage()
                continue
            if not slices:
                break
            found += [each for piece in slices for each in piece.batch]
        reader.close()
        for each in found:
            assert each.payload == b"payload %d" % each.identity[1], "a wrong record"
        return numbers(found)

    def right(self, found: list[int], whole: list[int]) -> bool:
        return is_part(found, whole)


class LogAfterKill(LogAtRest):
    """The last segment has no foot yet."""

    name = "log, killed"

    def finish(self, log: EmbeddedLog) -> None:
        """Forget it without a goodbye: the last segment stays as it is."""
        for opened in list(log._opened):
            opened._appender.close = lambda: None  # type: ignore[union-attr]
        log.close()


class Snapshots:
    name = "state snapshots"

    def make(self, directory: Path) -> None:
        store = SnapshotStore(directory / "state", OsFiles())
        for number in range(2):
            store.save(b"snapshot %d " % number * 20)

    def open(self, directory: Path, say: Say) -> list[bytes]:
        return list(SnapshotStore(directory / "state", OsFiles()).load())

    def right(self, found: list[bytes], whole: list[bytes]) -> bool:
        return is_part(found, whole)


class JournalAtRest:
    name = "the car's journal"

    def make(self, directory: Path) -> None:
        with self.opened(directory) as journal:
            for number in range(1, 8):
                for state in ("started", "executed"):
                    journal.write(f"c{number}", state, reason="", time_us=number, counter=number)  # type: ignore[arg-type]

    def open(self, directory: Path, say: Say) -> list[str]:
        with self.opened(directory) as journal:
            say(journal.damage)
            for number in range(1, 8):
                assert journal.counter_used(number), f"command {number} could be carried out again"
            return [f"{entry.id} {entry.state} {entry.counter}" for entry in journal]

    @contextmanager
    def opened(self, directory: Path) -> Iterator[Journal]:
        with closing(DirectoryDisk(directory / "journal")) as disk:
            yield Journal(disk, commands_max=100, responses_bytes_max=1_000)

    def right(self, found: list[str], whole: list[str]) -> bool:
        return all(each in whole or each.replace("started", "executed") in whole for each in found)


class BufferAtRest:
    name = "the car's buffer"

    def make(self, directory: Path) -> None:
        with self.opened(directory) as buffer:
            for number in range(30):
                buffer.append(Topic.TELEMETRY, Encoding.JSON_SIGNALS, b"record %d" % number)
                buffer.sync()
            buffer.acknowledge(3)

    def open(self, directory: Path, say: Say) -> list[tuple[int, bytes]]:
        """What is still to be sent; a new record must get a sequence that no other had."""
        with self.opened(directory) as buffer:
            for text in buffer.damage:
                say(text)
            if buffer.torn_bytes:
                say(f"{buffer.torn_bytes} cut of {[p.name for p in directory.rglob('*.records')]}")
            found, at = [], 4
            while (record := buffer.read(at)) is not None:
                found.append((record.sequence, record.payload))
                at = record.sequence + 1
            assert buffer.next_sequence > 30, "a sequence would mean two records"
            return found

    @contextmanager
    def opened(self, directory: Path) -> Iterator[Buffer]:
        with closing(DirectoryDisk(directory / "buffer")) as disk:
            yield Buffer(disk, bytes_max=8 * 400, entropy=lambda size: b"\7" * size)

    def right(self, found: list[Any], whole: list[Any]) -> bool:
        return is_part(found, whole)


class Secrets:
    """Every key of a deployment."""

    name = "keys and certificates"

    def make(self, directory: Path) -> None:
        self.open(directory, lambda _: None)

    def open(self, directory: Path, say: Say) -> Any:
        authority = open_authority(directory, "127.0.0.1", config=Config().identity)
        signer = command_signer(authority)
        token_authority(authority)
        doors = Certified.from_pem(authority.secrets.read("server.pem")).pem
        keys = signer.key_id, authority.account_key
        return authority.ca_pem, authority.vehicle_ca_pem, *keys, doors

    def right(self, found: Any, whole: Any) -> bool:
        """The doors' certificate may be made anew; everything else must be the same."""
        return bool(found[:-1] == whole[:-1])


class VehicleFiles:
    """`vehicle.json` and the PEM files beside it."""

    name = "vehicle.json"

    def make(self, directory: Path) -> None:
        data = directory.parent / "data"
        add_vehicles(data, [("5YJ3E1EA7KF000001", directory)])
        text = (directory / "vehicle.json").read_text()
        for name in ("cert.pem", "key.pem", "ca.pem"):  # relative, so that a copy has its own
            text = text.replace(str(directory.absolute() / name), name)
        (directory / "vehicle.json").write_text(_with_checks(text, directory))

    def open(self, directory: Path, say: Say) -> Any:
        vehicle = read_vehicle_file(directory / "vehicle.json")
        keys = {name: key.public_bytes_raw() for name, key in vehicle.command_keys.items()}
        for text in vehicle.damage:
            say(text)
        files = [each.read_bytes() for each in (vehicle.cert_file, vehicle.key_file)]
        return vehicle.vin, vehicle.token, vehicle.mqtt, keys, vehicle.servers, files

    def right(self, found: Any, whole: Any) -> bool:
        """It goes on, because people edit the file: TLS and the server refuse a wrong identity."""
        return True


def _with_checks(text: str, directory: Path) -> str:
    members = json.loads(text)
    names = ("cert_file", "key_file", "ca_file")
    contents = {name: (directory / members[name]).read_bytes() for name in names}
    return json.dumps({**members, "checks": checks_of(members, contents)}, indent=2)


class RegistryAtRest:
    name = "registry"

    def make(self, directory: Path) -> None:
        registry = self.opened(directory)
        registry.add_vehicles(["5YJ3E1EA7KF000001", "5YJ3E1EA7KF000002"])
        registry.add_operator("olga")
        registry.close()

    def open(self, directory: Path, say: Say) -> Any:
        registry = self.opened(directory)
        vehicles, operators = registry.vehicles(0, 10), registry.operators()
        registry.add_vehicles(["5YJ3E1EA7KF000003"])
        registry.close()
        return vehicles, operators

    def opened(self, directory: Path) -> EmbeddedRegistry:
        seeds = iter(range(1_000))
        return EmbeddedRegistry(
            directory / "registry.sqlite",
            account_key=b"k" * 32,
            clock=SimulatedClock(START_US),
            entropy=lambda size: bytes((next(seeds) + index) % 256 for index in range(size)),
            config=Config().registry,
        )

    def right(self, found: Any, whole: Any) -> bool:
        return False


class AuditAtRest(RegistryAtRest):
    """A file beside the registry: it is put aside, and a new one is begun."""

    name = "audit"

    def make(self, directory: Path) -> None:
        with TemporaryDirectory() as whole:
            registry = self.opened(Path(whole))
            for number in range(5):
                text = f"deed {number}"
                deed = Deed(START_US + number, "olga", "app", What.COMMENTED, "done", None, text)
                registry.audit.write([deed])
            registry.close()
            for file in Path(whole).glob("audit.sqlite*"):  # the registry is another case
                shutil.copy(file, directory)

    def open(self, directory: Path, say: Say) -> Any:
        registry = self.opened(directory)
        try:
            registry.audit.write([])
            return [deed.text for deed in registry.audit.deeds(DeedsAsked())]
        finally:
            registry.close()

    def right(self, found: Any, whole: Any) -> bool:
        return bool(found == [])


class MetersAtRest:
    """As the command ledger."""

    name = "meters"

    def make(self, directory: Path) -> None:
        meters = EmbeddedMeters(directory / "ledger.sqlite")
        meters.put_sessions([session(at, at + 5) for at in range(0, 50, 10)], 10)
        meters.close()

    def open(self, directory: Path, say: Say) -> Any:
        meters = EmbeddedMeters(directory / "ledger.sqlite")
        try:
            return meters.sessions(SESSIONS)
        finally:
            meters.close()

    def right(self, found: Any, whole: Any) -> bool:
        return bool(found == ([], 0))


class LedgerAtRest:
    """It is built anew from the log: what it lacks then comes again."""

    name = "command ledger"

    def make(self, directory: Path) -> None:
        ledger = Ledger(directory / "ledger.sqlite")
        for number in range(1, 5):
            name = f"c{number}"
            apply(ledger, requested(name, counter=number), entered(name, "refused"))
        ledger.close()

    def open(self, directory: Path, say: Say) -> Any:
        ledger = Ledger(directory / "ledger.sqlite")
        try:
            found = [ledger.find(f"c{number}") for number in range(1, 5)]
            return ledger.cursor("commands"), found
        finally:
            ledger.close()

    def right(self, found: Any, whole: Any) -> bool:
        return bool(found == (None, [None] * 4))


class SessionsAtRest:
    name = "MQTT sessions"

    def make(self, directory: Path) -> None:
        store = SqliteSessionStore(directory)
        for number in range(3):
            subscription = StoredSubscription(f"v/+/{number}", 1)
            store.put(StoredSession(f"client {number}", 60, 5, b"cursor", (subscription,))).result(
                60
            )
        store.put_live_cursor(b"live").result(60)
        store.close()

    def open(self, directory: Path, say: Say) -> Any:
        store = SqliteSessionStore(directory)
        try:
            return list(store.load()), store.load_live_cursor()
        finally:
            store.close()

    def right(self, found: Any, whole: Any) -> bool:
        return False


class HistoryAtRest:
    """Column files with what stands beside them; the log behind them is whole."""

    name = "history"

    def make(self, directory: Path) -> None:
        self._behind = TemporaryDirectory()
        self._deployment = made = Deployment(Path(self._behind.name))
        made.append(RECORDS)
        writer = made.history_writer()
        writer.read_on()
        writer.flush()
        writer.maintain()
        writer.close()
        shutil.copytree(made.directory / "history", directory / "history")

    def open(self, directory: Path, say: Say) -> Any:
        made = self._deployment
        made.directory = directory
        history = made.history()
        try:
            read = [shown(history.read(car, None, EVER)) for car in CARS]
            moving_mps = made.config.dashboard.moving_speed_mps
            timeline = history.timeline(None, EVER, 4, moving_mps=moving_mps)
        finally:
            history.close()
        made.history_writer().close()
        return read, timeline

    def right(self, found: Any, whole: Any) -> bool:
        return False


ALL: Final = (
    LogAtRest,
    LogAfterKill,
    Snapshots,
    JournalAtRest,
    BufferAtRest,
    Secrets,
    VehicleFiles,
    RegistryAtRest,
    AuditAtRest,
    MetersAtRest,
    LedgerAtRest,
    SessionsAtRest,
    HistoryAtRest,
)

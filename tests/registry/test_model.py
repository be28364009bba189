"""The registry against a dictionary that does the same: any order of changes, seen by another."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from motorcade.clock import SimulatedClock
from motorcade.config import RegistryConfig
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.errors import AlreadyExistsError, NotFoundError
from motorcade.registry.port import IssuedCertificate, NewVehicle

VINS = [f"5YJ3E1EA7KF{number:06}" for number in range(3)]


def open_registry(path: Path) -> EmbeddedRegistry:
    return EmbeddedRegistry(
        path, account_key=bytes(32), clock=SimulatedClock(0), config=RegistryConfig()
    )


@cache
def empty_registry() -> bytes:
    """A migrated file: making one takes longer than all the steps of an example."""
    with tempfile.TemporaryDirectory() as directory:
        open_registry(Path(directory) / "registry.sqlite").close()
        return (Path(directory) / "registry.sqlite").read_bytes()


class Model(RuleBasedStateMachine):
    """Rules change through one registry; the invariants look through another."""

    @initialize()
    def start(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        path = self.directory / "registry.sqlite"
        path.write_bytes(empty_registry())
        self.changing, self.looking = open_registry(path), open_registry(path)
        self.present: dict[str, NewVehicle] = {}
        self.good: dict[str, str] = {}  # serial to VIN
        self.ended: list[tuple[str, str]] = []  # user names and passwords that were good once
        self.serials: dict[str, str] = {}  # every serial ever, to VIN
        self.changes = 0

    def teardown(self) -> None:
        if hasattr(self, "changing"):
            self.changing.close()
            self.looking.close()
            shutil.rmtree(self.directory)

    @rule(vins=st.lists(st.sampled_from(VINS), max_size=3))
    def add(self, vins: list[str]) -> None:
        if len(set(vins)) < len(vins) or set(vins) & set(self.present):
            try:
                self.changing.add_vehicles(vins)
            except AlreadyExistsError:
                return
            raise AssertionError("added twice")
        for new in self.changing.add_vehicles(vins):
            self.present[new.vehicle.vin] = new
        self.changes += 1

    @rule(vin=st.sampled_from(VINS))
    def certify(self, vin: str) -> None:
        serial = f"{len(self.serials):02X}"
        try:
            self.changing.record_certificates([IssuedCertificate(vin, serial, 0)])
        except NotFoundError:
            assert vin not in self.present
            return
        self.serials[serial] = self.good[serial] = vin
        self.changes += 1

    @rule(vin=st.sampled_from(VINS), renew=st.booleans())
    def end(self, vin: str, renew: bool) -> None:
        try:
            new = self.changing.renew_vehicle(vin) if renew else None
            if new is None:
                self.changing.remove_vehicle(vin)
        except NotFoundError:
            assert vin not in self.present
            return
        old = self.present.pop(vin)
        self.ended.append((old.vehicle.token, old.password))
        self.good = {serial: owner for serial, owner in self.good.items() if owner != vin}
        if new is not None:
            assert new.vehicle == old.vehicle
            self.present[vin] = new
        self.changes += 1

    @invariant()
    def looks_the_same(self) -> None:
        if not hasattr(self, "looking"):
            return
        known = [new.vehicle for new in self.present.values()]
        assert self.looking.vehicles(0, 10) == sorted(known, key=lambda vehicle: vehicle.id)
        assert self.looking.vehicle_count() == len(known)
        assert self.looking.changes() == self.changes
        for vin in VINS:
            new = self.present.get(vin)
            assert self.looking.vehicle_by_vin(vin) == (new.vehicle if new else None)

    @invariant()
    def opens_to_good_secrets_only(self) -> None:
        if not hasattr(self, "looking"):
            return
        for new in self.present.values():
            found = self.looking.authenticate(new.vehicle.token, new.password.encode())
            assert found is not None
            assert found.token == new.vehicle.token
        for username, password in self.ended:
            assert self.looking.authenticate(username, password.encode()) is None
        for serial, vin in self.serials.items():
            found = self.looking.principal_of_vin(vin, serial)
            assert (found is not None) == (serial in self.good)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)

"""The registry's promises (`registry/port.py`), on every engine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from motorcade.clock import SimulatedClock
from motorcade.config import RegistryConfig
from motorcade.events import NO_VEHICLE
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.errors import (
    AlreadyExistsError,
    InvalidNameError,
    InvalidVinError,
    NotFoundError,
)
from motorcade.registry.port import (
    IssuedCertificate,
    Operator,
    PrincipalKind,
    Registry,
    SiteDescription,
)

VIN = "5YJ3E1EA7KF000001"
OTHER_VIN = "5YJ3E1EA7KF000002"
START_US = 1_750_000_000_000_000

Open = Callable[[], Registry]
"""Opens the same registry once more, as another process would."""


@pytest.fixture(params=["embedded"])
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    opened: list[Registry] = []

    def open_embedded() -> Registry:
        registry = EmbeddedRegistry(
            tmp_path / "registry.sqlite",
            account_key=bytes(32),
            clock=SimulatedClock(START_US),
            config=RegistryConfig(),
        )
        opened.append(registry)
        return registry

    yield {"embedded": open_embedded}[request.param]
    for registry in opened:
        registry.close()


@pytest.fixture
def registry(open_again: Open) -> Registry:
    return open_again()


def test_an_added_vehicle_is_found_by_vin_token_and_id(registry: Registry) -> None:
    (new,) = registry.add_vehicles([VIN])
    vehicle = new.vehicle
    assert (vehicle.vin, vehicle.added_time_us) == (VIN, START_US)
    assert registry.vehicle_by_vin(VIN) == vehicle
    assert registry.vehicle_by_token(vehicle.token) == vehicle
    assert registry.vehicle_by_id(vehicle.id) == vehicle


def test_a_token_is_no_vin(registry: Registry) -> None:
    tokens = [new.vehicle.token for new in registry.add_vehicles([VIN, OTHER_VIN])]
    assert all(len(token) == 17 and set(token) & set("IOQ") for token in tokens)
    assert len(set(tokens)) == 2


@pytest.mark.parametrize("vehicle_id", [-1, 0, 7, 1 << 53, 1 << 80])
def test_unknown_vehicles_are_none(registry: Registry, vehicle_id: int) -> None:
    assert registry.vehicle_by_vin(VIN) is None
    assert registry.vehicle_by_token(VIN) is None
    assert registry.vehicle_by_id(vehicle_id) is None
    assert registry.principal_of_vin(VIN) is None


def test_every_vehicle_has_a_key_of_its_own(registry: Registry) -> None:
    vehicles = [new.vehicle for new in registry.add_vehicles([VIN, OTHER_VIN])]
    assert len({vehicle.key_id for vehicle in vehicles}) == 2
    assert all(0 < vehicle.key_id < 1 << 32 for vehicle in vehicles)


def test_vehicles_are_paged_in_the_order_they_were_added(registry: Registry) -> None:
    vins = [f"5YJ3E1EA7KF{number:06}" for number in range(9, 0, -1)]
    added = [new.vehicle for new in registry.add_vehicles(vins)]
    assert [vehicle.vin for vehicle in added] == vins
    assert registry.vehicle_count() == 9
    assert registry.vehicles(0, 4) + registry.vehicles(4, 100) == added
    assert registry.vehicles(9, 4) == []


def test_adding_is_all_or_nothing(registry: Registry) -> None:
    registry.add_vehicles([VIN])
    before = registry.changes()
    with pytest.raises(AlreadyExistsError, match=VIN):
        registry.add_vehicles([OTHER_VIN, VIN])
    with pytest.raises(AlreadyExistsError, match="twice"):
        registry.add_vehicles([OTHER_VIN, OTHER_VIN])
    with pytest.raises(InvalidVinError):
        registry.add_vehicles([OTHER_VIN, "short"])
    assert registry.vehicle_by_vin(OTHER_VIN) is None
    assert registry.changes() == before


def test_a_vehicle_authenticates_with_its_own_password_only(registry: Registry) -> None:
    first, second = registry.add_vehicles([VIN, OTHER_VIN])
    principal = registry.authenticate(first.vehicle.token, first.password.encode())
    assert principal is not None
    assert (principal.kind, principal.name) == (PrincipalKind.VEHICLE, first.vehicle.token)
    assert (principal.token, principal.key_id) == (first.vehicle.token, first.vehicle.key_id)
    assert registry.authenticate(first.vehicle.token, second.password.encode()) is None
    assert registry.authenticate(first.vehicle.token, b"") is None
    assert registry.authenticate(first.vehicle.vin, first.password.encode()) is None
    assert registry.authenticate("\0\udc80", b"\xff" * 70_000) is None


def test_an_operator_authenticates_and_carries_its_denials(registry: Registry) -> None:
    password = registry.add_operator("ops", ["v/+/commands", "v/+/media/#", "v/+/commands"])
    principal = registry.authenticate("ops", password.encode())
    assert principal is not None
    assert (principal.kind, principal.name) == (PrincipalKind.OPERATOR, "ops")
    assert (principal.token, principal.key_id) == (NO_VEHICLE, 0)
    assert principal.deny_subscribe == ("v/+/commands", "v/+/media/#")
    with pytest.raises(AlreadyExistsError):
        registry.add_operator("ops")


def test_operators_are_listed_by_name(registry: Registry) -> None:
    assert registry.operators() == []
    registry.add_vehicles([VIN])
    registry.add_operator("tools")
    registry.add_operator("ops", ["b", "a"])
    assert registry.operators() == [
        Operator("ops", ("a", "b"), START_US),
        Operator("tools", (), START_US),
    ]


def test_a_removed_operator_is_refused(registry: Registry) -> None:
    password = registry.add_operator("ops", ["v/+/commands"])
    (new,) = registry.add_vehicles([VIN])
    before = registry.changes()
    registry.remove_operator("ops")
    assert registry.changes() > before
    assert registry.authenticate("ops", password.encode()) is None
    for name in ("ops", new.vehicle.token):  # a vehicle is no operator
        with pytest.raises(NotFoundError, match=name):
            registry.remove_operator(name)
    assert registry.authenticate(new.vehicle.token, new.password.encode()) is not None
    assert registry.add_operator("ops") != password
    assert registry.operators() == [Operator("ops", (), START_US)]


def test_a_removed_vehicle_is_gone_and_its_password_refused(registry: Registry) -> None:
    (new,) = registry.add_vehicles([VIN])
    assert registry.remove_vehicle(VIN) == new.vehicle
    assert registry.vehicle_by_vin(VIN) is None
    assert registry.vehicle_by_id(new.vehicle.id) is None
    assert registry.vehicle_by_token(new.vehicle.token) is None
    assert registry.authenticate(new.vehicle.token, new.password.encode()) is None
    assert registry.principal_of_vin(VIN) is None
    assert registry.vehicle_count() == 0
    with pytest.raises(NotFoundError):
        registry.remove_vehicle(VIN)


def test_a_vin_added_again_is_another_vehicle(registry: Registry) -> None:
    (first,) = registry.add_vehicles([VIN])
    registry.remove_vehicle(VIN)
    (second,) = registry.add_vehicles([VIN])
    assert second.vehicle.token != first.vehicle.token
    assert second.vehicle.key_id != first.vehicle.key_id
    assert second.vehicle.id > first.vehicle.id


def test_a_certificate_opens_the_door_of_its_vehicle_alone(registry: Registry) -> None:
    first, _ = registry.add_vehicles([VIN, OTHER_VIN])
    registry.record_certificates([IssuedCertificate(VIN, "0A", START_US)])
    principal = registry.principal_of_vin(VIN, "0A")
    assert principal is not None
    assert (principal.kind, principal.token) == (PrincipalKind.VEHICLE, first.vehicle.token)
    assert registry.principal_of_vin(VIN) == principal  # a certificate of another, trusted CA
    assert registry.principal_of_vin(OTHER_VIN, "0A") is None
    assert registry.principal_of_vin(VIN, "0B") is None


def test_certificates_of_a_removed_vehicle_stay_refused(registry: Registry) -> None:
    registry.add_vehicles([VIN])
    registry.record_certificates([IssuedCertificate(VIN, "0A", START_US)])
    registry.remove_vehicle(VIN)
    registry.add_vehicles([VIN])
    assert registry.principal_of_vin(VIN, "0A") is None
    registry.record_certificates([IssuedCertificate(VIN, "0B", START_US)])
    assert registry.principal_of_vin(VIN, "0B") is not None


def test_removing_one_vehicle_leaves_the_others_secrets_good(registry: Registry) -> None:
    _, other = registry.add_vehicles([VIN, OTHER_VIN])
    registry.record_certificates([IssuedCertificate(OTHER_VIN, "0C", START_US)])
    registry.renew_vehicle(VIN)
    registry.remove_vehicle(VIN)
    assert registry.principal_of_vin(OTHER_VIN, "0C") is not None
    assert registry.authenticate(other.vehicle.token, other.password.encode()) is not None


def test_certificates_need_a_vehicle(registry: Registry) -> None:
    with pytest.raises(NotFoundError, match=VIN):
        registry.record_certificates([IssuedCertificate(VIN, "0A", START_US)])


def test_renewing_keeps_the_token_and_refuses_old_secrets(registry: Registry) -> None:
    (old,) = registry.add_vehicles([VIN])
    registry.record_certificates([IssuedCertificate(VIN, "0A", START_US)])
    new = registry.renew_vehicle(VIN)
    assert new.vehicle == old.vehicle
    assert registry.authenticate(old.vehicle.token, old.password.encode()) is None
    assert registry.authenticate(old.vehicle.token, new.password.encode()) is not None
    assert registry.principal_of_vin(VIN, "0A") is None
    with pytest.raises(NotFoundError):
        registry.renew_vehicle(OTHER_VIN)


def test_a_change_is_seen_by_others_and_counted(open_again: Open) -> None:
    mine, theirs = open_again(), open_again()
    seen = [theirs.changes()]
    (new,) = mine.add_vehicles([VIN])
    seen.append(theirs.changes())
    assert theirs.vehicle_by_vin(VIN) == new.vehicle
    mine.renew_vehicle(VIN)
    seen.append(theirs.changes())
    mine.add_operator("ops")
    seen.append(theirs.changes())
    mine.remove_vehicle(VIN)
    seen.append(theirs.changes())
    assert theirs.vehicle_by_vin(VIN) is None
    assert seen == sorted(set(seen))
    assert mine.changes() == seen[-1]


def test_what_was_added_is_there_after_opening_again(open_again: Open) -> None:
    first = open_again()
    (new,) = first.add_vehicles([VIN])
    changes = first.changes()
    first.close()
    again = open_again()
    assert again.vehicle_by_vin(VIN) == new.vehicle
    assert again.authenticate(new.vehicle.token, new.password.encode()) is not None
    assert again.changes() == changes


HOUSE = SiteDescription("Home", "Europe/Berlin", 2, 8_000, True)


def test_a_site_has_an_id_a_token_and_a_key_of_its_own(
    registry: Registry, open_again: Open
) -> None:
    (car,) = registry.add_vehicles([VIN])
    before = registry.changes()
    first, second = registry.add_site(HOUSE).site, registry.add_site(HOUSE).site
    assert registry.changes() > before
    assert first.description == HOUSE
    assert (first.id != second.id, first.token != second.token) == (True, True)
    assert len({first.key_id, second.key_id, car.vehicle.key_id}) == 3
    assert set(first.token) & set("IOQ")
    assert registry.site_by_id(first.id) == first
    assert registry.vehicle_by_id(first.id) is None
    assert registry.site_by_id(car.vehicle.id) is None
    assert registry.site_by_id(1 << 80) is None
    assert open_again().sites(0, 10) == [first, second]
    assert registry.sites(1, 10) == [second]
    assert (registry.site_count(), registry.vehicle_count()) == (2, 1)


def test_a_site_comes_in_by_its_token_until_it_is_removed(registry: Registry) -> None:
    new, other = registry.add_site(HOUSE), registry.add_site(HOUSE)
    token = new.site.token
    principal = registry.authenticate(token, new.password.encode())
    assert principal is not None
    assert (principal.kind, principal.name) == (PrincipalKind.VEHICLE, token)
    assert (principal.token, principal.key_id) == (token, new.site.key_id)
    assert registry.authenticate(token, other.password.encode()) is None
    assert registry.remove_site(new.site.id) == new.site
    assert registry.authenticate(token, new.password.encode()) is None
    assert registry.site_by_id(new.site.id) is None
    assert registry.sites(0, 10) == [other.site]
    with pytest.raises(NotFoundError, match=str(new.site.id)):
        registry.remove_site(new.site.id)
    assert registry.add_site(HOUSE).site.id not in (new.site.id, other.site.id)


@pytest.mark.parametrize(
    "description",
    [
        SiteDescription("", "UTC", 1, 0, False),
        SiteDescription("x" * 65, "UTC", 1, 0, False),
        SiteDescription("a\nb", "UTC", 1, 0, False),
        SiteDescription("Home", "UTC", 0, 0, False),
        SiteDescription("Home", "UTC", 11, 0, False),
        SiteDescription("Home", "UTC", 1, -1, False),
    ],
)
def test_a_site_that_cannot_be_is_refused(registry: Registry, description: SiteDescription) -> None:
    with pytest.raises(InvalidNameError, match="site"):
        registry.add_site(description)
    assert registry.site_count() == 0

"""Key lists, approvals and telemetry configurations, as the registry keeps them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from motorcade.events import VehicleToken
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.errors import NotFoundError
from motorcade.registry.port import Vehicle
from motorcade.registry.signing.port import ADD_KEY, DONE, REMOVE_KEY, PairedKey, SigningState
from tests.registry.test_embedded import open_registry, vin_of

KEY = "04" * 65
OWNER = PairedKey(0, KEY, "OWNER", 9)
DRIVER = PairedKey(3, "04" * 64 + "05", "DRIVER", 6)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[EmbeddedRegistry]:
    registry = open_registry(tmp_path / "registry.sqlite")
    yield registry
    registry.close()


@pytest.fixture
def cars(registry: EmbeddedRegistry) -> list[Vehicle]:
    return [new.vehicle for new in registry.add_vehicles([vin_of(1), vin_of(2)])]


def test_a_car_s_word_replaces_its_word_before(
    registry: EmbeddedRegistry, cars: list[Vehicle]
) -> None:
    signing = registry.signing
    assert signing.state_of(cars[0].id) is None
    first = SigningState("supported", (OWNER, DRIVER))
    signing.tell({cars[0].token: first, cars[1].token: SigningState("none")})
    assert signing.state_of(cars[0].id) == first
    signing.tell({cars[0].token: SigningState("required", (DRIVER,))})
    state = signing.state_of(cars[0].id)
    assert state is not None
    assert (state.required, state.supported) == (True, True)
    assert (state.has(KEY), state.has(DRIVER.public_key)) == (False, True)
    other = signing.state_of(cars[1].id)
    assert other is not None
    assert not other.supported


def test_strangers_and_removed_cars_are_left_out(
    registry: EmbeddedRegistry, cars: list[Vehicle]
) -> None:
    registry.remove_vehicle(cars[0].vin)
    stranger = VehicleToken("O" * 17)
    told = {token: SigningState("none") for token in (cars[0].token, stranger, cars[1].token)}
    registry.signing.tell(told)
    assert registry.signing.state_of(cars[0].id) is None
    assert registry.signing.state_of(cars[1].id) is not None


def test_no_door_looks_again_because_of_a_key_list(
    registry: EmbeddedRegistry, cars: list[Vehicle]
) -> None:
    before = registry.changes()
    registry.signing.tell({cars[0].token: SigningState("none")})
    registry.signing.ask(cars[0].id, ADD_KEY, KEY, "OWNER", 9)
    assert registry.changes() == before


def test_approvals_wait_for_the_car_s_answer(
    registry: EmbeddedRegistry, cars: list[Vehicle]
) -> None:
    signing = registry.signing
    first = signing.ask(cars[0].id, ADD_KEY, KEY, "OWNER", 9)
    second = signing.ask(cars[0].id, REMOVE_KEY, KEY, "", 0)
    third = signing.ask(cars[1].id, ADD_KEY, KEY, "DRIVER", 9)
    places = [(one.id, one.vehicle) for one in (first, second, third)]
    assert signing.cars_with_requests(0, 9) == places
    assert signing.cars_with_requests(first.id, 1) == places[1:2]
    assert signing.requests(cars[0].id) == [first, second]
    signing.end(first.id, DONE)
    signing.end(first.id, "too late")  # the first answer stands
    ended = signing.request(first.id)
    assert ended is not None
    assert (ended.open, ended.result) == (False, DONE)
    registry.remove_vehicle(cars[1].vin)
    assert signing.cars_with_requests(0, 9) == [(second.id, second.vehicle)]
    assert signing.request(4711) is None
    with pytest.raises(NotFoundError):
        signing.ask(4711, ADD_KEY, KEY, "OWNER", 9)


def test_the_last_configuration_counts(registry: EmbeddedRegistry, cars: list[Vehicle]) -> None:
    signing, car = registry.signing, cars[0]
    assert signing.config_of(car.id) is None
    first = signing.configure(car.id, "a.b.c", "{}", KEY, "app")
    assert (first.version, first.synced) == (1, False)
    signing.configure(car.id, "d.e.f", "{}", KEY, "app")
    assert signing.cars_with_configs(0, 9) == [(car.id, car.token)]
    signing.sync(car.token, 1, "")  # the car's answer to the one before
    assert signing.cars_with_configs(0, 9) == [(car.id, car.token)]
    signing.sync(car.token, 2, "")
    stored = signing.config_of(car.id)
    assert stored is not None
    assert (stored.synced, stored.version, stored.token) == (True, 2, "d.e.f")
    withdrawn = signing.configure(car.id, "", "", "", "")
    assert signing.cars_with_configs(0, 9) == [(car.id, withdrawn.vehicle)]
    assert signing.cars_with_configs(car.id, 9) == []
    signing.sync(car.token, 3, "key_not_paired")
    stored = signing.config_of(car.id)
    assert stored is not None
    assert (stored.synced, stored.refusal) == (False, "key_not_paired")
    assert signing.cars_with_configs(0, 9) == []
    with pytest.raises(NotFoundError):
        signing.configure(4711, "a.b.c", "{}", KEY, "app")


def test_configurations_are_found_by_key_and_app_together(
    registry: EmbeddedRegistry, cars: list[Vehicle]
) -> None:
    signing = registry.signing
    for car, app in zip(cars[:2], ("mine", "other"), strict=True):
        row = signing.configure(car.id, "a.b.c", "{}", KEY, app)
        signing.sync(car.token, row.version, "no such field")
    assert signing.configured(KEY, "mine") == [cars[0].token]
    assert [row.vehicle for row in signing.refused(KEY, "other")] == [cars[1].token]
    for key, app in ((KEY, ""), (KEY, "third"), ("04" + "0" * 128, "mine")):
        assert (signing.configured(key, app), signing.refused(key, app)) == ([], [])


def test_changes_of_every_process_are_seen(registry: EmbeddedRegistry, tmp_path: Path) -> None:
    (car,) = (new.vehicle for new in registry.add_vehicles([vin_of(1)]))
    other = open_registry(tmp_path / "registry.sqlite")
    seen = registry.signing.changes()
    assert registry.signing.changes() == seen
    for writer in (registry, other):
        writer.signing.ask(car.id, ADD_KEY, KEY, "OWNER", 9)
        assert registry.signing.changes() != seen
        seen = registry.signing.changes()
    other.close()

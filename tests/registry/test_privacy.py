"""Zones and precision limits, as the registry keeps them."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.errors import InvalidNameError, NotFoundError, TooManyError
from motorcade.registry.people.port import AppRequest
from motorcade.registry.port import Vehicle
from motorcade.registry.privacy.port import EVERY_APP, Limits
from tests.registry.test_embedded import open_registry, vin_of


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[EmbeddedRegistry]:
    registry = open_registry(tmp_path / "registry.sqlite")
    yield registry
    registry.close()


@pytest.fixture
def car(registry: EmbeddedRegistry) -> Vehicle:
    return registry.add_vehicles([vin_of(1)])[0].vehicle


def test_zones_are_of_a_vehicle_until_they_are_removed(
    registry: EmbeddedRegistry, car: Vehicle, tmp_path: Path
) -> None:
    privacy = registry.privacy
    assert privacy.limits(car.id) == Limits()
    home = privacy.add_zone(car.id, " home ", 52.5, 13.4, 200.0)
    work = privacy.add_zone(car.id, "work", -33.9, 151.2, 0.5)
    other = open_registry(tmp_path / "registry.sqlite")
    assert other.privacy.limits(car.id).zones == (home, work)
    before = privacy.changes()
    other.privacy.remove_zone(car.id, home.id)
    assert privacy.changes() != before
    other.close()
    assert privacy.limits(car.id).zones == (work,)
    with pytest.raises(NotFoundError):
        privacy.remove_zone(car.id, home.id)
    with pytest.raises(NotFoundError):
        privacy.remove_zone(car.id + 1, work.id)


@pytest.mark.parametrize(
    ("latitude_deg", "longitude_deg", "radius_m"),
    [(90.1, 0, 1), (0, -180.1, 1), (0, 0, 0), (0, 0, 50_001), (math.nan, 0, 1), (0, 0, math.inf)],
)
def test_what_is_no_circle_is_refused(
    registry: EmbeddedRegistry,
    car: Vehicle,
    latitude_deg: float,
    longitude_deg: float,
    radius_m: float,
) -> None:
    with pytest.raises(InvalidNameError):
        registry.privacy.add_zone(car.id, "x", latitude_deg, longitude_deg, radius_m)


def test_a_vehicle_has_so_many_zones(registry: EmbeddedRegistry, car: Vehicle) -> None:
    for n in range(20):
        registry.privacy.add_zone(car.id, f"zone {n}", 0.0, 0.0, 1.0)
    with pytest.raises(TooManyError):
        registry.privacy.add_zone(car.id, "one more", 0.0, 0.0, 1.0)
    with pytest.raises(NotFoundError):
        registry.privacy.add_zone(car.id + 1, "nobody's", 0.0, 0.0, 1.0)


def test_the_wider_grid_holds(registry: EmbeddedRegistry, car: Vehicle) -> None:
    app, _ = registry.people.add_app(AppRequest("A", ("https://a.example",), ("openid",)))
    privacy = registry.privacy
    privacy.set_grid(car.id, app.client_id, 1_000)
    assert privacy.limits(car.id).grid_m(app.client_id) == 1_000
    assert privacy.limits(car.id).grid_m("another") == 0
    privacy.set_grid(car.id, EVERY_APP, 5_000)
    assert privacy.limits(car.id).grid_m(app.client_id) == 5_000
    privacy.set_grid(car.id, EVERY_APP, 0)
    assert privacy.limits(car.id).grid_m(app.client_id) == 1_000
    for client_id, grid_m in (("nobody", 5), (app.client_id, -1), (app.client_id, 100_001)):
        with pytest.raises((NotFoundError, InvalidNameError)):
            privacy.set_grid(car.id, client_id, grid_m)

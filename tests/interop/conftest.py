"""One running platform for this folder's tests: `motorcade up`, its vehicles and an operator."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.town import Town
from tests.platform_process import Platform, add_vehicles

VEHICLES = 80
SETTINGS = ["telemetry.rate_records_per_s=50", "telemetry.rate_records_burst=500"]


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The platform of this folder's tests. Each test takes vehicles that no other test knows."""
    directory: Path = tmp_path_factory.mktemp("town")
    platform = Platform(directory / "data", SETTINGS)
    platform.start()
    try:
        vins = [f"5YJ3E1EA7KF{number:06d}" for number in range(VEHICLES)]
        files = add_vehicles(platform.data, vins, directory / "vehicles")  # while it runs
        yield Town(platform, itertools.cycle(files.values()), vins)
    finally:
        assert platform.stop() == 0, platform.log()

"""Reads the log's files for commands that tell about vehicles: beside a running server, or not."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from motorcade.cli.data import opened_registry
from motorcade.cli.render import CommandError

if TYPE_CHECKING:  # numpy and the kernels load when there is something to read
    from motorcade.events import Topic
    from motorcade.log.port import LogSlice
    from motorcade.registry.port import Site, Vehicle

PAGE: int = 1_000  # vehicles of one look into the registry


def slices(data: Path, topics: "frozenset[Topic]") -> "Iterator[LogSlice]":
    """Everything durable of these topics, in order. Damage is told on standard error and passed."""
    from motorcade.clock import SystemClock
    from motorcade.config import Config
    from motorcade.log.embedded import EmbeddedLog
    from motorcade.log.errors import LogCorruptError
    from motorcade.log.port import Edge

    if not (data / "log").exists():  # no server has run yet
        return
    log = EmbeddedLog(data / "log", Config().log, SystemClock())
    try:
        reader = log.reader(topics, Edge.EARLIEST)
        while True:
            try:
                found = reader.poll(0.0)
            except LogCorruptError as error:
                print(f"motorcade: {error}", file=sys.stderr)
                reader.skip_damage()
                continue
            if not found:
                return
            yield from found
    finally:
        log.close()


def vehicles(data: Path) -> "dict[str, Vehicle]":
    """Every registered vehicle by its token."""
    from motorcade.identity.authority import open_authority

    found: dict[str, Vehicle] = {}
    with opened_registry(data, open_authority(data)) as registry:
        while page := registry.vehicles(len(found), PAGE):
            found |= {vehicle.token: vehicle for vehicle in page}
    return found


def vehicle_of(data: Path, vin: str) -> "Vehicle":
    """The vehicle with this VIN. Raises `CommandError` when there is none."""
    from motorcade.identity.authority import open_authority

    with opened_registry(data, open_authority(data)) as registry:
        vehicle = registry.vehicle_by_vin(vin.strip().upper())
    if vehicle is None:
        raise CommandError(
            f"no vehicle has the VIN {vin!r}: `motorcade vehicle list --data {data}` shows all"
        )
    return vehicle


def site_of(data: Path, site_id: int) -> "Site":
    """The energy site with this id. Raises `CommandError` when there is none."""
    from motorcade.identity.authority import open_authority

    with opened_registry(data, open_authority(data)) as registry:
        site = registry.site_by_id(site_id)
    if site is None:
        raise CommandError(
            f"no site has the id {site_id}: `motorcade site list --data {data}` shows all"
        )
    return site

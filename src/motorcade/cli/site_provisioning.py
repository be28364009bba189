"""What an energy site is handed: `site.json` and our CA. Registry and identity together."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from motorcade.cli.data import opened_registry
from motorcade.cli.provisioning import mqtt_access, shared_members
from motorcade.cli.render import CommandError
from motorcade.events import fnv1a_64
from motorcade.identity.authority import open_authority
from motorcade.identity.secrets import write_file
from motorcade.registry.port import NewSite, Site, SiteDescription
from motorcade.vehicle.vehicle_file import checks_of

SITES: Final = "sites"  # folder of the sites that were added without --out, in the data directory
FILE: Final = "site.json"


def add_site(
    data: Path, description: SiteDescription, house: Mapping[str, Any], out: Path | None
) -> tuple[Site, Path]:
    """Register a site and write its files into `out`; the site and its file.

    `house` are the members of the simulated house that the description does not have.

    Raises:
        InvalidNameError: see `Registry.add_site`.
        CommandError: `out` holds a site already.
    """
    if out is not None and (out / FILE).exists():
        raise CommandError(
            f"{(out / FILE).absolute()} is there already and holds a site's only secrets: choose "
            "another --out"
        )
    authority = open_authority(data)
    shared = shared_members(data, authority)
    with opened_registry(data, authority) as registry:
        new = registry.add_site(description)
        try:
            place = (out or data / SITES / str(new.site.id)).absolute()
            return new.site, _write(new, house, place, authority.ca_pem, shared)
        except BaseException:  # also Ctrl-C: a site without its files could never connect
            registry.remove_site(new.site.id)
            raise


def _write(
    new: NewSite, house: Mapping[str, Any], place: Path, ca_pem: bytes, shared: Mapping[str, Any]
) -> Path:
    """`site.json` last, so that its presence says: complete."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(place / "ca.pem", ca_pem, mode=0o600)
    site, described = new.site, new.site.description
    members: dict[str, Any] = {
        "energy_site_id": site.id,
        "token": site.token,
        "mqtt": mqtt_access(site.token, new.password),
        "ca_file": str(place / "ca.pem"),
        "house": {
            "seed": fnv1a_64(site.token.encode()) >> 1,
            "time_zone": described.time_zone,
            "battery_count": described.battery_count,
            "solar_w_peak": described.solar_w_peak,
            "wall_connector": described.wall_connector,
            **house,
        },
        **shared,
    }
    members["checks"] = checks_of(members, {"ca_file": ca_pem})
    file = place / FILE
    write_file(file, (json.dumps(members, indent=2) + "\n").encode(), mode=0o600)
    return file

"""`site.json`: which site this is, whom it obeys, where to call, and what house is simulated.

Written by `motorcade site add`. Relative file names are relative to the file.
"""

import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from motorcade.vehicle.errors import VehicleFileError
from motorcade.vehicle.site.model import Site
from motorcade.vehicle.vehicle_file import (
    Address,
    MqttAccess,
    VehicleFile,
    checks_of,
    public_key,
)
from motorcade.zones import UnknownZoneError, zone_of

BATTERY_J = 48_600_000  # 13.5 kWh, what a Powerwall 2 can use
BATTERY_W = 5_000  # and gives or takes for long

Second = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]


class House(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The simulated part: change it and the site is another house from its next start on."""

    time_zone: str
    seed: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
    latitude_deg: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude_deg: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    battery_count: Annotated[int, msgspec.Meta(ge=1, le=10)]
    solar_w_peak: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    house_w: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 1_200  # of an average evening
    wall_connector: bool = True
    outages_per_year: Annotated[float, msgspec.Meta(ge=0, le=365)] = 3.0  # by chance
    grid_outages: list[tuple[Second, Second]] = []  # further ones: from, to; Unix seconds

    def site(self) -> Site:
        """The model's row."""
        return Site(
            seed=self.seed,
            latitude_deg=self.latitude_deg,
            longitude_deg=self.longitude_deg,
            solar_w_peak=self.solar_w_peak,
            house_w=self.house_w,
            battery_count=self.battery_count,
            battery_j=BATTERY_J,
            battery_w=BATTERY_W,
            wall_connector=self.wall_connector,
            outages_per_year=self.outages_per_year,
            grid_outages=tuple(self.grid_outages),
        )


class _File(msgspec.Struct, frozen=True):
    energy_site_id: int
    token: str
    mqtt: MqttAccess
    ca_file: str
    house: House
    command_public_keys: dict[str, str] = {}
    servers: dict[str, Address] = {}
    checks: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class SiteFile:
    """A site's identity, checked. `identity.vin` is what people call it."""

    identity: VehicleFile  # without certificate and key: a site comes in by MQTT
    house: House


def read_site_file(path: Path) -> SiteFile:
    """Read and check the file.

    Raises:
        VehicleFileError: not there, not JSON, or something in it is wrong; the text says what.
    """
    try:
        data = path.read_bytes()
        file = msgspec.json.decode(data, type=_File)
        members: dict[str, Any] = msgspec.json.decode(data)
        keys = {key_id: public_key(text) for key_id, text in file.command_public_keys.items()}
        ca_file = path.parent / file.ca_file
        checks = checks_of(members, {"ca_file": ca_file.read_bytes()})
        zone_of(file.house.time_zone)
    except UnknownZoneError as error:
        raise VehicleFileError(f"{path}: {error}") from error
    except (OSError, msgspec.MsgspecError, ValueError, binascii.Error) as error:
        raise VehicleFileError(f"{path}: {error}; write it with `motorcade site add`") from error
    damage: tuple[str, ...] = ()
    if file.checks and file.checks != checks:
        damage = (
            f"{path} or {ca_file} is damaged, or was edited: remove `checks` if it was edited, "
            "else restore them",
        )
    name = f"site {file.energy_site_id}"
    nowhere = Path()
    identity = VehicleFile(
        name, file.token, file.mqtt, nowhere, nowhere, ca_file, keys, file.servers, damage
    )
    return SiteFile(identity, file.house)

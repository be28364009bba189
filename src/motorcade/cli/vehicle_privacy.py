"""`motorcade vehicle privacy`: what apps do not hear of where a vehicle is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from motorcade.cli.data import DEFAULT_DATA, DataOption, note_deed, opened_registry, require_data
from motorcade.cli.render import CommandError, new_app, print_json, print_table

if TYPE_CHECKING:
    from motorcade.registry.port import Vehicle
    from motorcade.registry.privacy.port import Limits, Privacy

app = new_app(
    "Zones in which apps hear no location, and how exact it is elsewhere.",
    "motorcade vehicle privacy show --vin 5YJ3E1EA7KF000001",
)

VinOption = Annotated[str, typer.Option(help="The vehicle's VIN.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def group() -> None:
    """Zones in which apps hear no location, and how exact it is elsewhere."""


@app.command(epilog="Example: motorcade vehicle privacy show --vin 5YJ3E1EA7KF000001")
def show(vin: VinOption, data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Show the zones and precision limits of a vehicle."""
    with _opened(data, vin) as (privacy, vehicle):
        _tell(privacy.limits(vehicle.id), as_json=as_json)


@app.command(
    epilog="Example: motorcade vehicle privacy add-zone --vin 5YJ3E1EA7KF000001 "
    "--latitude 52.52 --longitude 13.405 --radius 300 --name home"
)
def add_zone(
    vin: VinOption,
    latitude: Annotated[float, typer.Option(metavar="DEG", help="North of the equator.")],
    longitude: Annotated[float, typer.Option(metavar="DEG", help="East of Greenwich.")],
    radius: Annotated[float, typer.Option(metavar="M", help="From the centre, in metres.")],
    name: Annotated[str, typer.Option(help="What you call it; no app hears it.")] = "zone",
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Let no app hear where the vehicle is while it is in a circle."""
    with _opened(data, vin) as (privacy, vehicle):
        zone = privacy.add_zone(vehicle.id, name, latitude, longitude, radius)
        _note(data, vehicle, f"zone {zone.id} added")
        _tell(privacy.limits(vehicle.id), as_json=as_json)


@app.command(
    epilog="Example: motorcade vehicle privacy remove-zone --vin 5YJ3E1EA7KF000001 --zone 1"
)
def remove_zone(
    vin: VinOption,
    zone: Annotated[int, typer.Option(help="Its number, as `show` prints it.")],
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """End a zone."""
    with _opened(data, vin) as (privacy, vehicle):
        privacy.remove_zone(vehicle.id, zone)
        _note(data, vehicle, f"zone {zone} removed")
        _tell(privacy.limits(vehicle.id), as_json=as_json)


@app.command(
    epilog="Example: motorcade vehicle privacy precision --vin 5YJ3E1EA7KF000001 --grid 1000"
)
def precision(
    vin: VinOption,
    grid: Annotated[int, typer.Option(metavar="M", help="Its width; 0 ends the limit.")],
    client_id: Annotated[
        str, typer.Option("--app", metavar="CLIENT_ID", help="One app. Default: every app.")
    ] = "",
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Put the positions that apps hear on a grid."""
    with _opened(data, vin) as (privacy, vehicle):
        privacy.set_grid(vehicle.id, client_id, grid)
        _note(data, vehicle, f"grid of {grid} m for {client_id or 'every app'}")
        _tell(privacy.limits(vehicle.id), as_json=as_json)


class _Opened(NamedTuple):
    privacy: "Privacy"
    vehicle: "Vehicle"


@contextmanager
def _opened(data: Path, vin: str) -> Iterator[_Opened]:
    """Raises `CommandError`."""
    from motorcade.identity.authority import open_authority

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        vehicle = registry.vehicle_by_vin(vin)
        if vehicle is None:
            raise CommandError(
                f"no vehicle has the VIN {vin!r}: `motorcade vehicle list` shows all"
            )
        yield _Opened(registry.privacy, vehicle)


def _note(data: Path, vehicle: "Vehicle", text: str) -> None:
    from motorcade.registry.audit.port import What

    note_deed(data, What.CHANGED_PRIVACY, text, vehicle.token)


def _tell(limits: "Limits", *, as_json: bool) -> None:
    if as_json:
        zones = [zone._asdict() for zone in limits.zones]
        print_json({"zones": zones, "grids_m": dict(limits.grids_m)})
        return
    rows = [
        [str(row.id), row.name, f"{row.latitude_deg}, {row.longitude_deg}", f"{row.radius_m:g}"]
        for row in limits.zones
    ]
    print_table(["zone", "name", "centre", "radius (m)"], rows)
    if limits.grids_m:
        grids = [[client or "every app", str(grid_m)] for client, grid_m in limits.grids_m.items()]
        print_table(["app", "grid (m)"], grids)

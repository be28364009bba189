"""`motorcade vehicle`: add, list, show, renew and remove, beside a running server or not."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motorcade.cli import vehicle_privacy
from motorcade.cli.data import (
    DEFAULT_DATA,
    DataOption,
    note_deed,
    opened_registry,
    require_data,
)
from motorcade.cli.render import CommandError, new_app, print_json, print_table
from motorcade.identity.port import OWNER_SUBJECT

if TYPE_CHECKING:
    from motorcade.cli.pairing import Pairing

app = new_app("Add, list, show, renew, pair and remove vehicles.", "motorcade vehicle list")
app.add_typer(vehicle_privacy.app, name="privacy")

VinOption = Annotated[str, typer.Argument(help="The vehicle's VIN.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OutOption = Annotated[
    Path, typer.Option("--out", metavar="OUTDIR", help="Where vehicle.json and its keys go.")
]


PublicKeyOption = Annotated[
    Path, typer.Option("--public-key", metavar="PEM", help="A P-256 public key.")
]
WaitOption = Annotated[
    float, typer.Option("--wait", min=0, metavar="S", help="Wait so long for the vehicle.")
]


@app.command(epilog="Example: motorcade vehicle add --vin 5YJ3E1EA7KF000001 --out car")
def add(
    out: OutOption,
    data: DataOption = DEFAULT_DATA,
    vin: Annotated[str, typer.Option(help="One vehicle, into OUTDIR/vehicle.json.")] = "",
    vins: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A VIN per line, each into OUTDIR/VIN/vehicle.json."),
    ] = None,
    owner: Annotated[
        str, typer.Option(metavar="SUBJECT", help="Whose they are: `motorcade person list`.")
    ] = OWNER_SUBJECT,
    as_json: JsonOption = False,
) -> None:
    """Add vehicles and write what each of them needs to connect: vehicle.json, certificate, key."""
    from motorcade.cli.provisioning import add_vehicles
    from motorcade.registry.audit.port import What

    if bool(vin) == bool(vins):
        raise typer.BadParameter("give either --vin VIN or --vins FILE")
    places = [(vin, out)] if vins is None else [(line, out / line) for line in read_vins(vins)]
    added = add_vehicles(data, places, owner)
    only = added[0].vehicle.token if len(added) == 1 else None
    note_deed(data, What.ADDED_VEHICLES, f"{len(added)}, of {owner}", only)
    if as_json:
        print_json([{"vin": car.vehicle.vin, "file": str(car.file)} for car in added])
    elif len(added) == 1:
        print(f"{added[0].vehicle.vin} added: {added[0].file}")
    else:
        print(f"{len(added)} vehicles added below {out.absolute()}")


@app.command(epilog="Example: motorcade vehicle renew 5YJ3E1EA7KF000001 --out car-again")
def renew(
    vin: VinOption, out: OutOption, data: DataOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """Give a vehicle a new password and certificate; the old ones are refused from now on."""
    from motorcade.cli.provisioning import renew_vehicle
    from motorcade.registry.audit.port import What

    require_data(data)
    car = renew_vehicle(data, vin, out)
    note_deed(data, What.RENEWED_VEHICLE, vehicle=car.vehicle.token)
    if as_json:
        print_json({"vin": vin, "file": str(car.file)})
    else:
        print(f"{vin} renewed: {car.file}")


@app.command("list", epilog="Example: motorcade vehicle list --limit 20 --json")
def list_(
    data: DataOption = DEFAULT_DATA,
    offset: Annotated[int, typer.Option(min=0, help="Skip so many.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="Show so many.")] = 1_000,
    as_json: JsonOption = False,
) -> None:
    """List vehicles in the order they were added."""
    from motorcade.identity.authority import open_authority

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        shown, total = registry.vehicles(offset, limit), registry.vehicle_count()
    if as_json:
        print_json([asdict(vehicle) for vehicle in shown])
        return
    rows = [[str(v.id), v.vin, v.token, v.display_name, _day(v.added_time_us)] for v in shown]
    print_table(["id", "VIN", "token", "name", "added"], rows)
    if len(shown) < total:
        print(f"{len(shown)} of {total}; more with --offset and --limit")


@app.command(epilog="Example: motorcade vehicle show 5YJ3E1EA7KF000001")
def show(vin: VinOption, data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Show one vehicle."""
    from motorcade.identity.authority import open_authority

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        vehicle = registry.vehicle_by_vin(vin)
    if vehicle is None:
        raise CommandError(f"no vehicle has the VIN {vin!r}: `motorcade vehicle list` shows all")
    if as_json:
        print_json(asdict(vehicle))
    else:
        print_table(["", ""], [[name, str(value)] for name, value in asdict(vehicle).items()])


@app.command(epilog="Example: motorcade vehicle accesses 5YJ3E1EA7KF000001 --limit 20")
def accesses(
    vin: VinOption,
    data: DataOption = DEFAULT_DATA,
    limit: Annotated[int, typer.Option(min=1, help="Show so many.")] = 1_000,
    as_json: JsonOption = False,
) -> None:
    """Show what apps asked of a vehicle, by the hour, the newest first."""
    from motorcade.identity.authority import open_authority

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        vehicle = registry.vehicle_by_vin(vin)
        rows = [] if vehicle is None else registry.access_log.accesses(vehicle.id, limit)
    if vehicle is None:
        raise CommandError(f"no vehicle has the VIN {vin!r}: `motorcade vehicle list` shows all")
    if as_json:
        print_json([row._asdict() for row in rows])
        return
    told = [
        [_day(r.last_time_us), r.app_name, r.kind, str(r.times), r.subject, r.purpose] for r in rows
    ]
    print_table(["last", "app", "asked", "times", "for", "purpose"], told)


@app.command(epilog="Example: motorcade vehicle remove 5YJ3E1EA7KF000001")
def remove(vin: VinOption, data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """End a vehicle's access. Its stored records stay."""
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        vehicle = registry.remove_vehicle(vin)
    note_deed(data, What.REMOVED_VEHICLE, f"{vehicle.display_name} (id {vehicle.id})")
    if as_json:
        print_json(asdict(vehicle))
    else:
        print(f"{vin} removed: its password and certificates are refused from now on")


@app.command(epilog="Example: motorcade vehicle pair --vin 5YJ3E1EA7KF000001 --public-key key.pem")
def pair(
    vin: Annotated[str, typer.Option(help="The vehicle's VIN.")],
    public_key: PublicKeyOption,
    data: DataOption = DEFAULT_DATA,
    role: Annotated[
        str, typer.Option(help="owner, driver, fm, vehicle_monitor, charging_manager or guest.")
    ] = "owner",
    wait_s: WaitOption = 5.0,
    as_json: JsonOption = False,
) -> None:
    """Let a vehicle obey a key in signed commands: the owner's approval, without a page.

    The approval goes to the vehicle as soon as it is connected, and waits until then.
    """
    from motorcade.cli.pairing import pair_key

    _tell_pairing(pair_key(data, vin, public_key, role, wait_s), as_json=as_json)


@app.command(
    epilog="Example: motorcade vehicle unpair --vin 5YJ3E1EA7KF000001 --public-key key.pem"
)
def unpair(
    vin: Annotated[str, typer.Option(help="The vehicle's VIN.")],
    public_key: PublicKeyOption,
    data: DataOption = DEFAULT_DATA,
    wait_s: WaitOption = 5.0,
    as_json: JsonOption = False,
) -> None:
    """Let a vehicle obey a key no more."""
    from motorcade.cli.pairing import unpair_key

    _tell_pairing(unpair_key(data, vin, public_key, wait_s), as_json=as_json)


def _tell_pairing(pairing: "Pairing", *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(pairing))
    else:
        print(pairing.text)


def read_vins(file: Path) -> list[str]:
    """The VINs of a file, one per line; empty lines and lines that begin with # do not count."""
    lines = [line.strip() for line in file.read_text().splitlines()]
    vins = [line for line in lines if line and not line.startswith("#")]
    if not vins:
        raise CommandError(f"{file} names no vehicle: write one VIN per line")
    return vins


def _day(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M")

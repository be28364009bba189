"""`motorcade site`: energy sites, beside a running server or not."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motorcade.cli.data import DEFAULT_DATA, DataOption, note_deed, opened_registry, require_data
from motorcade.cli.render import CommandError, new_app, print_json, print_table

if TYPE_CHECKING:
    from motorcade.registry.port import Site

app = new_app("Add, list, show and remove energy sites.", "motorcade site list")

SiteOption = Annotated[int, typer.Argument(help="The energy_site_id.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog="Example: motorcade site add --name Home --batteries 2 --solar-kw 9.5")
def add(
    name: Annotated[str, typer.Option(help="What its owner calls it.")],
    data: DataOption = DEFAULT_DATA,
    out: Annotated[
        Path | None,
        typer.Option(metavar="OUTDIR", help="Where site.json goes. Default: DIR/sites/ID."),
    ] = None,
    latitude: Annotated[float, typer.Option(min=-90, max=90, help="Degrees.")] = 52.52,
    longitude: Annotated[float, typer.Option(min=-180, max=180, help="Degrees.")] = 13.405,
    time_zone: Annotated[str, typer.Option(help="Of its clocks and tariff.")] = "Europe/Berlin",
    batteries: Annotated[int, typer.Option(min=1, max=10, help="13.5 kWh, 5 kW each.")] = 1,
    solar_kw: Annotated[float, typer.Option(min=0, max=1_000, help="Peak; 0: no panels.")] = 8.0,
    house_w: Annotated[int, typer.Option(min=0, max=100_000, help="Of an evening.")] = 1_200,
    wall_connector: Annotated[bool, typer.Option(help="Whether a car is charged there.")] = True,
    outages_per_year: Annotated[
        float, typer.Option(min=0, max=365, help="Grid failures by chance.")
    ] = 3.0,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of weather and habits. Default: its own.")
    ] = None,
) -> None:
    """Add a simulated site and write what it needs to run: site.json. Prints {"energy_site_id"}."""
    from motorcade.cli.site_provisioning import add_site
    from motorcade.registry.audit.port import What
    from motorcade.registry.port import SiteDescription
    from motorcade.zones import UnknownZoneError, zone_of

    try:
        zone_of(time_zone)
    except UnknownZoneError as error:
        raise typer.BadParameter(f"--time-zone: {error}") from error
    house: dict[str, Any] = {
        "latitude_deg": latitude,
        "longitude_deg": longitude,
        "house_w": house_w,
        "outages_per_year": outages_per_year,
    }
    if seed is not None:
        house["seed"] = seed
    description = SiteDescription(
        name, time_zone, batteries, round(solar_kw * 1_000), wall_connector
    )
    site, file = add_site(data, description, house, out)
    note_deed(data, What.ADDED_SITE, f"{name} ({site.id})")
    print_json({"energy_site_id": site.id, "file": str(file)})


@app.command("list", epilog="Example: motorcade site list --json")
def list_(
    data: DataOption = DEFAULT_DATA,
    offset: Annotated[int, typer.Option(min=0, help="Skip so many.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="Show so many.")] = 1_000,
    as_json: JsonOption = False,
) -> None:
    """List sites in the order they were added."""
    from motorcade.identity.authority import open_authority

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        shown, total = registry.sites(offset, limit), registry.site_count()
    if as_json:
        print_json([_members(site) for site in shown])
        return
    rows = [[str(site.id), site.token, site.description.name] for site in shown]
    print_table(["id", "token", "name"], rows)
    if len(shown) < total:
        print(f"{len(shown)} of {total}; more with --offset and --limit")


@app.command(epilog="Example: motorcade site show 1000000000001")
def show(site_id: SiteOption, data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Show one site."""
    from motorcade.identity.authority import open_authority

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        site = registry.site_by_id(site_id)
    if site is None:
        raise CommandError(f"no site has the id {site_id}: `motorcade site list` shows all")
    if as_json:
        print_json(_members(site))
    else:
        print_table(["", ""], [[name, str(value)] for name, value in _members(site).items()])


@app.command(epilog="Example: motorcade site remove 1000000000001")
def remove(
    site_id: SiteOption, data: DataOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """End a site's access. Its stored records stay."""
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        site = registry.remove_site(site_id)
    note_deed(data, What.REMOVED_SITE, f"{site.description.name} ({site.id})")
    if as_json:
        print_json(_members(site))
    else:
        print(f"site {site_id} removed: its password is refused from now on")


def _members(site: "Site") -> dict[str, Any]:
    return {
        "energy_site_id": site.id,
        "token": site.token,
        **asdict(site.description),
        "added_time_us": site.added_time_us,
    }

"""`motorcade drive`: one car from its `vehicle.json`, or many simulated ones, or energy sites from
their `site.json`, until SIGTERM."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from motorcade.cli.data import DEFAULT_DATA, READY_FILE, require_server
from motorcade.cli.render import new_app, print_json_line

if TYPE_CHECKING:
    from motorcade.config import VehicleConfig
    from motorcade.vehicle.assembly import World
    from motorcade.vehicle.fleet import Fleet, FleetStatus, Member
    from motorcade.vehicle.route import Route
    from motorcade.vehicle.site.assembly import Place
    from motorcade.vehicle.stations import Traced
    from motorcade.vehicle.vehicle_file import Address, VehicleFile

app = new_app()

STATUS_S: Final = 5.0
DRAIN_S: Final = 2.0  # how long the end waits for the last acks
SIMULATED: Final = "simulated"  # folder of the cars that `-n` adds, in the data directory
VIN_FORM: Final = "MTRCDSM00{:08d}"  # a maker's code that nobody has, then the car's number
CONNECTS_PER_S: Final = 200.0  # of a fleet
ROUNDS: Final = 64  # different ones that cars drive; each takes some 30 ms to draw


@app.command(epilog="Example: motorcade drive -n 1000")
def drive(
    vehicle: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Run this car, from its vehicle.json.")
    ] = None,
    site: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Run this energy site, from its site.json; repeatable."),
    ] = None,
    count: Annotated[
        int, typer.Option("-n", min=0, max=10_000, help="Run so many simulated cars.")
    ] = 0,
    world: Annotated[
        int,
        typer.Option(
            min=0, max=100_000, help="Run so many cars in columns: they take no commands."
        ),
    ] = 0,
    drives: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="As --world, but drives recorded by Eclipse SUMO: its FCD output."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="MOTORCADE_DATA",
            metavar="DIR",
            help="The running platform's directory; its addresses come before vehicle.json's.",
        ),
    ] = None,
    link: Annotated[str, typer.Option(help="mqtt or telemetry.")] = "mqtt",
    tls: Annotated[
        bool | None, typer.Option(help="MQTT with TLS. Default: unless the server is local.")
    ] = None,
    buffer: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where unsent records are kept; a fleet: in DIR/VIN."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the first car; the next ones count up.")] = 1,
    rate: Annotated[float, typer.Option(min=0.001, help="Samples per second and car.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print status as JSON lines.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a setting of the cars: vehicle.name=value."),
    ] = None,
) -> None:
    """Run one simulated car, or many, or energy sites, until SIGTERM.

    A single car, and every site, keeps unsent records beside its file, a fleet keeps them in memory
    unless told where. All keep the journal of commands on disk.
    """
    given = (vehicle is not None, count > 0, bool(site), world > 0, drives is not None)
    if sum(given) != 1:
        raise typer.BadParameter(
            "give one of --vehicle FILE, --site FILE, -n COUNT, --world COUNT, and --drives FILE"
        )
    if world or drives is not None:
        from motorcade.cli.world import run_world

        run_world(data or DEFAULT_DATA, world, seed, drives=drives, as_json=as_json)
        return
    from motorcade.config import Config
    from motorcade.traces.car import CarTracer
    from motorcade.traces.switch import span_out
    from motorcade.vehicle.assembly import LinkKind

    if link not in list(LinkKind):
        raise typer.BadParameter(f"--link {link!r}: write one of {', '.join(LinkKind)}")
    kind = LinkKind(link)
    if site and kind is not LinkKind.MQTT:
        raise typer.BadParameter("an energy site has no --link but mqtt")
    if site:
        places, find = _sites(site, data, buffer)
    elif vehicle is not None:
        cars, find = _one_car(vehicle, data)
    else:
        cars, find = _simulated_cars(data or DEFAULT_DATA, count)
    config = Config().with_overrides(settings or []).vehicle
    spans = span_out(config.otlp_url, "vehicle", "vehicle.otlp_url")
    shared = _world(kind, tls, find, config, CarTracer(spans.end) if spans is not None else None)
    try:
        if site:
            members = _site_members(places, shared)
        else:
            members = _members(cars, shared, seed, buffer, alone=vehicle is not None)
        _run(members, shared, sample_s=1 / rate, as_json=as_json)
    finally:
        if spans is not None:
            spans.close()


Found = tuple[list[tuple[Path, "VehicleFile"]], Callable[[str], "Address"]]
"""Cars with the directories they live in, and how to find a server by its name."""


def _one_car(file: Path, data: Path | None) -> Found:
    from motorcade.vehicle.vehicle_file import read_vehicle_file

    vehicle = read_vehicle_file(file)
    return [(file.parent, vehicle)], _find(vehicle, data)


def _find(vehicle: "VehicleFile", data: Path | None) -> Callable[[str], "Address"]:
    """The addresses of the running platform, or else those that the file names."""
    from motorcade.vehicle.vehicle_file import address_of, read_ready_file

    ready = (data or DEFAULT_DATA) / READY_FILE
    if vehicle.servers and not (data is not None and ready.exists()):
        return lambda name: address_of(vehicle.servers, name)
    read_ready_file(ready)  # now, so that a wrong directory is told at once
    return lambda name: address_of(read_ready_file(ready), name)


def _sites(
    files: list[Path], data: Path | None, buffer: Path | None
) -> tuple[list["Place"], Callable[[str], "Address"]]:
    """Sites with their disks; all of one platform."""
    from motorcade.vehicle.disk import DirectoryDisk
    from motorcade.vehicle.site.assembly import Place
    from motorcade.vehicle.site.site_file import read_site_file

    read = [(file.parent, read_site_file(file)) for file in files]
    if len({site.identity.token for _, site in read}) < len(read):
        raise typer.BadParameter("--site: the same site twice")
    places = [
        Place(
            site,
            memory=DirectoryDisk(place / "memory"),
            buffer=DirectoryDisk(buffer / site.identity.token if buffer else place / "buffer"),
            journal=DirectoryDisk(place / "journal"),
        )
        for place, site in read
    ]
    return places, _find(places[0].file.identity, data)


def _site_members(places: list["Place"], world: "World") -> list["Member"]:
    from motorcade.vehicle.link import client_tls
    from motorcade.vehicle.site.assembly import assemble_sites

    tls = client_tls(places[0].file.identity, with_certificate=False) if world.tls else None
    members = assemble_sites(places, world, tls)
    for place, member in zip(places, members, strict=True):
        for damage in (*place.file.identity.damage, *member.agent.damage):
            print(f"{member.agent.vin}: {damage}", file=sys.stderr)
    return members


def _simulated_cars(data: Path, count: int) -> Found:
    """The first `count` simulated cars of a platform; those it lacks are added."""
    from motorcade.vehicle.vehicle_file import address_of, read_ready_file, read_vehicle_file

    require_server(data)
    places = [
        (vin, data.absolute() / SIMULATED / vin)
        for vin in (VIN_FORM.format(number) for number in range(1, count + 1))
    ]
    _provision(data, [place for place in places if not (place[1] / "vehicle.json").exists()])
    cars = [(place, read_vehicle_file(place / "vehicle.json")) for _, place in places]
    return cars, lambda name: address_of(read_ready_file(data / READY_FILE), name)


def _provision(data: Path, missing: list[tuple[str, Path]]) -> None:
    """Add cars. One that is registered, but whose files are gone, gets new ones."""
    if not missing:
        return
    from motorcade.cli.data import opened_registry
    from motorcade.cli.provisioning import add_vehicles, renew_vehicle
    from motorcade.identity.authority import open_authority

    with opened_registry(data, open_authority(data)) as registry:
        known = {vin for vin, _ in missing if registry.vehicle_by_vin(vin) is not None}
    for vin, place in missing:
        if vin in known:
            renew_vehicle(data, vin, place)
    fresh = [(vin, place) for vin, place in missing if vin not in known]
    if fresh:
        add_vehicles(data, fresh)


def _world(
    kind: Any,
    tls: bool | None,
    find: Callable[[str], "Address"],
    config: "VehicleConfig",
    traced: "Traced | None",
) -> "World":
    from motorcade.clock import SystemClock
    from motorcade.vehicle.assembly import World

    if tls is None:
        tls = find("mqtt").host not in ("127.0.0.1", "::1", "localhost")
    return World(kind, tls, find, SystemClock(), config, os.urandom, traced=traced)


def _members(
    cars: list[tuple[Path, "VehicleFile"]],
    world: "World",
    seed: int,
    buffer: Path | None,
    *,
    alone: bool,
) -> list["Member"]:
    from motorcade.vehicle.assembly import assemble
    from motorcade.vehicle.disk import DirectoryDisk, MemoryDisk
    from motorcade.vehicle.link import client_tls

    shared_tls = client_tls(cars[0][1], with_certificate=False) if world.tls else None
    route_of = (lambda _: None) if alone else _city_routes()
    members = []
    for number, (place, vehicle) in enumerate(cars):
        if buffer is not None:
            buffer_disk: DirectoryDisk | MemoryDisk = DirectoryDisk(
                buffer if alone else buffer / vehicle.vin
            )
        else:
            buffer_disk = DirectoryDisk(place / "buffer") if alone else MemoryDisk()
        members.append(
            assemble(
                vehicle,
                world,
                seed=seed + number,
                buffer_disk=buffer_disk,
                journal_disk=DirectoryDisk(place / "journal"),
                tls=shared_tls,
                route=route_of(seed + number),
            )
        )
        for damage in (*vehicle.damage, *members[-1].agent.damage):
            print(f"{vehicle.vin}: {damage}", file=sys.stderr)
    return members


def _city_routes() -> Callable[[int], "Route | None"]:
    """Rounds through the demo city by a car's seed; many cars share some of them."""
    from motorcade.simulation.rounds import Rounds
    from motorcade.simulation.streets import read_streets
    from motorcade.vehicle.route import RoadPoint, along

    rounds = Rounds(read_streets())

    @cache
    def route(number: int) -> "Route":
        return along([RoadPoint(*point) for point in rounds.draw(number)])

    return lambda seed: route(seed % ROUNDS)


def _run(members: list["Member"], world: "World", *, sample_s: float, as_json: bool) -> None:
    import uvloop

    from motorcade.vehicle.fleet import Fleet

    fleet = Fleet(
        members,
        sample_s=sample_s,
        connect_spread_s=len(members) / CONNECTS_PER_S,
        sleep=world.sleep,
        clock=world.clock,
        failed=lambda agent, error: print(f"{agent.vin}: {error}", file=sys.stderr),
    )
    uvloop.run(_until_told(fleet, members, as_json=as_json))


async def _until_told(fleet: "Fleet", members: list["Member"], *, as_json: bool) -> None:
    """Run until SIGTERM or Ctrl-C; then send what is left, say goodbye, and end."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    work = asyncio.ensure_future(fleet.run())
    status = asyncio.ensure_future(_show_status(fleet, members, as_json=as_json))
    telling = asyncio.ensure_future(told.wait())
    await asyncio.wait((work, status, telling), return_when=asyncio.FIRST_COMPLETED)
    if telling.done():
        await fleet.drain(DRAIN_S)
    for task in (work, status, telling):
        task.cancel()
    ends = await asyncio.gather(work, status, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _show_status(fleet: "Fleet", members: list["Member"], *, as_json: bool) -> None:
    while True:
        _print_status(fleet.status(), members, as_json=as_json)
        await asyncio.sleep(STATUS_S)


def _print_status(status: "FleetStatus", members: list["Member"], *, as_json: bool) -> None:
    if as_json:
        print_json_line(asdict(status))
        return
    reasons = sorted(
        {member.agent.counters.last_reason for member in members if not member.agent.online} - {""}
    )
    why = f"; offline: {reasons[0]}" if reasons else ""
    print(
        f"{status.online} of {status.vehicles} online, {status.samples} samples, "
        f"{status.backlog} waiting, {status.executed} commands carried out{why}",
        flush=True,
    )

"""`motorcade doctor`: walk the platform's links, name the broken one and what mends it.

Exit status: 0 no fault (warnings at most); 1 a fault; 2 wrong usage. The first line names the first
fault: links are walked in the order in which one stands on the other.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motorcade.cli.data import DEFAULT_DATA, DataOption
from motorcade.cli.render import new_app, print_json

if TYPE_CHECKING:
    from motorcade.doctor.walk import Examined

app = new_app()

VehicleOption = Annotated[
    Path | None, typer.Option("--vehicle", metavar="FILE", help="Look at this vehicle.json, too.")
]


@app.command(epilog="Example: motorcade doctor --data ./motorcade-data --vehicle car/vehicle.json")
def doctor(
    data: DataOption = DEFAULT_DATA,
    vehicle: VehicleOption = None,
    whole_log: Annotated[
        bool, typer.Option("--whole-log", help="Read all of the log, not the last hour's files.")
    ] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="As given to motorcade up.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Walk disk, keys, TLS, limits, processes, ports, log and clock; name what is broken."""
    from motorcade.clock import SystemClock
    from motorcade.config import Config, ConfigError
    from motorcade.doctor.walk import examine, scene_of

    try:
        config = Config().with_overrides(settings or [])
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    now_us = SystemClock().now_us()
    scene = scene_of(data, config, now_us, vehicle, whole_log=whole_log)
    examined = list(examine(scene))
    faults = _count(examined, "fault")
    if as_json:
        print_json({"ok": not faults, "links": [_as_object(each) for each in examined]})
    else:
        _show(examined)
    raise typer.Exit(1 if faults else 0)


def _count(examined: "list[Examined]", level: str) -> int:
    return sum(found.level.value == level for each in examined for found in each.findings)


def _as_object(each: "Examined") -> dict[str, object]:
    findings = [
        {"level": found.level.value, "what": found.what, "mend": found.mend}
        for found in each.findings
    ]
    return {"link": each.link, "looked_at": each.reached, "findings": findings}


def _show(examined: "list[Examined]") -> None:
    found = [(each.link, one) for each in examined for one in each.findings]
    found.sort(key=lambda pair: pair[1].level.value != "fault")  # stable: else in walking order
    well = [each.link for each in examined if each.reached and not each.findings]
    if not _count(examined, "fault"):
        print(f"all well: {', '.join(well)}")
    for link, one in found:
        print(f"{one.level.value.upper()} {link}: {one.what}\n  mend: {one.mend}")
    skipped = [each.link for each in examined if not each.reached]
    if skipped:
        print(f"not looked at: {', '.join(skipped)}")
    elif _count(examined, "fault"):
        print(f"well: {', '.join(well)}")

"""`motorcade backup`: copy a data directory, whether a platform runs on it or not."""

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from motorcade.cli.data import DEFAULT_DATA, DataOption, require_data
from motorcade.cli.render import new_app, print_json

app = new_app()

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
POLITE: int = 10  # added to our nice value: acks come first


@app.command(epilog="Example: motorcade backup --data ./motorcade-data --out ./backup-monday")
def backup(
    out: Annotated[
        Path, typer.Option(metavar="DIR|FILE.tar", help="The backup to make; must not exist.")
    ],
    data: DataOption = DEFAULT_DATA,
    since: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="An earlier backup: what did not change is shared."),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Copy the data directory; every record acknowledged before now is in the copy.

    The copy holds the private keys: keep it as secret as the data directory.
    """
    from motorcade.backup import make
    from motorcade.backup.places import finished, new_target
    from motorcade.clock import SystemClock
    from motorcade.log.files import OsFiles

    require_data(data)
    os.nice(POLITE)
    earlier = make.earlier(since) if since is not None else None
    began_s = time.monotonic()
    with finished(new_target(out)) as target:
        made = make.make_backup(
            data, target, OsFiles(), SystemClock(), room=out.absolute().parent, since=earlier
        )
    total = sum(entry.bytes for entry in made.manifest.files)
    summary: dict[str, Any] = {
        "backup": str(out),
        "files": len(made.manifest.files),
        "bytes": total,
        "bytes_shared": made.bytes_shared,
        "began_time_us": made.manifest.began_time_us,
        "seconds": round(time.monotonic() - began_s, 3),
        "notes": made.manifest.notes,
    }
    if json_:
        print_json(summary)
        return
    for note in made.manifest.notes:
        typer.echo(f"motorcade backup: {note}", err=True)
    shared = f", {made.bytes_shared:,} of them shared with {since}" if since else ""
    print(f"{out}: {summary['files']} files, {total:,} bytes{shared}, {summary['seconds']} s")
    print(f"It holds private keys. Check it with: motorcade verify {out}")

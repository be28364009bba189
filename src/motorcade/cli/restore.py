"""`motorcade restore`: make a data directory of a backup."""

from pathlib import Path
from typing import Annotated

import typer

from motorcade.cli.render import new_app

app = new_app()


@app.command(epilog="Example: motorcade restore ./backup-monday --data ./motorcade-data")
def restore(
    backup: Annotated[Path, typer.Argument(help="The backup's directory or .tar file.")],
    data: Annotated[
        Path, typer.Option(metavar="NEWDIR", help="The directory to make; nothing is overwritten.")
    ],
    even_damaged: Annotated[
        bool, typer.Option("--even-damaged", help="Take damaged files as they are.")
    ] = False,
) -> None:
    """Make a data directory of a backup; `motorcade up` then goes on where the backup ends."""
    from motorcade.backup.places import open_backup
    from motorcade.backup.restore import restore as bring_back

    restored = bring_back(open_backup(backup), data, even_damaged=even_damaged)
    for name, problem in restored.damage:
        typer.echo(f"motorcade restore: {name}: {problem}", err=True)
    print(f"{data}: {len(restored.manifest.files)} files. Go on with: motorcade up --data {data}")

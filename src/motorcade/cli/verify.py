"""`motorcade verify`: is a backup what was written, and can it be read?"""

from pathlib import Path
from typing import Annotated

import typer

from motorcade.cli.backup import JsonOption
from motorcade.cli.render import CommandError, new_app, print_json

app = new_app()


@app.command(epilog="Example: motorcade verify ./backup-monday")
def verify(
    backup: Annotated[Path, typer.Argument(help="The backup's directory or .tar file.")],
    json_: JsonOption = False,
) -> None:
    """Read a whole backup; name every file that is damaged. Exit status 1 if there is one."""
    from motorcade.backup.places import open_backup
    from motorcade.backup.verify import verify as check

    report = check(open_backup(backup))
    notes = report.manifest.notes if report.manifest else []
    if json_:
        damage = [{"file": name, "problem": problem} for name, problem in report.damage]
        print_json({"ok": not damage, **report.counts, "damage": damage, "notes": notes})
    else:
        for name, problem in report.damage:
            print(f"{name}: {problem}")
        for note in notes:
            print(f"when it was made: {note}")
        print(", ".join(f"{count:,} {what}" for what, count in report.counts.items()))
    if report.damage:
        names = len({name for name, _ in report.damage})
        raise CommandError(f"{backup} is damaged in {names} places; use another one")

"""`motorcade person`: who signs in on the pages."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from motorcade.cli.data import (
    DEFAULT_DATA,
    DataOption,
    note_deed,
    opened_registry,
    require_data,
)
from motorcade.cli.render import CommandError, new_app, print_json, print_table

app = new_app(
    "People who sign in and grant apps access.", "motorcade person add --email ann@example.org"
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NameArgument = Annotated[str, typer.Argument(help="E-mail or subject.", show_default=False)]
PasswordOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Its first line is the password, - reads it; without one it is drawn."
    ),
]


@app.callback()
def group() -> None:
    """People who sign in and grant apps access."""


@app.command(epilog="Example: motorcade person add --email ann@example.org --name 'Ann Owner'")
def add(
    email: Annotated[str, typer.Option(help="What they sign in with.")],
    name: Annotated[str, typer.Option(help="Their full name; without one, the e-mail.")] = "",
    data: DataOption = DEFAULT_DATA,
    subject: Annotated[
        str,
        typer.Option(help="Who they are in tokens. Default: drawn; the first is 'owner'."),
    ] = "",
    password_file: PasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add somebody; prints the password where it was drawn, only now."""
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What

    chosen = _read(password_file)
    with opened_registry(data, open_authority(data)) as registry:
        person, password = registry.people.add_person(email, name or email, chosen, subject)
    note_deed(data, What.ADDED_PERSON, person.email)
    _tell(person.email, person.subject, None if chosen else password, as_json)


@app.command("list", epilog="Example: motorcade person list --json")
def list_(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """List people."""
    from motorcade.identity.authority import open_authority

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        people = registry.people.people()
    if as_json:
        print_json([asdict(person) for person in people])
    else:
        rows = [[person.email, person.full_name, person.subject] for person in people]
        print_table(["e-mail", "name", "subject"], rows)


@app.command(epilog="Example: motorcade person password owner@localhost")
def password(
    name: NameArgument,
    data: DataOption = DEFAULT_DATA,
    password_file: PasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give somebody a new password; every browser and app of theirs must sign in anew."""
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What

    require_data(data)
    chosen = _read(password_file)
    with opened_registry(data, open_authority(data)) as registry:
        drawn = registry.people.set_password(name, chosen)
    note_deed(data, What.CHANGED_PASSWORD, name)
    _tell(name, "", None if chosen else drawn, as_json)


@app.command(epilog="Example: motorcade person role ann@example.org operator")
def role(
    name: NameArgument,
    role: Annotated[str, typer.Argument(help="viewer, operator, admin, or none.")],
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Say what somebody may do on the page: see, send commands, or everything."""
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        person = registry.people.set_role(name, "" if role == "none" else role)
    note_deed(data, What.CHANGED_ROLE, f"{person.email}: {role}")
    print(f"{person.email} is {role} now; their page asks them to sign in anew")


@app.command(epilog="Example: motorcade person remove ann@example.org")
def remove(name: NameArgument, data: DataOption = DEFAULT_DATA) -> None:
    """End somebody's access, and that of apps to what is theirs."""
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        removed = registry.people.remove_person(name)
    note_deed(data, What.REMOVED_PERSON, removed.email)
    print(f"{removed.email} removed: they and their apps are refused from now on")


def _tell(email: str, subject: str, password: str | None, as_json: bool) -> None:
    """What was made; a password that was chosen is not repeated."""
    told = {"email": email, "subject": subject, "password": password}
    told = {key: value for key, value in told.items() if value}
    if as_json:
        print_json(told)
        return
    for key, value in told.items():
        print(f"{key:8}  {value}")
    if password:
        print("\nThe password is shown only now.")


def _read(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        text = sys.stdin.readline() if str(path) == "-" else path.read_text()
    except (OSError, UnicodeError) as error:
        raise CommandError(f"--password-file {path}: {error}; it must be readable text") from error
    return text.partition("\n")[0]

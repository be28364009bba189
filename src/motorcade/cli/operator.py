"""`motorcade operator`: MQTT accounts for people and tools."""

from dataclasses import asdict
from typing import Annotated

import typer

from motorcade.cli.data import (
    DEFAULT_DATA,
    DataOption,
    note_deed,
    opened_registry,
    require_data,
)
from motorcade.cli.render import new_app, print_json, print_table

app = new_app("MQTT accounts for people and tools.", "motorcade operator add --name grafana")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def operator() -> None:
    """MQTT accounts for people and tools."""


@app.command(
    epilog="Example: motorcade operator add --name grafana --deny-subscribe 'v/+/commands'"
)
def add(
    name: Annotated[str, typer.Option(help="The account's user name.")],
    data: DataOption = DEFAULT_DATA,
    deny_subscribe: Annotated[
        list[str] | None,
        typer.Option(metavar="FILTER", help="A topic filter it may not subscribe to; repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add an account: any client id, several connections, everything allowed but what is denied."""
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What

    with opened_registry(data, open_authority(data)) as registry:
        password = registry.add_operator(name, deny_subscribe or [])
    note_deed(data, What.ADDED_OPERATOR, name)
    if as_json:
        print_json({"username": name, "password": password})
    else:
        print(f"username  {name}\npassword  {password}\n\nThe password is shown only now.")


@app.command("list", epilog="Example: motorcade operator list --json")
def list_(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """List accounts and what each may not subscribe to."""
    from motorcade.identity.authority import open_authority

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        operators = registry.operators()
    if as_json:
        print_json([asdict(operator) for operator in operators])
    else:
        rows = [[operator.name, "  ".join(operator.deny_subscribe)] for operator in operators]
        print_table(["username", "may not subscribe to"], rows)


@app.command(epilog="Example: motorcade operator remove grafana")
def remove(
    name: Annotated[str, typer.Argument(help="The account's user name.", show_default=False)],
    data: DataOption = DEFAULT_DATA,
) -> None:
    """End an account's access."""
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        registry.remove_operator(name)
    note_deed(data, What.REMOVED_OPERATOR, name)
    print(f"{name} removed: its password is refused from now on")

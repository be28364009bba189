"""`motorcade operator`: MQTT accounts for people and tools."""

from typing import Annotated

import typer

from motorcade.cli.data import DEFAULT_DATA, DataOption, opened_registry
from motorcade.cli.render import new_app, print_json

app = new_app("MQTT accounts for people and tools.", "motorcade operator add --name grafana")


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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Add an account: any client id, several connections, everything allowed but what is denied."""
    from motorcade.identity.authority import open_authority

    with opened_registry(data, open_authority(data)) as registry:
        password = registry.add_operator(name, deny_subscribe or [])
    if as_json:
        print_json({"username": name, "password": password})
    else:
        print(f"username  {name}\npassword  {password}\n\nThe password is shown only now.")

"""`motorcade watch`: a vehicle's signals and commands as the API's WebSocket tells them."""

import json
import sys
import time
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from motorcade.cli.api_client import api_client
from motorcade.cli.data import DEFAULT_DATA, DataOption
from motorcade.cli.picture import Picture
from motorcade.cli.render import new_app, print_json_line
from motorcade.cli.websocket import text_messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

app = new_app()
REFRESHES_PER_S: Final = 4
COMMANDS_SHOWN: Final = 5


@app.command(epilog="Example: motorcade watch 5YJ3E1EA7KF000001 --json")
def watch(
    vin: Annotated[str, typer.Argument(help="The vehicle's VIN or id.", show_default=False)],
    data: DataOption = DEFAULT_DATA,
    as_json: Annotated[bool, typer.Option("--json", help="Print each message, a line.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Show what is known now, and end.")] = False,
) -> None:
    """Show a vehicle's signals as they change, until Ctrl-C."""
    client = api_client(data)
    messages = text_messages(
        client.host,
        client.port,
        f"/api/1/vehicles/{quote(vin, safe='')}/stream",
        {"Authorization": f"Bearer {client.bearer}"},
    )
    if once:
        messages = islice(messages, 1)
    if as_json:
        for message in messages:
            print_json_line(json.loads(message))
    elif once or not sys.stdout.isatty():
        _show_lines(messages)
    else:
        _show_live(vin, messages)


def _show_lines(messages: "Iterator[str]") -> None:
    for message in messages:
        for line in Picture.lines(json.loads(message)):
            print(line, flush=True)


def _show_live(vin: str, messages: "Iterator[str]") -> None:
    from rich.live import Live

    picture = Picture()
    with Live(get_renderable=lambda: _table(vin, picture), refresh_per_second=REFRESHES_PER_S):
        for message in messages:
            picture.apply(json.loads(message))


def _table(vin: str, picture: Picture) -> "Table":
    from rich.table import Table

    now_us = time.time_ns() // 1_000
    recent: list[dict[str, Any]] = picture.recent_commands(COMMANDS_SHOWN)
    told = "   ".join(f"{command['name']} {command['state']}" for command in recent)
    table = Table(title=f"{vin}  {picture.state}", caption=told or "Ctrl-C ends")
    for heading, justify in (("signal", "left"), ("value", "right"), ("unit", "left")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    table.add_column("age", justify="right")
    for row in picture.rows(now_us):
        table.add_row(*row)
    return table

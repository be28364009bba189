"""`motorcade watch`: a vehicle as the API's WebSocket tells of it, or as it was (`--at`)."""

import json
import sys
import time
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote, urlencode

import typer

from motorcade.cli.api_client import ApiClient, api_client
from motorcade.cli.data import DEFAULT_DATA, DataOption
from motorcade.cli.picture import Picture
from motorcade.cli.render import CommandError, new_app, print_json, print_json_line, print_table
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
    at: Annotated[
        str,
        typer.Option("--at", help="Show a past instant: 2026-11-26T16:00:00Z, or µs since 1970."),
    ] = "",
    corrected: Annotated[
        bool,
        typer.Option("--corrected", help="With --at: as it is known now, late data included."),
    ] = False,
) -> None:
    """Show a vehicle's signals as they change, until Ctrl-C; or as they were, with --at."""
    client = api_client(data)
    if at:
        _show_past(client, vin, at, corrected=corrected, as_json=as_json)
        return
    if corrected:
        raise CommandError("--corrected goes with --at: live state is always as it arrived")
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


def _show_past(client: ApiClient, vin: str, at: str, *, corrected: bool, as_json: bool) -> None:
    query = urlencode({"at": at, "mode": "corrected" if corrected else "arrived"})
    answer = client.call("GET", f"/api/2/vehicles/{quote(vin, safe='')}?{query}")
    if answer.status != HTTPStatus.OK:
        raise CommandError(answer.reason)
    seen = answer.body["response"]
    if as_json:
        print_json(seen)
        return
    at_us = seen["at_us"]
    presence = "online" if seen["online"] else "offline"
    print(f"{seen['name'] or vin}: {presence}, as {seen['mode']}")
    rows = []
    for signal in seen["signals"]:
        age_s = (at_us - signal["time_us"]) / 1e6
        shown = "unavailable" if signal["value"] is None else str(signal["value"])
        rows.append([signal["name"], shown, signal["unit"], f"{age_s:.1f} s"])
    print_table(["signal", "value", "unit", "age"], rows)


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

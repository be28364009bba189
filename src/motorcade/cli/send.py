"""`motorcade send`: a command to a vehicle by the API, its result and its timeline.

Exit status: 0 the vehicle executed it; 3 it never will (refused or expired); 4 not known yet, the
timeline tells later; 1 there is no such vehicle or command, or no server.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from motorcade.cli.api_client import Answer, ApiClient, api_client
from motorcade.cli.data import DEFAULT_DATA, DataOption
from motorcade.cli.render import CommandError, new_app, print_json, print_table

app = new_app()

EXIT_STATUS: Final = {"executed": 0, "refused": 3, "expired": 3}
NOT_KNOWN: Final = 4


@app.command(epilog="Example: motorcade send 5YJ3E1EA7KF000001 set_charge_limit percent=80")
def send(
    vin: Annotated[str, typer.Argument(help="The vehicle's VIN or id.", show_default=False)],
    name: Annotated[str, typer.Argument(help="E.g. door_unlock.", show_default=False)],
    parameters: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="E.g. percent=80.")
    ] = None,
    data: DataOption = DEFAULT_DATA,
    expires: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="Not to be executed after this long.")
    ] = None,
    idempotency_key: Annotated[
        str, typer.Option(metavar="KEY", help="The same key sends the same command once.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send a command to a vehicle and wait for its answer."""
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    if expires is not None:
        headers["X-Command-Expires-S"] = str(expires)
    command = run_command(data, vin, name, read_parameters(parameters or []), headers)
    if as_json:
        print_json(command)
    else:
        _show(command)
    raise typer.Exit(EXIT_STATUS.get(command["state"], NOT_KNOWN))


def run_command(
    data: Path, vin: str, name: str, parameters: dict[str, Any], headers: dict[str, str]
) -> dict[str, Any]:
    """Send, wait, and return the command with its timeline.

    Raises:
        CommandError: no server runs, or the API took no command; the text says why.
    """
    client = api_client(data)
    vehicle = f"/api/1/vehicles/{quote(vin, safe='')}"
    path = f"{vehicle}/command/{quote(name, safe='')}"
    answer = client.call("POST", path, parameters, headers)
    if not answer.command_id:
        raise CommandError(f"{name} was not sent: {answer.reason}")
    return _timeline(client, vehicle, answer)


def _timeline(client: ApiClient, vehicle: str, answer: Answer) -> dict[str, Any]:
    found = client.call("GET", f"{vehicle}/commands/{quote(answer.command_id, safe='')}")
    command = found.body.get("response")
    if found.status != 200 or not isinstance(command, dict):
        raise CommandError(
            f"command {answer.command_id} was sent, but its timeline cannot be read: {found.reason}"
        )
    return command


def read_parameters(words: list[str]) -> dict[str, Any]:
    """`key=value` words as a JSON object: a value that is JSON is taken so, any other as text."""
    parameters: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{word!r}: write parameters as key=value, e.g. percent=80")
        try:
            parameters[key] = json.loads(text)
        except ValueError:
            parameters[key] = text
    return parameters


def _show(command: dict[str, Any]) -> None:
    reason = f": {command['reason']}" if command["reason"] else ""
    print(f"{command['name']} {command['state']}{reason}\n")
    timeline = command["timeline"]
    start_us = timeline[0]["time_us"] if timeline else 0
    rows = [
        [
            _clock(step["time_us"]),
            f"+{(step['time_us'] - start_us) / 1e3:.1f} ms",
            step["state"],
            step["reason"],
        ]
        for step in timeline
    ]
    print_table(["time (UTC)", "after", "state", "reason"], rows)
    print(f"\nid {command['id']}")


def _clock(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%H:%M:%S.%f")[:-3]

"""`motorcade why`: the causal chain of a value, of a missing value, or of a command.

Read from the log, with the operators that live state reads with; so it is true beside a running
server, after a stop and after a kill. It reads the whole lane: seconds per ten million records.
Exit status: 0 there is a value, or the command was executed; 1 otherwise.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from motorcade.cli.data import DEFAULT_DATA, DataOption, require_data
from motorcade.cli.render import new_app, print_json, print_table

app = new_app()

COMMAND_ID: Final = re.compile(r"[0-9a-f]{32}")


@app.command(epilog="Example: motorcade why 5YJ3E1EA7KF000001 Soc, or: motorcade why COMMAND-ID")
def why(
    what: Annotated[str, typer.Argument(help="A VIN, or a command's id.", show_default=False)],
    signal: Annotated[str, typer.Argument(help="With a VIN: a signal's name.")] = "",
    data: DataOption = DEFAULT_DATA,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show why a signal has its value or none, or why a command ended as it did."""
    require_data(data)
    if bool(signal) == bool(COMMAND_ID.fullmatch(what)):
        raise typer.BadParameter("give a VIN and a signal's name, or a command's id alone")
    if signal:
        from motorcade.cli.why_signal import chain as signal_chain

        told = signal_chain(data, what, signal)
        good = told["has_value"]
    else:
        from motorcade.cli.why_command import chain as command_chain

        told = command_chain(data, what)
        good = told["state"] == "executed"
    if as_json:
        print_json(told)
    elif signal:
        _show_signal(told)
    else:
        _show_command(told)
    raise typer.Exit(0 if good else 1)


def _show_signal(told: dict[str, Any]) -> None:
    for line in told["why"]:
        print(line)
    last = _clock(told["last_received_time_us"])
    print(
        f"\n{told['records']} records of the vehicle, the last received {last}; "
        f"{told['duplicates']} duplicates dropped, {told['malformed']} malformed, "
        f"{told['opaque']} opaque, {told['carried']} values of {told['signal']}\n"
    )
    rows = [
        [
            _clock(each["received_time_us"]),
            _clock(each["time_us"]),
            str(each["value"]),
            f"{each['topic']} {each['partition']}/{each['position']}",
            each["fate"],
        ]
        for each in told["carriers"]
    ]
    if rows:
        print_table(["received (UTC)", "true at", "value", "record", "fate"], rows)


def _show_command(told: dict[str, Any]) -> None:
    reason = f": {told['reason']}" if told["reason"] else ""
    print(f"{told['name']} {told['state']}{reason}")
    print(told["help"])
    online = "was" if told["vehicle_online"] else "was not"
    print(f"The vehicle {online} connected between request and expiry.\n")
    start_us = told["steps"][0]["time_us"]
    rows = [
        [
            _clock(each["time_us"]),
            f"+{(each['time_us'] - start_us) / 1e3:.1f} ms",
            each["by"],
            each["what"],
            f"{each['topic']} {each['partition']}/{each['position']}",
        ]
        for each in told["steps"]
    ]
    print_table(["time (UTC)", "after", "by", "what", "record"], rows)


def _clock(time_us: int | None) -> str:
    if time_us is None:
        return "never"
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]

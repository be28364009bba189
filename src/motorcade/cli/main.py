"""`motorcade`: the table of commands, and the way into each.

A command's module has a function of the command's name, or, for a group of commands, `app`, a
`typer.Typer` made by `render.new_app`. It is imported only when its command is called:
`motorcade --help` loads nothing, `motorcade token` no numba.

Exit status: 0 done; 1 failed, the reason stands on standard error; 2 wrong usage; 3 and 4 are
`send`'s; 130 interrupted.
"""

import difflib
import importlib
import itertools
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from motorcade import __version__

if TYPE_CHECKING:
    from typer import Typer


class CommandRow(NamedTuple):
    module: str
    help: str  # one line; neighbours with the same one share a line of the help text


_WHO: Final = "Vehicles, energy sites, MQTT accounts: add, list, remove"
_OAUTH: Final = "Who signs in; apps that ask them for access"
_COPY: Final = "Copy a running data directory; check the copy; use it"


COMMANDS: Final[dict[str, CommandRow]] = {
    "demo": CommandRow(
        "motorcade.cli.demo", "The platform with ten simulated cars, live in the terminal"
    ),
    "sandbox": CommandRow(
        "motorcade.cli.sandbox", "Simulated cars, known credentials, faults: to test apps against"
    ),
    "up": CommandRow("motorcade.cli.up", "Run the platform until told to stop"),
    "vehicle": CommandRow("motorcade.cli.vehicle", _WHO),
    "site": CommandRow("motorcade.cli.site", _WHO),
    "operator": CommandRow("motorcade.cli.operator", _WHO),
    "person": CommandRow("motorcade.cli.person", _OAUTH),
    "app": CommandRow("motorcade.cli.app", _OAUTH),
    "token": CommandRow("motorcade.cli.token", "Make an access token for the API"),
    "send": CommandRow("motorcade.cli.send", "Send a command to a vehicle and wait for its answer"),
    "watch": CommandRow("motorcade.cli.watch", "Show a vehicle's signals as they change"),
    "drive": CommandRow("motorcade.cli.drive", "Run simulated cars, or energy sites"),
    "export": CommandRow("motorcade.cli.export", "Print a vehicle's stored records as JSON lines"),
    "doctor": CommandRow("motorcade.cli.doctor", "Find what is broken, and what mends it"),
    "ledger": CommandRow("motorcade.cli.ledger", "Sent, acked, stored, read: the differences"),
    "why": CommandRow("motorcade.cli.why", "The causal chain of a value or a command"),
    "backup": CommandRow("motorcade.cli.backup", _COPY),
    "verify": CommandRow("motorcade.cli.verify", _COPY),
    "restore": CommandRow("motorcade.cli.restore", _COPY),
}
"""A table: command, module, one line of help. In the order of the help text."""

_USAGE: Final = "Usage: motorcade COMMAND [OPTIONS]"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command; ends the process with its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("--help", "-h", "help"):
        print(root_help())
        sys.exit(0 if words else 2)
    if words[0] == "--version":
        print(f"motorcade {__version__}")
        sys.exit(0)
    row = COMMANDS.get(words[0])
    if row is None:
        print(_unknown(words[0]), file=sys.stderr)
        sys.exit(2)
    _run(words[0], row, words[1:])


def root_help() -> str:
    """What `motorcade --help` prints: under 25 lines."""
    together = [
        (", ".join(name for name, _ in rows), text)
        for text, rows in itertools.groupby(COMMANDS.items(), key=lambda item: item[1].help)
    ]
    width = max(len(names) for names, _ in together)
    lines = [f"  {names:{width}}  {text}" for names, text in together]
    return "\n".join(
        [
            _USAGE,
            "",
            "The connected-fleet platform: telemetry in, durable, state out, commands back.",
            "",
            "Commands:",
            *lines,
            "",
            "Every command has --help with an example. --data DIR says where the platform keeps",
            "its files (default: $MOTORCADE_DATA, else ./motorcade-data).",
            "Example: motorcade demo",
        ]
    )


def _run(name: str, row: CommandRow, words: list[str]) -> NoReturn:
    from motorcade import logs

    logs.configure(None, name, "warning")  # to standard error: standard output is for results
    module = importlib.import_module(row.module)
    app = module.app if hasattr(module, "app") else _app_of(getattr(module, name))
    try:
        app(args=words, prog_name=f"motorcade {name}")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if not _is_for_people(error) or os.environ.get("MOTORCADE_TRACEBACK"):
            raise
        print(f"motorcade {name}: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


def _app_of(function: Callable[..., None]) -> "Typer":
    from motorcade.cli.render import new_app

    app = new_app()
    app.command()(function)
    return app


def _is_for_people(error: Exception) -> bool:
    """Whether the text says what to do: our own errors and the machine's, not a bug's."""
    return isinstance(error, OSError) or type(error).__module__.startswith("motorcade.")


def _unknown(word: str) -> str:
    close = difflib.get_close_matches(word, COMMANDS, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{_USAGE}\n\nNo such command: {word!r}.{hint} See motorcade --help."


if __name__ == "__main__":
    main()

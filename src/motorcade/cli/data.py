"""What commands share about a data directory: the `--data` option, its registry, its server."""

import getpass
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from motorcade.cli.render import CommandError
from motorcade.clock import SystemClock
from motorcade.config import Config

if TYPE_CHECKING:  # SQLAlchemy and cryptography load when a command needs them
    from motorcade.events import VehicleToken
    from motorcade.identity.authority import Authority
    from motorcade.registry.audit.port import What
    from motorcade.registry.embedded import EmbeddedRegistry

READY_FILE: Final = "ready.json"
WORLD_VIN: Final = "MTRCDWR00{:08d}"  # cars in columns: a maker's code that nobody has, a number
RECORDED_VIN: Final = "MTRCDRC00{:08d}"  # ... and those of recorded drives
CLI_CLIENT: Final = "motorcade-cli"  # what tokens and the audit call the command line
REGISTRY_FILE: Final = "registry.sqlite"
DEFAULT_DATA: Final = Path("motorcade-data")

DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="MOTORCADE_DATA",
        metavar="DIR",
        help="Where the platform keeps its files.",
    ),
]
"""Every command takes it; its default is `DEFAULT_DATA`."""


@contextmanager
def opened_registry(data: Path, authority: "Authority") -> Iterator["EmbeddedRegistry"]:
    """The registry of a data directory, made if it is missing."""
    from motorcade.registry.embedded import EmbeddedRegistry

    registry = EmbeddedRegistry(
        data.absolute() / REGISTRY_FILE,
        account_key=authority.account_key,
        clock=SystemClock(),
        config=Config().registry,
    )
    try:
        yield registry
    finally:
        registry.close()


def note_deed(
    data: Path, what: "What", text: str = "", vehicle: "VehicleToken | None" = None
) -> None:
    """Have the audit know what was done here; the server adds it. A disk that takes nothing undoes
    no deed: that is said on standard error."""
    from motorcade.registry.audit.inbox import leave
    from motorcade.registry.audit.port import Deed

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    who = f"{user}@{socket.gethostname()}"
    deed = Deed(SystemClock().now_us(), who, CLI_CLIENT, what, "done", vehicle, text)
    try:
        leave(data.absolute(), [deed])
    except OSError as error:
        print(f"motorcade: the audit does not know of this: {error}", file=sys.stderr)


def require_data(data: Path) -> None:
    """Raise `CommandError` when `data` is no data directory: reading commands make none."""
    if not (data / REGISTRY_FILE).exists():
        raise CommandError(
            f"{data.absolute()} is no data directory of a platform: give it with --data or "
            "MOTORCADE_DATA, or add a vehicle first"
        )


def running_server(data: Path) -> dict[str, Any] | None:
    """The ready file of the server that runs on `data`, `None` if none runs."""
    try:
        ready: dict[str, Any] = json.loads((data / READY_FILE).read_text())
    except FileNotFoundError:
        return None
    return ready if _runs(ready["pid"]) else None


def _runs(pid: int) -> bool:
    """Whether the process is there: a killed server leaves its ready file behind."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's process
        return True
    return True


def require_server(data: Path) -> dict[str, Any]:
    """The ready file of the running server. Raises `CommandError` when none runs."""
    ready = running_server(data)
    if ready is None:
        raise CommandError(
            f"no server runs on {data.absolute()}: start one with "
            f"`motorcade up --data {data}`, or give another --data"
        )
    return ready

"""`motorcade up`: run the platform on one data directory until SIGTERM."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from motorcade.cli.data import DEFAULT_DATA, DataOption
from motorcade.logs import DEFAULT_LEVEL, LEVELS

if TYPE_CHECKING:
    from motorcade.cli.platform import Companion, PlatformOptions

ListenOption = Annotated[str, typer.Option("--listen", help="Address to listen on.")]
PortsOption = Annotated[
    str,
    typer.Option(
        "--ports", help="auto: free ones; default: 1883, 8883, 8083, 8084, 4443, 8080, 8443."
    ),
]
ReadyOption = Annotated[
    Path | None, typer.Option("--ready-file", help="JSON with addresses, written when ready.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a setting of config.py: group.name=value."),
]
LevelOption = Annotated[
    str, typer.Option("--log-level", help="What to log: debug, info, warning or error.")
]


def up(
    data: DataOption = DEFAULT_DATA,
    listen: ListenOption = "127.0.0.1",
    ports: PortsOption = "default",
    ready_file: ReadyOption = None,
    settings: SetOption = None,
    open_broker: Annotated[
        bool,
        typer.Option("--open-broker", help="MQTT without accounts, for tools; on loopback alone."),
    ] = False,
    log_level: LevelOption = DEFAULT_LEVEL,
    region: Annotated[
        str,
        typer.Option("--region", metavar="NAME", help="na, eu, cn; another with --public-url."),
    ] = "",
    public_url: Annotated[
        str,
        typer.Option(
            "--public-url",
            metavar="URL",
            help="Where apps reach the API; none: Tesla's hosts.",
        ),
    ] = "",
) -> None:
    """Run the platform: MQTT, Fleet Telemetry and the API, until SIGTERM.

    Example: motorcade up --data ./motorcade-data --ports auto --set mqtt.keep_alive_s_max=60
    """
    from motorcade.cli.platform import PlatformOptions

    start(
        PlatformOptions(
            data=data,
            listen=listen,
            ports_auto=ports_word(ports) == "auto",
            ready_file=ready_file,
            settings=(*(settings or ()), *places_of(region, public_url)),
            open_broker=open_broker,
            log_level=level_word(log_level),
        )
    )


def places_of(region: str, public_url: str) -> list[str]:
    """The two options as the settings that they are."""
    told = {"identity.region": region, "identity.public_url": public_url}
    return [f"{name}={value}" for name, value in told.items() if value]


def level_word(level: str) -> str:
    """Check `--log-level`."""
    if level not in LEVELS:
        raise typer.BadParameter(f"--log-level {level!r}: write one of {', '.join(LEVELS)}")
    return level


def ports_word(ports: str) -> Literal["auto", "default"]:
    """Check `--ports`."""
    if ports == "auto":
        return "auto"
    if ports == "default":
        return "default"
    raise typer.BadParameter(f"--ports {ports!r}: write auto or default")


def start(options: "PlatformOptions", companion: "Companion | None" = None) -> None:
    """Run a platform; errors of the user's making end with one line and exit code 2."""
    from motorcade.cli.platform import DataDirectoryBusyError, OpenBrokerError, run_platform
    from motorcade.config import ConfigError
    from motorcade.supervisor import ChildFailedError

    os.umask(0o077)  # everything in the data directory is the owner's alone
    try:
        run_platform(options, companion)
    except (ConfigError, DataDirectoryBusyError, OpenBrokerError, OSError) as error:
        typer.echo(f"motorcade up: {error}", err=True)
        raise typer.Exit(2) from error
    except ChildFailedError as error:
        typer.echo(f"motorcade up: {error}; its messages are above", err=True)
        raise typer.Exit(1) from error

"""`motorcade demo`: the platform with simulated cars, live in the terminal. What `make up` runs.

The cars are real clients: one `motorcade drive` process that connects like any other. The table is
read from the API like any app's; on something that is no terminal, lines are printed instead.
"""

import asyncio
import contextlib
import http.client
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from motorcade.cli.data import DEFAULT_DATA, RECORDED_VIN, WORLD_VIN, DataOption
from motorcade.cli.up import (
    ListenOption,
    PortsOption,
    ReadyOption,
    SetOption,
    ports_word,
    start,
)

REFRESH_S: Final = 1.0
PASSWORD_FILE: Final = "owner-password"  # who tries it out today wants to sign in tomorrow, too
LINES_EVERY: Final = 5  # without a terminal: one round of lines per this many refreshes
KM_PER_MILE: Final = 1.609344
_ENDPOINTS: Final = "charge_state;climate_state;drive_state;location_data;vehicle_state"

Row = tuple[str, str, str, str, str, str, str]


def demo(
    data: DataOption = DEFAULT_DATA,
    listen: ListenOption = "127.0.0.1",
    ports: PortsOption = "auto",
    ready_file: ReadyOption = None,
    settings: SetOption = None,
    cars: Annotated[int, typer.Option("--cars", min=1, max=1_000, help="How many drive.")] = 10,
    world: Annotated[
        int,
        typer.Option(
            "--world", min=0, max=100_000, help="And so many in columns, which take no commands."
        ),
    ] = 0,
) -> None:
    """Run the platform with simulated cars driving, live in the terminal.

    Example: motorcade demo --cars 25
    """
    from motorcade.cli.platform import PlatformOptions

    options = PlatformOptions(
        data=data,
        listen=listen,
        ports_auto=ports_word(ports) == "auto",
        ready_file=ready_file,
        settings=tuple(settings or ()),
        log_file=data.absolute() / "motorcade.log",
        owner_password_file=data.absolute() / PASSWORD_FILE,
    )

    async def companion(ready: dict[str, Any]) -> None:
        await _drive_and_show(ready, data.absolute(), cars, world)

    start(options, companion)


async def _drive_and_show(ready: dict[str, Any], data: Path, cars: int, world: int) -> None:
    fleets = [await _start_cars(data, "-n", cars)]
    if world:
        fleets.append(await _start_cars(data, "--world", world))
    try:
        await _show(ready, data, fleets)
    finally:
        for fleet in fleets:
            with contextlib.suppress(ProcessLookupError):
                fleet.terminate()
        for fleet in fleets:
            await fleet.wait()


async def _start_cars(data: Path, option: str, count: int) -> asyncio.subprocess.Process:
    command = ("-m", "motorcade.cli.main", "drive", option, str(count), "--data", str(data))
    with (data / "drive.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )


async def _show(
    ready: dict[str, Any], data: Path, fleets: Sequence[asyncio.subprocess.Process]
) -> None:
    console = Console()
    entrance = _entrance(ready, data)
    console.print(entrance, highlight=False, soft_wrap=True)
    api = _Api(ready["api"]["url"], ready["admin_token"])
    rounds = 0
    with contextlib.ExitStack() as stack:
        live = stack.enter_context(Live(console=console)) if console.is_terminal else None
        while True:
            for fleet in fleets:
                if fleet.returncode is not None:
                    where = data / "drive.log"
                    raise OSError(f"the cars' process ended with {fleet.returncode}; see {where}")
            rows = await asyncio.to_thread(api.rows)
            if live is not None:
                live.update(_table(rows, ready, entrance))
            elif rounds % LINES_EVERY == 0:
                for row in rows:
                    console.print("  ".join(row), highlight=False)
            rounds += 1
            await asyncio.sleep(REFRESH_S)


def _entrance(ready: dict[str, Any], data: Path) -> str:
    """Where the page is, and who may sign in: what somebody needs who has just started it."""
    from motorcade.cli.platform import FIRST_EMAIL

    page = f"page {ready['dashboard']['url']}"
    try:
        password = (data / PASSWORD_FILE).read_text().strip()
    except OSError:  # a folder that `up` made: it told the password once
        return page
    return f"{page}   sign in as {FIRST_EMAIL} with {password}"


def _table(rows: list[Row], ready: dict[str, Any], entrance: str) -> Table:
    mqtt, telemetry = ready["mqtt"], ready["telemetry"]
    table = Table(
        title="Motorcade: cars on the road",
        caption=(
            f"{entrance}\n"
            f"API {ready['api']['url']}   MQTT {mqtt['host']}:{mqtt['port']}   "
            f"telemetry wss://{telemetry['host']}:{telemetry['port']}   Ctrl-C ends"
        ),
    )
    for heading in ("car", "state", "speed", "battery", "position", "cabin", "doors"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


class _Api:
    """Reads cars as an app would. Blocking; runs in a thread."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port
        self._headers = {"Authorization": f"Bearer {token}"}

    def rows(self) -> list[Row]:
        """One row per car. While a process restarts there are none: the next round shows them."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=5)
        try:
            entries = self._get(connection, "/api/1/vehicles?per_page=1000")
            columns = WORLD_VIN[:9], RECORDED_VIN[:9]
            agents = [entry for entry in entries or [] if not entry["vin"].startswith(columns)]
            return [self._row(connection, entry) for entry in agents]
        except (OSError, http.client.HTTPException):
            return []
        finally:
            connection.close()

    def _row(self, connection: http.client.HTTPConnection, entry: dict[str, Any]) -> Row:
        path = f"/api/1/vehicles/{entry['id']}/vehicle_data?endpoints={_ENDPOINTS}"
        found = self._get(connection, path)
        name = str(entry.get("display_name") or entry["vin"])
        if found is None:
            return (name, str(entry["state"]), "", "", "", "", "")
        drive, charge = found.get("drive_state") or {}, found.get("charge_state") or {}
        climate, state = found.get("climate_state") or {}, found.get("vehicle_state") or {}
        speed_mph = drive.get("speed")
        moving = "driving" if speed_mph else "parked"
        charging = charge.get("charging_state") == "Charging"
        return (
            name,
            "charging" if charging else moving,
            f"{(speed_mph or 0) * KM_PER_MILE:3.0f} km/h",
            _shown(charge.get("battery_level"), "{:.0f} %"),
            _position(drive),
            _shown(climate.get("inside_temp"), "{:.1f} °C"),
            {True: "locked", False: "open", None: "-"}[state.get("locked")],
        )

    def _get(self, connection: http.client.HTTPConnection, path: str) -> Any:
        connection.request("GET", path, headers=self._headers)
        answer = connection.getresponse()
        body = answer.read()
        return json.loads(body)["response"] if answer.status == http.HTTPStatus.OK else None


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _position(drive: dict[str, Any]) -> str:
    latitude, longitude = drive.get("latitude"), drive.get("longitude")
    if latitude is None or longitude is None:
        return "-"
    return f"{latitude:.4f}, {longitude:.4f}"

"""`motorcade sandbox`: the platform with simulated cars and known credentials, for apps' tests.

One command, one process tree, one folder. It begins anew at each start.
"""

import asyncio
import contextlib
import fcntl
import http.client
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from motorcade.cli.render import CommandError
from motorcade.cli.up import (
    LevelOption,
    ListenOption,
    PortsOption,
    ReadyOption,
    SetOption,
    level_word,
    places_of,
    ports_word,
    start,
)
from motorcade.logs import DEFAULT_LEVEL

LOCK: Final = "lock"  # the platform's, of a data folder
MARK: Final = "sandbox.json"  # a folder with it is a sandbox's, and emptied at a start
PREFIX: Final = "motorcade-sandbox-"
STARTS_S_MAX: Final = 60.0  # from making its lock to holding it
MEMORY: Final = Path("/dev/shm")  # a folder of ours is made in it
MEMORY_BYTES_MIN: Final = 1 << 30
DOINGS: Final = ("driving", "charging", "parked", "asleep")
"""What the default world's cars do, one after the other, and again."""

SETTINGS: Final = (
    "registry.password_passes=1",  # everybody knows the password
    "registry.password_memory_kib=64",
    "commands.response_s_max=2",  # a car without a network is given up sooner
    "log.segment_allocate_bytes=1048576",
    "log.retention_bulk_bytes=268435456",
    "log.retention_fast_bytes=268435456",
    "vehicle.reconnect_s_max=1",
)
"""Other than the platform's, unless `--set` says so."""
IN_MEMORY: Final = ("log.inline_bytes_max=65536",)
"""The same where its folder is in memory."""

PROGRAM: Final = "motorcade.sandbox.program"
GARAGE: Final = "motorcade.sandbox.garage"


def sandbox(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Where it keeps its files; emptied at each start. Default: a folder that goes.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the first car; the next ones count up.")] = 1,
    vehicles: Annotated[
        int, typer.Option("--vehicles", min=0, max=100, help="Cars of the default world.")
    ] = 4,
    speed: Annotated[
        float, typer.Option(min=0, max=3_600, help="How fast the default world's time goes.")
    ] = 1.0,
    ports: PortsOption = "default",
    listen: ListenOption = "127.0.0.1",
    expose: Annotated[
        bool,
        typer.Option("--expose", help="Allow --listen beyond loopback: anybody may do anything."),
    ] = False,
    redirect_uri: Annotated[
        list[str] | None,
        typer.Option(metavar="URI", help="Where the app's browsers go back to; repeatable."),
    ] = None,
    region: Annotated[str, typer.Option("--region", metavar="NAME", help="As of `up`.")] = "",
    public_url: Annotated[
        str, typer.Option("--public-url", metavar="URL", help="As of `up`.")
    ] = "",
    ready_file: ReadyOption = None,
    settings: SetOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print addresses and credentials as one JSON line.")
    ] = False,
    log_level: LevelOption = DEFAULT_LEVEL,
) -> None:
    """Run the platform with simulated cars, an app and an owner whose credentials are known.

    Example: motorcade sandbox --ports auto --vehicles 2 --seed 7
    """
    from motorcade.cli.platform import PlatformOptions, Program, is_loopback

    if not expose and not is_loopback(listen):
        raise CommandError(
            f"--listen {listen} is not loopback, and everybody knows the sandbox's credentials: "
            "leave it out, or add --expose if whoever can connect may do anything"
        )
    told = {
        "seed": seed,
        "doings": [DOINGS[number % len(DOINGS)] for number in range(vehicles)],
        "speed": speed,
        "redirect_uris": redirect_uri or [],
    }
    with _folder(data) as place:
        given = (*(IN_MEMORY if place.is_relative_to(MEMORY) else ()), *(settings or ()))
        log_file = place / "motorcade.log"

        async def companion(ready: dict[str, Any]) -> None:
            world = await asyncio.to_thread(_default_world, ready["api"]["url"])
            _tell({**ready, "sandbox": world}, log_file, ready_file, as_json=as_json)
            await asyncio.Event().wait()

        start(
            PlatformOptions(
                data=place,
                listen=listen,
                ports_auto=ports_word(ports) == "auto",
                settings=(*SETTINGS, *places_of(region, public_url), *given),
                log_file=log_file,
                log_level=level_word(log_level),
                program=Program(PROGRAM, {"cars": GARAGE}, {"sandbox": told}),
            ),
            companion,
        )


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """An empty folder: in memory where there is room, and gone at the end, or the one given."""
    if data is not None:
        yield _emptied(data.absolute())
        return
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
    roomy = roomy and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES_MIN
    place = MEMORY if roomy else Path(tempfile.gettempdir())
    _sweep(place)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place, ignore_cleanup_errors=True) as name:
        yield _emptied(Path(name))


def _emptied(place: Path) -> Path:
    """A folder that is new, empty or a sandbox's own, now empty. Raises `CommandError`."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = place / MARK
    if any(path.name != LOCK for path in place.iterdir()) and not mark.exists():
        raise CommandError(f"{place} holds files of somebody else's: choose another --data")
    # The platform's own lock, never removed: two that start at once would else empty one another's
    # folder, or hold locks of two files of that name.
    with (place / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = f"a sandbox runs on {place}: stop it, or choose another"
            raise CommandError(text) from error
        mark.write_text('{"emptied": "at each start of motorcade sandbox"}\n')
        for path in place.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name not in (LOCK, MARK):
                path.unlink()
    return place


def _sweep(place: Path) -> None:
    """Remove what killed sandboxes left there: memory, mostly."""
    for folder in place.glob(f"{PREFIX}*"):
        lock = folder / LOCK
        with contextlib.suppress(OSError):  # somebody else's, or just going
            left = time.time() - lock.stat().st_mtime > STARTS_S_MAX
            if left and (folder / MARK).exists() and not _runs_on(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _runs_on(place: Path) -> bool:
    """Whether a sandbox holds the lock of that folder."""
    try:
        with (place / LOCK).open("r+") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _default_world(url: str) -> Any:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("GET", "/sandbox/worlds/default")
        answer = connection.getresponse()
        body = json.loads(answer.read())
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise CommandError(f"the sandbox has no default world: {body.get('error_description')}")
    return body["response"]


def _tell(
    ready: Mapping[str, Any], log_file: Path, ready_file: Path | None, *, as_json: bool
) -> None:
    from motorcade.cli.platform import write_private

    if ready_file is not None:
        write_private(ready_file, json.dumps(ready, indent=2) + "\n")
    if as_json:
        print(json.dumps(ready), flush=True)
        return
    world = ready["sandbox"]
    app, user, url = world["app"], world["user"], ready["api"]["url"]
    lines = [
        "motorcade sandbox is up",
        f"  API            {url}   TLS {ready['api_tls']['url']}",
        f"  app            client id {app['client_id']}   secret {app['client_secret']}",
        f"  redirect URI   {app['redirect_uris'][0]}",
        f"  owner          {user['email']}   password {user['password']}",
    ]
    lines += [f"  vehicle        {car['vin']}   {car['doing']}" for car in world["vehicles"]]
    lines += [
        f"  access token   {world['tokens']['access_token']}",
        f"  refresh token  {world['tokens']['refresh_token']}",
        f"  faults         curl {url}/sandbox/",
        f"  log            {log_file}",
        "Ctrl-C ends it.",
    ]
    print("\n".join(lines), flush=True)

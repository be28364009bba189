"""Runs the platform's processes under a supervisor: what `up` and `demo` share.

Opens the data directory and its lock, the listening sockets, starts the children, writes the ready
file, and waits for SIGTERM or Ctrl-C.
"""

import asyncio
import fcntl
import ipaddress
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from motorcade import logs
from motorcade.cli.data import READY_FILE, REGISTRY_FILE
from motorcade.config import Config
from motorcade.identity.port import OWNER_SUBJECT
from motorcade.identity.region import fleet_base_url, region_name
from motorcade.kernel_cache import is_filled
from motorcade.nursery import Nursery
from motorcade.supervisor import ChildSpec, Supervisor, open_listener, reserve

if TYPE_CHECKING:
    from motorcade.identity.authority import Authority

PORTS: Final = {
    "mqtt": 1883,
    "mqtts": 8883,
    "mqtt_ws": 8083,
    "mqtt_wss": 8084,
    "telemetry": 4443,
    "api": 8080,
    "api_tls": 8443,
}
"""The ports without `--ports auto`: IANA's for MQTT, the public server's for telemetry, for MQTT
over WebSocket those that most brokers take."""

RPC_PORTS: Final = {"grpc": 50_051, "grpc_tls": 50_052}
"""Held here and bound by the API's process itself: gRPC takes no socket from outside (0030)."""

CHILD_MODULE = "motorcade.app"
"""What a child runs; the kill audit replaces it by a broken build to prove that it can fail."""

PRELOADED: Final = (
    "motorcade.app",
    "motorcade.identity.authority",
    "motorcade.registry.embedded",
    "motorcade.signals.decoder",
    "motorcade.streams.dedup",
)
"""What more than one process needs."""

FIRST_EMAIL: Final = "owner@localhost"
COMPILER_MODULE: Final = "motorcade.compiled"
_ROLES: Final = {
    "gateway": ("mqtt", "mqtts", "mqtt_ws", "mqtt_wss", "telemetry"),
    "api": ("api", "api_tls"),
    "reader": (),
}
_LATE: Final = {"reader"}  # nothing waits for it: answers come from the log until it has written


_log = structlog.get_logger("supervisor")


@dataclass(frozen=True, slots=True)
class Program:
    """What runs instead of `CHILD_MODULE`, and beside it. Nothing heals it: it ends as a whole."""

    module: str
    further: Mapping[str, str]  # roles without sockets, and the module of each
    told: Mapping[str, Any]  # to every process


class DataDirectoryBusyError(Exception):
    """Another platform runs on this data directory."""


class OpenBrokerError(Exception):
    """An open broker was asked to listen where others could reach it."""


@dataclass(frozen=True, slots=True)
class PlatformOptions:
    """What the command line says."""

    data: Path
    listen: str = "127.0.0.1"
    ports_auto: bool = False
    ready_file: Path | None = None
    settings: Sequence[str] = ()
    log_file: Path | None = None  # None: standard error
    open_broker: bool = False  # MQTT without accounts, for tools and suites; on loopback alone
    log_level: str = logs.DEFAULT_LEVEL
    program: "Program | None" = None  # None: the platform alone
    owner_password_file: Path | None = None  # kept there beside a companion; None: told once


Companion = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]
"""Runs beside the platform once it is ready, told the ready file; cancelled at the end."""


def run_platform(options: PlatformOptions, companion: Companion | None = None) -> None:
    """Run until told to stop; returns after the drain.

    Raises:
        ConfigError: a setting that does not exist.
        DataDirectoryBusyError: the directory is in use; the text says by whom.
        OpenBrokerError: an open broker on an address that is not loopback.
        OSError: an address is taken.
        ChildFailedError: a process did not start.
    """
    config = Config().with_overrides(list(options.settings))
    fleet_base_url(config.identity)
    if options.open_broker and not is_loopback(options.listen):
        reason = f"--open-broker lets anyone in, so it listens on loopback alone: {options.listen}"
        raise OpenBrokerError(f"{reason} is not; leave --listen out, or add accounts instead")
    data = options.data.absolute()
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    log_file = str(options.log_file) if options.log_file else None
    logs.configure(log_file, "supervisor", options.log_level)
    with (data / "lock").open("a+") as lock:
        _hold(lock.fileno(), data)
        with closing(Nursery(PRELOADED)) as nursery:
            _compile_kernels()
            asyncio.run(_run(options, config, data, companion, nursery))


def _hold(lock_fd: int, data: Path) -> None:
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock_fd, 20, 0).decode() or "unknown"
        reason = f"{data} is in use by process {holder}: stop it, or choose another --data"
        raise DataDirectoryBusyError(reason) from error
    os.ftruncate(lock_fd, 0)
    os.pwrite(lock_fd, str(os.getpid()).encode(), 0)


def _compile_kernels() -> None:
    """Before any process is started that would: two that compile at once spoil numba's cache."""
    if is_filled():
        return
    _log.info("kernels_are_compiled", hint="once, for a minute or two; make setup does it, too")
    done = subprocess.run([sys.executable, "-m", COMPILER_MODULE], check=False)
    if done.returncode:
        hint = "is there room in the cache directory? The processes compile for themselves now"
        _log.warning("kernels_not_compiled", code=done.returncode, hint=hint)


async def _run(
    options: PlatformOptions,
    config: Config,
    data: Path,
    companion: Companion | None,
    nursery: Nursery,
) -> None:
    from motorcade.metrics.process import supervisor_report
    from motorcade.metrics.report import ReportSocket

    first = companion is None or options.owner_password_file is not None
    keys = _open_keys(data, options.listen, config, first)  # while the nursery loads
    sockets = {
        name: open_listener(options.listen, 0 if options.ports_auto else port)
        for name, port in PORTS.items()
    }
    held = {
        name: reserve(options.listen, 0 if options.ports_auto else port)
        for name, port in RPC_PORTS.items()
    }
    told: dict[str, Any] = {
        "data": str(data),
        "listen": options.listen,
        "settings": list(options.settings),
        "log_file": str(options.log_file) if options.log_file else None,
        "open_broker": options.open_broker,
        "rpc": {name: opened.getsockname()[:2] for name, opened in held.items()},
        "log_level": options.log_level,
    }
    program = options.program
    if program is not None:
        places = {name: _place(listener) for name, listener in sockets.items()}
        told |= {**program.told, "places": places}
    module = CHILD_MODULE if program is None else program.module
    specs = [
        ChildSpec(
            role,
            module,
            {**told, "role": role},
            {n: sockets[n] for n in names},
            late=role in _LATE,
        )
        for role, names in _ROLES.items()
    ]
    further = {} if program is None else program.further
    specs += [ChildSpec(role, name, {**told, "role": role}) for role, name in further.items()]
    supervisor = Supervisor(specs, config.supervisor, nursery, heals=program is None)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    seen = ReportSocket(data, "supervisor", lambda: supervisor_report(supervisor))
    await seen.start()

    companions: list[asyncio.Task[None]] = []

    async def on_ready() -> None:
        opens = (sockets | held).items()
        addresses = {name: opened.getsockname()[:2] for name, opened in opens}
        ready = _ready(addresses, keys, config)
        for path in (data / READY_FILE, options.ready_file):
            if path is not None:
                write_private(path, json.dumps(ready, indent=2) + "\n")
        if options.owner_password_file is not None and keys.owner_password:
            write_private(options.owner_password_file, keys.owner_password + "\n")
        if companion is not None:
            companions.append(asyncio.create_task(companion(ready)))
            companions[0].add_done_callback(lambda _: supervisor.stop())
        else:
            _announce(ready, keys.owner_password, options.open_broker)

    try:
        await supervisor.run(on_ready)
    finally:
        seen.close()
        (data / READY_FILE).unlink(missing_ok=True)
        for task in companions:
            task.cancel()
        ends = await asyncio.gather(*companions, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end


class Keys(NamedTuple):
    """What is made at a start before the processes."""

    ca_file: str
    admin_token: str
    owner_password: str  # "" but at the first start


def _open_keys(data: Path, listen: str, config: Config, first: bool) -> Keys:
    """Make the keys that are missing and, with `first`, the first person: somebody must hear of
    their password."""
    from motorcade.identity.authority import open_authority
    from motorcade.identity.tokens import admin_token, keep_key_fresh

    authority = open_authority(data, listen, config=config.identity)
    keep_key_fresh(authority)
    password = _owner_password(data, authority, config) if first else ""
    return Keys(str(authority.ca_file), admin_token(authority), password)


def _owner_password(data: Path, authority: "Authority", config: Config) -> str:
    """Make the person who owns the vehicles, unless there ever was anybody; "" then."""
    path = data / REGISTRY_FILE
    if _ever_had_people(path):  # at nearly every start: without loading SQLAlchemy for it
        return ""
    from motorcade.registry.embedded import EmbeddedRegistry

    registry = EmbeddedRegistry(
        path, account_key=authority.account_key, clock=authority.clock, config=config.registry
    )
    try:
        return registry.people.add_first_person(FIRST_EMAIL, "Owner", OWNER_SUBJECT)
    finally:
        registry.close()


def _ever_had_people(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as registry:
            return bool(registry.execute("SELECT EXISTS (SELECT 1 FROM people)").fetchone()[0])
    except sqlite3.Error:  # no file, no table, or it is being made just now
        return False


def _ready(addresses: dict[str, tuple[str, int]], keys: Keys, config: Config) -> dict[str, Any]:
    """The ready file: the outside contract of `motorcade up`."""

    def place(name: str) -> dict[str, Any]:
        host, port = addresses[name]
        return {"host": _reachable(host), "port": port}

    def url(name: str, scheme: str) -> dict[str, str]:
        host, port = addresses[name]
        reachable = _reachable(host)
        return {"url": f"{scheme}://{f'[{reachable}]' if ':' in reachable else reachable}:{port}"}

    return {
        "pid": os.getpid(),
        "mqtt": place("mqtt"),
        "mqtts": place("mqtts"),
        "mqtt_ws": place("mqtt_ws"),
        "mqtt_wss": place("mqtt_wss"),
        "telemetry": place("telemetry"),
        "api": url("api", "http"),
        "api_tls": url("api_tls", "https"),
        "grpc": place("grpc"),
        "grpc_tls": place("grpc_tls"),
        "dashboard": {"url": url("api", "http")["url"] + "/"},
        "region": region_name(config.identity),
        "fleet_base_url": fleet_base_url(config.identity),
        "ca_file": keys.ca_file,
        "admin_token": keys.admin_token,
    }


def _place(listener: socket.socket) -> tuple[str, int]:
    """Where this machine reaches it."""
    host, port = listener.getsockname()[:2]
    return _reachable(host), port


def _reachable(host: str) -> str:
    """The loopback address of a wildcard, the address itself otherwise."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def write_private(path: Path, text: str) -> None:
    """Write whole or not at all, readable by the owner alone: the admin token stands in it."""
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
    temporary.replace(path)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: only this one is loopback everywhere
        return host == "localhost"


def _announce(ready: dict[str, Any], owner_password: str, open_broker: bool) -> None:
    lines = [
        "motorcade is up",
        f"  page       {ready['dashboard']['url']}",
        f"  MQTT       {ready['mqtt']['host']}:{ready['mqtt']['port']}"
        f"   TLS {ready['mqtts']['host']}:{ready['mqtts']['port']}",
        f"  MQTT over WebSocket  ws://{ready['mqtt_ws']['host']}:{ready['mqtt_ws']['port']}/mqtt"
        f"   wss://{ready['mqtt_wss']['host']}:{ready['mqtt_wss']['port']}/mqtt",
        f"  telemetry  wss://{ready['telemetry']['host']}:{ready['telemetry']['port']}",
        f"  API        {ready['api']['url']}   TLS {ready['api_tls']['url']}",
        f"  gRPC       {ready['grpc']['host']}:{ready['grpc']['port']}"
        f"   TLS {ready['grpc_tls']['host']}:{ready['grpc_tls']['port']}",
        f"  CA         {ready['ca_file']}",
        f"  admin token, shown once: {ready['admin_token']}",
    ]
    if owner_password:
        lines.append(f"  sign in at {ready['dashboard']['url']} as {FIRST_EMAIL}")
        lines.append(f"  its password, shown once: {owner_password}")
    if open_broker:
        lines.append("  OPEN BROKER: MQTT asks nobody for an account, any topic is anyone's")
    print("\n".join(lines), file=sys.stderr, flush=True)

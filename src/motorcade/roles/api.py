"""The API's process: HTTP, WebSocket, gRPC, the command router, live state in a thread."""

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from motorcade.api.build import PLAIN, Extras, build_api
from motorcade.api.charging_places import ChargingPlace, name_at, read_places
from motorcade.api.counter import Counter
from motorcade.api.domain_keys import DomainKeys
from motorcade.api.limits import Limits, read_limits
from motorcade.api.oauth.desk import Desk
from motorcade.api.oauth.first_party import add_page
from motorcade.api.rpc.publishing import SampleLane
from motorcade.api.rpc.server import Address, RpcServer
from motorcade.api.server import Listener, serve
from motorcade.commands.courier import Courier
from motorcade.commands.entries import Downlink
from motorcade.commands.ledger import Ledger
from motorcade.commands.runner import CommandRunner
from motorcade.config import Config, ConfigError
from motorcade.identity import tls
from motorcade.identity.signing import command_signer
from motorcade.identity.tokens import token_authority
from motorcade.log.files import OsFiles
from motorcade.log.topics import Lane
from motorcade.log.writer import EmbeddedWriter
from motorcade.meters.embedded import EmbeddedMeters
from motorcade.meters.follower import MetersFollower
from motorcade.metrics.api import ApiReporter
from motorcade.metrics.inside import PlatformInside
from motorcade.roles.base import Base, Parts, settle
from motorcade.state.charges import ChargePorts
from motorcade.state.embedded import EmbeddedLiveState
from motorcade.state.follower import Follower
from motorcade.state.kept import KeptSnapshots
from motorcade.state.past import Past
from motorcade.state.snapshots import SnapshotStore
from motorcade.streams.chain import ByArrival
from motorcade.streams.dedup import Dedup
from motorcade.supervisor import StopEvents
from motorcade.traces.switch import span_out

if TYPE_CHECKING:  # Arrow is loaded when somebody first asks
    from motorcade.history.port import History
    from motorcade.traces.api import ApiTraces

GOODBYE_S_MAX: Final = 2.0  # at a drain, for app WebSockets


class Front(Protocol):
    """What a deployment puts before its API: the sandbox does."""

    extras: Extras

    async def start(self) -> None:
        """The API serves; this process is ready when this returns."""

    async def stop(self) -> None:
        """Apps are served no more."""


MakeFront = Callable[[Parts, Counter], Front]


async def run(parts: Parts, ends: StopEvents, make_front: MakeFront | None = None) -> None:
    """HTTP and WebSocket, the command router with its fast log, live state in a thread."""
    settle()
    failures = _Failures(ends)
    said = _read_files(parts.config)
    following = _follow(parts, said, failures)
    carrying = _carry_commands(parts, following, failures)
    counter = _counter(parts, said, following, carrying)
    lanes = {"api-fast": carrying.writer}
    config, clock, follower = parts.config, parts.clock, following.follower
    report = ApiReporter(
        config, clock, following.state, follower, carrying.commands, counter, lanes
    )
    if following.traces is not None:
        counter.answered = following.traces.answered
    certificates = parts.authority.certificates
    counter.inside = PlatformInside(config, clock, parts.data, report, follower, certificates)
    front = make_front(parts, counter) if make_front is not None else None

    def open_samples() -> EmbeddedWriter:
        lanes["api-bulk"] = opened = parts.log.writer("api", Lane.BULK)
        return opened

    rpc = RpcServer(counter, SampleLane(open_samples, config.rpc.busy_retry_ms / 1e3))
    server = await serve(
        build_api(counter, front.extras if front is not None else PLAIN),
        [
            Listener(parts.link.listener("api")),
            Listener(parts.link.listener("api_tls"), tls.api_context(parts.authority)),
        ],
    )
    places: dict[str, tuple[str, int]] = parts.link.options["rpc"]
    await rpc.start(
        [
            Address(*places["grpc"], None),
            Address(*places["grpc_tls"], tls.server_pem(parts.authority)),
        ]
    )
    writing = (counter.standing, counter.accesses, counter.audit)
    for each in writing:
        each.start()
    carrying.start()
    if front is not None:
        await front.start()
    parts.link.ready(ends)
    await ends.doors_closed.wait()
    if front is not None:
        await front.stop()
    calls_end = asyncio.create_task(rpc.stop(config.commands.response_s_max))
    counter.viewers.close()
    await counter.streams.close(GOODBYE_S_MAX)
    await asyncio.gather(server.stop(), calls_end)
    for each in writing:
        await each.stop()
    await carrying.stop()
    await following.stop()
    if failures.first is not None:
        raise failures.first


class _Failures:
    """What ends this process though nobody told it to; the first is raised at its end."""

    def __init__(self, ends: StopEvents) -> None:
        self._ends, self._loop = ends, asyncio.get_running_loop()
        self.first: Exception | None = None

    def note(self, error: Exception) -> None:
        self.first = self.first or error
        self._ends.stop()

    def note_from_thread(self, error: Exception) -> None:
        self._loop.call_soon_threadsafe(self.note, error)


@dataclass(frozen=True, slots=True)
class _Said:
    """What the operator's files say."""

    places: tuple[ChargingPlace, ...]
    limits: Limits


def _read_files(config: Config) -> _Said:
    """Before anything starts. Raises `ConfigError`."""
    places = _content_of("api.charging_sites_file", config.api.charging_sites_file, b"[]")
    limits = _content_of("dashboard.limits_file", config.dashboard.limits_file, b"{}")
    return _Said(
        read_places(places, places_max=config.api.charging_sites_max),
        read_limits(limits, signals_max=config.dashboard.limits_max),
    )


def _content_of(setting: str, path: str, without: bytes) -> bytes:
    """An operator's file. Raises `ConfigError`."""
    try:
        return Path(path).read_bytes() if path else without
    except OSError as error:
        raise ConfigError(f"{setting}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Following:
    """What this process makes of the log, each in a thread of its own."""

    state: EmbeddedLiveState
    follower: Follower
    past: Past
    meters: EmbeddedMeters
    metering: MetersFollower
    traces: "ApiTraces | None"

    async def stop(self) -> None:
        await asyncio.to_thread(self.past.close)
        await asyncio.to_thread(self.follower.stop)
        await asyncio.to_thread(self.metering.stop)
        self.meters.close()
        if self.traces is not None:
            await asyncio.to_thread(self.traces.stop)


def _follow(parts: Parts, said: _Said, failures: _Failures) -> _Following:
    """Started."""
    config, clock, log = parts.config, parts.clock, parts.log

    def dedup() -> Dedup:
        return Dedup(config.dedup)

    failed = failures.note_from_thread
    meters = EmbeddedMeters(parts.data / "meters" / "ledger.sqlite")
    metering = MetersFollower(config.energy, log, meters, clock, failed=failed)
    place_of = partial(name_at, said.places, radius_m=config.api.charging_site_m_max)
    state = EmbeddedLiveState(config, ChargePorts(metering.take_session, place_of))
    spans, traces = span_out(config.traces.otlp_url, "api"), None
    if spans is not None:
        from motorcade.traces.api import ApiTraces

        traces = ApiTraces(spans, config.traces, log, clock)
        traces.start()
    kept = KeptSnapshots(
        parts.data / "state" / "kept",
        OsFiles(),
        config.past,
        age_s=config.log.retention_bulk_age_s,
    )
    follower = Follower(
        log,
        state,
        dedup,
        SnapshotStore(parts.data / "state", OsFiles()),
        clock,
        snapshot_s=config.state.snapshot_s,
        snapshot_records=config.state.snapshot_records,
        spacing_s=config.state.spacing_ms / 1e3,
        failed=failed,
        applied=traces.applied if traces is not None else None,
        kept=kept,
    )
    follower.start()
    metering.start()
    past = Past(config, log, kept, dedup, clock)
    return _Following(state, follower, past, meters, metering, traces)


class _Carrying:
    """Commands on their way: their fast log, their ledger, what asks cars by itself."""

    def __init__(
        self,
        ledger: Ledger,
        writer: EmbeddedWriter,
        commands: CommandRunner,
        courier: Courier,
        failures: _Failures,
    ) -> None:
        self.writer, self.commands = writer, commands
        self._ledger, self._courier, self._failures = ledger, courier, failures
        self._task: asyncio.Future[None] | None = None

    def start(self) -> None:
        """From when apps are served on."""
        self._task = asyncio.ensure_future(self._courier.run())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Future[None]") -> None:
        if not task.cancelled():
            self._failures.note(_end_of(task))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.commands.stop()
        self._ledger.close()


def _carry_commands(parts: Parts, following: _Following, failures: _Failures) -> _Carrying:
    """The router is started; `_Carrying.start` starts what asks by itself."""
    config, log = parts.config, parts.log
    signer = command_signer(parts.authority)
    (parts.data / "commands").mkdir(mode=0o700, exist_ok=True)
    ledger = Ledger(parts.data / "commands" / "ledger.sqlite")
    writer = log.writer("api", Lane.FAST)
    commands = CommandRunner(
        config,
        log,
        writer,
        ledger,
        Downlink(signer.key_id, signer, config.commands.message_expires_s),
        parts.clock,
        os.urandom,
        failures.note,
        log.space.has_room_for_commands,
    )
    signing = parts.registry.signing
    courier = Courier(config, parts.registry, signing, commands, following.state)
    commands.hear_keys, commands.hold = courier.hear, lambda: courier.holds
    commands.start()
    return _Carrying(ledger, writer, commands, courier, failures)


def _counter(parts: Parts, said: _Said, following: _Following, carrying: _Carrying) -> Counter:
    """All that answers need."""
    config, clock, registry = parts.config, parts.clock, parts.registry
    add_page(registry.people)
    tokens = token_authority(parts.authority)
    keys = DomainKeys(timeout_s=config.api.key_fetch_s_max, lookups_max=config.api.key_lookups_max)
    return Counter(
        config,
        clock,
        registry,
        tokens,
        carrying.commands,
        following.state,
        os.urandom,
        signing=registry.signing,
        privacy=registry.privacy,
        access_log=registry.access_log,
        audit_log=registry.audit,
        work_notes=registry.work,
        desk=Desk(registry.people, tokens, clock=clock, entropy=os.urandom, config=config),
        people=registry.people,
        sharing=registry.sharing,
        meters=following.meters,
        places=said.places,
        limits=said.limits,
        fetch_key=keys.fetch,
        history=_history(parts),
        past=following.past,
        records=ByArrival(parts.log, config, clock),
    )


def _history(base: Base) -> "Callable[[], History]":
    """Opens history for reading when somebody first asks: Arrow is not loaded at a start."""
    opened: list[History] = []
    lock = threading.Lock()

    def history() -> "History":
        import pyarrow

        from motorcade.history.embedded import EmbeddedHistory

        with lock:
            if not opened:
                made = EmbeddedHistory(
                    base.data / "history",
                    base.config,
                    base.log,
                    lambda: Dedup(base.config.dedup),
                    base.clock,
                    OsFiles(),
                    lambda path: pyarrow.memory_map(str(path)),
                )
                opened.append(made)
            return opened[0]

    return history


def _end_of(task: "asyncio.Future[None]") -> Exception:
    """Why a task that should run until it is cancelled ended."""
    error = task.exception()
    return error if isinstance(error, Exception) else RuntimeError(f"{task} ended by itself")

"""The composition root: settings in, a running process out. The only importer of engines.

The supervisor starts it once per role, and tells it as JSON what to be. A role opens its lanes of
the log, then its doors or counters, in the order of the road; says "ready"; and drains when told to
stop or when the supervisor is gone. To put another engine behind a port, change the line here that
constructs it.
"""

import asyncio
import gc
import os
import select
import sys
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
import uvloop

from motorcade import compiled, logs
from motorcade.clock import SystemClock
from motorcade.config import ApiConfig, Config, ConfigError
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.files import OsFiles
from motorcade.log.topics import Lane
from motorcade.log.writer import EmbeddedWriter
from motorcade.supervisor import ChildLink, StopEvents

if TYPE_CHECKING:  # a role loads what it runs
    from motorcade.api.build import Extras
    from motorcade.api.charging_places import ChargingPlace
    from motorcade.api.counter import Counter
    from motorcade.history.port import History
    from motorcade.identity.authority import Authority
    from motorcade.registry.embedded import EmbeddedRegistry

FAST_RECORDS_MAX: Final = 8_192  # one buffer of the gateway's fast lane: answers of vehicles
FAST_BYTES_MAX: Final = 4 << 20
GC_THRESHOLD: Final = 50_000  # allocations between collections: the hot road makes no cycles
GOODBYE_S_MAX: Final = 2.0  # at a drain, for app WebSockets
READER_NICE: Final = 10  # the slow lane gives way to sockets and commands (P6)
READER_STOP_S: Final = 2.0  # for the file at hand; whatever is not written is in the log
SWITCH_S: Final = 0.0002  # a thread that decodes telemetry gives way to a waiting command (P6)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Base:
    """What every role starts from."""

    link: ChildLink
    config: Config
    data: Path
    clock: SystemClock
    log: EmbeddedLog


@dataclass(frozen=True, slots=True)
class Parts(Base):
    """... and those that deal with people and vehicles."""

    authority: "Authority"
    registry: "EmbeddedRegistry"


async def run_gateway(parts: Parts, ends: StopEvents) -> None:
    """Sockets of vehicles and operators, sessions, acks; the bulk log and the answers' fast log."""
    from motorcade.gateway.intake import Intake
    from motorcade.gateway.mqtt.door import MqttDoor
    from motorcade.gateway.mqtt.permissions import GUEST
    from motorcade.gateway.mqtt.store import SqliteSessionStore
    from motorcade.gateway.presence import Presence
    from motorcade.gateway.telemetry.door import TelemetryDoor
    from motorcade.identity import tls
    from motorcade.metrics.gateway import GatewayReporter
    from motorcade.metrics.report import ReportSocket
    from motorcade.traces.records import CommitTracer
    from motorcade.traces.switch import span_out

    _settle()
    config, clock, log = parts.config, parts.clock, parts.log
    loop = asyncio.get_running_loop()
    bulk_writer = log.writer("gateway", Lane.BULK)
    fast_writer = log.writer("gateway", Lane.FAST)
    bulk = Intake(
        bulk_writer,
        loop,
        records_max=config.log.batch_records_max,
        bytes_max=config.log.batch_bytes_max,
        spacing_s=config.log.bulk_commit_spacing_ms / 1e3,
        monotonic_s=clock.monotonic_s,
    )
    fast = Intake(
        fast_writer,
        loop,
        records_max=FAST_RECORDS_MAX,
        bytes_max=FAST_BYTES_MAX,
        monotonic_s=clock.monotonic_s,
    )
    presence = Presence(bulk, clock, config, loop.call_later)
    presence.started()
    mqtt = MqttDoor(
        loop=loop,
        config=config,
        clock=clock,
        registry=parts.registry,
        log=log,
        store=SqliteSessionStore(parts.data / "mqtt"),
        bulk=bulk,
        fast=fast,
        presence=presence,
        entropy=os.urandom,
        rest=_rest,
        guest=GUEST if parts.link.options["open_broker"] else None,
    )
    telemetry = TelemetryDoor(
        loop=loop,
        config=config,
        clock=clock,
        registry=parts.registry,
        intake=bulk,
        presence=presence,
        entropy=os.urandom,
    )
    await mqtt.start(
        parts.link.listener("mqtt"),
        parts.link.listener("mqtts"),
        tls.mqtts_context(parts.authority),
        parts.link.listener("mqtt_ws"),
        parts.link.listener("mqtt_wss"),
    )
    client_ca_file = config.telemetry.client_ca_file
    await telemetry.start(
        parts.link.listener("telemetry"), tls.telemetry_context(parts.authority, client_ca_file)
    )
    traces = span_out(config.traces.otlp_url, "gateway")
    if traces is not None and config.traces.sample_every_records:
        every = config.traces.sample_every_records
        bulk.add_door(CommitTracer("gateway", every, clock, traces.end))
    report = GatewayReporter(
        config=config,
        clock=clock,
        mqtt=mqtt,
        telemetry=telemetry,
        intakes={"gateway-bulk": bulk, "gateway-fast": fast},
        lanes={"gateway-bulk": bulk_writer, "gateway-fast": fast_writer},
    )
    told = ReportSocket(parts.data, "gateway", report)
    await told.start()
    parts.link.ready(ends)
    await ends.doors_closed.wait()
    mqtt.close_doors()
    telemetry.close_doors()
    await ends.stopping.wait()
    told.close()
    await asyncio.gather(mqtt.drain(), telemetry.drain())
    await asyncio.gather(bulk.drained(), fast.drained())
    if traces is not None:
        await asyncio.to_thread(traces.close)


class Front(Protocol):
    """What a deployment puts before its API: the sandbox does."""

    extras: "Extras"

    async def start(self) -> None:
        """The API serves; this process is ready when this returns."""

    async def stop(self) -> None:
        """Apps are served no more."""


MakeFront = Callable[[Parts, "Counter"], Front]


async def run_api(parts: Parts, ends: StopEvents, make_front: MakeFront | None = None) -> None:
    """HTTP and WebSocket, the command router with its fast log, live state in a thread."""
    from motorcade.api.build import PLAIN, build_api
    from motorcade.api.charging_places import name_at
    from motorcade.api.counter import Counter
    from motorcade.api.domain_keys import DomainKeys
    from motorcade.api.oauth.desk import Desk
    from motorcade.api.oauth.first_party import add_page
    from motorcade.api.rpc.publishing import SampleLane
    from motorcade.api.rpc.server import Address, RpcServer
    from motorcade.api.server import Listener, serve
    from motorcade.commands.courier import Courier
    from motorcade.commands.entries import Downlink
    from motorcade.commands.ledger import Ledger
    from motorcade.commands.runner import CommandRunner
    from motorcade.identity import tls
    from motorcade.identity.signing import command_signer
    from motorcade.identity.tokens import token_authority
    from motorcade.meters.embedded import EmbeddedMeters
    from motorcade.meters.follower import MetersFollower
    from motorcade.metrics.api import ApiReporter
    from motorcade.metrics.inside import PlatformInside
    from motorcade.state.charges import ChargePorts
    from motorcade.state.embedded import EmbeddedLiveState
    from motorcade.state.follower import Follower
    from motorcade.state.kept import KeptSnapshots
    from motorcade.state.past import Past
    from motorcade.state.snapshots import SnapshotStore
    from motorcade.streams.chain import ByArrival
    from motorcade.streams.dedup import Dedup
    from motorcade.traces.switch import span_out

    _settle()
    config, clock, log = parts.config, parts.clock, parts.log
    failed: list[Exception] = []

    loop = asyncio.get_running_loop()

    def fail(error: Exception) -> None:
        failed.append(error)
        ends.stop()

    def fail_from_thread(error: Exception) -> None:
        loop.call_soon_threadsafe(fail, error)

    meters = EmbeddedMeters(parts.data / "meters" / "ledger.sqlite")
    metering = MetersFollower(config.energy, log, meters, clock, failed=fail_from_thread)
    sites = _charging_places(config.api)
    place_of = partial(name_at, sites, radius_m=config.api.charging_site_m_max)
    state = EmbeddedLiveState(config, ChargePorts(metering.take_session, place_of))
    spans = span_out(config.traces.otlp_url, "api")
    traces = None
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
    past = Past(config, log, kept, lambda: Dedup(config.dedup), clock)
    follower = Follower(
        log,
        state,
        lambda: Dedup(config.dedup),
        SnapshotStore(parts.data / "state", OsFiles()),
        clock,
        snapshot_s=config.state.snapshot_s,
        snapshot_records=config.state.snapshot_records,
        spacing_s=config.state.spacing_ms / 1e3,
        failed=fail_from_thread,
        applied=traces.applied if traces is not None else None,
        kept=kept,
    )
    follower.start()
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
        clock,
        os.urandom,
        fail,
        log.space.has_room_for_commands,
    )
    courier = Courier(config, parts.registry, parts.registry.signing, commands, state)
    commands.hear_keys, commands.hold = courier.hear, lambda: courier.holds
    commands.start()
    metering.start()
    add_page(parts.registry.people)
    tokens = token_authority(parts.authority)
    keys = DomainKeys(timeout_s=config.api.key_fetch_s_max, lookups_max=config.api.key_lookups_max)
    counter = Counter(
        config,
        clock,
        parts.registry,
        tokens,
        commands,
        state,
        os.urandom,
        signing=parts.registry.signing,
        privacy=parts.registry.privacy,
        access_log=parts.registry.access_log,
        audit_log=parts.registry.audit,
        work_notes=parts.registry.work,
        desk=Desk(parts.registry.people, tokens, clock=clock, entropy=os.urandom, config=config),
        people=parts.registry.people,
        sharing=parts.registry.sharing,
        meters=meters,
        places=sites,
        fetch_key=keys.fetch,
        history=_history(parts),
        past=past,
        records=ByArrival(log, config, clock),
    )
    lanes = {"api-fast": writer}
    report = ApiReporter(config, clock, state, follower, commands, counter, lanes)
    if traces is not None:
        counter.answered = traces.answered
    counter.inside = PlatformInside(
        config, clock, parts.data, report, follower, parts.authority.certificates
    )
    front = make_front(parts, counter) if make_front is not None else None

    def open_samples() -> EmbeddedWriter:
        lanes["api-bulk"] = opened = log.writer("api", Lane.BULK)
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
    counter.standing.start()
    counter.accesses.start()
    counter.audit.start()
    carrying = asyncio.ensure_future(courier.run())
    carrying.add_done_callback(lambda task: None if task.cancelled() else fail(_end_of(task)))
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
    await counter.standing.stop()
    await counter.accesses.stop()
    await counter.audit.stop()
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)
    await commands.stop()
    await asyncio.to_thread(past.close)
    await asyncio.to_thread(follower.stop)
    await asyncio.to_thread(metering.stop)
    meters.close()
    if traces is not None:
        await asyncio.to_thread(traces.stop)
    ledger.close()
    if failed:
        raise failed[0]


async def run_reader(base: Base, ends: StopEvents) -> None:
    """The slow lane: history is written here. When it is away, all else goes on."""
    import pyarrow

    from motorcade.history.writer import HistoryWriter
    from motorcade.metrics.reader import ReaderReporter
    from motorcade.metrics.report import ReportSocket
    from motorcade.streams.dedup import Dedup

    os.nice(READER_NICE)
    _settle()
    failed: list[Exception] = []
    loop = asyncio.get_running_loop()

    def fail(error: Exception) -> None:
        failed.append(error)
        loop.call_soon_threadsafe(ends.stop)

    config = base.config
    history = HistoryWriter(
        base.data / "history",
        config,
        base.log,
        lambda: Dedup(config.dedup),
        base.clock,
        OsFiles(),
        lambda path: pyarrow.memory_map(str(path)),
        failed=fail,
    )
    history.start()
    told = ReportSocket(base.data, "reader", ReaderReporter(base.clock, history))
    await told.start()
    base.link.ready(ends)
    await ends.stopping.wait()
    told.close()
    await asyncio.to_thread(history.stop, READER_STOP_S)
    if failed:
        raise failed[0]


def _history(base: Base) -> "Callable[[], History]":
    """Opens history for reading when somebody first asks: Arrow is not loaded at a start."""
    opened: list[History] = []
    lock = threading.Lock()

    def history() -> "History":
        import pyarrow

        from motorcade.history.embedded import EmbeddedHistory
        from motorcade.streams.dedup import Dedup

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


def _charging_places(config: ApiConfig) -> "tuple[ChargingPlace, ...]":
    """Raises `ConfigError`."""
    from motorcade.api.charging_places import read_places

    try:
        if not config.charging_sites_file:
            return ()
        content = Path(config.charging_sites_file).read_bytes()
        return read_places(content, places_max=config.charging_sites_max)
    except OSError as error:
        raise ConfigError(f"api.charging_sites_file: {error}") from error


def _end_of(task: "asyncio.Future[None]") -> Exception:
    """Why a task that should run until it is cancelled ended."""
    error = task.exception()
    return error if isinstance(error, Exception) else RuntimeError(f"{task} ended by itself")


def _settle() -> None:
    """Once a role has imported everything it runs: warm its kernels, let the collector rest."""
    compiled.warm_imported()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    sys.setswitchinterval(SWITCH_S)


def _rest(rest_s: float, urgent: Collection[int]) -> list[int]:
    """Block for so long, or until some of the file descriptors `urgent` are readable: those.

    In whole milliseconds, rounded up; whoever rests counts from when the rest was due.
    """
    poll = select.poll()
    for descriptor in urgent:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(rest_s * 1e3)]


Role = Callable[[Parts, StopEvents], Coroutine[Any, Any, None]]
ROLES: Final[dict[str, Role]] = {"gateway": run_gateway, "api": run_api}
READER: Final = "reader"


async def _run(link: ChildLink, roles: Mapping[str, Role]) -> None:
    ends = StopEvents()
    config = Config().with_overrides(list(link.options["settings"]))
    data = Path(link.options["data"])
    clock = SystemClock()
    log = EmbeddedLog(data / "log", config.log, clock)
    try:
        base = Base(link, config, data, clock, log)
        role = link.options["role"]
        if role == READER:
            await run_reader(base, ends)
        else:
            await _run_with_registry(base, ends, roles[role])
    finally:
        log.close()


async def _run_with_registry(base: Base, ends: StopEvents, role: Role) -> None:
    from motorcade.identity.authority import open_authority
    from motorcade.registry.embedded import EmbeddedRegistry

    link, config, clock = base.link, base.config, base.clock
    authority = open_authority(base.data, link.options["listen"], config=config.identity)
    registry = EmbeddedRegistry(
        base.data / "registry.sqlite",
        account_key=authority.account_key,
        clock=clock,
        config=config.registry,
    )
    try:
        await role(Parts(link, config, base.data, clock, base.log, authority, registry), ends)
    finally:
        registry.close()


def main(roles: Mapping[str, Role] = ROLES) -> None:
    """Run the role that the supervisor's argument names; exit 0 after a drain."""
    link = ChildLink.from_argument(sys.argv[1])
    link.end_with_supervisor()
    logs.configure(link.options["log_file"], link.options["role"], link.options["log_level"])
    os.umask(0o077)
    try:
        uvloop.run(_run(link, roles))
    except Exception:
        _log.exception("process_failed")
        sys.exit(1)


if __name__ == "__main__":
    main()

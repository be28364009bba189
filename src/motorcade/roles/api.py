"""The API's process: HTTP, WebSocket, gRPC, the command router, live state in a thread."""

import asyncio
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from motorcade.api.build import PLAIN, Extras, build_api
from motorcade.api.charging_places import ChargingPlace, name_at, read_places
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
from motorcade.config import ApiConfig, ConfigError
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


def _charging_places(config: ApiConfig) -> tuple[ChargingPlace, ...]:
    """Raises `ConfigError`."""
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

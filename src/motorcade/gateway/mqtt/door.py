"""The MQTT door, put together: sockets, the hot road, the conversation, routing, commands down.

A packet's way: `connection.py` -> `ingest.py` (`kernels.py`) -> the intake's staging -> the log ->
`slots.committed` -> PUBACK. What `scan` leaves goes to `packets.py`, CONNECT from there to
`admission.py`. From the log to subscribers: `router.py`, `feeding.py`; to vehicles: `outbox.py`.
"""

import asyncio
import itertools
import socket
import ssl
from collections.abc import Callable, Collection
from typing import Final

import structlog

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.gateway.intake import Intake
from motorcade.gateway.listener import Listener
from motorcade.gateway.mqtt.admission import Admission, PresenceTeller
from motorcade.gateway.mqtt.connection import Connection
from motorcade.gateway.mqtt.counts import DOORS, MqttCounts
from motorcade.gateway.mqtt.figures import Figures
from motorcade.gateway.mqtt.ingest import Ingest
from motorcade.gateway.mqtt.outbox import Outbox
from motorcade.gateway.mqtt.packets import Packets
from motorcade.gateway.mqtt.publishing import Publishing
from motorcade.gateway.mqtt.recall import Recall
from motorcade.gateway.mqtt.receipts import Receipts
from motorcade.gateway.mqtt.rests import Rests
from motorcade.gateway.mqtt.retained import RetainedMessages
from motorcade.gateway.mqtt.router import Router
from motorcade.gateway.mqtt.session import Session
from motorcade.gateway.mqtt.sessions import Sessions
from motorcade.gateway.mqtt.store import SessionStore, SessionStoreError, StoredWill
from motorcade.gateway.mqtt.websocket import Link, Window, from_this_machine
from motorcade.log.errors import LogError
from motorcade.log.port import Log
from motorcade.log.topics import Lane
from motorcade.registry.errors import RegistryError
from motorcade.registry.port import Principal, Registry
from motorcade.wire.mqtt.reasons import Reason

SWEEP_S: Final = 1.0
SWEEPS_PER_REST: Final = 10
GOODBYE_S_MAX: Final = 2.0

logger = structlog.get_logger(__name__)


class MqttDoor:
    """See the module's text. Everything it needs comes in as an argument."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        config: Config,
        clock: Clock,
        registry: Registry,
        log: Log,
        store: SessionStore,
        bulk: Intake,
        fast: Intake,
        presence: PresenceTeller,
        entropy: Callable[[int], bytes],
        rest: Callable[[float, Collection[int]], Collection[int]],
        epoch: int = 0,
        guest: Principal | None = None,
    ) -> None:
        self._loop = loop
        self._config = config
        self._clock = clock
        self._store = store
        self._bulk, self._fast = bulk, fast
        intakes = {Lane.BULK: bulk, Lane.FAST: fast}
        receipts = Receipts(clock, intakes)
        self._sessions = Sessions(
            config.mqtt, store, receipts, loop, self._session_failed, self._will_due
        )
        self._router = Router(config, clock, loop, log, self._sessions)
        rests = self._rests = Rests[Connection](config.gateway.turn_spacing_ms / 1e3)
        self._outbox = Outbox(config, clock, loop, log, fast, rests)
        self._block = rest
        self._retained = RetainedMessages(config.mqtt, store)
        self._recall = Recall(
            log, store, self._sessions, self._retained, [bulk, fast], self._router.run
        )
        deliveries = _Both(self._router, self._outbox)
        publishing = self._publishing = Publishing(config, clock, intakes, receipts, self._retained)
        self._packets = Packets(
            config, loop, clock, self._sessions, self._retained, publishing, deliveries
        )
        self._admission = Admission(
            config, clock, registry, self._sessions, presence, entropy, epoch, guest
        )
        self._ingest = Ingest(
            config,
            clock,
            bulk,
            loop,
            self._packets,
            rests,
            self._rest,
        )
        self._packets.ingest = self._admission.ingest = publishing.ingest = self._ingest
        self._packets.admission = publishing.admission = self._admission
        self._admission.packets = publishing.packets = self._packets
        self._figures = Figures(
            self._sessions,
            self._retained,
            self._ingest.counts,
            clock,
            interval_s=config.mqtt.sys_interval_s,
        )
        self._listeners: list[Listener] = []
        self._window = Window(config.gateway.read_buffer_bytes)
        self._is_open = guest is not None
        self._sweeper: asyncio.Task[None] | None = None
        self._noting: asyncio.Task[None] | None = None
        bulk.add_door(self._ingest)

    def _rest(self, rest_s: float) -> None:
        """Rest, but send commands as they come and hear the cars that answer them.

        What was read before is on its way to the disk meanwhile.
        """
        now_s = self._clock.monotonic_s()
        end_s = now_s + rest_s
        while now_s < end_s:
            self._fast.end_turn()
            self._bulk.end_turn()
            awaited = {one.socket_descriptor: one for one in self._rests.awaited(now_s)}
            bell = self._outbox.doorbell_fd
            ready = self._block(end_s - now_s, [*awaited, *([] if bell is None else [bell])])
            if bell in ready:
                self._outbox.poll()  # sent by the loop: the rest is over
            if not ready or bell in ready:
                return
            for descriptor in ready:
                if not self._ingest.read_early(awaited[descriptor]):
                    return
            now_s = self._clock.monotonic_s()

    async def start(
        self,
        plain: socket.socket,
        tls: socket.socket | None = None,
        ssl_context: ssl.SSLContext | None = None,
        ws: socket.socket | None = None,
        wss: socket.socket | None = None,
    ) -> None:
        """Serve these listening sockets, which are ours from here on.

        `ws` and `wss` are for WebSockets; `ssl_context` is that of `tls` and `wss`.
        """
        self._sessions.restore(self._clock.now_us())
        await self._loop.run_in_executor(None, self._recall.restore)
        await self._recall.note()
        await self._router.start()
        await self._outbox.start()
        self._listen(plain, None, self._connection)
        if tls is not None:
            self._listen(tls, ssl_context, self._connection)
        if ws is not None:
            self._listen(ws, None, self._link)
        if wss is not None:
            self._listen(wss, ssl_context, self._link)
        self._sweeper = self._loop.create_task(self._sweep())

    def close_doors(self) -> None:
        """Accept nothing new; the connections that stand are served on."""
        for listener in self._listeners:
            listener.close()

    async def drain(self) -> None:
        """Accept nothing new, let what is under way commit, say goodbye, release everything."""
        self.close_doors()
        if self._sweeper is not None:
            self._sweeper.cancel()
        connections = [each for each in self._ingest.slots.connections if each is not None]
        for connection in connections:
            self._ingest.drop(connection)
        try:
            async with asyncio.timeout(self._config.gateway.drain_s_max):
                await self._bulk.drained()
                await self._fast.drained()
        except TimeoutError:
            pass  # unacknowledged: the peers send it again
        for connection in connections:
            if connection.session is not None:
                connection.session.will = None
            self._packets.disconnect(connection, Reason.SERVER_SHUTTING_DOWN)
        await self._all_closed()
        await self._bulk.drained()
        self._outbox.stop()
        if self._noting is not None:
            await self._noting
        await self._note()
        await self._router.stop()
        self._sessions.sweep(self._clock.now_us(), self._router.position)
        await self._loop.run_in_executor(None, self._store.close)

    async def _all_closed(self) -> None:
        """Wait for the goodbyes to leave, but not long for peers that do not take them."""
        give_up_s = self._clock.monotonic_s() + GOODBYE_S_MAX
        while self.connections:
            now_s = self._clock.monotonic_s()
            if now_s > give_up_s:
                self._ingest.slots.abort_lingering(0.0)
            if now_s > give_up_s + GOODBYE_S_MAX:  # a defect of ours, and no reason to stay
                logger.error("mqtt_connections_never_ended", connections=self.connections)
                return
            await asyncio.sleep(0.002)

    @property
    def connections(self) -> int:
        """How many sockets are open."""
        return sum(each is not None for each in self._ingest.slots.connections)

    @property
    def counts(self) -> MqttCounts:
        """What has happened since the start."""
        return self._ingest.counts

    @property
    def session_count(self) -> int:
        """Sessions, connected or kept."""
        return len(self._sessions)

    @property
    def handshakes(self) -> tuple[int, int]:
        """Of TLS and WebSocket: under way now, and failed since the start."""
        under_way = sum(listener.handshakes for listener in self._listeners)
        return under_way, sum(listener.failed_handshakes for listener in self._listeners)

    @property
    def rate_waits(self) -> int:
        """How often `gateway.accepts_per_s` left peers in a listen queue for a moment."""
        return sum(listener.rate_waits for listener in self._listeners)

    def connections_by_door(self) -> dict[str, int]:
        """Open sockets. Looks at each: for when somebody asks."""
        doors = dict.fromkeys(DOORS, 0)
        for connection in self._ingest.slots.connections:
            if connection is not None:
                doors[connection.door] += 1
        return doors

    def _listen(
        self,
        listening: socket.socket,
        ssl_context: ssl.SSLContext | None,
        protocol_factory: Callable[[], asyncio.BufferedProtocol],
    ) -> None:
        listener = Listener(
            self._loop,
            protocol_factory,
            ssl_context,
            self._config.gateway,
            handshake_s_max=self._config.mqtt.connect_s_max,
            has_room=self._has_room,
        )
        listener.start(listening)
        self._listeners.append(listener)

    def _has_room(self) -> bool:
        return self._ingest.slots.has_room(sum(each.handshakes for each in self._listeners))

    def _connection(self) -> Connection:
        return Connection(self._ingest)

    def _link(self) -> Link:
        return Link(
            self._ingest,
            self._window,
            request_bytes_max=self._config.mqtt.websocket_request_bytes_max,
            control_frames_max=self._config.mqtt.websocket_control_frames_max,
            may_come=from_this_machine if self._is_open else lambda _: True,
        )

    async def _sweep(self) -> None:
        for count in itertools.count(1):
            await asyncio.sleep(SWEEP_S)
            self._admission.sweep()
            self._figures.sweep()
            for listener in self._listeners:  # those that waited for room may come in
                listener.consider()
            self._sessions.sweep(self._clock.now_us(), self._router.position)
            self._retained.expire(self._clock.now_us())
            if self._noting is None or self._noting.done():  # it waits for a slow disk, we do not
                self._noting = self._loop.create_task(self._note())
            try:
                await self._admission.sweep_removed()
                if count % SWEEPS_PER_REST == 0:
                    await self._router.rest()
            except (RegistryError, LogError) as error:  # the next sweep tries again
                logger.warning("mqtt_sweep_failed", error=str(error))

    async def _note(self) -> None:
        try:
            await self._recall.note()
        except (SessionStoreError, LogError) as error:  # the older note stands: more is read back
            logger.warning("mqtt_note_failed", error=str(error))

    def _will_due(self, session: Session, will: StoredWill) -> None:
        self._publishing.will(session, will)

    def _session_failed(self, session: Session) -> None:
        """An exchange could not be written down: the client comes again when the disk is well."""
        if session.connection is not None:
            self._packets.failed(session.connection)


class _Both:
    """`packets.Deliveries`: the router's messages and the outbox's commands."""

    def __init__(self, router: Router, outbox: Outbox) -> None:
        self._router, self._outbox = router, outbox

    async def ready(self, session: Session) -> None:
        await self._router.ready(session)

    async def caught_up(self) -> None:
        await self._router.caught_up()

    def opened(self, session: Session) -> None:
        self._router.opened(session)
        self._outbox.opened(session)

    def changed(self, session: Session) -> None:
        self._router.changed(session)
        self._outbox.opened(session)

    def closed(self, session: Session) -> None:
        self._outbox.closed(session)
        self._router.closed(session)

"""The Fleet Telemetry door: who may come in, whose acks may leave, who must go.

Source of the behaviour: the protocol page §1; each difference from Tesla's server stands in
`docs/protocols/fleet-telemetry.md`.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.events import RecordBatch, VehicleToken
from motorcade.gateway.intake import Intake
from motorcade.gateway.listener import Listener
from motorcade.gateway.presence import Presence
from motorcade.gateway.rate import TokenBucket
from motorcade.gateway.telemetry.connection import Connection, Phase
from motorcade.gateway.telemetry.desk import Counts, make_car, make_desk
from motorcade.gateway.telemetry.identity import identify
from motorcade.log.errors import LogError, LogFullError
from motorcade.registry.port import Principal, Registry
from motorcade.wire.websocket.errors import CloseCode

logger = structlog.get_logger(__name__)

TICK_S_MAX: Final = 1.0
CHECKS_PER_TURN: Final = 64  # look-ups in the registry between two turns of the loop
CONNECTION_ID_BYTES: Final = 16
REFUSAL_LOG_S: Final = 60.0  # a vehicle that keeps trying is logged so often
REFUSALS_MAX: Final = 1_000  # remembered; beyond, logged again


@dataclass(slots=True)
class Vehicle:
    """What the connections of one vehicle share."""

    bucket: TokenBucket
    connections: dict[Connection, None] = field(default_factory=dict)  # the oldest first


class TelemetryDoor:
    """Serves Fleet Telemetry on one address. A `Door` of the intake."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        config: Config,
        clock: Clock,
        registry: Registry,
        intake: Intake,
        presence: Presence,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._loop = loop
        self._config = config
        self._clock = clock
        self._registry = registry
        self._presence = presence
        self._entropy = entropy
        self._desk = make_desk(config, clock, intake)
        self._intake = intake
        self._connections: set[Connection] = set()
        self._vehicles: dict[VehicleToken, Vehicle] = {}
        self._refusals: dict[str, float] = {}  # VIN -> when its refusal was logged
        self._waiting_for_commit: list[list[Connection]] = [[], []]
        self._waiting_for_room: list[Connection] = []
        self._ready: deque[Connection] = deque()
        self._unchecked: list[Connection] = []  # since the registry last changed
        self._changes = 0
        self._listener: Listener | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._draining = False
        intake.add_door(self)

    @property
    def counts(self) -> Counts:
        """What has happened since the start."""
        return self._desk.counts

    @property
    def connection_count(self) -> int:
        """Sockets past the TLS handshake."""
        return len(self._connections)

    @property
    def handshakes(self) -> tuple[int, int]:
        """TLS handshakes: under way now, and failed since the start."""
        if self._listener is None:
            return 0, 0
        return self._listener.handshakes, self._listener.failed_handshakes

    @property
    def rate_waits(self) -> int:
        """How often `gateway.accepts_per_s` left peers in the listen queue for a moment."""
        return self._listener.rate_waits if self._listener is not None else 0

    async def start(self, listening: socket.socket, ssl_context: ssl.SSLContext) -> int:
        """Serve a listening socket, which is ours from here on; returns its port.

        `ssl_context` demands client certificates (`identity.tls.telemetry_context`).
        """
        self._changes = self._registry.changes()
        self._listener = Listener(
            self._loop,
            lambda: Connection(self, self._desk),
            ssl_context,
            self._config.gateway,
            handshake_s_max=self._config.telemetry.handshake_s_max,
            has_room=self._has_room,
        )
        self._tick_later()
        return self._listener.start(listening)

    def close_doors(self) -> None:
        """Accept nothing new; the connections that stand are served on."""
        if self._listener is not None:
            self._listener.close()

    async def drain(self) -> None:
        """Take no more; let what is in flight commit and its acks leave; then close everything.

        Ends after `gateway.drain_s_max` at the latest.
        """
        self._draining = True
        self.close_doors()
        for connection in list(self._connections):
            connection.close(CloseCode.GOING_AWAY, "the server is going away; connect again")
        self._signal_if_empty()
        try:
            await asyncio.wait_for(self._empty.wait(), self._config.gateway.drain_s_max)
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()
        if self._ticker is not None:
            self._ticker.cancel()

    # What the intake calls (`gateway.intake.Door`).

    def committed(self, index: int, batch: RecordBatch) -> None:
        connections = self._waiting_for_commit[index]
        self._waiting_for_commit[index] = []
        counts = self.counts
        counts.acks, counts.awaiting[index] = counts.acks + counts.awaiting[index], 0
        for connection in connections:  # now, because the staging is filled anew from here on
            connection.committed(index)
        self._ready.extend(connections)
        self._send_ready()

    def failed(self, index: int, error: LogError) -> None:
        connections = self._waiting_for_commit[index]
        self._waiting_for_commit[index] = []
        self.counts.awaiting[index] = 0
        full = isinstance(error, LogFullError)
        if not full:  # of a full disk the log itself tells, once
            logger.error(
                "telemetry_records_not_durable", error=str(error), connections=len(connections)
            )
        for connection in connections:
            if full:
                connection.full(index)
            else:
                connection.abort()

    def pause(self) -> None:
        """Nothing to do: a connection stops reading when it is its turn and there is no room.

        It then holds one read, at most `gateway.read_buffer_bytes`; the others cost nothing.
        """

    def resume(self) -> None:
        connections, self._waiting_for_room = self._waiting_for_room, []
        for connection in connections:
            if connection in self._connections:
                connection.go_on()

    # What connections call.

    def opened(self, connection: Connection, ssl_object: Any) -> None:
        """The TLS handshake is done."""
        self._connections.add(connection)
        self.counts.opened += 1
        certificate, der = ssl_object.getpeercert(), ssl_object.getpeercert(binary_form=True)
        connection.identity = identify(certificate, der) if der else None

    def upgraded(self, connection: Connection) -> None:
        """The WebSocket stands: decide who it is, and whether it may stay."""
        identity = connection.identity
        if identity is None:
            # As Tesla's server does: the upgrade succeeds, then TCP is closed (§1.2).
            logger.warning(
                "telemetry_issuer_unknown",
                hint="the table: gateway/telemetry/identity.py",
            )
            connection.hang_up()
            return
        principal = self._registry.principal_of_vin(identity.vin, identity.serial)
        if principal is None:
            self._refuse(connection, identity.vin)
            return
        if self._draining:
            connection.close(CloseCode.GOING_AWAY, "the server is going away; connect again")
            return
        connection.connection_id = self._entropy(CONNECTION_ID_BYTES).hex()
        vehicle = self._vehicle_of(principal)
        if len(vehicle.connections) >= self._config.telemetry.connections_per_vehicle_max:
            oldest = next(iter(vehicle.connections))
            del vehicle.connections[oldest]
            oldest.close(CloseCode.POLICY_VIOLATION, "too many connections of this vehicle")
        vehicle.connections[connection] = None
        connection.open(make_car(principal, identity, vehicle.bucket, self._desk))
        self._presence.connected(
            principal.token, connection.connection_id, connection.network_interface
        )

    def lost(self, connection: Connection) -> None:
        """The socket is gone."""
        self._connections.discard(connection)
        if connection.car is not None:
            vehicle = self._vehicles.get(connection.car.token)
            if vehicle is not None:  # else forgotten: this connection had made way for another
                vehicle.connections.pop(connection, None)
            self._presence.disconnected(
                connection.car.token, connection.connection_id, connection.network_interface
            )
        if self._listener is not None:
            self._listener.consider()
        self._signal_if_empty()

    def wait_for_commit(self, connection: Connection, index: int) -> None:
        """`connection` has its first answer that waits for the commit of staging `index`."""
        self._waiting_for_commit[index].append(connection)

    def wait_for_room(self, connection: Connection) -> None:
        """`connection` has paused reading until `resume`."""
        self._waiting_for_room.append(connection)

    # Time.

    def tick(self) -> None:
        """Look at the time and at the registry. Runs by itself; tests with a clock call it."""
        now_s = self._clock.monotonic_s()
        for connection in list(self._connections):
            connection.tick(now_s)
        self._forget_vehicles(now_s)
        changes = self._registry.changes()
        if changes != self._changes:
            self._changes = changes
            if not self._unchecked:
                self._loop.call_soon(self._check_some)
            self._unchecked = list(self._connections)

    def _tick_later(self) -> None:
        wait_s = min(TICK_S_MAX, self._config.telemetry.ping_s / 4)
        self._ticker = self._loop.call_later(wait_s, self._tick_again)

    def _tick_again(self) -> None:
        self.tick()
        self._tick_later()

    def _check_some(self) -> None:
        """Drop connections whose vehicle or certificate the registry no longer accepts."""
        for _ in range(min(CHECKS_PER_TURN, len(self._unchecked))):
            connection = self._unchecked.pop()
            identity, car = connection.identity, connection.car
            if identity is None or car is None or connection.phase is not Phase.OPEN:
                continue
            principal = self._registry.principal_of_vin(identity.vin, identity.serial)
            if principal is None or principal.token != car.token:
                logger.info("telemetry_vehicle_removed", vehicle=car.token)
                connection.close(CloseCode.POLICY_VIOLATION, "vehicle or certificate was removed")
        if self._unchecked:
            self._loop.call_soon(self._check_some)

    # Small parts.

    def _has_room(self) -> bool:
        assert self._listener is not None  # it asks
        taken = len(self._connections) + self._listener.handshakes
        return taken < self._config.gateway.connections_max

    def _send_ready(self) -> None:
        """Write acks, yielding to the loop so that a large commit does not hold up reading."""
        for _ in range(min(len(self._ready), self._config.gateway.acks_per_turn_max)):
            self._ready.popleft().send_ready()
        if self._ready:
            self._loop.call_soon(self._send_ready)

    def _refuse(self, connection: Connection, vin: str) -> None:
        self.counts.unregistered += 1
        now_s = self._clock.monotonic_s()
        if now_s - self._refusals.get(vin, -REFUSAL_LOG_S) >= REFUSAL_LOG_S:
            if len(self._refusals) >= REFUSALS_MAX:
                self._refusals.clear()
            self._refusals[vin] = now_s
            # The log gets no VIN (design P8); the peer is told its own.
            logger.warning(
                "telemetry_vehicle_not_registered",
                vin_ends_in=vin[-4:],
                hint="motorcade vehicle add --data DIR --vin VIN --out OUTDIR",
            )
        connection.close(
            CloseCode.POLICY_VIOLATION,
            f"{vin} is not registered; add it: motorcade vehicle add --vin {vin}",
        )

    def _vehicle_of(self, principal: Principal) -> Vehicle:
        limits = self._config.telemetry
        vehicle = self._vehicles.get(principal.token)
        if vehicle is None:
            now_s = self._clock.monotonic_s()
            bucket = TokenBucket(limits.rate_records_per_s, limits.rate_records_burst, now_s)
            vehicle = self._vehicles[principal.token] = Vehicle(bucket)
        return vehicle

    def _forget_vehicles(self, now_s: float) -> None:
        """Of a vehicle that is gone only a bucket that is not full matters."""
        if len(self._vehicles) > 2 * len(self._connections) + CHECKS_PER_TURN:
            for token, vehicle in list(self._vehicles.items()):
                if not vehicle.connections and vehicle.bucket.is_full(now_s):
                    del self._vehicles[token]

    def _signal_if_empty(self) -> None:
        if self._draining and not self._connections:
            self._empty.set()

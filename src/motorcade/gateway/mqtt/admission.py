"""Who comes in, as whom, and for how long: CONNECT, take-over, keep-alive, removed vehicles."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.events import VehicleToken, partition_of
from motorcade.gateway.mqtt.aliases import Incoming, Outgoing
from motorcade.gateway.mqtt.connection import Connection
from motorcade.gateway.mqtt.ingest import Ingest
from motorcade.gateway.mqtt.kernels import CLOSED
from motorcade.gateway.mqtt.logins import FailedLogins
from motorcade.gateway.mqtt.pace import Pace
from motorcade.gateway.mqtt.permissions import is_ours, is_vehicle, too_large
from motorcade.gateway.mqtt.records import Owner, is_text, read_vehicle_topic
from motorcade.gateway.mqtt.session import Session, session_key
from motorcade.gateway.mqtt.sessions import Sessions, written
from motorcade.gateway.mqtt.telling import CONNACK_TOO_LARGE, write_refusal
from motorcade.gateway.mqtt.wills import stored_will
from motorcade.identity.port import peer_of
from motorcade.registry.port import Principal, PrincipalKind, Registry
from motorcade.wire.mqtt.connect import Connack, Connect, encode_connack
from motorcade.wire.mqtt.properties import NO_PROPERTIES, Properties
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason

if TYPE_CHECKING:
    from motorcade.gateway.mqtt.packets import Packets

KEEP_ALIVE_FACTOR: Final = 1.5  # [MQTT-3.1.2-22]
NEVER_US: Final = 1 << 62
LINGER_S_MAX: Final = 5.0  # after we closed: then unsent bytes are dropped
TAKE_OVER_S_MAX: Final = 5.0  # how long a new connection waits for the old one's commits
REMOVED_PER_STEP: Final = 256  # tokens looked up in one step off the loop


class PresenceTeller(Protocol):
    """What the door needs of `gateway/presence.py`."""

    def connected(self, token: VehicleToken, connection_id: str, network_interface: str) -> None:
        """A connection of this vehicle was accepted."""

    def disconnected(self, token: VehicleToken, connection_id: str, network_interface: str) -> None:
        """That connection is gone."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a CONNECT is not accepted."""

    reason: Reason
    word: str = ""  # what it counts as; the reason's name
    text: str = ""  # what a 5.0 client is told; the reason's text


FAILED_LOGINS: Final = Refusal(
    Reason.QUOTA_EXCEEDED,
    "failed_logins",
    "too many failed logins from this address: wait before the next try",
)


class Admission:
    """See the module's text."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        registry: Registry,
        sessions: Sessions,
        presence: PresenceTeller,
        entropy: Callable[[int], bytes],
        epoch: int,
        guest: Principal | None,
    ) -> None:
        """`guest` is who comes without a valid account; `None` on all but open brokers."""
        self._guest = guest
        self._config = config
        self._clock = clock
        self._registry = registry
        self._sessions = sessions
        self._presence = presence
        self._entropy = entropy
        self.epoch = epoch
        self._waiting: dict[Connection, float] = {}  # no CONNECT yet: when they came
        self._pace = Pace(
            config.gateway.connections_max,
            publishes_per_s=config.mqtt.publishes_per_s,
            publishes_burst=config.mqtt.publishes_burst,
        )
        self._failed_logins = FailedLogins(
            per_s=config.mqtt.failed_logins_per_address_per_s,
            burst=config.mqtt.failed_logins_per_address_burst,
            account_per_s=config.mqtt.failed_logins_per_account_per_s,
            account_burst=config.mqtt.failed_logins_per_account_burst,
        )
        self._keep_alive_us = np.full(config.gateway.connections_max, NEVER_US, np.int64)
        self._changes = registry.changes()
        self.ingest: Ingest  # set by the door
        self.packets: Packets

    # --- CONNECT -----------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """A socket came; it has `mqtt.connect_s_max` for its CONNECT."""
        self._waiting[connection] = self._clock.monotonic_s()
        self._keep_alive_us[connection.slot] = NEVER_US
        self._pace.opened(connection.slot)

    async def connect(self, connection: Connection, connect: Connect) -> None:
        """Answer a CONNECT; afterwards the connection's other bytes may be read."""
        asked = connect.properties
        connection.packet_bytes_max = asked.packet_bytes_max or 1 << 28
        connection.wants_texts = (
            connect.level is ProtocolLevel.V5 and asked.request_problem_information != 0
        )
        judged = self._judge(connection, connect)
        if isinstance(judged, Refusal):
            self._refuse(connection, judged)
            return
        principal, client_id = judged
        properties = self._promises(connect, client_id)
        connack = Connack(False, Reason.SUCCESS, properties)
        if len(encode_connack(connack, connect.level)) > connection.packet_bytes_max:
            self._refuse(connection, Refusal(Reason.PACKET_TOO_LARGE, text=CONNACK_TOO_LARGE))
            return
        key = session_key(principal, client_id)
        over = self._sessions.quotas.judge(key, self._sessions.find(key), self._clock.monotonic_s())
        if over is not None:
            self._refuse(connection, Refusal(over))
            return
        while (old := self._sessions.find(key)) is not None and old.connection is not None:
            await self._take_over(old)
        if connection.closing:
            return
        session, present = await self._session(key, connect)
        self._enter(connection, connect, session, principal)
        await written(self._sessions.open(session))
        await self.packets.ready(session)
        if connection.closing or session.connection is not connection:
            return
        connack = replace(connack, session_present=present)
        connection.write(encode_connack(connack, connection.level))
        self.packets.resume(session)
        self.ingest.go_on(connection)

    def _judge(self, connection: Connection, connect: Connect) -> tuple[Principal, str] | Refusal:
        if connect.properties.authentication_method is not None:
            return Refusal(Reason.BAD_AUTHENTICATION_METHOD)
        principal = self._identify(connection, connect)
        if isinstance(principal, Refusal):
            return principal
        will = connect.will
        if will is not None and not is_text(will.payload, will.properties.payload_format):
            return Refusal(Reason.PAYLOAD_FORMAT_INVALID)
        if will is not None and too_large(will.topic, self._config.mqtt):
            return Refusal(Reason.TOPIC_NAME_INVALID)
        if will is not None and is_ours(will.topic):
            return Refusal(Reason.NOT_AUTHORIZED)
        client_id = connect.client_id
        if is_vehicle(principal):
            client_id = client_id or principal.token
            if client_id != principal.token:
                return Refusal(Reason.CLIENT_IDENTIFIER_NOT_VALID)
            if will is not None and read_vehicle_topic(will.topic, principal.token) is None:
                return Refusal(Reason.NOT_AUTHORIZED)
        return principal, client_id or f"auto-{self._entropy(12).hex()}"

    def _identify(self, connection: Connection, connect: Connect) -> Principal | Refusal:
        """By user name and password where there is a password, else by client certificate."""
        nobody = self._guest or Refusal(Reason.BAD_USER_NAME_OR_PASSWORD)
        if connect.username is None or connect.password is None:
            return self._by_certificate(connection, connect) or nobody
        now_s = self._clock.monotonic_s()
        if not self._failed_logins.may_try(connection.address, connect.username, now_s):
            return FAILED_LOGINS
        principal = self._registry.authenticate(connect.username, connect.password)
        if principal is not None:
            self._failed_logins.fitted(connection.address, connect.username)
        elif self._guest is None:
            self._failed_logins.failed(connection.address, connect.username, now_s)
        return principal or nobody

    def _by_certificate(self, connection: Connection, connect: Connect) -> Principal | None:
        assert connection.transport is not None
        certificate = connection.transport.get_extra_info("peercert")
        peer = peer_of(certificate) if certificate else None
        if peer is None:
            return None
        principal = self._registry.principal_of_vin(peer.vin, peer.serial)
        if principal is not None and connect.username not in (None, principal.name):
            return None
        return principal

    def _refuse(self, connection: Connection, refusal: Refusal) -> None:
        reason = refusal.reason
        self.ingest.counts.refusals.add(refusal.word or reason.name.lower())
        if connection.level is not ProtocolLevel.V5:
            reason = _REASONS_3_1_1.get(reason, reason)
        write_refusal(connection, reason, connection.level, refusal.text)
        connection.close()

    async def _session(self, key: str, connect: Connect) -> tuple[Session, bool]:
        """The session to use, and whether it was there."""
        known = self._sessions.find(key)
        over = known is not None and self._sessions.is_over(known, self._clock.now_us())
        if known is not None and not connect.clean_start and not over:
            return known, True
        if known is not None:
            self._sessions.discard(known)
        await self._sessions.ended(key)
        return Session(key), False

    def _enter(
        self, connection: Connection, connect: Connect, session: Session, principal: Principal
    ) -> None:
        """From here on the connection is the session's."""
        config = self._config.mqtt
        self._waiting.pop(connection, None)
        asked = connect.properties
        session.expiry_s = self._expiry_s(connect)
        connection.receive_max = asked.receive_max or 0xFFFF
        connection.aliases_in = Incoming(config.topic_alias_max)
        if asked.topic_alias_max:
            connection.aliases_out = Outgoing(min(asked.topic_alias_max, config.topic_alias_max))
        connection.principal, connection.session = principal, session
        session.will = stored_will(connect.will, principal) if connect.will is not None else None
        self._sessions.quotas.entered()
        connection.connection_id = self._entropy(16).hex()
        session.window.connection, session.principal = connection, principal
        session.inflight_max = min(config.inflight_max, connection.receive_max)
        session.away_since_us, session.offline_since_us = session.offline_since_us, 0
        keep_alive_s = self._keep_alive_s(connect)
        self._keep_alive_us[connection.slot] = (
            int(keep_alive_s * KEEP_ALIVE_FACTOR * 1e6) if keep_alive_s else NEVER_US
        )
        owner = self.owner_of(principal) if is_vehicle(principal) else None
        self.ingest.slots.admit(connection, owner, config.receive_max)
        if owner is not None:
            self._presence.connected(owner.token, connection.connection_id, "")

    def owner_of(self, principal: Principal) -> Owner:
        """What goes into the records of a vehicle."""
        partition = partition_of(principal.token, self._config.log.partitions)
        return Owner(principal.token, principal.key_id, partition, self.epoch)

    def _keep_alive_s(self, connect: Connect) -> int:
        """5.0 clients are told our limit and must obey; 3.1.1 clients choose for themselves."""
        limit = self._config.mqtt.keep_alive_s_max
        if connect.level is not ProtocolLevel.V5:
            return connect.keep_alive_s
        return min(connect.keep_alive_s or limit, limit)

    def _expiry_s(self, connect: Connect) -> int:
        """How long the session may last without a connection."""
        limit = self._config.mqtt.session_expiry_s_max
        if connect.level is not ProtocolLevel.V5:
            return 0 if connect.clean_start else limit
        return min(connect.properties.session_expiry_s or 0, limit)

    def _promises(self, connect: Connect, client_id: str) -> Properties:
        """CONNACK's properties: what this server can do, and what it changed of what was asked."""
        if connect.level is not ProtocolLevel.V5:
            return NO_PROPERTIES
        config = self._config.mqtt
        keep_alive_s, expiry_s = self._keep_alive_s(connect), self._expiry_s(connect)
        asked_expiry_s = connect.properties.session_expiry_s or 0
        return Properties(
            session_expiry_s=expiry_s if expiry_s != asked_expiry_s else None,
            assigned_client_id=None if connect.client_id else client_id,
            server_keep_alive_s=keep_alive_s if keep_alive_s != connect.keep_alive_s else None,
            receive_max=min(config.receive_max, 0xFFFF),
            packet_bytes_max=config.packet_bytes_max,
            topic_alias_max=config.topic_alias_max or None,
        )

    async def _take_over(self, old: Session) -> None:
        """End the old connection of a session, after what it published is acknowledged."""
        connection = old.connection
        assert connection is not None
        self.ingest.drop(connection)
        try:
            async with asyncio.timeout(TAKE_OVER_S_MAX):
                await self.ingest.slots.settled(connection)
        except TimeoutError:
            pass  # the disk is stuck; the old peer gets no acks, and will send again
        if old.connection is connection:
            self.packets.disconnect(connection, Reason.SESSION_TAKEN_OVER)
            self.packets.closed(connection)

    # --- the end -----------------------------------------------------------------------------

    def closed(self, connection: Connection) -> None:
        """The socket is gone."""
        self._waiting.pop(connection, None)
        self._keep_alive_us[connection.slot] = NEVER_US
        principal, connection.principal = connection.principal, None
        if principal is not None:
            self._sessions.quotas.left()
        if principal is not None and principal.kind is PrincipalKind.VEHICLE:
            self._presence.disconnected(principal.token, connection.connection_id, "")

    def sweep(self) -> None:
        """Close those that did not CONNECT in time, those that fell silent, those that linger."""
        self.ingest.slots.abort_lingering(LINGER_S_MAX)
        now_s = self._clock.monotonic_s()
        for connection, since_s in list(self._waiting.items()):
            if now_s - since_s > self._config.mqtt.connect_s_max:
                del self._waiting[connection]
                self.ingest.counts.refusals.add("connect_s_max")
                connection.abort()
        rows = self.ingest.slots.rows
        silent = int(now_s * 1e6) - rows["heard_us"] > self._keep_alive_us
        for slot in np.flatnonzero(silent & (rows["state"] != CLOSED)).tolist():
            silent_one = self.ingest.slots.connections[slot]
            if silent_one is not None and not silent_one.parked:
                self.packets.disconnect(silent_one, Reason.KEEP_ALIVE_TIMEOUT)
        for slot in self._pace.too_fast(rows["published"], now_s):
            fast_one = self.ingest.slots.connections[slot]
            if fast_one is not None and not fast_one.closing:
                self.packets.disconnect(fast_one, Reason.MESSAGE_RATE_TOO_HIGH)
        self._sessions.quotas.forget(now_s)
        self._failed_logins.forget(now_s)

    async def sweep_removed(self) -> None:
        """Disconnect vehicles that the registry no longer knows."""
        loop = asyncio.get_running_loop()
        changes = await loop.run_in_executor(None, self._registry.changes)
        if changes == self._changes:
            return
        self._changes = changes
        connected = [
            (session, session.token)
            for session in self._sessions
            if session.connection is not None and session.token is not None
        ]
        for start in range(0, len(connected), REMOVED_PER_STEP):
            step = connected[start : start + REMOVED_PER_STEP]
            tokens = [token for _, token in step if token is not None]
            gone = await loop.run_in_executor(None, self._removed, tokens)
            for session, token in step:
                if token in gone and session.connection is not None:
                    session.expiry_s = 0
                    self.packets.disconnect(session.connection, Reason.ADMINISTRATIVE_ACTION)

    def _removed(self, tokens: list[VehicleToken]) -> set[VehicleToken]:
        return {token for token in tokens if self._registry.vehicle_by_token(token) is None}


_REASONS_3_1_1: Final = {
    Reason.BAD_USER_NAME_OR_PASSWORD: Reason.NOT_AUTHORIZED,
}
"""3.1.1's return code 4 is for malformed data, 5 for data that do not fit (3.1.1 §3.2.2.3)."""

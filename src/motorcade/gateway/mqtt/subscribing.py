"""SUBSCRIBE and UNSUBSCRIBE: judged at once, answered when on disk; then the retained messages."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.gateway.mqtt.connection import Connection
from motorcade.gateway.mqtt.feeding import room
from motorcade.gateway.mqtt.message import NOTHING, deliver
from motorcade.gateway.mqtt.permissions import judge_subscription
from motorcade.gateway.mqtt.retained import Retained, RetainedMessages
from motorcade.gateway.mqtt.session import BACKLOG_BYTES, Session
from motorcade.gateway.mqtt.sessions import Sessions, written
from motorcade.gateway.mqtt.shares import is_shared
from motorcade.gateway.mqtt.telling import write_suback, write_unsuback
from motorcade.wire.mqtt.framing import RawPacket
from motorcade.wire.mqtt.reasons import Reason
from motorcade.wire.mqtt.subscribe import (
    Suback,
    Subscription,
    Unsuback,
    parse_subscribe,
    parse_unsubscribe,
)

BACKLOG_S: Final = 0.02  # how soon one looks again whether a client has taken what it was sent

Spawn = Callable[[Connection, Coroutine[Any, Any, None]], None]


class Listening(Protocol):
    """What is needed of the router."""

    async def ready(self, session: Session) -> None:
        """Nothing published from now on that the session's filters match will be missed."""

    async def caught_up(self) -> None:
        """Wait until everything that is durable now was handed out, but not for long."""

    def changed(self, session: Session) -> None:
        """Its subscriptions changed."""


class Subscribing:
    """See the module's text."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        sessions: Sessions,
        retained: RetainedMessages,
        listening: Listening,
        spawn: Spawn,
    ) -> None:
        self._config = config
        self._clock = clock
        self._sessions = sessions
        self._retained = retained
        self._listening = listening
        self._spawn = spawn

    def subscribe(self, connection: Connection, packet: RawPacket) -> None:
        """Add or replace subscriptions."""
        message = parse_subscribe(packet, connection.level)
        session = connection.session
        assert session is not None
        known = set(session.subscriptions)  # replacing one loses nothing [MQTT-3.8.4-4]
        answers = [self._subscribe_one(connection, session, each) for each in message.subscriptions]
        reasons = tuple(reason for reason, _ in answers)
        curious = [each for _, each in answers if each is not None]
        since_us = self._clock.now_us()
        filters = [
            each.topic_filter for each in message.subscriptions if each.topic_filter not in known
        ]
        session.fresh.update((each, since_us) for each in filters)
        answer = Suback(message.packet_id, reasons)
        work = self._answer_subscribe(connection, session, answer, curious, filters, since_us)
        self._spawn(connection, work)

    def _subscribe_one(
        self, connection: Connection, session: Session, wanted: Subscription
    ) -> tuple[Reason, Subscription | None]:
        """The answer, and the subscription if it is to be sent retained messages (§3.8.3.1)."""
        assert connection.principal is not None
        reason = judge_subscription(connection.principal, wanted, self._config.mqtt)
        if reason >= Reason.UNSPECIFIED_ERROR:
            return reason, None
        new = self._sessions.subscribe(session, wanted, int(reason))
        if new is None:
            return Reason.QUOTA_EXCEEDED, None
        if is_shared(wanted.topic_filter):
            return reason, None  # §4.8.2: no retained messages for a group
        asks = wanted.retain_handling == 0 or (wanted.retain_handling == 1 and new)
        return reason, session.subscriptions[wanted.topic_filter] if asks else None

    async def _answer_subscribe(
        self,
        connection: Connection,
        session: Session,
        answer: Suback,
        curious: list[Subscription],
        filters: list[str],
        since_us: int,
    ) -> None:
        """A message published before is sent as retained or not at all; so the router comes first.

        Until it has caught up `fresh` keeps older messages from `filters`, the new subscriptions.
        """
        await self._listening.ready(session)
        await self._listening.caught_up()
        for topic_filter in filters:
            if session.fresh.get(topic_filter) == since_us:
                del session.fresh[topic_filter]
        found = [(each, self._retained.matching(each.topic_filter)) for each in curious]
        await written(self._sessions.put(session))
        write_suback(connection, answer)
        if session.connection is connection:
            self._listening.changed(session)
        for subscription, messages in found:
            for each in messages:
                if not await self._send(connection, session, subscription, each):
                    return

    async def _send(
        self,
        connection: Connection,
        session: Session,
        subscription: Subscription,
        retained: Retained,
    ) -> bool:
        """Send a retained message, as fast as the client takes them. False: stop sending."""
        message = retained.message(self._clock.now_us())
        if message is None or (subscription.no_local and message.is_from(session)):
            return True
        wanted = NOTHING.joined(subscription)
        while connection.backlog() > BACKLOG_BYTES and not connection.closing:
            await asyncio.sleep(BACKLOG_S)
        while session.connection is connection and not connection.closing:
            if session.subscriptions.get(subscription.topic_filter) is not subscription:
                return True  # it was replaced or ended meanwhile
            if deliver(session, wanted, message, None):
                return True
            await room(session)
        return False

    def unsubscribe(self, connection: Connection, packet: RawPacket) -> None:
        """Forget subscriptions."""
        message = parse_unsubscribe(packet, connection.level)
        session = connection.session
        assert session is not None
        reasons = tuple(
            Reason.SUCCESS
            if self._sessions.unsubscribe(session, topic_filter)
            else Reason.NO_SUBSCRIPTION_EXISTED
            for topic_filter in message.topic_filters
        )
        self._listening.changed(session)
        answer = Unsuback(message.packet_id, reasons)
        self._spawn(connection, self._answer_unsubscribe(connection, session, answer))

    async def _answer_unsubscribe(
        self, connection: Connection, session: Session, answer: Unsuback
    ) -> None:
        await written(self._sessions.put(session))
        write_unsuback(connection, answer)

"""Sessions that lag: each reads the log from its own cursor until it has caught up with the router.

A reader and one slice of the log is all that a lagging session holds, only while its client takes
messages, and only so many sessions at once. QoS 0 messages are not made up for.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, TypeVar

import structlog

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.events import RecordBatch
from motorcade.gateway.mqtt.interest import ROUTED, Interest
from motorcade.gateway.mqtt.message import NOTHING, Message, Wanted, add, deliver, message_of
from motorcade.gateway.mqtt.session import Seen, Session
from motorcade.gateway.mqtt.shares import Group, is_shared
from motorcade.log.errors import CursorError, LogError
from motorcade.log.port import Edge, Log, LogReader, LogSlice
from motorcade.wire.mqtt.topics import matches

FEEDS_MAX: Final = 4  # sessions that hold a slice of the log at once
PATIENCE_S: Final = 0.5  # how long one may hold its slice while its client takes nothing
RETRY_S: Final = 1.0
RECORDS_PER_TURN: Final = 64

Result = TypeVar("Result")
Follower = Session | Group
"""Whoever reads the log from a place of its own."""

logger = structlog.get_logger(__name__)


class Live(Protocol):
    """What the feeder needs of the router."""

    turn: asyncio.Lock

    def run(self, work: Callable[[], Result]) -> "asyncio.Future[Result]":
        """Do something that blocks, off the loop."""

    def joined(self, session: Follower) -> None:
        """It has caught up; called with `turn` held."""


class Feeder:
    """See the module's text."""

    def __init__(
        self,
        live: Live,
        config: Config,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._live = live
        self._partitions = config.log.partitions
        self._clock = clock
        self._loop = loop
        self._log = log
        self._slots = asyncio.Semaphore(FEEDS_MAX)
        self._tasks: dict[Follower, asyncio.Task[None]] = {}

    def feed(self, session: Follower) -> None:
        """Bring a connected session up to date, in the background."""
        running = self._tasks.get(session)
        if running is None or running.done():
            task = self._loop.create_task(self._feed(session))
            self._tasks[session] = task
            task.add_done_callback(lambda done: self._forget(session, done))

    def _forget(self, session: Follower, done: asyncio.Task[None]) -> None:
        if self._tasks.get(session) is done:
            del self._tasks[session]

    async def stop(self) -> None:
        """Let all sessions be where they are."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(self, session: Follower) -> None:
        while session.connection is not None and not session.live:
            await room(session)
            try:
                async with self._slots:
                    await self._catch_up(session)
            except LogError as error:
                logger.error("mqtt_session_cannot_be_fed", session=session.key, error=str(error))
                await asyncio.sleep(RETRY_S)

    async def _catch_up(self, session: Follower) -> None:
        reader = await self._live.run(lambda: self._open(session))
        try:
            await self._read(session, reader)
        finally:
            reader.close()

    def _open(self, session: Follower) -> LogReader:
        assert session.cursor is not None
        try:
            return self._log.reader(ROUTED, session.cursor)
        except CursorError:  # retention was faster: what is left is what there is
            return self._log.reader(ROUTED, Edge.EARLIEST)

    async def _read(self, session: Follower, reader: LogReader) -> None:
        """Hand on until caught up, or until the client takes nothing for a while."""
        seen = session.seen = session.seen or Seen(self._partitions)
        while True:
            slices = await self._live.run(lambda: reader.poll(0.0))
            if not slices:
                async with self._live.turn:  # nothing is handed out meanwhile
                    slices = await self._live.run(lambda: reader.poll(0.0))
                    if not slices:
                        if session.connection is not None:
                            self._live.joined(session)
                        return
            for log_slice in slices:
                if not await self._hand_on(session, log_slice, seen):
                    return
                session.cursor = log_slice.cursor

    async def _hand_on(self, session: Follower, log_slice: LogSlice, seen: Seen) -> bool:
        """False: the session's cursor stays before this slice, `seen` says how far it came."""
        batch, writer = log_slice.batch, log_slice.writer
        wanted = Interest(_filters(session)).wanted(batch).tolist()
        for count, index in enumerate(wanted):
            if count % RECORDS_PER_TURN == RECORDS_PER_TURN - 1:
                await asyncio.sleep(0)
            record = batch.record(index)
            message = None
            if not seen.has(writer, record):
                message = message_of(writer, record, self._now_us())
            if message is None or message.qos == 0:
                continue
            while not _offer(session, message):
                if not await _room_soon(session):
                    seen.add(writer, RecordBatch(batch.rows[:index], batch.buffer))
                    return False
        seen.add(writer, batch)
        return True

    def _now_us(self) -> int:
        return self._clock.now_us()


def _filters(session: Follower) -> list[str]:
    if isinstance(session, Group):
        return [session.topic_filter]
    return [each for each in session.subscriptions if not is_shared(each)]


def _offer(session: Follower, message: Message) -> bool:
    """Give a message of the past to whom it concerns. False: there is no room."""
    if isinstance(session, Group):
        if not matches(session.topic_filter, message.topic):
            return True
        return session.offer(message, session.cursor)
    if message.qos == 2 and session.window.knows(message.place, session.cursor):
        return True
    found: dict[Session, Wanted] = {}
    for topic_filter in _filters(session):
        if matches(topic_filter, message.topic):
            add(found, session, session.subscriptions[topic_filter], message)
    wanted = found.get(session, NOTHING)
    return wanted.qos <= 0 or deliver(session, wanted, message, session.cursor)


async def room(session: Follower) -> None:
    """Wait until the window has room, or its client is gone."""
    while session.connection is not None and not session.has_room():
        freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        session.on_room(partial(_resolve, freed))
        await freed


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _room_soon(session: Follower) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await room(session)
    except TimeoutError:
        return False
    return session.connection is not None

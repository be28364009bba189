"""Messages to subscribers, from the log: one reader for all that are live, none if nobody is.

Whatever door or process wrote a record, it is routed when the log has it. A session that cannot
take a message now is no longer live: it keeps its place in the log, and `feeding.py` brings it
back. So there is no queue per subscriber, and no memory that a slow one could fill.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

import structlog

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.events import Record, RecordBatch, Topic
from motorcade.gateway.mqtt.feeding import Feeder, Follower
from motorcade.gateway.mqtt.interest import ROUTED, Interest
from motorcade.gateway.mqtt.message import Message, Wanted, add, deliver, message_of
from motorcade.gateway.mqtt.session import Seen, Session
from motorcade.gateway.mqtt.sessions import Sessions, written
from motorcade.gateway.mqtt.shares import Group, inner_filter
from motorcade.log.errors import LogError
from motorcade.log.port import Cursor, Edge, Log, LogReader, LogSlice

POLL_S: Final = 0.25
CATCH_UP_S_MAX: Final = 1.0
RETRY_S: Final = 1.0
LINGER_S: Final = 10.0  # the reader stays this long after the last listener, for late wills
RECORDS_PER_TURN: Final = 64  # then the loop's other work has its turn

Result = TypeVar("Result")
logger = structlog.get_logger(__name__)


class Router:
    """See the module's text."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        log: Log,
        sessions: Sessions,
    ) -> None:
        self._config = config
        self._clock = clock
        self._loop = loop
        self._log = log
        self._sessions = sessions
        self._executor = ThreadPoolExecutor(6, thread_name_prefix="mqtt-router")
        self._listeners: set[Session] = set()
        self._interest: Interest | None = None
        self._reader: LogReader | None = None
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._joined: set[Follower] = set()  # live again, and may be ahead of us
        self._current: tuple[str, RecordBatch, int] | None = None  # what is being handed out
        self._operator_publishes = 0
        self._quiet_since_us = 0  # until then somebody may have written to vehicles
        self._publishes_when_quiet = 0
        self.position: Cursor | None = None  # everything before was handed out
        self._asked = asyncio.Event()
        self._catching_up: list[asyncio.Future[None]] = []
        self._poll_bytes_max = config.log.reader_bytes_max
        self.turn = asyncio.Lock()  # held while handing out: whoever joins holds it too
        self._feeder = Feeder(self, config, clock, loop, log)

    async def start(self) -> None:
        """Take the end of the log as our place."""
        self.position = await self.run(lambda: self._log.end(ROUTED))
        quiet_since_us = self._sessions.load_quiet_since_us()
        self._quiet_since_us = quiet_since_us or self._clock.now_us()
        if quiet_since_us is None:
            await written(self._sessions.put_quiet_since_us(self._quiet_since_us))

    async def stop(self) -> None:
        """Hand out nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._feeder.stop()
        self._executor.shutdown(wait=True)
        if self._reader is not None:
            self._reader.close()

    def run(self, work: Callable[[], Result]) -> "asyncio.Future[Result]":
        """Do something that blocks, off the loop."""
        return self._loop.run_in_executor(self._executor, work)

    async def rest(self) -> None:
        """Nobody listens: move our place along, so that nobody ever reads what nobody wants."""
        async with self._starting:
            if self._reader is None:
                self.position = await self.run(lambda: self._log.end(ROUTED))

    # --- sessions ----------------------------------------------------------------------------

    async def ready(self, session: Session) -> None:
        """Start reading, if this session is the first that needs it."""
        if not _listens(session):
            return
        self._listeners.add(session)
        self._interest = None
        async with self._starting:
            if self._reader is None:
                reader = await self.run(lambda: self._log.reader(ROUTED, Edge.LATEST))
                await written(self._sessions.put_quiet_since_us(None))
                self.position, self._reader = reader.cursor, reader
                self._task = self._loop.create_task(self._work(reader))

    def opened(self, session: Session) -> None:
        """A session is connected: resend, then go on where it was."""
        session.window.resume(self._clock.now_us())
        if session.cursor is None or self._nothing_missed(session):
            session.live, session.cursor, session.seen = True, None, None
            session.lagged = False
            session.window.passed()
        else:
            self._feeder.feed(session)
        self._open_groups(session)

    def _open_groups(self, session: Session) -> None:
        """A member is there: its groups go on where they were."""
        for group in self._sessions.groups_of(session):
            group.hand_on()
            if group.live:
                continue
            if group.cursor is None:
                group.live = True
            else:
                self._feeder.feed(group)

    def changed(self, session: Session) -> None:
        """Subscriptions came or went."""
        self._open_groups(session)
        self._interest = None
        if _listens(session):
            self._listeners.add(session)
        else:
            self._listeners.discard(session)

    def closed(self, session: Session) -> None:
        """A session lost its connection: note its place."""
        if session.live:
            self._note_place(session)
        for group in self._sessions.groups_of(session):
            others = any(m is not session and m.connection is not None for m in group.members)
            if group.live and not others:
                self._note_place(group)
        self._listeners.discard(session)
        self._joined.discard(session)
        self._interest = None
        session.publishes_seen = self._operator_publishes
        self._sessions.close(session, self._clock.now_us())
        session.wake()

    def _nothing_missed(self, session: Session) -> bool:
        """Whether the log surely holds nothing for it: it only hears of commands and operators."""
        if _listens(session) or session.lagged:
            return False
        if session.publishes_seen == self._operator_publishes:
            return True
        unheard = self._operator_publishes == self._publishes_when_quiet
        return unheard and session.away_since_us > self._quiet_since_us

    def _note_place(self, session: Follower) -> None:
        session.live, session.cursor = False, self.position
        if self._current is not None:
            writer, batch, index = self._current
            seen = session.seen or Seen(self._config.log.partitions)
            seen.add(writer, RecordBatch(batch.rows[:index], batch.buffer))
            session.seen = seen

    # --- records -----------------------------------------------------------------------------

    async def _work(self, reader: LogReader) -> None:
        idle_since_s = self._clock.monotonic_s()
        while True:
            asked, self._catching_up = self._catching_up, []
            try:
                slices = await self.run(partial(reader.poll, 0.0))
            except LogError as error:
                logger.error("mqtt_router_lost_its_place", error=str(error))
                self._catching_up += asked
                reader = await self._reopened(reader)
                continue
            for log_slice in slices:
                async with self.turn:
                    await self._hand_out(log_slice)
            if sum(len(each.batch.buffer) for each in slices) > self._poll_bytes_max // 2:
                self._catching_up += asked  # there may be more that was durable when they asked
            else:
                for future in asked:
                    _resolve(future)
            if not slices:
                for session in self._joined:
                    session.seen = None
                self._joined.clear()
            now_s = self._clock.monotonic_s()
            if self._listeners:
                idle_since_s = now_s
            elif now_s - idle_since_s > LINGER_S and not self._starting.locked():
                self._reader = self._task = None
                reader.close()
                self._quiet_since_us = self._clock.now_us()
                self._publishes_when_quiet = self._operator_publishes
                self._sessions.put_quiet_since_us(self._quiet_since_us)
                return
            if not slices:
                await self._news(reader)

    async def _news(self, reader: LogReader) -> None:
        """Wait until the log has something, or somebody asks whether it has, but not for long."""
        self._asked.clear()
        if self._catching_up:
            return
        doorbell_fd = reader.doorbell_fd
        if doorbell_fd is not None:
            self._loop.add_reader(doorbell_fd, self._asked.set)
        try:
            async with asyncio.timeout(POLL_S if doorbell_fd is not None else POLL_S / 10):
                await self._asked.wait()
        except TimeoutError:
            pass
        finally:
            if doorbell_fd is not None:
                self._loop.remove_reader(doorbell_fd)

    async def caught_up(self) -> None:
        """Wait until everything that is durable now was handed out, but not for long."""
        if self._reader is None:
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._catching_up.append(future)
        self._asked.set()
        try:
            async with asyncio.timeout(CATCH_UP_S_MAX):
                await future
        except TimeoutError:
            pass  # somebody may be told of something a little older than it asked for

    async def _reopened(self, reader: LogReader) -> LogReader:
        """The log is damaged or was cut where we stood: go on at its end, soon."""
        reader.close()
        await asyncio.sleep(RETRY_S)
        again: LogReader = await self.run(lambda: self._log.reader(ROUTED, Edge.LATEST))
        self._reader, self.position = again, again.cursor
        return again

    async def _hand_out(self, log_slice: LogSlice) -> None:
        batch = log_slice.batch
        if self._interest is None:
            self._interest = Interest(
                inner_filter(topic_filter)
                for session in self._listeners
                for topic_filter in session.subscriptions
            )
        for count, index in enumerate(self._interest.wanted(batch).tolist()):
            if count % RECORDS_PER_TURN == RECORDS_PER_TURN - 1:
                await asyncio.sleep(0)
            record = batch.record(index)
            self._current = (log_slice.writer, batch, index)
            self._route(log_slice.writer, record)
        self._current = None
        self.position = log_slice.cursor

    def _route(self, writer: str, record: Record) -> None:
        if record.topic is Topic.MQTT:
            self._operator_publishes += 1
        message = message_of(writer, record, self._clock.now_us())
        if message is None:
            return
        found: dict[Session, Wanted] = {}
        for session, subscription in self._sessions.trie.match(message.topic):
            if isinstance(session, Group):
                self._share(session, writer, record, message)
                continue
            since_us = session.fresh.get(subscription.topic_filter, 0) if session.fresh else 0
            if record.received_time_us >= since_us:
                add(found, session, subscription, message)
        for session, wanted in found.items():
            if session.live and not (session.seen and session.seen.has(writer, record)):
                self._deliver(session, wanted, message)

    def _share(self, group: Group, writer: str, record: Record, message: Message) -> None:
        if not group.live or (group.seen and group.seen.has(writer, record)):
            return
        if record.received_time_us < group.fresh_since_us():
            return
        if not group.offer(message, self.position):
            self._note_place(group)
            self._feeder.feed(group)

    def _deliver(self, session: Session, wanted: Wanted, message: Message) -> None:
        if not deliver(session, wanted, message, self.position):
            self._note_place(session)
            self._feeder.feed(session)

    def joined(self, session: Follower) -> None:
        """It has caught up; called with `turn` held."""
        session.live, session.cursor = True, None
        if isinstance(session, Session):
            session.lagged = False
            session.window.passed()
        if self._reader is None:
            session.seen = None
        else:
            self._joined.add(session)


def _listens(session: Session) -> bool:
    """Whether its messages come by the router: not those of a vehicle that only awaits commands."""
    token = session.token
    if token is None:
        return True
    return any(each != f"v/{token}/commands" for each in session.subscriptions)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

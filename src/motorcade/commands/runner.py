"""The router at work: its entries into the log, news out of it, waiters told. One event loop.

Nothing is told before the log holds it, or what it follows from (0021). News come by the doorbell
of topic COMMAND_ANSWERS, on the loop itself: no thread is between a car's answer in the log and its
caller. A commit that fails leaves the memory ahead of the log: the runner then fails for good, and
its process must end and start anew from the log (`on_failure`).
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

import structlog

from motorcade.clock import Clock
from motorcade.commands.counts import CommandCounts
from motorcade.commands.entries import Downlink, Entry, batch_of
from motorcade.commands.errors import CommandError, RouterBusyError, RouterFullError
from motorcade.commands.follower import ANSWERS_CURSOR, LedgerFollower
from motorcade.commands.ledger import Ledger
from motorcade.commands.port import CommandView, Request, Watcher
from motorcade.commands.router import Router, check_same
from motorcade.commands.tracked import Tracked
from motorcade.config import Config
from motorcade.events import Record, RecordBatch, Topic, VehicleToken
from motorcade.log.errors import CursorError, LogBusyError, LogError
from motorcade.log.port import Cursor, Edge, Log, LogReader, LogWriter
from motorcade.wire.command.answers import read_up
from motorcade.wire.command.errors import CommandCodecError
from motorcade.wire.command.messages import Keys
from motorcade.wire.command.records import Transition

BUSY_RETRY_S: Final = 0.02  # the writer's queue is full: only a stalled disk does that
DRAIN_S_MAX: Final = 10.0  # at `stop`, for what was taken

_log = structlog.get_logger()


class CommandRunner:
    """Implements `commands.port.Commands`. Made before the loop runs, `start`ed on it."""

    def __init__(
        self,
        config: Config,
        log: Log,
        writer: LogWriter,
        ledger: Ledger,
        downlink: Downlink,
        clock: Clock,
        entropy: Callable[[int], bytes],
        on_failure: Callable[[Exception], None],
        has_room: Callable[[], bool],
    ) -> None:
        """Catch up with the log and restore what is not final. Blocks: seconds after a long gap.

        `writer` is ("api", FAST), already open: no other process can write commands any more.

        Raises:
            LogError: the log cannot be read.
            sqlite3.DatabaseError: the ledger is damaged; it is condemned and built anew next time.
        """
        self._config, self._clock, self._writer = config, clock, writer
        self._ledger, self._on_failure, self._has_room = ledger, on_failure, has_room
        self._follower = LedgerFollower(config, log, ledger, clock)
        try:
            self._follower.catch_up()
        except sqlite3.DatabaseError:
            ledger.condemn()
            raise
        self._router = Router(config.commands, downlink, entropy, ledger.counter)
        for view, counter in ledger.not_final():
            self._router.restore(view, counter)
        self._answers = _open_answers(log, ledger.cursor(ANSWERS_CURSOR))
        self._outbox: list[Entry] = []
        self._flushing: asyncio.Handle | None = None
        self._answers_read = False  # since the timer's last turn
        self._busy = False  # the log's queue is full; the outbox waits
        self._commits = 0  # appended and not yet durable
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._watchers: dict[VehicleToken, set[Watcher]] = {}
        self._refusal: RouterBusyError | None = RouterBusyError("commands are not running yet")
        self.hear_keys: Callable[[VehicleToken, Keys], None] = lambda _vehicle, _keys: None
        """Called with what cars say of their key lists; `hold` says when it is stored."""
        self.hold: Callable[[], bool] = lambda: False
        self.counts = CommandCounts()
        self.malformed = 0  # messages of vehicles that nobody could read

    def start(self) -> None:
        """Begin work on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._refusal = None
        doorbell_fd = self._answers.doorbell_fd
        if doorbell_fd is not None:
            self._loop.add_reader(doorbell_fd, self._read_answers)
        self._follower.start(
            lambda ids: self._loop.call_soon_threadsafe(self._router.forget, ids),
            lambda error: self._loop.call_soon_threadsafe(self._fail, error),
        )
        while self._read_answers():
            pass  # what was told before a crash is known again before time passes or anyone asks
        self._timer = self._loop.call_soon(self._on_timer)

    async def stop(self) -> None:
        """Take nothing more, let what was taken become durable, release files."""
        self._refuse(RouterBusyError("the server is stopping: ask again in a few seconds"))
        self._timer.cancel()
        doorbell_fd = self._answers.doorbell_fd
        if doorbell_fd is not None:
            self._loop.remove_reader(doorbell_fd)
        self._hurry()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S_MAX):
                while self._outbox or self._commits:
                    await asyncio.sleep(0.005)
        await asyncio.to_thread(self._follower.stop)
        self._answers.close()

    async def submit(self, request: Request) -> CommandView:
        """See `Commands.submit`."""
        try:
            tracked = self._take(request)
        except CommandError as error:
            self.counts.refuse(error)
            raise
        if isinstance(tracked, CommandView):
            return tracked
        while not tracked.told:
            await self._change_of(tracked.id)
        return tracked.view()

    def _take(self, request: Request) -> Tracked | CommandView:
        """A new command on its way into the log, or the one that its key stands for."""
        if self._refusal is not None:
            raise self._refusal
        if self._busy:
            raise RouterBusyError("the log cannot take more at the moment: try again")
        earlier = self._find_earlier(request)
        if earlier is not None:
            return earlier
        if not (self._is_known(request) or self._has_room()):
            raise RouterFullError("the server's disk is full: try again when there is room")
        tracked, entries = self._router.request(request, self._clock.now_us())
        self._emit(entries)
        return tracked

    async def settle(self, command_id: str, timeout_s: float) -> CommandView:
        """See `Commands.settle`."""
        tracked = self._router.find(command_id)
        if tracked is None:
            view = self._ledger.find(command_id)
            if view is None:
                raise KeyError(command_id)
            return view
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not tracked.settled:
                    await self._change_of(command_id)
        return tracked.view()

    @property
    def refusal(self) -> str:
        """Why no command is taken now; "" while they are."""
        return str(self._refusal) if self._refusal is not None else ""

    @property
    def contradictions(self) -> int:
        """Vehicles that told another outcome than before."""
        return self._router.contradictions

    def open_counts(self) -> dict[str, int]:
        """How many commands are not final."""
        return self._router.open_counts()

    def find(self, command_id: str) -> CommandView | None:
        """See `Commands.find`."""
        tracked = self._router.find(command_id)
        if tracked is None:
            return self._ledger.find(command_id)
        return tracked.view() if tracked.told else None

    def recent(self, vehicle: VehicleToken, limit: int) -> Sequence[CommandView]:
        """See `Commands.recent`."""
        views = {view.id: view for view in self._ledger.recent(vehicle, limit)}
        for tracked in self._router.of_vehicle(vehicle):
            if tracked.told:
                views[tracked.id] = tracked.view()
        newest = sorted(views.values(), key=lambda view: view.id, reverse=True)
        return newest[:limit]

    def failed(self, after_us: int, limit: int) -> Sequence[CommandView]:
        """See `Commands.failed`."""
        return self._ledger.failed(after_us, limit)

    def watch(self, vehicle: VehicleToken, watcher: Watcher) -> None:
        """See `Commands.watch`."""
        self._watchers.setdefault(vehicle, set()).add(watcher)

    def unwatch(self, vehicle: VehicleToken, watcher: Watcher) -> None:
        """See `Commands.unwatch`."""
        watchers = self._watchers.get(vehicle, set())
        watchers.discard(watcher)
        if not watchers:
            self._watchers.pop(vehicle, None)

    def _find_earlier(self, request: Request) -> CommandView | None:
        """A command under this key that only the ledger remembers."""
        key = request.idempotency_key
        if not key or self._is_known(request):
            return None
        view = self._ledger.find_key(request.account, key)
        if view is not None:
            check_same(request, view.vehicle, view.name, view.parameters)
        return view

    def _is_known(self, request: Request) -> bool:
        """Whether the router itself has a command under this key."""
        key = request.idempotency_key
        return bool(key) and self._router.find_key(request.account, key) is not None

    def _on_timer(self) -> None:
        """Time passes; and a lost ring of the doorbell is made good."""
        self._timer = self._loop.call_later(self._config.log.reader_poll_ms / 1e3, self._on_timer)
        self._note_cursor()
        if not self._answers_read:
            self._read_answers()
        self._answers_read = False
        self._emit(self._router.tick(self._clock.now_us()))

    def _read_answers(self) -> bool:
        """Take news; True if there were any."""
        self._answers_read = True
        if self._busy:
            return False  # what is decided waits already; news can wait in the log
        try:
            slices = self._answers.poll(0)
        except LogError as error:
            self._fail(error)
            return False
        entries: list[Entry] = []
        for piece in slices:
            for record in piece.batch:
                entries += self._judge(record)
        self._tell(entries)
        told = all(isinstance(entry.payload, Transition) for entry in entries)
        self._emit(entries, within_s=self._config.commands.notice_wait_ms / 1e3 if told else 0.0)
        return bool(slices)

    def _judge(self, record: Record) -> list[Entry]:
        received_us, now_us = record.received_time_us, self._clock.now_us()
        if record.name:
            command_id = record.stream.decode("ascii", "replace")
            return self._router.notice(record.name, record.vehicle, command_id, received_us, now_us)
        try:
            message = read_up(record.payload)
        except CommandCodecError as error:
            self.malformed += 1
            _log.info("command_answer_malformed", vehicle=record.vehicle, error=str(error))
            return []
        if isinstance(message, Keys):
            self.hear_keys(record.vehicle, message)
            return []
        return self._router.message(message, record.vehicle, received_us, now_us)

    def _emit(self, entries: list[Entry], within_s: float = 0.0) -> None:
        """Have the log hold these, at the end of this loop turn: one append for all of it.

        What nobody waits for may wait `within_s` for company.
        """
        if not entries:
            return
        self._outbox += entries
        if not within_s:
            self._hurry()
        elif self._flushing is None:
            self._flushing = self._loop.call_later(within_s, self._flush)

    def _hurry(self) -> None:
        """Whatever is in the outbox goes at the end of this turn, or when the log takes more."""
        if self._outbox and not self._busy:
            if self._flushing is not None:
                self._flushing.cancel()
            self._flushing = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        entries = self._outbox
        try:
            future = self._writer.append(batch_of(entries, self._config.log.partitions))
        except LogBusyError:
            self._busy = True
            self._flushing = self._loop.call_later(BUSY_RETRY_S, self._flush)
            return
        except LogError as error:
            self._fail(error)
            return
        self._busy, self._flushing = False, None
        self._outbox = []
        self._commits += 1
        if future.done():  # at once: no other thread has to tell
            self._loop.call_soon(self._committed, entries, future)
            return
        future.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._committed, entries, done)
        )

    def _committed(self, entries: list[Entry], done: Future[RecordBatch]) -> None:
        self._commits -= 1
        error = done.exception()
        if error is not None:
            self._fail(error)
            return
        self._tell(entries)

    def _tell(self, entries: Sequence[Entry]) -> None:
        """Whoever waits for or watches these commands hears how they stand: once for all steps."""
        told: dict[str, Tracked] = {}
        for entry in entries:
            tracked = self._router.confirm(entry)
            if tracked is not None:
                self.counts.entered(tracked, tracked.steps[tracked.told - 1].state)
                told[tracked.id] = tracked
        for tracked in told.values():
            watchers = self._watchers.get(tracked.vehicle)
            if watchers:
                view = tracked.view()
                for watcher in tuple(watchers):
                    watcher(view)
            for waiter in self._waiters.pop(tracked.id, ()):
                if not waiter.done():
                    waiter.set_result(None)

    async def _change_of(self, command_id: str) -> None:
        """Wait for the next durable transition of a command."""
        if self._refusal is not None and not self._commits:
            raise self._refusal
        waiter = self._loop.create_future()
        waiters = self._waiters.setdefault(command_id, set())
        waiters.add(waiter)
        try:
            await waiter
        finally:
            waiters.discard(waiter)
            if not waiters and self._waiters.get(command_id) is waiters:
                del self._waiters[command_id]

    def _note_cursor(self) -> None:
        """All that followed from the answers read so far is durable: a restart may skip them.

        Not so of a runner that has failed: what it could not commit waits nowhere.
        """
        durable = self._refusal is None and not self._outbox and not self._commits
        if durable and not self.hold():
            self._follower.answers_cursor = self._answers.cursor

    def _refuse(self, refusal: RouterBusyError) -> None:
        self._refusal = refusal
        for waiters in tuple(self._waiters.values()):
            for waiter in tuple(waiters):
                if not waiter.done():
                    waiter.set_exception(refusal)

    def _fail(self, error: BaseException) -> None:
        _log.error("commands_failed", error=str(error))
        self._refuse(RouterBusyError("the log failed: the server starts anew, try again"))
        self._on_failure(error if isinstance(error, Exception) else LogError(str(error)))


def _open_answers(log: Log, cursor: bytes | None) -> LogReader:
    topics = frozenset({Topic.COMMAND_ANSWERS})
    if cursor is not None:
        try:
            return log.reader(topics, Cursor(cursor))
        except CursorError:
            _log.warning(
                "answers_cursor_lost"
            )  # older than retention: what is left is all there is
    return log.reader(topics, Edge.EARLIEST)

"""The runner: durable before told, restored after any end, failing for good when the log does."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from motorcade.clock import SystemClock
from motorcade.commands.entries import Downlink
from motorcade.commands.errors import IdempotencyMismatchError, RouterBusyError
from motorcade.commands.ledger import Ledger
from motorcade.commands.port import CommandView, Request
from motorcade.commands.runner import CommandRunner
from motorcade.commands.states import State
from motorcade.config import Config
from motorcade.events import Encoding, Record, RecordBatch, Topic, VehicleToken
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.errors import LogBusyError, LogWriteError
from motorcade.log.port import Edge, LogWriter
from motorcade.log.topics import Lane
from motorcade.wire.command.answers import write_up
from motorcade.wire.command.messages import Answer, Hello, ServerTime
from motorcade.wire.command.records import UNDELIVERED, read_down
from motorcade.wire.command.signing import verify

CAR = VehicleToken("IABCDEFGHJKLMNPRS")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
HONK = Request(CAR, "honk_horn", {}, "owner")
CONFIG = Config().with_overrides(["commands.ledger_commit_s=0.02", "commands.overdue_grace_s=0.1"])


class Desk:
    """A runner on a real log, and the gateway's pen."""

    def __init__(self, directory: Path, wrap: Callable[[LogWriter], LogWriter]) -> None:
        self.log = EmbeddedLog(directory / "log", CONFIG.log, SystemClock())
        self.gateway = self.log.writer("gateway", Lane.FAST)
        self.writer = self.log.writer("api", Lane.FAST)
        self.ledger = Ledger(directory / "ledger.sqlite")
        self.failures: list[Exception] = []
        self.has_room = True
        self.runner = CommandRunner(
            CONFIG,
            self.log,
            wrap(self.writer),
            self.ledger,
            Downlink("k1", KEY, 60),
            SystemClock(),
            os.urandom,
            self.failures.append,
            lambda: self.has_room,
        )

    def says(self, payload: bytes, name: bytes = b"", stream: str = "") -> None:
        now_us = SystemClock().now_us()
        record = Record(
            CAR,
            Topic.COMMAND_ANSWERS,
            payload,
            now_us,
            now_us,
            Encoding.COMMAND,
            name,
            stream.encode(),
        )
        self.gateway.append(RecordBatch.of([record])).result(10)

    def answers(self, command_id: str, state: str = "executed") -> None:
        self.says(write_up(Answer(id=command_id, state=state)))  # type: ignore[arg-type]

    def close(self) -> None:
        self.ledger.close()
        self.log.close()


@contextlib.asynccontextmanager
async def desk(
    directory: Path, wrap: Callable[[LogWriter], LogWriter] = lambda writer: writer
) -> AsyncIterator[Desk]:
    opened = Desk(directory, wrap)
    opened.runner.start()
    try:
        yield opened
    finally:
        await opened.runner.stop()
        opened.close()


async def final(opened: Desk, command_id: str) -> CommandView:
    view = await opened.runner.settle(command_id, 10)
    assert view.final
    return view


def test_submit_answers_when_durable_and_settle_when_final(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as opened:
            seen: list[State] = []
            opened.runner.watch(CAR, lambda view: seen.append(view.state))
            view = await opened.runner.submit(HONK)
            assert view.state is State.REQUESTED
            opened.answers(view.id)
            assert (await final(opened, view.id)).state is State.EXECUTED
            assert seen == [State.REQUESTED, State.EXECUTED]

    asyncio.run(main())


def test_settle_gives_up_in_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as opened:
            view = await opened.runner.submit(HONK)
            assert (await opened.runner.settle(view.id, 0.01)).state is State.REQUESTED
            with pytest.raises(KeyError):
                await opened.runner.settle("nobody", 1)

    asyncio.run(main())


def test_time_alone_makes_a_command_unknown_and_news_settle_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as opened:
            changed = asyncio.Event()
            view = await opened.runner.submit(Request(CAR, "honk_horn", {}, "owner", expires_s=1))
            opened.runner.watch(CAR, lambda view: changed.set())
            await asyncio.wait_for(changed.wait(), 10)
            unknown = opened.runner.find(view.id)
            assert unknown is not None
            assert unknown.state is State.OUTCOME_UNKNOWN
            opened.says(b"", UNDELIVERED, view.id)
            assert (await final(opened, view.id)).state is State.EXPIRED

    asyncio.run(main())


def test_hello_is_answered_with_the_signed_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as opened:
            reader = opened.log.reader(frozenset({Topic.COMMANDS}), Edge.EARLIEST)
            opened.says(write_up(Hello(nonce="n-1")))
            slices = await asyncio.to_thread(reader.poll, 10)
            (record,) = [record for piece in slices for record in piece.batch]
            assert (record.name, record.vehicle) == (b"message", CAR)
            message = verify(
                bytes(read_down(record.payload).message), {"k1": KEY.public_key()}, CAR
            )
            assert isinstance(message, ServerTime)
            assert message.nonce == "n-1"

    asyncio.run(main())


def test_garbage_from_a_vehicle_is_counted_and_passed(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as opened:
            view = await opened.runner.submit(HONK)
            opened.says(b"\xff garbage")
            opened.says(b"", b"no_such_notice", view.id)
            opened.answers("no such id")
            opened.answers(view.id)
            await final(opened, view.id)
            assert opened.runner.malformed == 1

    asyncio.run(main())


def test_news_that_came_while_nobody_listened_are_taken_up(tmp_path: Path) -> None:
    async def before() -> str:
        async with desk(tmp_path) as opened:
            return (await opened.runner.submit(HONK)).id

    async def between(command_id: str) -> None:
        opened = Desk(tmp_path, lambda writer: writer)
        opened.answers(command_id)
        opened.runner._answers.close()
        opened.close()

    async def after(command_id: str) -> None:
        async with desk(tmp_path) as opened:
            assert (await final(opened, command_id)).state is State.EXECUTED

    command_id = asyncio.run(before())
    asyncio.run(between(command_id))
    asyncio.run(after(command_id))


@pytest.mark.parametrize("lost", [False, True])
def test_keys_counters_and_states_after_a_restart(tmp_path: Path, lost: bool) -> None:
    """Also with the ledger's file gone: it is built anew from the log."""

    async def before() -> tuple[str, str, int]:
        async with desk(tmp_path) as opened:
            done = await opened.runner.submit(Request(CAR, "honk_horn", {}, "owner", "done"))
            opened.answers(done.id)
            await final(opened, done.id)
            open_one = await opened.runner.submit(Request(CAR, "honk_horn", {}, "owner", "open"))
            tracked = opened.runner._router.find(open_one.id)
            assert tracked is not None
            return done.id, open_one.id, tracked.counter

    async def after(done: str, open_one: str, counter: int) -> None:
        async with desk(tmp_path) as opened:
            view = await opened.runner.submit(Request(CAR, "honk_horn", {}, "owner", "done"))
            assert (view.id, view.state) == (done, State.EXECUTED)
            view = await opened.runner.submit(Request(CAR, "honk_horn", {}, "owner", "open"))
            assert (view.id, view.state) == (open_one, State.REQUESTED)
            for key in ("done", "open"):
                with pytest.raises(IdempotencyMismatchError):
                    await opened.runner.submit(Request(CAR, "door_lock", {}, "owner", key))
            fresh = await opened.runner.submit(HONK)
            tracked = opened.runner._router.find(fresh.id)
            assert tracked is not None
            assert tracked.counter > counter
            assert {view.id for view in opened.runner.recent(CAR, 9)} == {
                done,
                open_one,
                fresh.id,
            }

    ids = asyncio.run(before())
    if lost:
        (tmp_path / "ledger.sqlite").unlink()
    asyncio.run(after(*ids))


def test_what_is_final_leaves_memory_and_is_still_found(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as opened:
            view = await opened.runner.submit(HONK)
            opened.answers(view.id)
            await final(opened, view.id)
            while opened.runner._router.find(view.id) is not None:
                await asyncio.sleep(0.005)
            found = opened.runner.find(view.id)
            assert found is not None
            assert found.state is State.EXECUTED
            assert (await opened.runner.settle(view.id, 1)).final

    asyncio.run(main())


class Wrapped:
    """A writer that can be told to be busy or to break."""

    def __init__(self, writer: LogWriter) -> None:
        self.writer = writer
        self.busy = 0
        self.breaks = False

    def append(self, batch: RecordBatch) -> Future[RecordBatch]:
        if self.busy:
            self.busy -= 1
            raise LogBusyError("full")
        if self.breaks:
            broken: Future[RecordBatch] = Future()
            broken.set_exception(LogWriteError("disk full"))
            return broken
        return self.writer.append(batch)

    def close(self) -> None:
        self.writer.close()


def test_a_full_queue_delays_and_refuses_but_loses_nothing(tmp_path: Path) -> None:
    wrapped: list[Wrapped] = []

    def wrap(writer: LogWriter) -> LogWriter:
        wrapped.append(Wrapped(writer))
        return wrapped[0]

    async def main() -> None:
        async with desk(tmp_path, wrap) as opened:
            wrapped[0].busy = 2
            first = asyncio.ensure_future(opened.runner.submit(HONK))
            while wrapped[0].busy == 2:
                await asyncio.sleep(0)
            with pytest.raises(RouterBusyError):
                await opened.runner.submit(HONK)
            view = await first
            opened.answers(view.id)
            assert (await final(opened, view.id)).state is State.EXECUTED

    asyncio.run(main())


def test_a_broken_log_ends_the_runner_and_what_was_told_stays_true(tmp_path: Path) -> None:
    wrapped: list[Wrapped] = []

    def wrap(writer: LogWriter) -> LogWriter:
        wrapped.append(Wrapped(writer))
        return wrapped[0]

    async def main() -> CommandView:
        async with desk(tmp_path, wrap) as opened:
            view = await opened.runner.submit(HONK)
            wrapped[0].breaks = True
            opened.answers(view.id)  # in the log, unlike what follows from it
            told = await final(opened, view.id)
            while not opened.failures:
                await asyncio.sleep(0.001)
            assert isinstance(opened.failures[0], LogWriteError)
            with pytest.raises(RouterBusyError):
                await opened.runner.submit(HONK)
            await asyncio.sleep(0.2)  # its timer goes on until it is stopped
            return told

    async def after(told: CommandView) -> None:
        async with desk(tmp_path) as opened:
            assert opened.runner.find(told.id) == told  # at once, with the same times

    asyncio.run(after(asyncio.run(main())))


def test_a_stopping_runner_takes_nothing_more(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as opened:
            pass
        with pytest.raises(RouterBusyError):
            await opened.runner.submit(HONK)

    asyncio.run(main())


def test_damage_met_at_work_ends_the_runner_and_the_next_ledger_is_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*arguments: object) -> list[str]:
        raise sqlite3.DatabaseError("database disk image is malformed")

    async def main() -> str:
        async with desk(tmp_path) as opened:
            monkeypatch.setattr(opened.ledger, "apply", damaged)
            view = await opened.runner.submit(HONK)
            with pytest.raises(RouterBusyError):
                await opened.runner.settle(view.id, 10)
            assert isinstance(opened.failures[0], sqlite3.DatabaseError)
            return view.id

    async def after(command_id: str) -> None:
        async with desk(tmp_path) as opened:
            assert not (tmp_path / "ledger.sqlite-condemned").exists()
            opened.answers(command_id)
            assert (await final(opened, command_id)).state is State.EXECUTED

    asyncio.run(after(asyncio.run(main())))

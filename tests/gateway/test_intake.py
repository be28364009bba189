"""The two buffers: what is committed together, when doors pause, and that no ack can come early."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future

import pytest

from motorcade.events import Record, RecordBatch, Topic, VehicleToken
from motorcade.gateway.intake import CROWD_RECORDS, RESERVE_RECORDS, Intake
from motorcade.log.errors import LogBusyError, LogError, LogWriteError

TOKEN = VehicleToken("5YJ3E1EA7KF00000Q")


def record(payload: bytes) -> Record:
    return Record(TOKEN, Topic.TELEMETRY, payload, received_time_us=2, event_time_us=1)


class GatedWriter:
    """A log writer whose commits end when the test says so."""

    def __init__(self) -> None:
        self.taken: list[list[bytes]] = []
        self.open: list[tuple[Future[RecordBatch], RecordBatch]] = []
        self.busy = False

    def append(self, batch: RecordBatch) -> Future[RecordBatch]:
        if self.busy:
            raise LogBusyError("queue full")
        future: Future[RecordBatch] = Future()
        self.taken.append([one.payload for one in batch])
        self.open.append((future, batch))
        return future

    def finish(self, error: LogError | None = None) -> None:
        future, batch = self.open.pop(0)
        if error is None:
            future.set_result(batch)
        else:
            future.set_exception(error)

    def close(self) -> None:
        raise AssertionError("the intake does not own the writer")


class NotedDoor:
    """Keeps what it is told; adds a record of its own when asked to, as a closing peer does."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.add_when_told: tuple[Intake, Record] | None = None

    def committed(self, index: int, batch: RecordBatch) -> None:
        if self.add_when_told is not None:
            intake, extra = self.add_when_told
            self.add_when_told = None
            intake.add(extra)
        self.told.append([one.payload for one in batch])

    def failed(self, index: int, error: LogError) -> None:
        self.told.append(error)

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")


def flat(told: list[object]) -> list[object]:
    return [payload for batch in told if isinstance(batch, list) for payload in batch]


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def run(test: Coroutine[None, None, None]) -> None:
    asyncio.run(test)


def make(records_max: int = 4 * RESERVE_RECORDS) -> tuple[Intake, GatedWriter, NotedDoor]:
    writer, door = GatedWriter(), NotedDoor()
    intake = Intake(writer, asyncio.get_running_loop(), records_max=records_max, bytes_max=1 << 20)
    intake.add_door(door)
    return intake, writer, door


def test_one_turn_is_one_commit_and_acks_wait_for_it() -> None:
    async def test() -> None:
        intake, writer, door = make()
        intake.add(record(b"a"))
        intake.add(record(b"b"))
        await turns()
        assert writer.taken == [[b"a", b"b"]]
        assert door.told == []
        intake.add(record(b"c"))
        await turns()
        assert len(writer.taken) == 1, "the next commit waits for the running one"
        writer.finish()
        await turns()
        assert door.told == [[b"a", b"b"]]
        assert writer.taken[1] == [b"c"]
        writer.finish()
        await intake.drained()
        assert door.told[1] == [b"c"]

    run(test())


def test_a_failed_commit_reaches_doors_and_callbacks_and_the_next_one_works() -> None:
    async def test() -> None:
        intake, writer, door = make()
        fates: list[LogError | None] = []
        intake.add(record(b"a"), fates.append)
        await turns()
        error = LogWriteError("disk full")
        writer.finish(error)
        await turns()
        assert door.told == [error]
        assert fates == [error]
        intake.add(record(b"b"), fates.append)
        await turns()
        writer.finish()
        await turns()
        assert fates == [error, None]

    run(test())


def test_doors_pause_when_both_buffers_are_in_use_and_resume_after() -> None:
    async def test() -> None:
        intake, writer, door = make()
        assert intake.room(2 * RESERVE_RECORDS, 10)
        intake.add(record(b"a"))
        await turns()
        for _ in range(2 * RESERVE_RECORDS):
            intake.add(record(b"x"))
        assert not intake.room(2 * RESERVE_RECORDS, 10)
        assert door.told == ["pause"]
        assert not intake.room(2 * RESERVE_RECORDS, 10)
        assert door.told == ["pause"], "told once"
        writer.finish()
        await turns()
        assert door.told[-1] == "resume"
        assert intake.room(2 * RESERVE_RECORDS, 10)

    run(test())


def test_a_record_added_while_doors_are_told_does_not_overwrite_what_they_read() -> None:
    async def test() -> None:
        intake, writer, door = make()
        second = NotedDoor()
        intake.add_door(second)
        door.add_when_told = (intake, record(b"extra"))
        intake.add(record(b"a"))
        await turns()
        intake.add(record(b"b"))  # so that the freed staging is open while doors are told
        writer.finish()
        await turns()
        assert door.told == [[b"a"]]
        assert second.told == [[b"a"]]
        writer.finish()
        await turns()
        writer.finish()
        await intake.drained()
        assert flat(second.told) == [b"a", b"b", b"extra"]

    run(test())


def test_more_than_fits_waits_in_order() -> None:
    async def test() -> None:
        intake, writer, door = make()
        count = 4 * RESERVE_RECORDS + 5
        for number in range(count):
            intake.add(record(str(number).encode()))
        while writer.open or not door.told:
            await turns()
            if writer.open:
                writer.finish()
            await turns()
        await intake.drained()
        assert flat(door.told) == [str(number).encode() for number in range(count)]

    run(test())


def test_a_busy_writer_is_tried_again() -> None:
    async def test() -> None:
        intake, writer, door = make()
        writer.busy = True
        intake.add(record(b"a"))
        await turns()
        assert writer.taken == []
        writer.busy = False
        while not writer.open:
            await asyncio.sleep(0.001)
        writer.finish()
        await intake.drained()
        assert door.told == [[b"a"]]

    run(test())


def test_what_can_never_fit_is_said() -> None:
    async def test() -> None:
        intake, _, _ = make()
        with pytest.raises(ValueError, match="never fit"):
            intake.room(1, 2 << 20)

    run(test())


class StandingLoop:
    """A loop whose clock stands still and which only notes what is asked for later."""

    def __init__(self) -> None:
        self.later_s: list[float] = []
        self.now_s = 100.0

    def time(self) -> float:
        return self.now_s

    def call_soon(self, callback: Callable[..., None], *arguments: object) -> None:
        callback(*arguments)

    def call_soon_threadsafe(self, callback: Callable[..., None], *arguments: object) -> None:
        callback(*arguments)

    def call_later(self, delay_s: float, _callback: Callable[..., None]) -> None:
        self.later_s.append(delay_s)


@pytest.mark.parametrize(("records", "wait_s"), [(CROWD_RECORDS - 1, 0.002), (CROWD_RECORDS, 0.01)])
def test_after_many_records_the_next_commit_waits_longer(records: int, wait_s: float) -> None:
    writer, loop = GatedWriter(), StandingLoop()
    intake = Intake(
        writer,
        loop,  # type: ignore[arg-type]
        records_max=4 * RESERVE_RECORDS,
        bytes_max=1 << 20,
        spacing_s=0.01,
    )
    intake.add(record(b"first"))  # committed at once: the last commit was long ago
    for number in range(records):
        intake.add(record(str(number).encode()))
    loop.now_s += 1
    writer.finish()
    assert len(writer.taken[1]) == records
    intake.add(record(b"last"))
    writer.finish()
    assert loop.later_s[-1] == pytest.approx(wait_s)
    assert len(writer.taken) == 2


def test_a_patient_record_waits_for_others_but_not_for_ever() -> None:
    async def test() -> None:
        intake, writer, _ = make()
        intake.add(record(b"patient"), within_s=60.0)
        await turns()
        assert writer.taken == []
        intake.add(record(b"a"))
        await turns()
        assert writer.taken == [[b"patient", b"a"]]
        writer.finish()
        await intake.drained()
        intake.add(record(b"alone"), within_s=0.01)
        await turns()
        assert len(writer.taken) == 1
        drained = asyncio.ensure_future(intake.drained())
        while len(writer.taken) < 2:
            assert not drained.done(), "what waits is not durable"
            await asyncio.sleep(0.002)
        writer.finish()
        await drained

    run(test())


def test_a_patient_record_that_came_during_a_commit_goes_on_waiting() -> None:
    async def test() -> None:
        intake, writer, _ = make()
        intake.add(record(b"a"))
        await turns()
        intake.add(record(b"patient"), within_s=60.0)
        writer.finish()
        await turns()
        assert writer.taken == [[b"a"]]
        intake.add(record(b"b"))
        await turns()
        writer.finish()
        assert writer.taken == [[b"a"], [b"patient", b"b"]]
        await intake.drained()

    run(test())


def test_the_end_of_a_turn_starts_the_commit_that_is_due() -> None:
    async def test() -> None:
        intake, writer, _ = make()
        intake.add(record(b"patient"), within_s=60.0)
        intake.end_turn()
        assert writer.taken == []
        intake.add(record(b"a"))
        intake.end_turn()
        assert writer.taken == [[b"patient", b"a"]]
        await turns()
        writer.finish()
        await intake.drained()
        assert len(writer.taken) == 1

    run(test())


def test_the_time_to_an_ack_is_that_of_the_oldest_record_for_each_of_its_commit() -> None:
    async def test() -> None:
        writer, now_s = GatedWriter(), [100.0]
        intake = Intake(
            writer,
            asyncio.get_running_loop(),
            records_max=4 * RESERVE_RECORDS,
            bytes_max=1 << 20,
            monotonic_s=lambda: now_s[0],
        )
        intake.add(record(b"a"))
        now_s[0] += 0.02
        intake.add(record(b"b"))
        await turns()
        intake.add(record(b"c"))  # waits for the running commit
        now_s[0] += 0.02
        writer.finish()
        await turns()
        now_s[0] += 0.2
        writer.finish()
        await intake.drained()
        intake.add(record(b"d"))
        await turns()
        writer.finish(LogWriteError("disk full"))
        await turns()
        told = {
            bound: count
            for bound, count in zip(intake.ack_s.bounds, intake.ack_s.counts, strict=False)
            if count
        }
        assert told == {0.05: 2, 0.25: 1}
        assert round(intake.ack_s.total, 6) == 0.04 + 0.04 + 0.22

    run(test())

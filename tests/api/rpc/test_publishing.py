"""The lane of samples: opened once for all calls, whichever of them ends meanwhile."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from motorcade.api.errors import ApiError
from motorcade.api.rpc.publishing import SampleLane
from motorcade.clock import SystemClock
from motorcade.config import Config
from motorcade.events import Encoding, Record, Topic, VehicleToken
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.errors import LogDiskError
from motorcade.log.port import LogWriter
from motorcade.log.topics import Lane

RECORD = Record(
    vehicle=VehicleToken("IABCDEFGHJKLMNP00"),
    topic=Topic.TELEMETRY,
    payload=b"x",
    received_time_us=1,
    event_time_us=1,
    encoding=Encoding.SAMPLES,
    partition=0,
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(tmp_path / "log", Config().log, SystemClock())
    yield log
    log.close()


def test_a_call_that_ends_while_the_lane_opens_does_not_lose_it(log: EmbeddedLog) -> None:
    begun, go, done = threading.Event(), threading.Event(), threading.Event()

    def open_writer() -> LogWriter:
        begun.set()
        assert go.wait(20)
        try:
            return log.writer("api", Lane.BULK)
        finally:
            done.set()

    async def publish() -> None:
        lane = SampleLane(open_writer, 0.01)
        first = asyncio.create_task(lane.append(RECORD))
        assert await asyncio.to_thread(begun.wait, 20)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        go.set()
        assert await asyncio.to_thread(done.wait, 20)  # the lane is held from here on
        await (await lane.append(RECORD))

    asyncio.run(publish())


def test_a_lane_that_failed_to_open_or_was_closed_is_opened_anew(log: EmbeddedLog) -> None:
    opened: list[LogWriter] = []
    failures = [LogDiskError("the disk failed")]

    def open_writer() -> LogWriter:
        if failures:
            raise failures.pop()
        opened.append(log.writer("api", Lane.BULK))
        return opened[-1]

    async def publish() -> None:
        lane = SampleLane(open_writer, 0.01)
        with pytest.raises(ApiError, match="service unavailable"):
            await lane.append(RECORD)
        await (await lane.append(RECORD))
        opened[0].close()
        await (await lane.append(RECORD))

    asyncio.run(publish())
    assert len(opened) == 2

"""The reader's process: the slow lane, in which history is written."""

import asyncio
import os
from typing import Final

import pyarrow

from motorcade.history.writer import HistoryWriter
from motorcade.log.files import OsFiles
from motorcade.metrics.reader import ReaderReporter
from motorcade.metrics.report import ReportSocket
from motorcade.roles.base import Base, settle
from motorcade.streams.dedup import Dedup
from motorcade.supervisor import StopEvents

READER_NICE: Final = 10  # the slow lane gives way to sockets and commands (P6)
READER_STOP_S: Final = 2.0  # for the file at hand; whatever is not written is in the log


async def run(base: Base, ends: StopEvents) -> None:
    """The slow lane: history is written here. When it is away, all else goes on."""
    os.nice(READER_NICE)
    settle()
    failed: list[Exception] = []
    loop = asyncio.get_running_loop()

    def fail(error: Exception) -> None:
        failed.append(error)
        loop.call_soon_threadsafe(ends.stop)

    config = base.config
    history = HistoryWriter(
        base.data / "history",
        config,
        base.log,
        lambda: Dedup(config.dedup),
        base.clock,
        OsFiles(),
        lambda path: pyarrow.memory_map(str(path)),
        failed=fail,
    )
    history.start()
    told = ReportSocket(base.data, "reader", ReaderReporter(base.clock, history))
    await told.start()
    base.link.ready(ends)
    await ends.stopping.wait()
    told.close()
    await asyncio.to_thread(history.stop, READER_STOP_S)
    if failed:
        raise failed[0]

"""Samples on their way into the log: the API's own bulk lane, and one call that fills it.

The lane is opened by the first batch ever sent: most platforms never see one. A call reads ahead of
the disk by `rpc.unacked_bytes_max` and then stops reading, which HTTP/2 tells the client. Nothing
is dropped: a full queue of the log makes it wait too.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from grpc import aio

from motorcade.api.errors import ApiError
from motorcade.api.rpc.errors import stopping
from motorcade.api.rpc.messages import PublishAck
from motorcade.events import Record, RecordBatch
from motorcade.log.errors import LogBusyError, LogClosedError, LogError, LogFullError
from motorcade.log.port import LogWriter

FULL_RETRY_S: Final = 30  # as HTTP says when the disk is full
UNACKED_BYTES_MIN: Final = 2_048  # what even an empty batch takes in objects until it is durable


class SampleLane:
    """The single writer of this process's samples."""

    def __init__(self, open_writer: Callable[[], LogWriter], busy_retry_s: float) -> None:
        """`open_writer` may block: it is called in a thread, and again only after it failed or its
        writer was closed."""
        self._open = open_writer
        self._busy_retry_s = busy_retry_s
        self._opening: asyncio.Task[LogWriter] | None = None

    async def append(self, record: Record) -> "asyncio.Future[Any]":
        """Hand it to the log; the future is done when it is durable.

        Raises:
            ApiError: 503 or 507; nothing was taken.
        """
        batch = RecordBatch.of([record])
        while True:
            opening = self._opened()
            try:
                writer = await asyncio.shield(opening)  # a call that ends must not lose the lane
            except LogError as error:
                raise not_stored(error) from error
            try:
                return asyncio.wrap_future(writer.append(batch))
            except LogBusyError:
                await asyncio.sleep(self._busy_retry_s)
            except LogClosedError:
                self._forget(opening)
            except LogError as error:
                raise not_stored(error) from error

    def _opened(self) -> "asyncio.Task[LogWriter]":
        """The one task that opens the lane, for all calls; the thread ends whoever is cancelled."""
        if self._opening is None:
            self._opening = asyncio.create_task(asyncio.to_thread(self._open))
            self._opening.add_done_callback(self._forget_failed)
        return self._opening

    def _forget_failed(self, opening: "asyncio.Task[LogWriter]") -> None:
        if opening.cancelled() or opening.exception() is not None:
            self._forget(opening)

    def _forget(self, opening: "asyncio.Task[LogWriter]") -> None:
        if self._opening is opening:  # and not what another call opened since
            self._opening = None


def not_stored(error: LogError) -> ApiError:
    """Why a batch was not acknowledged, as the caller sees it."""
    if isinstance(error, LogFullError):
        headers = {"Retry-After": str(FULL_RETRY_S)}
        return ApiError(507, "insufficient storage", str(error), headers=headers)
    return ApiError(503, "service unavailable", str(error), headers={"Retry-After": "1"})


class _Unacked(NamedTuple):
    durable: "asyncio.Future[Any]"
    samples: int
    nbytes: int


class Publishing:
    """One call: batches in, acks out, in order."""

    def __init__(
        self,
        context: Any,
        lane: SampleLane,
        judge: Callable[[bytes], Awaitable[tuple[Record, int]]],
        bytes_max: int,
    ) -> None:
        """`judge` makes a record of a message and counts its samples, or raises `ApiError`."""
        self._context, self._lane, self._judge = context, lane, judge
        self._bytes_max = bytes_max
        self._unacked: deque[_Unacked] = deque()
        self._unacked_bytes = 0
        self._moved = asyncio.Event()  # something was read, acknowledged, or is over
        self._batches = self._samples = 0  # acknowledged
        self._reading: asyncio.Task[None] | None = None
        self._why: ApiError | None = None  # nothing more is read

    def stop(self) -> None:
        """Read no more; what was read is still acknowledged."""
        self._why = self._why or stopping()
        if self._reading is not None:
            self._reading.cancel()

    async def run(self) -> None:
        """Until the client has sent all and heard of all.

        Raises:
            ApiError: why nothing more is taken; all acks were sent.
        """
        reading = self._reading = asyncio.create_task(self._read())
        reading.add_done_callback(lambda _: self._moved.set())
        try:
            await self._acknowledge(reading)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        if self._why is not None:
            raise self._why
        if not reading.cancelled():
            reading.result()  # raises what was wrong with the last message

    async def _read(self) -> None:
        while (message := await self._context.read()) is not aio.EOF:
            record, samples = await self._judge(message)
            durable = await self._lane.append(record)
            nbytes = max(len(message), UNACKED_BYTES_MIN)
            self._unacked.append(_Unacked(durable, samples, nbytes))
            self._unacked_bytes += nbytes
            self._moved.set()
            while self._unacked_bytes >= self._bytes_max:
                self._moved.clear()
                await self._moved.wait()

    async def _acknowledge(self, reading: "asyncio.Task[None]") -> None:
        while self._unacked or not reading.done():
            if not self._unacked:
                self._moved.clear()
                await self._moved.wait()
                continue
            try:
                await self._unacked[0].durable
                while self._unacked and self._unacked[0].durable.done():
                    self._take_first()
            except LogError as error:
                raise not_stored(error) from error
            self._moved.set()
            await self._context.write(PublishAck(batches=self._batches, samples=self._samples))

    def _take_first(self) -> None:
        """Count the oldest batch as durable. Raises `LogError`: it is not."""
        first = self._unacked[0]
        first.durable.result()
        self._unacked.popleft()
        self._unacked_bytes -= first.nbytes
        self._batches += 1
        self._samples += first.samples

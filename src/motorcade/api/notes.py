"""What the API notes in memory and writes to disk by and by: which apps asked, who did what."""

import asyncio
from abc import ABC, abstractmethod


class Notes(ABC):
    """Flushes every `flush_s`, and at the end. On the API's loop."""

    def __init__(self, flush_s: float) -> None:
        self._flush_s = flush_s
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def flush(self) -> None:
        """Write; what cannot be written waits for the next time."""

    def start(self) -> None:
        """Write from now on."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what is left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._flush_s)
            await self.flush()

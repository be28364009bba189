"""What one app has not been sent yet: bounded, in order, replaced by a snapshot past the bound."""

import asyncio


class Outbox:
    """What one client has not been sent yet. Filled on the loop, emptied by its task."""

    def __init__(self, changes_max: int) -> None:
        self._changes_max = changes_max
        self._frames: list[bytes] = []
        self._changes = 0
        self._filled = asyncio.Event()
        self.overflown = True  # a client starts with a snapshot, as one that was too slow does

    def put(self, frame: bytes, changes: int) -> None:
        """Add a frame that tells of so many changes; too many, and a snapshot replaces them all."""
        if self.overflown:
            return
        self._changes += changes
        if self._changes > self._changes_max:
            self._frames, self._changes, self.overflown = [], 0, True
        else:
            self._frames.append(frame)
        self._filled.set()

    async def take(self) -> list[bytes]:
        """Wait until there is something; return it in order. None of it when it overflowed."""
        while not self._frames and not self.overflown:
            self._filled.clear()
            await self._filled.wait()
        frames, self._frames, self._changes = self._frames, [], 0
        return frames

    def started(self) -> None:
        """A snapshot is being taken: what comes now follows it."""
        self.overflown = False

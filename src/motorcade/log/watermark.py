"""The watermark: how far a lane is durable. Written by its writer after each sync, read by all.

A reader in another process sees a frame's bytes in the page cache before they are on disk, so
bytes alone can never tell it what it may read (promise 2). The writer therefore publishes (segment,
offset) in a shared page once the sync has returned, and readers go no further. It costs no system
call on either side.

The page is never synced, and need not be: after a crash of the process it is still there; after one
of the machine it may be old or empty, which only means that recovery looks at more bytes, because
it is always set *after* the bytes it speaks of were durable.
"""

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from motorcade.log.files import FileLayer

PAGE_NAME: Final = "durable"
PAGE_BYTES: Final = 4_096
_OFFSET_BITS: Final = 40  # 1 TiB per segment, 16 M segments
_MASK: Final = (1 << 64) - 1
_TRIES: Final = 1_000


class Mark(NamedTuple):
    """Everything before `offset` in `segment`, and every earlier segment, is durable."""

    segment: int
    offset: int


NOTHING: Final = Mark(0, 0)


def mark_words(mark: Mark) -> tuple[np.uint64, np.uint64]:
    """The two words of a page; the second tells a whole mark from half a one."""
    value = np.uint64(mark.segment << _OFFSET_BITS | mark.offset)
    return value, ~value


class Watermark:
    """One lane's shared page."""

    def __init__(self, files: FileLayer, directory: Path) -> None:
        fd = files.open(directory / PAGE_NAME, create=True)
        try:
            if files.size(fd) < PAGE_BYTES:
                files.write(fd, [bytes(PAGE_BYTES)], 0)
            self._page = files.map(fd, PAGE_BYTES)
        finally:
            files.close(fd)  # The mapping stays.
        self._words = self._page.data  # read as such in a third of the time
        self._value, self._last = 0, NOTHING

    def publish(self, mark: Mark) -> None:
        """Say that everything up to `mark` is durable. Call it only when that is true."""
        self._page[0], self._page[1] = mark_words(mark)

    def read(self) -> Mark:
        """The newest mark. Two words that must agree tell a mark from half a mark."""
        for _ in range(_TRIES):
            value, check = self._words[0], self._words[1]
            if value == check == 0:
                return self._last  # Never set: nothing to wait for.
            if value == check ^ _MASK:
                if value != self._value:
                    self._value = value
                    self._last = Mark(value >> _OFFSET_BITS, value & ((1 << _OFFSET_BITS) - 1))
                return self._last
        return self._last  # Its writer died between the words: what we knew holds.

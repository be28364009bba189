"""A lock that lets a waiting reader in before the writer's next step.

`threading.Lock` is not fair: a writer that releases and takes it again at once can starve a reader
for many steps. Here everybody passes a turnstile first, so the one who waits is the next one in.
"""

import threading
from types import TracebackType


class Gate:
    """Hold it for short steps only (under 1 ms): `with gate: ...`."""

    def __init__(self) -> None:
        self._turnstile = threading.Lock()
        self._inside = threading.Lock()

    def __enter__(self) -> None:
        with self._turnstile:
            self._inside.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._inside.release()

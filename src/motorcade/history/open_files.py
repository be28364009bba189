"""Column files that were read lately stay open: to read a footer takes longer than an hour."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from motorcade.durable import Files
from motorcade.history.columns import ColumnFile, Open
from motorcade.history.manifest import column_path


class OpenFiles:
    """At most so many idle ones; the one unused longest goes. Thread-safe."""

    def __init__(self, directory: Path, files: Files, open_: Open, files_max: int) -> None:
        self._directory, self._files, self._open = directory, files, open_
        self._files_max = max(1, files_max)
        self._idle: OrderedDict[int, ColumnFile] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def borrowed(self, number: int) -> Iterator[ColumnFile]:
        """The file, for one thread. Raises `FileNotFoundError` when it was retired."""
        with self._lock:
            file = self._idle.pop(number, None)
        if file is None:
            file = ColumnFile(self._files, column_path(self._directory, number), self._open)
        try:
            yield file
        finally:
            dropped = [file]
            with self._lock:
                if number not in self._idle:
                    self._idle[number] = file
                    dropped = []
                while len(self._idle) > self._files_max:
                    dropped.append(self._idle.popitem(last=False)[1])
            for each in dropped:
                each.close()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, OrderedDict()
        for each in idle.values():
            each.close()

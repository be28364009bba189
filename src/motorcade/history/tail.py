"""The log's tail: what the writer has not written yet, read when somebody asks and not before.

It begins at a manifest's cursor, with what was saved there, so files and tail meet without a gap or
an overlap. It is kept and read on while the manifest stays the same, and begun anew when that
changes.
"""

import threading
from pathlib import Path

from motorcade.config import Config
from motorcade.durable import Files
from motorcade.history.errors import HistoryBehindError
from motorcade.history.manifest import Loaded
from motorcade.history.reading import LogReading, MakeDedup, reading_after
from motorcade.history.samples import Samples, joined
from motorcade.log.port import Log

PARTS_MAX = 64  # joined then: each part costs a look for every question


class Tail:
    """Thread-safe; one thread reads at a time, the others wait for it."""

    def __init__(
        self, directory: Path, config: Config, log: Log, make_dedup: MakeDedup, files: Files
    ) -> None:
        self._directory, self._config, self._log = directory, config, log
        self._make_dedup, self._files = make_dedup, files
        self._serial = -1
        self._reading: LogReading | None = None
        self._parts: list[Samples] = []
        self._bytes = 0
        self._lock = threading.Lock()

    def samples(self, loaded: Loaded) -> tuple[list[Samples], LogReading]:
        """Everything durable after this manifest's cursor, and who knows the signals' names.

        Raises:
            HistoryBehindError: it is more than `history.tail_bytes_max`.
            FileNotFoundError: the manifest is of yesterday; load it anew.
            HistoryDamagedError, OSError: what was saved at the cursor cannot be read.
        """
        with self._lock:
            if self._reading is None or self._serial != loaded.serial:
                self._begin(loaded)
            assert self._reading is not None
            while True:
                samples, size = self._reading.poll()
                self._parts += samples
                self._bytes += size
                if not size:
                    break
                if self._bytes > self._config.history.tail_bytes_max:
                    raise HistoryBehindError(
                        f"history has still to read more than {self._bytes >> 20} MiB of the log: "
                        "ask again when it has caught up (motorcade_history_lag_seconds)"
                    )
            if len(self._parts) > PARTS_MAX:
                self._parts = [joined(self._parts)]
            return list(self._parts), self._reading

    def close(self) -> None:
        with self._lock:
            self._end()

    def _begin(self, loaded: Loaded) -> None:
        self._end()
        self._reading = reading_after(
            loaded.manifest,
            self._files,
            self._directory,
            self._log,
            self._config,
            self._make_dedup,
        )
        self._serial = loaded.serial

    def _end(self) -> None:
        if self._reading is not None:
            self._reading.close()
        self._reading, self._parts, self._bytes = None, [], 0

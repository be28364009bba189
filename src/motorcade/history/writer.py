"""The writer: tails the log, writes column files and the manifest. One per directory.

What it has read and not yet written is in the log; it holds at most `history.flush_samples_max` of
it. A flush writes one file, what reading on needs, and the manifest that names both with the
cursor: whoever is killed in between has written nothing that counts. Nothing is flushed at a stop:
to go on from the log costs the same as after a kill, and a drain need not wait.
"""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.durable import Files
from motorcade.history import manifest as manifests
from motorcade.history.columns import (
    GROUP_ROWS,
    ColumnFile,
    ColumnWriter,
    Open,
    index_path,
    runs_path,
)
from motorcade.history.errors import HistoryDamagedError
from motorcade.history.files import BESIDE
from motorcade.history.layout import Pivot
from motorcade.history.manifest import FileRow, Loaded, Manifest, column_path, reading_path
from motorcade.history.merging import expired, merge, next_merge
from motorcade.history.reading import LogReading, MakeDedup, reading_after
from motorcade.history.samples import Samples, joined
from motorcade.history.space import Room
from motorcade.log.port import Log

RUNS_AT_ONCE: Final = 4  # after a flush: the log waits meanwhile
SAMPLE_BYTES: Final = (
    16  # of disk, planned for: a noisy number takes 8, and its row's times come on top
)
FULL_HINT: Final = "free space, or mend the disk; the log keeps what is not written"

_log = structlog.get_logger()


class HistoryWriter:
    """Owns the directory's files. `start` makes a thread; tests call the steps themselves."""

    def __init__(
        self,
        directory: Path,
        config: Config,
        log: Log,
        make_dedup: MakeDedup,
        clock: Clock,
        files: Files,
        open_: Open,
        *,
        failed: Callable[[Exception], None],
    ) -> None:
        """`failed` is called from the thread, which then ends: the process should, too."""
        self._directory, self._config, self._log = directory, config, log
        self._make_dedup, self._clock, self._files = make_dedup, clock, files
        self._open_file, self._failed = open_, failed
        self._moving_mps = config.dashboard.moving_speed_mps
        self._loaded = Loaded(0, Manifest())
        self._reading: LogReading | None = None
        self._waiting: list[Samples] = []
        self._waiting_samples = 0
        self._flushed_s = self._tried_s = clock.monotonic_s()
        self._spent = 0  # numbers that failed flushes may have used
        self._waits = False  # the disk did not take the last flush
        self._room = Room(files, directory, config.history)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self.flushes = self.flush_failures = self.merges = self.merge_failures = 0
        self.polled_s = clock.monotonic_s()

    @property
    def manifest(self) -> Manifest:
        return self._loaded.manifest

    @property
    def reading(self) -> LogReading | None:
        """Who reads the log; `None` before `open`."""
        return self._reading

    def _opened(self) -> LogReading:
        assert self._reading is not None  # `open` comes first
        return self._reading

    @property
    def waiting_samples(self) -> int:
        """Read and not yet written."""
        return self._waiting_samples

    @property
    def flush_age_s(self) -> float:
        """Since the last flush, or the start."""
        return self._clock.monotonic_s() - self._flushed_s

    def lag_s(self) -> float:
        """Age of the newest record read; 0 when nothing more waits to be read or written."""
        if self._reading is None or not self._waiting_samples or not self._reading.newest_us:
            return 0.0
        return max(0.0, (self._clock.now_us() - self._reading.newest_us) / 1e6)

    def start(self) -> None:
        self._thread.start()

    def stop(self, wait_s: float) -> None:
        """End the thread; it may finish the file at hand. Blocks so long at most."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(wait_s)

    def _run(self) -> None:
        try:
            self.open()
            try:
                rest_s = self._config.history.spacing_ms / 1e3
                while not self._stopping.wait(rest_s):
                    self.turn()
            finally:
                self.close()
        except Exception as error:  # whatever it is: a dead writer must not look alive
            _log.exception("history_failed")
            self._failed(error)

    # The steps.

    def open(self) -> None:
        """Load the manifest, remove what a crash left, open the log.

        Raises:
            HistoryDamagedError: the manifest, or what reading on needs, is damaged.
            OSError: the disk failed.
        """
        self._files.make_directory(self._directory)
        self._loaded = manifests.load(self._files, self._directory)
        self._remove_strangers()
        self._reading = reading_after(
            self._loaded.manifest,
            self._files,
            self._directory,
            self._log,
            self._config,
            self._make_dedup,
        )

    def close(self) -> None:
        if self._reading is not None:
            self._reading.close()

    def turn(self) -> None:
        """Read what has come; flush when there is enough or it is time."""
        self.read_on()
        if self._flush_due():
            self.try_flush()
            self.try_maintain()

    def read_on(self) -> None:
        """Read until nothing more is there, or as much as may wait."""
        limits = self._config.history
        while self._waiting_samples < limits.flush_samples_max and not self._stopping.is_set():
            if not self.read_some():
                return

    def read_some(self) -> bool:
        """Read what one poll gives; whether there was anything."""
        samples, size = self._opened().poll()
        self.polled_s = self._clock.monotonic_s()
        self._waiting += samples
        self._waiting_samples += sum(map(len, samples))
        return size > 0

    def _flush_due(self) -> bool:
        limits, now_s = self._config.history, self._clock.monotonic_s()
        if self._opened().cursor == self.manifest.cursor:
            return False
        if self._waits and now_s - self._tried_s < limits.retry_s:
            return False
        many = self._waiting_samples >= limits.flush_samples_max
        return many or now_s - self._flushed_s >= limits.flush_s

    def try_flush(self) -> bool:
        """Flush; on a disk that takes nothing, keep everything and say so. Whether it was taken."""
        self._tried_s = self._clock.monotonic_s()
        try:
            if why := self._room.missing(self._waiting_samples * SAMPLE_BYTES):
                if self._begins_to_wait():
                    _log.error("history_disk_full", error=why, hint=FULL_HINT)
                return False
            self.flush()
        except OSError as error:
            if self._begins_to_wait():
                _log.error("history_not_written", error=str(error), hint=FULL_HINT)
            self._look_again()
            return False
        if self._waits:
            _log.info("history_disk_has_room_again")
        self._waits = False
        return True

    def _begins_to_wait(self) -> bool:
        """Whether to say so: once for each time."""
        self.flush_failures += 1
        waited, self._waits = self._waits, True
        return not waited

    def _look_again(self) -> None:
        """After a disk failed: did it take the manifest? The names of files are not used again."""
        self._spent += 1
        try:
            found = manifests.load(self._files, self._directory)
        except (OSError, HistoryDamagedError):
            return  # whoever asks cannot read it either; the next flush replaces it
        if found.serial != self._loaded.serial:
            is_flushed = found.manifest.reading != self.manifest.reading
            self._loaded = found
            if is_flushed:
                self._note_written()

    def flush(self) -> None:
        """Write what was read, and the manifest that counts it. Raises `OSError`."""
        known, reading = self.manifest, self._opened()
        number = known.next_number + self._spent
        rows = list(known.files)
        if self._waiting_samples:
            rows.append(self._write(joined(self._waiting), number))
        manifests.store_reading(self._files, self._directory, number, reading.save())
        self._commit(
            Manifest(
                files=rows,
                cursor=reading.cursor,
                reading=number,
                next_order=reading.order,
                next_number=number + 1,
                retired=known.retired,
            )
        )
        if known.reading:  # a question that wants it finds the newer manifest instead
            self._files.unlink(reading_path(self._directory, known.reading))
        self._note_written()

    def _note_written(self) -> None:
        self._waiting, self._waiting_samples = [], 0
        self._flushed_s = self._clock.monotonic_s()
        self.flushes += 1

    def try_maintain(self) -> None:
        """Merge and drop what is due, make a few missing runs. What fails is tried again later.

        On a disk without room, only what is too old is dropped.
        """
        try:
            while not self._stopping.is_set() and self.maintain():
                pass
            for _ in range(RUNS_AT_ONCE):
                if self._stopping.is_set() or self._room.missing() or not self.make_runs():
                    break
        except HistoryDamagedError as error:
            self.merge_failures += 1
            hint = "restore the file from a backup, or remove it from the folder: see 0032"
            _log.error("history_not_merged", error=str(error), hint=hint)
        except OSError as error:
            self.merge_failures += 1
            _log.error("history_not_merged", error=str(error), hint="free space, or mend the disk")
            self._look_again()

    def maintain(self) -> bool:
        """One merge, or dropping what is due; whether there was anything to do.

        Raises:
            OSError, HistoryDamagedError: nothing has changed.
        """
        known, limits, now_us = self.manifest, self._config.history, self._clock.now_us()
        gone = expired(known.files, now_us, limits)
        number = known.next_number + self._spent
        made: list[FileRow] = []
        todo = None if gone else next_merge(known.files, now_us, limits)
        if todo is not None and not self._room.missing(sum(row.bytes for row in todo.rows)):
            made = merge(
                self._directory,
                self._files,
                self._open_file,
                todo,
                number,
                limits.window_s,
                self._moving_mps,
            )
            gone = {row.number for row in todo.rows}
            self.merges += 1
        until_us = now_us - limits.retired_s * 1_000_000
        spent = [each for each, since_us in known.retired if since_us <= until_us]
        if not gone and not spent:
            return False
        retired = [row for row in known.retired if row[0] not in spent]
        self._commit(
            msgspec.structs.replace(
                known,
                files=[row for row in known.files if row.number not in gone] + made,
                next_number=number + len(made),
                retired=retired + [(each, now_us) for each in sorted(gone)],
            )
        )
        for each in spent:
            path = column_path(self._directory, each)
            for name in (path, index_path(path)):
                self._files.unlink(name)
            with contextlib.suppress(FileNotFoundError):  # it may be older than runs are
                self._files.unlink(runs_path(path))
        return True

    def make_runs(self) -> bool:
        """Make the newest runs that are missing; whether any were.

        The file is older than runs are, or another speed counts as moving now. Raises as
        `maintain`.
        """
        known, moving_mps = self.manifest, self._moving_mps
        without = [row for row in known.files if row.moving_mps != moving_mps]
        if not without:
            return False
        row = max(without, key=lambda row: row.to_us)
        file = ColumnFile(self._files, column_path(self._directory, row.number), self._open_file)
        try:
            size = file.write_runs(moving_mps)
        finally:
            file.close()
        had = row.moving_mps is not None  # then they are counted already, about
        made = msgspec.structs.replace(
            row, bytes=row.bytes if had else row.bytes + size, moving_mps=moving_mps
        )
        rows = [made if each is row else each for each in known.files]
        self._commit(msgspec.structs.replace(known, files=rows))
        return True

    def _write(self, samples: Samples, number: int) -> FileRow:
        pivot = Pivot(samples, self._opened().name_of)
        path = column_path(self._directory, number)
        writer = ColumnWriter(self._files, path, pivot.schema, self._moving_mps)
        try:
            for rows in pivot.chunks(GROUP_ROWS):
                writer.add(rows)
            written = writer.finish()
        except BaseException:
            writer.abandon()
            raise
        return FileRow(number, *written, moving_mps=self._moving_mps)

    def _commit(self, manifest: Manifest) -> None:
        serial = self._loaded.serial + 1 + self._spent  # never one that a failed commit may bear
        self._loaded = manifests.store(self._files, self._directory, manifest, serial)

    def _remove_strangers(self) -> None:
        """Remove what no manifest ever counted: a crash came between a file and its manifest."""
        known = self.manifest
        numbers = {row.number for row in known.files} | {number for number, _ in known.retired}
        for name in self._files.names(self._directory):
            number = manifests.number_of(name)
            is_strange = number is not None and number not in numbers and number != known.reading
            if is_strange or name.endswith(BESIDE):
                self._files.unlink(self._directory / name)

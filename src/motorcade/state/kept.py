"""Kept snapshots: a thinning series of live state's, from which past instants are replayed.

One each `past.keep_s`, of the last `past.keep_fine_s`; of what is older one per `past.coarse_s`,
as long as the log itself keeps records. Beside them an index says of the log between a snapshot
and the one before it how old the oldest event in it is: who wants what happened by some instant,
whenever it arrived, passes over the stretches that hold nothing of it. An index that is damaged
costs that knowledge and nothing else.

A snapshot is a sealed file of its facts, the cursor, and duplicates' memory and state, compressed.
"""

import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import structlog

from motorcade.config import PastConfig
from motorcade.durable import Files
from motorcade.state.sealed import read_sealed, write_sealed

MAGIC: Final = b"MCKEPT\x00\x01"
INDEX_MAGIC: Final = b"MCKIDX\x00\x01"
_SUFFIX: Final = ".kept"
_INDEX: Final = "index"
_LEVEL: Final = 1  # of zlib: a sixth of the bytes; a higher one takes twice the time for a tenth
ANY_TIME: Final = -(1 << 63)  # a stretch of unknown contents may hold events of any instant

logger = structlog.get_logger(__name__)


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What the index knows of one snapshot."""

    number: int
    made_us: int
    received_us_max: int  # of the records in it
    event_us_max: int  # of the samples in it
    event_us_min: int  # of what came between the one before and this one: samples, presence
    nbytes: int  # on disk


class Content(NamedTuple):
    """What a snapshot is made of."""

    cursor: bytes
    dedup: bytes
    state: bytes


class _File(msgspec.Struct, frozen=True, array_like=True):
    facts: Kept
    cursor: bytes
    dedup: bytes
    state: bytes


class KeptSnapshots:
    """The series in one directory. One thread keeps; any may look and load."""

    def __init__(self, directory: Path, files: Files, config: PastConfig, *, age_s: int) -> None:
        """`age_s`: how long the log keeps what is replayed from a snapshot.

        Raises:
            OSError: the directory cannot be read.
        """
        self._directory, self._files, self._config, self._age_s = directory, files, config, age_s
        self._lock = threading.Lock()
        self._entries = self._look()

    def entries(self) -> tuple[Kept, ...]:
        """All, by the newest record in each."""
        with self._lock:
            return self._entries

    def is_due(self, now_us: int) -> bool:
        """Whether the next snapshot is to be kept; also when the clock was set back."""
        made_us = max((entry.made_us for entry in self.entries()), default=0)
        return abs(now_us - made_us) >= self._config.keep_s * 1e6

    def keep(
        self,
        content: Content,
        now_us: int,
        *,
        received_us_max: int,
        event_us_max: int,
        event_us_min: int,
    ) -> None:
        """Add a snapshot durably, and drop those that are not wanted any more.

        Raises:
            OSError: the disk failed or is nearly full; what was kept before is still there.
        """
        self._files.make_directory(self._directory)
        free, _ = self._files.space(self._directory)
        if free < self._config.disk_free_bytes_min:
            raise OSError(
                f"{self._directory}: {free} bytes free, less than past.disk_free_bytes_min"
            )
        entries = self.entries()
        number = max((entry.number for entry in entries), default=0) + 1
        dedup, state = (zlib.compress(part, _LEVEL) for part in (content.dedup, content.state))
        nbytes = len(content.cursor) + len(dedup) + len(state)
        if not entries:
            event_us_min = ANY_TIME  # nobody knows what came before the series
        facts = Kept(number, now_us, received_us_max, event_us_max, event_us_min, nbytes)
        body = msgspec.msgpack.encode(_File(facts, content.cursor, dedup, state))
        write_sealed(self._files, self._path(number), MAGIC, body)
        everything = _in_order([*entries, facts])
        staying = thinned(everything, self._config, now_us, self._age_s)
        self._store(staying)
        for entry in everything:
            if all(entry.number != other.number for other in staying):
                self._files.unlink(self._path(entry.number))

    def load(self, entry: Kept) -> Content | None:
        """What was kept; `None` when it is damaged or was dropped meanwhile."""
        path = self._path(entry.number)
        try:
            body = read_sealed(self._files, path, MAGIC)
            if body is not None:
                file = msgspec.msgpack.decode(body, type=_File)
                dedup, state = zlib.decompress(file.dedup), zlib.decompress(file.state)
                return Content(file.cursor, dedup, state)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, zlib.error) as error:
            logger.warning("kept_snapshot_unreadable", file=str(path), error=str(error))
            return None
        logger.warning("kept_snapshot_damaged", file=str(path))
        return None

    def _store(self, entries: Sequence[Kept]) -> None:
        """The index first, then the files that it does not name go: a crash leaves too many."""
        body = msgspec.msgpack.encode(list(entries))
        write_sealed(self._files, self._directory / _INDEX, INDEX_MAGIC, body)
        with self._lock:
            self._entries = tuple(entries)

    def _look(self) -> tuple[Kept, ...]:
        """What the index says, of the files that are there; what only the files say, without it."""
        names = set(self._files.names(self._directory))
        numbers = {
            int(name.removesuffix(_SUFFIX))
            for name in names
            if name.endswith(_SUFFIX) and name.removesuffix(_SUFFIX).isdecimal()
        }
        told: list[Kept] = []
        try:
            body = read_sealed(self._files, self._directory / _INDEX, INDEX_MAGIC)
            told = msgspec.msgpack.decode(body, type=list[Kept]) if body is not None else []
        except FileNotFoundError:
            pass
        except (OSError, msgspec.MsgspecError) as error:
            logger.warning("kept_index_unreadable", error=str(error))
        if len(told) == 0 and numbers:
            logger.warning("kept_index_missing", directory=str(self._directory))
        known = [entry for entry in told if entry.number in numbers]
        lost = numbers - {entry.number for entry in known}
        if len(known) < len(told):  # a file went: the stretch before the next one is longer
            known = [msgspec.structs.replace(entry, event_us_min=ANY_TIME) for entry in known]
        return _in_order([*known, *filter(None, map(self._facts_of, sorted(lost)))])

    def _facts_of(self, number: int) -> Kept | None:
        """Of a file that no index names: whole, or being dropped when the process ended."""
        try:
            body = read_sealed(self._files, self._path(number), MAGIC)
            file = msgspec.msgpack.decode(body, type=_File) if body is not None else None
        except (OSError, msgspec.MsgspecError):
            file = None
        if file is None or file.facts.number != number:
            return None
        return msgspec.structs.replace(file.facts, event_us_min=ANY_TIME)

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:012d}{_SUFFIX}"


def _in_order(entries: Sequence[Kept]) -> tuple[Kept, ...]:
    return tuple(sorted(entries, key=lambda entry: (entry.received_us_max, entry.number)))


def thinned(
    entries: Sequence[Kept], config: PastConfig, now_us: int, age_s: int
) -> tuple[Kept, ...]:
    """Those that stay, in order: all fine ones, of the older ones the first of each coarse stretch.

    Beyond `past.kept_bytes_max` go first the fine ones between those, oldest first, then the
    oldest. The newest always stays. Who stays takes over what is known of the stretches before it.
    """
    coarse_us = max(1, round(config.coarse_s * 1e6))
    fine_from_us = now_us - round(config.keep_fine_s * 1e6)
    leading: set[int] = set()
    stretches: set[int] = set()
    for entry in entries:
        stretch = entry.received_us_max // coarse_us
        if stretch not in stretches:
            stretches.add(stretch)
            leading.add(entry.number)
    stay = {
        entry.number
        for entry in entries
        if entry.received_us_max >= now_us - age_s * 1_000_000
        and (entry.number in leading or entry.received_us_max >= fine_from_us)
    }
    total = sum(entry.nbytes for entry in entries if entry.number in stay)
    going = [entry for entry in entries if entry.number not in leading]
    going += [entry for entry in entries if entry.number in leading]
    for entry in going:
        if total <= config.kept_bytes_max:
            break
        if entry.number in stay and entry is not entries[-1]:
            stay.remove(entry.number)
            total -= entry.nbytes
    stay.add(entries[-1].number)
    return _merged(entries, stay)


def _merged(entries: Sequence[Kept], stay: set[int]) -> tuple[Kept, ...]:
    left: list[Kept] = []
    event_us_min = (1 << 63) - 1
    for entry in entries:
        event_us_min = min(event_us_min, entry.event_us_min)
        if entry.number in stay:
            left.append(msgspec.structs.replace(entry, event_us_min=event_us_min))
            event_us_min = (1 << 63) - 1
    return tuple(left)

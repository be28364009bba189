"""`Dedup`, the first operator of every reader: senders resend, readers read once (P2).

- (vehicle, stream, sequence), where the sender gives them: every sequence seen of a stream is
  remembered as islands of consecutive numbers, mostly one, in any order of arrival. With more than
  `dedup.gaps_per_stream_max` islands the lowest is forgotten.
- An identity made by hashing (Tesla's records): remembered for `dedup.horizon_s` of received time.
- No identity: always kept, at least once.

Whatever must be forgotten is forgotten such that a record may be read twice, never lost. The state
depends on the records and their order alone, not on where batches are cut: tables make room when a
record needs it, and the snapshot is sorted. Lanes are told apart, because their order to each other
is not promised; so one identity used on both lanes, a sender's mistake, is read on both. The
writer does not count: a resend may well arrive at another gateway.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.config import DedupConfig
from motorcade.events import RecordBatch
from motorcade.log.topics import TOPICS, Lane
from motorcade.streams import kernels
from motorcade.streams.dedup_snapshot import Snapshot, pack, unpack

_ROWS_FIRST: Final = 1_024  # a new table's limit; then doubled up to the configured one
_BLOCKS_FIRST: Final = 64

Table = npt.NDArray[np.uint64]


def _lanes() -> npt.NDArray[np.uint8]:
    """Each topic's lane as a number, indexed by the topic's number."""
    lanes = np.zeros(256, np.uint8)
    for topic, row in TOPICS.items():
        lanes[topic] = list(Lane).index(row.lane)
    return lanes


def _table(rows_max: int, words: int) -> Table:
    """An empty table for so many rows, at most half full."""
    return np.zeros((1 << (2 * rows_max - 1).bit_length(), words), np.uint64)


class Dedup:
    """See the module. One per reader; used by one thread at a time."""

    def __init__(self, config: DedupConfig) -> None:
        self._streams_max = max(1, config.streams_max)
        self._identities_max = max(1, config.identities_max)
        self._horizon_us = config.horizon_s * 1_000_000
        self._idle_us = config.stream_idle_s_max * 1_000_000
        self._islands_max = max(1, config.gaps_per_stream_max)
        self._lanes = _lanes()
        self._sizes = np.zeros(kernels.SIZES, np.int64)
        self._sizes[kernels.STREAMS_MAX] = min(_ROWS_FIRST, self._streams_max)
        self._sizes[kernels.IDENTITIES_MAX] = min(_ROWS_FIRST, self._identities_max)
        self._make_tables()

    def keep(self, batch: RecordBatch, writer: str) -> npt.NDArray[np.bool_]:
        """Which rows have not been seen before. `writer` is not part of an identity."""
        rows = np.ascontiguousarray(batch.rows)
        if not rows.flags.writeable:  # a kernel is compiled again for read-only arrays
            rows = rows.copy()
        keep = np.zeros(len(rows), np.bool_)
        done, missing = 0, kernels.DONE
        while True:
            done, missing = kernels.keep_rows(
                rows,
                done,
                keep,
                self._lanes,
                self._streams,
                self._blocks,
                self._free_blocks,
                self._identities,
                self._sizes,
                self._horizon_us,
            )
            if missing == kernels.DONE:
                return keep
            self._make_room(missing, int(rows["received_time_us"][done]))

    @property
    def allocated_bytes(self) -> int:
        """The memory that the tables take."""
        tables = (self._streams, self._blocks, self._free_blocks, self._identities)
        return sum(table.nbytes for table in tables)

    def snapshot(self) -> bytes:
        """The whole state, the same bytes for the same records however they were cut."""
        limits = (self._sizes[kernels.STREAMS_MAX], self._sizes[kernels.IDENTITIES_MAX])
        streams = self._streams[self._streams[:, 0] != 0]
        identities = self._identities[self._identities[:, 0] != 0]
        return pack(Snapshot(streams, self._blocks, identities, *map(int, limits)))

    def restore(self, snapshot: bytes) -> None:
        """Take over the state that `snapshot` gave, in this or an earlier process.

        Raises:
            DedupSnapshotError: these bytes were not made by `snapshot`, or are damaged.
        """
        given = unpack(snapshot, self._islands_max)
        sizes = self._sizes
        sizes[kernels.STREAMS] = len(given.streams)
        sizes[kernels.STREAMS_MAX] = max(
            len(given.streams), min(given.streams_max, self._streams_max)
        )
        sizes[kernels.IDENTITIES] = len(given.identities)
        sizes[kernels.IDENTITIES_MAX] = max(
            len(given.identities), min(given.identities_max, self._identities_max)
        )
        self._make_tables()
        self._blocks, sizes[kernels.FREE_BLOCKS] = given.blocks, 0
        self._free_blocks = np.zeros(len(given.blocks), np.int64)
        everything = np.ones(max(len(given.streams), len(given.identities)), np.bool_)
        kernels.rebuild(given.streams, everything, self._streams)
        kernels.rebuild(given.identities, everything, self._identities)

    def _make_tables(self) -> None:
        streams_max, identities_max = self._sizes[[kernels.STREAMS_MAX, kernels.IDENTITIES_MAX]]
        self._streams = _table(int(streams_max), kernels.STREAM_WORDS)
        self._identities = _table(int(identities_max), kernels.IDENTITY_WORDS)
        self._blocks = np.zeros((_BLOCKS_FIRST, self._islands_max, 2), np.uint64)
        self._free_blocks = np.arange(_BLOCKS_FIRST, dtype=np.int64)
        self._sizes[kernels.FREE_BLOCKS] = _BLOCKS_FIRST

    def _make_room(self, missing: int, now_us: int) -> None:
        """Forget what is too old, then grow, then forget the oldest."""
        if missing == kernels.NEED_BLOCKS:
            self._grow_blocks()
        elif missing == kernels.NEED_IDENTITIES:
            table = self._identities
            stays, limit = self._choose(
                table, kernels.TIME, now_us - self._horizon_us, self._identities_max
            )
            self._identities = _table(limit, kernels.IDENTITY_WORDS)
            self._sizes[[kernels.IDENTITIES, kernels.IDENTITIES_MAX]] = stays.sum(), limit
            kernels.rebuild(table, stays, self._identities)
        else:
            table = self._streams
            stays, limit = self._choose(
                table, kernels.SEEN, now_us - self._idle_us, self._streams_max
            )
            self._release_blocks(table[~stays, kernels.ISLANDS])
            self._streams = _table(limit, kernels.STREAM_WORDS)
            self._sizes[[kernels.STREAMS, kernels.STREAMS_MAX]] = stays.sum(), limit
            kernels.rebuild(table, stays, self._streams)

    def _choose(
        self, table: Table, time_word: int, oldest_us: int, rows_max: int
    ) -> tuple[npt.NDArray[np.bool_], int]:
        """Which slots of a full table stay, and the next table's limit: a quarter is free then."""
        times = table[:, time_word].view(np.int64)
        occupied = table[:, 0] != 0
        limit = int(occupied.sum())
        stays = occupied & (times > oldest_us)
        if 4 * stays.sum() > 3 * limit:
            limit = min(2 * limit, rows_max)
        surplus = int(stays.sum()) - 3 * limit // 4
        if surplus > 0:
            slots = np.flatnonzero(stays)
            keys = [table[slots, word] for word in (3, 2, 1, 0)]
            stays[slots[np.lexsort((*keys, times[slots]))[:surplus]]] = False
        return stays, limit

    def _grow_blocks(self) -> None:
        """Called with no block free."""
        used = len(self._blocks)
        more = np.zeros((max(1, used), self._islands_max, 2), np.uint64)
        self._blocks = np.concatenate([self._blocks, more])
        self._free_blocks = np.zeros(len(self._blocks), np.int64)
        self._push_free(np.arange(used, len(self._blocks)))

    def _release_blocks(self, islands: Table) -> None:
        self._push_free((islands[islands != 0] >> kernels.BLOCK_SHIFT).astype(np.int64) - 1)

    def _push_free(self, blocks: npt.NDArray[np.int64]) -> None:
        free = int(self._sizes[kernels.FREE_BLOCKS])
        self._free_blocks[free : free + len(blocks)] = blocks
        self._sizes[kernels.FREE_BLOCKS] = free + len(blocks)

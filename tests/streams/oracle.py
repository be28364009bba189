"""What `Dedup` promises, said with sets and lists: slow, plain, and independent of its kernels."""

from dataclasses import dataclass, field

from motorcade.config import DedupConfig
from motorcade.events import Flags, Record
from motorcade.log.topics import TOPICS

FIRST = 1_024  # rows of a new table
Key = tuple[int, ...] | tuple[object, ...]


@dataclass
class Forgetful:
    """A table that makes room by a rule when it is full: age, then growth, then the oldest."""

    rows_max: int
    age_us_max: int
    times: dict[Key, int] = field(default_factory=dict)
    limit: int = 0

    def __post_init__(self) -> None:
        self.limit = min(FIRST, self.rows_max)

    def make_room(self, now_us: int) -> None:
        if len(self.times) < self.limit:
            return
        stays = {key for key, time in self.times.items() if time > now_us - self.age_us_max}
        if 4 * len(stays) > 3 * self.limit:
            self.limit = min(2 * self.limit, self.rows_max)
        by_age = sorted(stays, key=lambda key: (self.times[key], key))
        surplus = max(0, len(stays) - 3 * self.limit // 4)
        self.times = {key: self.times[key] for key in by_age[surplus:]}


class Oracle:
    """Remembers each sequence as a member of a set."""

    def __init__(self, config: DedupConfig) -> None:
        self.config = config
        self.streams = Forgetful(config.streams_max, config.stream_idle_s_max * 1_000_000)
        self.identities = Forgetful(config.identities_max, config.horizon_s * 1_000_000)
        self.seen: dict[Key, set[int]] = {}

    def keep(self, record: Record) -> bool:
        lane = TOPICS[record.topic].lane.value
        who = (lane != "bulk", record.vehicle)
        if record.flags & Flags.IDENTITY_SEQUENCE:
            return self.keep_sequence((*who, record.identity[0]), record)
        if record.flags & Flags.IDENTITY_HASH:
            return self.keep_hash((*who, *record.identity), record.received_time_us)
        return True

    def keep_sequence(self, key: Key, record: Record) -> bool:
        number = record.identity[1]
        times = self.streams.times
        if key not in times:
            self.streams.make_room(record.received_time_us)
            times = self.streams.times
            self.seen = {each: self.seen[each] for each in times}
            self.seen[key] = set()
        times[key] = max(times.get(key, record.received_time_us), record.received_time_us)
        if number in self.seen[key]:
            return False
        self.seen[key].add(number)
        while len(lowest := self.lowest_islands(self.seen[key])) > max(
            1, self.config.gaps_per_stream_max
        ):
            self.seen[key] -= lowest[0]
        return True

    @staticmethod
    def lowest_islands(numbers: set[int]) -> list[set[int]]:
        islands: list[set[int]] = []
        for number in sorted(numbers):
            if islands and number - 1 in islands[-1]:
                islands[-1].add(number)
            else:
                islands.append({number})
        return islands

    def keep_hash(self, key: Key, now_us: int) -> bool:
        times = self.identities.times
        if key in times and times[key] > now_us - self.config.horizon_s * 1_000_000:
            return False
        if key not in times:
            self.identities.make_room(now_us)
        self.identities.times[key] = now_us
        return True

"""The backlog: in order, bounded, and true to itself through a power cut at every single write."""

import struct
import zlib
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.events import Encoding, Topic
from motorcade.vehicle.buffer import Buffer, _frame
from motorcade.vehicle.disk import Disk, MemoryDisk
from motorcade.vehicle.errors import RecordTooLargeError
from tests.vehicle.faulty_disk import FaultyDisk, PowerCutError

BYTES_MAX = 800  # segments of 100 bytes: three records each


def open_buffer(disk: Disk, bytes_max: int = BYTES_MAX) -> Buffer:
    return Buffer(disk, bytes_max=bytes_max, entropy=lambda size: b"\x07" * size)


def store(buffer: Buffer, payload: bytes) -> int:
    sequence = buffer.append(Topic.TELEMETRY, Encoding.JSON_SIGNALS, payload)
    buffer.sync()
    return sequence


def backlog(buffer: Buffer) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while (stored := buffer.read(at)) is not None:
        found.append((stored.sequence, stored.payload))
        at = stored.sequence + 1
    return found


def test_records_come_back_in_order_and_whole() -> None:
    buffer = open_buffer(MemoryDisk())
    for number in range(5):
        assert store(buffer, b"record %d" % number) == number + 1
    assert backlog(buffer) == [(number + 1, b"record %d" % number) for number in range(5)]
    first = buffer.read(1)
    assert first is not None
    assert (first.topic, first.encoding) == (Topic.TELEMETRY, Encoding.JSON_SIGNALS)


def test_what_was_not_synced_may_not_be_sent() -> None:
    buffer = open_buffer(MemoryDisk())
    buffer.append(Topic.TELEMETRY, Encoding.OPAQUE, b"x")
    assert buffer.read(1) is None
    buffer.sync()
    assert buffer.read(1) is not None


def test_the_backlog_and_its_stream_outlive_the_program() -> None:
    disk = MemoryDisk()
    buffer = open_buffer(disk)
    for number in range(7):
        store(buffer, b"%d" % number)
    buffer.acknowledge(3)
    again = Buffer(disk, bytes_max=BYTES_MAX, entropy=lambda size: b"\xff" * size)
    assert again.stream == buffer.stream
    assert [sequence for sequence, _ in backlog(again)] == [4, 5, 6, 7]
    assert store(again, b"next") == 8


def test_the_oldest_go_first_when_full_and_are_counted() -> None:
    buffer = open_buffer(MemoryDisk())
    for number in range(100):
        store(buffer, b"payload %03d" % number)
    kept = backlog(buffer)
    assert [sequence for sequence, _ in kept] == list(range(kept[0][0], 101))
    assert buffer.dropped == kept[0][0] - 1 > 0
    assert buffer.backlog_bytes <= BYTES_MAX
    assert buffer.backlog_records == len(kept)


def test_acknowledged_records_do_not_count_as_dropped() -> None:
    buffer = open_buffer(MemoryDisk())
    for number in range(100):
        buffer.acknowledge(store(buffer, b"payload %03d" % number))
    assert buffer.dropped == 0
    assert buffer.backlog_bytes == 0
    assert buffer.backlog_records == 0


def test_disk_use_stays_bounded_whatever_is_acknowledged() -> None:
    disk = MemoryDisk()
    buffer = open_buffer(disk)
    for number in range(2_000):
        sequence = store(buffer, b"payload %04d" % number)
        if number % 3 == 0:
            buffer.acknowledge(sequence)
    used = sum(disk.size(name) for name in disk.names())
    assert used < BYTES_MAX + 20 * 256 + 100


def test_a_record_too_large_for_the_buffer_is_refused_and_says_so() -> None:
    with pytest.raises(RecordTooLargeError, match="in parts"):
        store(open_buffer(MemoryDisk()), b"x" * 101)


def test_a_damaged_record_is_skipped_not_sent() -> None:
    disk = MemoryDisk()
    buffer = open_buffer(disk)
    for number in range(3):
        store(buffer, b"record %d" % number)
    disk.files["00000000000000000001.records"][-40] ^= 1
    assert [sequence for sequence, _ in backlog(buffer)] == [1, 3]


def test_a_full_disk_still_forgets_what_was_acknowledged() -> None:
    class FullDisk(MemoryDisk):
        full = False

        def append(self, name: str, data: bytes) -> None:
            if self.full:
                super().append(name, data[: len(data) // 2])
                raise OSError(28, "No space left on device")
            super().append(name, data)

    disk = FullDisk()
    buffer = open_buffer(disk)
    for number in range(12):
        store(buffer, b"record %02d" % number)
    before = len(disk.names())
    disk.full = True
    with pytest.raises(OSError, match="No space"):
        store(buffer, b"no room")
    buffer.acknowledge(8)
    buffer.acknowledge(9)
    assert len(disk.names()) < before
    disk.full = False
    assert store(buffer, b"room again") == 13
    again = open_buffer(disk)
    assert [sequence for sequence, _ in backlog(again)] == [10, 11, 12, 13]
    buffer.acknowledge(11)
    assert open_buffer(disk).acked == 11


@dataclass
class Story:
    """What happened to one buffer until the power failed."""

    synced: dict[int, bytes] = field(default_factory=dict)
    sent: dict[int, bytes] = field(default_factory=dict)
    acked: int = 0
    dropped_below: int = 0

    def live(self, buffer: Buffer, steps: list[str]) -> None:
        for number, step in enumerate(steps):
            if step == "store":
                payload = b"%s step %d" % (step.encode(), number)
                sequence = buffer.append(Topic.TELEMETRY, Encoding.OPAQUE, payload)
                buffer.sync()
                self.synced[sequence] = payload
            elif step == "unsynced":
                buffer.append(Topic.TELEMETRY, Encoding.OPAQUE, b"unsynced %d" % number)
            elif step == "send":
                for sequence, payload in backlog(buffer):
                    assert self.sent.setdefault(sequence, payload) == payload
            elif self.sent:
                self.acked = max(self.acked, *self.sent)
                buffer.acknowledge(self.acked)


def cut_everywhere(steps: list[str], seed: int, bytes_max: int) -> None:
    whole = FaultyDisk()
    Story().live(open_buffer(whole, bytes_max), steps)
    for cut_at in range(1, whole.changes + 1):
        disk, story = FaultyDisk(cut_at=cut_at), Story()
        with pytest.raises(PowerCutError):
            story.live(open_buffer(disk, bytes_max), steps)
        found = disk.after_cut(seed + cut_at)
        found_disk = FaultyDisk(found)
        again = open_buffer(found_disk, bytes_max)
        left = dict(backlog(again))
        due = {s: p for s, p in story.synced.items() if s > max(story.acked, again.acked)}
        if again.dropped == 0 and bytes_max > 5_000:
            assert due.items() <= left.items(), f"lost at write {cut_at}"
        for sequence, payload in left.items():
            told = story.sent.get(sequence)
            assert told in (None, payload), f"sequence {sequence} means two things"
        assert list(left) == sorted(left)
        after = store(again, b"afterwards")
        assert after > max(story.sent, default=0)
        third = open_buffer(found_disk, bytes_max)
        assert (after, b"afterwards") in backlog(third), f"torn tail left at write {cut_at}"


steps = st.lists(st.sampled_from(["store", "store", "unsynced", "send", "ack"]), max_size=14)


@given(steps, st.integers(0, 1_000))
def test_nothing_synced_is_lost_by_a_power_cut_at_any_write(cut: list[str], seed: int) -> None:
    cut_everywhere(cut, seed, bytes_max=100_000)


@given(steps, st.integers(0, 1_000))
def test_a_sequence_never_means_two_records_even_when_segments_come_and_go(
    cut: list[str], seed: int
) -> None:
    cut_everywhere(cut, seed, bytes_max=480)


def test_many_segments_through_cuts() -> None:
    rounds = ["store"] * 5 + ["send", "ack", "store", "store", "send"]
    cut_everywhere(rounds * 3, 11, bytes_max=480)


def damaged(disk: MemoryDisk, record: bytes) -> None:
    """Flip a bit of a stored payload."""
    name = next(name for name in disk.names() if record in disk.read(name))
    disk.files[name][disk.read(name).index(record)] ^= 1


def test_a_damaged_record_is_a_hole_and_is_told() -> None:
    disk = MemoryDisk()
    buffer = open_buffer(disk, 1 << 20)
    for number in range(5):
        store(buffer, b"record %d" % number)
    damaged(disk, b"record 1")
    again = open_buffer(disk, 1 << 20)
    assert [sequence for sequence, _ in backlog(again)] == [1, 3, 4, 5]
    assert len(again.damage) == 1
    assert "records 2 to 2 are damaged" in again.damage[0]
    assert store(again, b"next") == 6


def test_the_sequence_of_a_damaged_last_record_is_not_given_again() -> None:
    disk = MemoryDisk()
    buffer = open_buffer(disk, 1 << 20)
    for number in range(5):
        store(buffer, b"record %d" % number)
    damaged(disk, b"record 4")
    again = open_buffer(disk, 1 << 20)
    assert again.torn_bytes > 0
    assert store(again, b"next") > 5
    assert [sequence for sequence, _ in backlog(open_buffer(disk, 1 << 20))][:4] == [1, 2, 3, 4]


def test_what_the_cloud_acknowledged_is_not_given_to_another_record() -> None:
    disk = MemoryDisk()
    buffer = open_buffer(disk, 1 << 20)
    for number in range(5):
        store(buffer, b"record %d" % number)
    buffer.acknowledge(5)
    del disk.files[next(name for name in disk.names() if name.endswith(".records"))][40:]
    assert store(open_buffer(disk, 1 << 20), b"next") > 5


def test_a_damaged_stream_name_starts_another_stream_and_is_told() -> None:
    disk = MemoryDisk()
    store(open_buffer(disk), b"x")
    disk.files["stream"][3] ^= 1
    again = open_buffer(disk)
    assert "stream is damaged" in again.damage[0].replace(" (in memory)", "")
    assert open_buffer(disk).stream == again.stream


def test_a_record_of_another_version_is_a_hole_and_is_told() -> None:
    disk = MemoryDisk()
    buffer = open_buffer(disk)
    first = store(buffer, b"one")
    name = f"{first:020d}.records"
    later = Topic.TELEMETRY + 200
    disk.append(name, _frame(2, later, Encoding.OPAQUE, b"two"))  # type: ignore[arg-type]
    disk.append(name, _frame(3, Topic.MEDIA, Encoding.OPAQUE, b"three"))
    again = open_buffer(disk)
    assert backlog(again) == [(1, b"one"), (3, b"three")]
    assert "records 2 to 2" in again.damage[0]


@pytest.mark.parametrize(("acked", "dropped"), [(2**63 - 2, 0), (0, 2**64 - 1)])
def test_a_mark_beyond_every_sequence_is_none(acked: int, dropped: int) -> None:
    disk = MemoryDisk()
    store(open_buffer(disk), b"one")
    rest = struct.pack("<QQ", acked, dropped)
    disk.replace("mark", zlib.crc32(rest).to_bytes(4, "little") + rest)
    again = open_buffer(disk)
    assert again.dropped == 0
    assert store(again, b"two") == 2
    assert backlog(again) == [(1, b"one"), (2, b"two")]

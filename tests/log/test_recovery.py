"""Opening after a crash, and after damage: what is cut, what is kept, what is told."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from motorcade.config import LogConfig
from motorcade.log.errors import LogCorruptError, LogError
from motorcade.log.files import OsFiles
from motorcade.log.segment import segment_path
from tests.faulty_files import FaultyFiles
from tests.log.lanes import LaneOnDisk, batch, group, numbers, read_on

DIRECTORY = Path("/disk/test-bulk")
ROOMY = LogConfig(partitions=4, segment_allocate_bytes=4_096)
FIRST = segment_path(DIRECTORY, 1)


@pytest.fixture
def files() -> FaultyFiles:
    return FaultyFiles()


@pytest.fixture
def lane(files: FaultyFiles) -> LaneOnDisk:
    return LaneOnDisk(files, DIRECTORY, ROOMY)


def fill(lane: LaneOnDisk, frames: int, size: int = 5) -> list[int]:
    """Append frames; returns where each one starts, and the end. The writer is left open."""
    appender = lane.open()
    ends = []
    for index in range(frames):
        appender.commit(group(batch(index * size, size)))
        ends.append(lane.tail_end())
    return ends


def test_after_a_clean_stop_nothing_is_recovered(lane: LaneOnDisk) -> None:
    appender = lane.open()
    appender.commit(group(batch(0, 5), b"input 1"))
    appender.commit(group(batch(5, 5)))
    lane.close(appender)
    again = lane.open()
    assert again.recovered is None
    assert again.input_cursor == b"input 1"
    again.commit(group(batch(10, 5)))
    found = read_on(lane.tail())
    assert numbers(found) == list(range(15))
    assert [one.position for one in found if (one.topic, one.partition) == (1, 0)] == [0, 1, 2]


def test_a_torn_tail_is_cut_and_reported(lane: LaneOnDisk, files: FaultyFiles) -> None:
    *_, last = fill(lane, 3)
    files.damage(FIRST, last, b"torn frame")
    files.kill()
    with capture_logs() as logs:
        appender = lane.open()
    assert appender.recovered is not None
    assert appender.recovered.bytes_cut == len(b"torn frame")
    assert appender.recovered.damage == ()
    assert [log["event"] for log in logs] == ["log_torn_tail_cut"]
    appender.commit(group(batch(15, 1)))
    assert numbers(read_on(lane.tail())) == list(range(16))


@pytest.mark.parametrize("watermark_survives", [True, False])
def test_damage_in_the_middle_is_kept_told_and_can_be_skipped(
    lane: LaneOnDisk, files: FaultyFiles, watermark_survives: bool
) -> None:
    first, second, _ = fill(lane, 3)
    files.kill() if watermark_survives else files.power_loss()
    files.damage(FIRST, first + 100, b"\xff\xff\xff")
    with capture_logs() as logs:
        appender = lane.open()
    assert appender.recovered is not None
    assert appender.recovered.damage == ((first, second),)
    assert 0 < appender.recovered.records_lost <= 5  # what later positions tell
    assert logs[0]["event"] == "log_segment_damaged"
    appender.commit(group(batch(15, 5)))

    tail = lane.tail()
    assert numbers(list(tail.read().batch)) == list(range(5))
    for _ in range(2):  # It stays until somebody decides.
        with pytest.raises(LogCorruptError, match=rf"offset {first}"):
            tail.read()
    tail.skip_damage()
    assert numbers(read_on(tail)) == list(range(10, 20))


def test_a_damaged_last_frame_that_was_durable_is_no_torn_tail(
    lane: LaneOnDisk, files: FaultyFiles
) -> None:
    _, second, last = fill(lane, 3)
    files.kill()
    files.damage(FIRST, last - 20, b"\xff")
    appender = lane.open()
    assert appender.recovered is not None
    assert appender.recovered.damage == ((second, last),)
    appender.commit(group(batch(15, 5)))
    tail = lane.tail()
    assert numbers(list(tail.read().batch)) == list(range(10))
    with pytest.raises(LogCorruptError):
        tail.read()
    tail.skip_damage()
    assert numbers(read_on(tail)) == list(range(15, 20))


def test_a_damaged_foot_is_made_anew_from_the_frames(lane: LaneOnDisk, files: FaultyFiles) -> None:
    appender = lane.open()
    appender.commit(group(batch(0, 5)))
    end = lane.tail_end()
    lane.close(appender)
    for offset in (end + 30, len(files.content(FIRST)) - 3):
        files.damage(FIRST, offset, b"\xff\xfe")
        again = lane.open()
        again.commit(group(batch(5, 1)))
        lane.close(again)
        files.unlink(segment_path(DIRECTORY, 2))
    assert numbers(read_on(lane.tail())) == list(range(5))


def test_a_segment_whose_creation_was_torn_is_started_anew(
    lane: LaneOnDisk, files: FaultyFiles
) -> None:
    appender = lane.open()
    appender.commit(group(batch(0, 5)))
    appender.rotate()
    fd = files.open(segment_path(DIRECTORY, 2), create=True)
    files.write(fd, [b"half a head"], 0)
    files.kill()
    again = lane.open()
    again.commit(group(batch(5, 5)))
    assert numbers(read_on(lane.tail())) == list(range(10))


@pytest.mark.parametrize("watermark_survives", [True, False])
def test_a_damaged_head_is_told_and_its_frames_stay(
    lane: LaneOnDisk, files: FaultyFiles, watermark_survives: bool
) -> None:
    fill(lane, 2)
    files.kill() if watermark_survives else files.power_loss()
    files.damage(FIRST, 30, b"\xff\xff")
    with capture_logs() as logs:
        appender = lane.open()
    assert (logs[0]["event"], logs[0]["path"]) == ("log_segment_head_damaged", str(FIRST))
    appender.commit(group(batch(10, 5)))
    tail = lane.tail()
    with pytest.raises(LogCorruptError, match="head"):
        tail.read()
    tail.skip_damage()
    found = read_on(tail)
    assert numbers(found) == list(range(15))
    assert [one.position for one in found if (one.topic, one.partition) == (1, 0)] == [0, 1, 2]


def test_a_damaged_head_that_no_other_file_tells_stops_the_opening(
    lane: LaneOnDisk, files: FaultyFiles
) -> None:
    fill(lane, 2)
    files.kill()
    appender = lane.open()
    appender.commit(group(batch(10, 5)))
    files.kill()
    second = segment_path(DIRECTORY, 2)
    files.damage(second, 30, b"\xff\xff")
    files.unlink(FIRST)
    with pytest.raises(LogCorruptError, match="head"):
        lane.open()


def test_another_number_of_partitions_is_refused(lane: LaneOnDisk) -> None:
    appender = lane.open()
    appender.commit(group(batch(0, 5)))
    lane.close(appender)
    lane.config = LogConfig(partitions=8)
    with pytest.raises(LogError, match=r"log\.partitions=4"):
        lane.open()


def test_a_reader_reads_the_last_words_of_a_dead_writer(
    lane: LaneOnDisk, files: FaultyFiles
) -> None:
    fill(lane, 3)
    files.power_loss()  # The watermark may be gone with it; the frames are not.
    assert numbers(read_on(lane.tail())) == list(range(15))
    assert read_on(lane.tail()) == read_on(lane.tail())
    appender = lane.open()
    assert appender.recovered is None
    appender.commit(group(batch(15, 1)))
    assert numbers(read_on(lane.tail())) == list(range(16))


def test_twenty_thousand_frames_are_recovered(tmp_path: Path) -> None:
    lane = LaneOnDisk(_NoSync(), tmp_path / "test-bulk", LogConfig(partitions=4))
    lane.directory.mkdir()
    appender = lane.open()
    one = batch(0, 1)
    for _ in range(20_000):
        appender.commit(group(one))
    lane.lock.close()  # As a kill leaves it: no foot.
    again = lane.open()
    assert again.recovered is None
    found = read_on(lane.tail())
    assert [each.position for each in found] == list(range(20_000))


class _NoSync(OsFiles):
    """A disk that is fast because nothing is at stake."""

    def write_synced(self, fd: int, parts: object, offset: int) -> None:
        self.write(fd, parts, offset)  # type: ignore[arg-type]

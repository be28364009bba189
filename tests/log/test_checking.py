"""A segment's bytes judged without a disk: what they hold, and blocks that are none of ours."""

from pathlib import Path
from struct import Struct

import msgspec
import numpy as np
import pytest
import xxhash

from motorcade.events import RECORD_DTYPE, Bytes
from motorcade.log.checking import _Memory, check_segment
from motorcade.log.files import OsFiles
from motorcade.log.frame import MAGIC_BYTES, pack_frame, scan_frames
from motorcade.log.segment import pack_head, read_head, segment_path
from tests.log.lanes import LaneOnDisk, batch, group

_BLOCK = Struct("<IIQQ")


def segment(directory: Path) -> bytes:
    lane = LaneOnDisk(OsFiles(), directory)
    appender = lane.open()
    appender.commit(group(batch(0, 9)))
    lane.close(appender)
    return segment_path(directory, 1).read_bytes()


def array(data: bytes | bytearray) -> Bytes:
    return np.frombuffer(bytearray(data) + bytearray(8), np.uint8)[: len(data)]


def test_a_sound_segment_has_no_problems(tmp_path: Path) -> None:
    checked = check_segment(array(segment(tmp_path)), 1, None)
    assert (checked.records, checked.problems) == (9, [])
    assert "its head says that it is segment 1" in (
        check_segment(array(segment(tmp_path / "other")), 2, None).problems
    )


def test_a_flipped_byte_in_the_frames_is_a_problem(tmp_path: Path) -> None:
    data = bytearray(segment(tmp_path))
    for offset in range(300, len(data) - 400, 97):
        data[offset] ^= 1
        assert check_segment(array(bytes(data)), 1, None).problems, offset
        data[offset] ^= 1


def test_positions_for_more_partitions_than_the_head_has_are_a_problem(tmp_path: Path) -> None:
    data = array(segment(tmp_path))
    found = read_head(_Memory(data), 0)
    assert found is not None
    strange = msgspec.structs.replace(found[0], partitions=2, positions=[(0, 2, 1)])
    checked = check_segment(array(pack_head(strange) + bytes(64)), 1, None)
    assert ["partitions" in problem for problem in checked.problems] == [True]


def test_a_head_with_a_right_checksum_and_a_strange_body_cannot_be_read(tmp_path: Path) -> None:
    """Another version's, say: it must not end whoever reads it."""
    magic, version, _, _ = _BLOCK.unpack_from(segment(tmp_path))
    for body in (b"\xc1", b"\x81\xa1\xff\x01", msgspec.msgpack.encode({"number": "one"})):
        head = _BLOCK.pack(magic, version, xxhash.xxh3_64_intdigest(body), len(body))
        checked = check_segment(array(head + body + bytes(64)), 1, None)
        assert checked.problems == ["the head cannot be read"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("topic", 64),
        ("topic", 70),
        ("partition", 4),
        ("position", -1),
        ("position", (1 << 63) - 1),
        ("start", (1 << 32) - 1),
        ("payload_bytes", (1 << 32) - 1),
        ("stream_bytes", (1 << 16) - 1),
    ],
)
def test_a_frame_with_a_right_checksum_and_impossible_rows_is_damage(
    field: str, value: int, tmp_path: Path
) -> None:
    lane = LaneOnDisk(OsFiles(), tmp_path)
    appender = lane.open()
    for start in (0, 3, 6):
        appender.commit(group(batch(start, 3)))
    lane.close(appender)
    data = bytearray(segment_path(tmp_path, 1).read_bytes())
    at = data.find(MAGIC_BYTES, data.find(MAGIC_BYTES) + 8)
    frame = scan_frames(array(data[at:]), 1, at).frames[0]
    rows_start, end = at + frame.rows_start, at + frame.total_bytes
    rows = np.frombuffer(memoryview(data)[rows_start:end], RECORD_DTYPE, frame.records)
    rows[field][1] = value
    data[at + 8 : at + 16] = xxhash.xxh3_64_digest(data[at + 16 : end])[::-1]
    checked = check_segment(array(data), 1, None)
    assert checked.records == 6
    assert checked.problems == [f"damaged from byte {at} to {end}"]


def test_a_frame_without_records_is_damage(tmp_path: Path) -> None:
    data = array(segment(tmp_path))
    found = read_head(_Memory(data), 0)
    assert found is not None
    head = pack_head(found[0])
    parts, size = pack_frame(
        [], segment=1, offset=len(head), records=0, buffer_bytes=0, topics=0, time_us=(0, 0)
    )
    checked = check_segment(array(head + b"".join(parts)), 1, None)
    assert checked.problems == [f"damaged from byte {len(head)} to {len(head) + size}"]

"""Frames: what was packed is read, and nothing else is taken for a frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.events import Bytes, RecordBatch
from motorcade.log.frame import HEADER_BYTES, find_frame, pack_frame, scan_frames
from motorcade.log.gather import gather
from tests.log.lanes import batch

SEGMENT = 7
OFFSET = 512
ALL_TOPICS = (1 << 64) - 1


def pack(records: RecordBatch, offset: int, input_cursor: bytes = b"") -> bytes:
    parts, size = pack_frame(
        [records.rows.view(np.uint8).data, records.buffer.data],
        segment=SEGMENT,
        offset=offset,
        records=len(records),
        buffer_bytes=len(records.buffer),
        topics=0b10,
        time_us=(3, 9),
        input_cursor=input_cursor,
    )
    data = b"".join(bytes(part) for part in parts)
    assert len(data) == size
    return data


def aligned(data: bytes) -> Bytes:
    words = np.zeros((len(data) + 7) // 8, np.uint64)
    words.view(np.uint8)[: len(data)] = np.frombuffer(data, np.uint8)
    return words.view(np.uint8)[: len(data)]


FRAME = pack(batch(0, 3), OFFSET, b"cursor")


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=5),
    cursors=st.lists(st.binary(max_size=20), min_size=5, max_size=5),
)
def test_frames_back_to_back_give_all_records(sizes: list[int], cursors: list[bytes]) -> None:
    data, sent = b"", []
    for size, cursor in zip(sizes, cursors, strict=False):
        records = batch(len(sent), size)
        sent.extend(records)
        data += pack(records, OFFSET + len(data), cursor)
    memory = aligned(data)
    scan = scan_frames(memory, SEGMENT, OFFSET)
    assert (scan.used, scan.missing, scan.damage) == (len(data), 0, "")
    assert list(gather(memory, scan.frames, ALL_TOPICS).batch) == sent
    for frame, cursor in zip(scan.frames, cursors, strict=False):
        at = frame.cursor_start
        assert data[at : at + frame.cursor_bytes] == cursor
        assert (frame.time_us_min, frame.time_us_max) == (3, 9)


@pytest.mark.parametrize("received", range(len(FRAME)))
def test_a_frame_cut_anywhere_asks_for_more(received: int) -> None:
    scan = scan_frames(aligned(FRAME[:received]), SEGMENT, OFFSET)
    assert scan.frames == []
    assert scan.damage == ""
    expected = 0 if received == 0 else HEADER_BYTES if received < HEADER_BYTES else len(FRAME)
    assert scan.missing == expected


@settings(deadline=None)
@given(at=st.integers(0, len(FRAME) - 1), flip=st.integers(1, 255))
def test_a_flipped_bit_anywhere_is_damage(at: int, flip: int) -> None:
    bad = bytearray(FRAME)
    bad[at] ^= flip
    scan = scan_frames(aligned(bytes(bad)), SEGMENT, OFFSET)
    assert scan.frames == []
    assert scan.damage


def test_a_frame_in_another_place_is_no_frame() -> None:
    assert scan_frames(aligned(FRAME), SEGMENT, OFFSET + 8).damage
    assert scan_frames(aligned(FRAME), SEGMENT + 1, OFFSET).damage


def test_a_frame_behind_damage_is_found_and_a_copy_inside_a_payload_is_not() -> None:
    junk = b"\0" * 48 + FRAME  # as a payload would hold it: right bytes, wrong place
    tail = pack(batch(3, 2), OFFSET + len(junk))
    assert find_frame(aligned(junk), SEGMENT, OFFSET) is None
    assert find_frame(aligned(junk + tail), SEGMENT, OFFSET) == len(junk)
    assert find_frame(aligned(junk + tail[:-8]), SEGMENT, OFFSET) is None


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_break_the_scan(data: bytes) -> None:
    scan = scan_frames(aligned(data), SEGMENT, OFFSET)
    assert scan.frames == []
    find_frame(aligned(data), SEGMENT, OFFSET)

"""Cursors as bytes, and the consumer groups' files under crashes."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.log.cursors import GroupCursors, Place, decode_cursor, encode_cursor
from motorcade.log.errors import CursorError, LogError
from motorcade.log.port import Cursor
from tests.faulty_files import FaultyFiles, Stopped

DIRECTORY = Path("/disk/cursors")
PLACES = st.builds(
    Place, st.integers(1, 2**24), st.integers(0, 2**40), st.none() | st.integers(0, 2**53)
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["gateway-bulk", "gateway-fast", "a-b-bulk"]), PLACES))
def test_a_cursor_comes_back(places: dict[str, Place]) -> None:
    assert decode_cursor(encode_cursor(places)) == places


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CursorError):
        decode_cursor(Cursor(data))


def test_a_cursor_of_another_engine_is_refused() -> None:
    with pytest.raises(CursorError, match="kafka"):
        decode_cursor(Cursor(b'{"engine":"kafka/1","places":{}}'))


@pytest.mark.parametrize("call", range(1, 8))
@pytest.mark.parametrize("power", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_a_crash_while_storing_leaves_the_old_or_the_new(call: int, power: bool, seed: int) -> None:
    files = FaultyFiles(seed)
    cursors = GroupCursors(files, DIRECTORY)
    cursors.store("history", Cursor(b"the old one, which is longer"))
    files.stop_at(call)
    try:
        cursors.store("history", Cursor(b"new"))
        stored = True
    except Stopped:
        stored = False
    files.power_loss() if power else files.kill()
    found = GroupCursors(files, DIRECTORY).load("history")
    assert found in ([b"new"] if stored else [b"new", b"the old one, which is longer"])


def test_a_full_disk_leaves_the_old_cursor() -> None:
    files = FaultyFiles()
    cursors = GroupCursors(files, DIRECTORY)
    cursors.store("history", Cursor(b"old"))
    files.broken = 28
    with pytest.raises(LogError, match="old one stands"):
        cursors.store("history", Cursor(b"new"))
    files.broken = 0
    assert cursors.load("history") == b"old"
    assert cursors.load("other") is None


@pytest.mark.parametrize("group", ["", "../x", "a/b", "a b"])
def test_a_group_name_is_a_plain_word(group: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        GroupCursors(FaultyFiles(), DIRECTORY).load(group)


@settings(deadline=None)
@given(PLACES, st.integers(0, 10_000), st.integers(0, 7))
def test_a_damaged_cursor_is_refused(place: Place, at: int, bit: int) -> None:
    cursor = encode_cursor({"gateway-bulk": place})
    at %= len(cursor)
    damaged = cursor[:at] + bytes([cursor[at] ^ 1 << bit]) + cursor[at + 1 :]
    with pytest.raises(CursorError):
        decode_cursor(Cursor(damaged))

"""Who holds a lane: one writer in one process, and a reader that recovers is no writer."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from motorcade.log.errors import LogError
from motorcade.log.files import OsFiles
from motorcade.log.lanes import lane_name, lock_for_writing, split_lane_name
from motorcade.log.topics import Lane

HOLD = """
import sys
from pathlib import Path
from motorcade.log.files import OsFiles
from motorcade.log.lanes import lock_for_writing

lock = lock_for_writing(OsFiles(), Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
WAIT_S = 30.0


def test_a_lane_held_by_another_process_is_refused_until_that_dies(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        for _ in range(2):
            with pytest.raises(LogError, match="already has a writer"):
                lock_for_writing(OsFiles(), tmp_path)
        child.kill()
        child.wait(WAIT_S)
        lock_for_writing(OsFiles(), tmp_path).close()


def test_a_writer_waits_for_a_reader_that_recovers(tmp_path: Path) -> None:
    files = OsFiles()
    gate = files.open(tmp_path / "recovering", create=True)
    place = files.open(tmp_path / "lock", create=True)
    assert files.lock(gate, wait=True)
    assert files.lock(place, wait=False)
    held = threading.Event()

    def hold() -> None:
        lock_for_writing(files, tmp_path).close()
        held.set()

    thread = threading.Thread(target=hold)
    thread.start()
    assert not held.is_set()
    files.close(place)
    files.close(gate)
    assert held.wait(WAIT_S)
    thread.join()


@pytest.mark.parametrize("writer", ["gateway", "gateway-2", "a_b-c"])
@pytest.mark.parametrize("lane", list(Lane))
def test_a_lanes_name_can_be_split(writer: str, lane: Lane) -> None:
    assert split_lane_name(lane_name(writer, lane)) == (writer, lane)


@pytest.mark.parametrize("name", ["cursors", "doorbells", "-bulk", "gateway-slow"])
def test_other_names_are_no_lanes(name: str) -> None:
    assert split_lane_name(name) is None


@pytest.mark.parametrize("writer", ["", "../up", "a/b", "."])
def test_a_writers_name_is_a_plain_word(writer: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        lane_name(writer, Lane.BULK)

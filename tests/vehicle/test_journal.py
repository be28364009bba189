"""The journal of commands: on disk before the deed, bounded, forgetting nothing that matters."""

import zlib

import pytest

from motorcade.vehicle.disk import MemoryDisk
from motorcade.vehicle.journal import Journal
from tests.vehicle.faulty_disk import FaultyDisk, PowerCutError


class FailingDisk(MemoryDisk):
    """Its syncs fail on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.replaced = 0

    def sync(self, name: str) -> None:
        if self.fails:
            raise OSError(5, "Input/output error")
        super().sync(name)

    def replace(self, name: str, data: bytes) -> None:
        self.replaced += 1
        super().replace(name, data)


def open_journal(
    disk: MemoryDisk, commands_max: int = 100, responses_bytes_max: int = 1_000
) -> Journal:
    return Journal(disk, commands_max=commands_max, responses_bytes_max=responses_bytes_max)


def begin(journal: Journal, number: int) -> None:
    journal.write(f"c{number}", "started", reason="", time_us=number, counter=number)


def end(journal: Journal, number: int) -> None:
    journal.write(f"c{number}", "executed", reason="", time_us=number, counter=number)


def test_what_was_written_is_there_after_a_restart() -> None:
    disk = MemoryDisk()
    journal = open_journal(disk)
    begin(journal, 1)
    end(journal, 1)
    begin(journal, 2)
    journal.write("lost", "unknown", reason="", time_us=9, counter=0)
    again = open_journal(disk)
    states = [again.find(name).state for name in ("c1", "c2", "lost")]  # type: ignore[union-attr]
    assert states == ["executed", "started", "unknown"]
    assert again.find("c3") is None
    assert again.counter_used(2)
    assert not again.counter_used(3)


def test_a_power_cut_at_any_write_leaves_whole_entries_only() -> None:
    whole = FaultyDisk()

    def live(journal: Journal) -> list[str]:
        for number in range(1, 6):
            begin(journal, number)  # with it, the end of the one before is on disk
            written.append(f"executed {number - 1}")
            written.append(f"started {number}")
            end(journal, number)
            if number % 2:
                journal.sync()
                written.append(f"executed {number}")
        return written

    written: list[str] = []
    live(open_journal(whole))
    for cut_at in range(1, whole.changes + 1):
        written = []
        disk = FaultyDisk(cut_at=cut_at)
        with pytest.raises(PowerCutError):
            live(open_journal(disk))
        found_disk = FaultyDisk(disk.after_cut(cut_at))
        again = open_journal(found_disk)
        for fact in written[1:]:  # there is no number 0
            state, number = fact.split()
            found = again.find(f"c{number}")
            assert found is not None, f"cut at {cut_at}: {fact} is gone"
            assert state == "started" or found.state == "executed"
        begin(again, 77)  # and it goes on
        assert open_journal(found_disk).find("c77") is not None, f"torn tail left at {cut_at}"


def test_a_sync_that_fails_has_the_file_written_anew() -> None:
    disk = FailingDisk()
    journal = open_journal(disk)
    begin(journal, 1)
    end(journal, 1)
    disk.fails = True
    with pytest.raises(OSError, match="Input/output"):
        journal.sync()
    disk.fails = False
    begin(journal, 2)
    assert disk.replaced == 1
    again = open_journal(disk)
    assert [entry.state for entry in again] == ["executed", "started"]


def test_forgetting_the_oldest_forbids_their_counters() -> None:
    disk = MemoryDisk()
    journal = open_journal(disk, commands_max=10)
    for number in range(1, 31):
        begin(journal, number)
        end(journal, number)
    for opened in (journal, open_journal(disk, commands_max=10)):
        assert len(opened) <= 10
        assert opened.find("c1") is None
        assert opened.find("c30") is not None
        assert all(opened.counter_used(number) for number in range(1, 31))
        assert not opened.counter_used(31)
    assert disk.size("journal") < 10 * 2 * 200


def test_tombstones_do_not_forbid_counters() -> None:
    journal = open_journal(MemoryDisk(), commands_max=4)
    for number in range(20):
        journal.write(f"t{number}", "unknown", reason="", time_us=0, counter=0)
    assert not journal.counter_used(1)


def test_a_damaged_line_is_told_and_its_counter_counts_as_used() -> None:
    for number_damaged in (1, 2, 3):
        disk = MemoryDisk()
        journal = open_journal(disk)
        for number in (1, 2, 3):
            begin(journal, number)
        lines = disk.read("journal").splitlines(keepends=True)
        at = sum(map(len, lines[: number_damaged - 1])) + 30
        disk.files["journal"][at] ^= 1
        again = open_journal(disk)
        assert "journal" in again.damage
        assert "1 damaged" in again.damage
        assert [again.find(f"c{number}") is None for number in (1, 2, 3)] == [
            number == number_damaged for number in (1, 2, 3)
        ]
        assert all(again.counter_used(number) for number in (1, 2, 3))
        assert not again.counter_used(5)
        begin(again, 9)
        once_more = open_journal(disk)
        assert once_more.find("c9") is not None
        assert once_more.damage == "", "told once: the file is whole again"


def test_a_torn_line_is_told_and_a_damaged_line_end_loses_nothing() -> None:
    disk = MemoryDisk()
    journal = open_journal(disk)
    begin(journal, 1)
    end(journal, 1)
    whole = bytes(disk.files["journal"])
    disk.files["journal"][-1] ^= 1
    found = open_journal(disk).find("c1")
    assert found is not None
    assert found.state == "executed"
    disk.files["journal"][:] = whole[:-5]
    again = open_journal(disk)
    assert "torn line" in again.damage
    found = again.find("c1")
    assert found is not None
    assert found.state == "started"


@pytest.mark.parametrize(
    "text", [b"", b'{"kind":"another version\'s"}', b'{"kind":"floor","counter":-1}', b"[" * 2_000]
)
def test_a_line_that_fits_its_checksum_and_says_nothing_is_damage(text: bytes) -> None:
    disk = MemoryDisk()
    begin(open_journal(disk), 3)
    disk.append("journal", b"%08x %s\n" % (zlib.crc32(text), text))
    begin(open_journal(disk), 9)
    journal = open_journal(disk)
    assert [entry.id for entry in journal] == ["c3", "c9"]
    assert journal.counter_used(4)  # what the line held may have been a command's
    assert not journal.counter_used(5)


def respond(journal: Journal, number: int, size: int) -> None:
    begin(journal, number)
    name = f"c{number}"
    journal.write(name, "executed", reason="", time_us=number, counter=number, response="x" * size)


def kept(journal: Journal) -> dict[str, int]:
    return {entry.id: len(entry.response) for entry in journal}


def test_the_oldest_responses_are_blanked_beyond_their_bytes_and_no_outcome_is() -> None:
    disk = MemoryDisk()
    journal = open_journal(disk)
    for number in range(1, 6):
        respond(journal, number, 400)
    sizes = {"c1": 0, "c2": 0, "c3": 0, "c4": 400, "c5": 400}
    assert kept(journal) == kept(open_journal(disk)) == sizes
    assert all(entry.state == "executed" for entry in open_journal(disk))
    assert journal.counter_used(1)
    respond(journal, 6, 5_000)  # more than there is room for: the newest stays all the same
    assert kept(journal) == dict.fromkeys(sizes, 0) | {"c6": 5_000}


def test_the_file_is_bounded_in_bytes_too() -> None:
    disk = MemoryDisk()
    journal = open_journal(disk, commands_max=1_000)
    for number in range(1, 301):
        respond(journal, number, 400)
        assert disk.size("journal") < 300 * 2 * 150 + 3 * 1_000 + 400
    assert len(journal) == 300


def test_what_is_forgotten_frees_its_bytes() -> None:
    journal = open_journal(MemoryDisk(), commands_max=4)
    for number in range(1, 40):
        respond(journal, number, 100)
    assert sum(kept(journal).values()) == 100 * len(journal)

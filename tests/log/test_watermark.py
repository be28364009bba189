"""The shared page: the newest mark, and never half of one."""

from pathlib import Path

from motorcade.log.watermark import NOTHING, Mark, Watermark
from tests.faulty_files import FaultyFiles

DIRECTORY = Path("/disk/test-bulk")


def test_the_newest_mark_is_seen_by_whoever_has_the_page() -> None:
    files = FaultyFiles()
    writer, reader = Watermark(files, DIRECTORY), Watermark(files, DIRECTORY)
    assert reader.read() == NOTHING
    writer.publish(Mark(3, 4_096))
    assert reader.read() == Mark(3, 4_096)
    writer.publish(Mark(4, 160))
    assert reader.read() == Watermark(files, DIRECTORY).read() == Mark(4, 160)


def test_half_a_mark_is_not_believed() -> None:
    files = FaultyFiles()
    writer, reader = Watermark(files, DIRECTORY), Watermark(files, DIRECTORY)
    writer.publish(Mark(1, 800))
    assert reader.read() == Mark(1, 800)
    writer._page[0] += 4_096  # its writer dies between the two words
    assert reader.read() == Mark(1, 800)
    assert Watermark(files, DIRECTORY).read() == NOTHING


class _Counted:
    """A page that counts how often it is looked at."""

    def __init__(self) -> None:
        self.looks = 0

    def __getitem__(self, index: int) -> int:
        self.looks += 1
        return 0


def test_a_page_that_was_never_set_is_not_waited_for() -> None:
    """A lane without a record is polled as often as the others: it must cost no more."""
    watermark, page = Watermark(FaultyFiles(), DIRECTORY), _Counted()
    watermark._words = page  # type: ignore[assignment]
    assert watermark.read() == NOTHING
    assert page.looks == 2

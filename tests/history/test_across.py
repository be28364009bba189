"""Questions across vehicles keep their limits of time and memory."""

import pytest

from motorcade.config import HistoryConfig
from motorcade.history.across import connected
from motorcade.history.errors import HistoryDamagedError, HistorySlowError


@pytest.mark.parametrize(
    ("limits", "question"),
    [
        (
            HistoryConfig(query_s_max=0.1),
            "SELECT sum(a.range * b.range) FROM range(9_999_999) a, range(9_999) b",
        ),
        (HistoryConfig(query_bytes_max=16 << 20), "SELECT list(range) FROM range(9_999_999)"),
    ],
)
def test_a_question_ends_at_its_limit(limits: HistoryConfig, question: str) -> None:
    with pytest.raises(HistorySlowError, match="ask for less time"), connected(limits) as asked:
        asked.execute(question).fetchall()


def test_files_that_are_gone_are_asked_for_again_and_broken_ones_are_told() -> None:
    with pytest.raises(FileNotFoundError), connected(HistoryConfig()) as asked:
        asked.execute("SELECT * FROM read_parquet(['/nowhere/1.parquet'])")
    with pytest.raises(HistoryDamagedError), connected(HistoryConfig()) as asked:
        asked.execute("SELECT * FROM nothing")

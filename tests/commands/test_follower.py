"""The ledger's thread on a full disk: nothing it read is lost, nothing is condemned. SQLite itself
says that there is no room: its file may not grow.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from motorcade.clock import SystemClock
from motorcade.commands.entries import batch_of
from motorcade.commands.follower import LedgerFollower
from motorcade.commands.ledger import Ledger
from motorcade.config import Config
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.topics import Lane
from tests.commands.test_ledger import requested

COMMANDS = 400


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(tmp_path / "log", Config().log, SystemClock())
    yield log
    log.close()


def limit_pages(ledger: Ledger, more: int) -> None:
    pages = ledger._writing.execute("PRAGMA page_count").fetchone()[0]
    ledger._writing.execute(f"PRAGMA max_page_count = {pages + more}")


def test_a_full_disk_delays_the_ledger_and_loses_nothing(log: EmbeddedLog, tmp_path: Path) -> None:
    path = tmp_path / "commands" / "ledger.sqlite"
    ledger = Ledger(path)
    follower = LedgerFollower(Config(), log, ledger, SystemClock())
    entries = [requested(f"c-{number}", key=f"k-{number}") for number in range(COMMANDS)]
    log.writer("api", Lane.FAST).append(batch_of(entries, Config().log.partitions)).result()
    limit_pages(ledger, 1)
    failures: list[Exception] = []
    follower.start(lambda ids: None, failures.append)
    while not follower._full:
        assert not failures, failures
    assert ledger.find("c-0") is None
    limit_pages(ledger, 10_000)
    while ledger.find(f"c-{COMMANDS - 1}") is None:
        assert not failures, failures
    follower.stop()
    ledger.close()
    assert failures == []
    again = Ledger(path)
    assert again.find("c-0") is not None, "the ledger was condemned"
    again.close()

"""Commands survive links that are cut where it hurts: once, in time, and one true end each. And the
audit can fail: cars that execute twice, or late, are caught."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audit.link_audit import ANSWER, audit
from tests.platform_process import Platform, platform


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("link") / "data") as running:
        yield running


def test_no_command_executes_twice_or_late_or_ends_in_a_lie(up: Platform, tmp_path: Path) -> None:
    findings = audit(up, tmp_path, 400, seed=5)
    print(findings.text())
    assert findings.cuts[ANSWER] >= 10
    assert findings.cuts.total() >= 40
    assert findings.states["executed"] >= 300
    assert findings.clean(), findings.text()


def test_a_car_that_executes_twice_is_caught(up: Platform, tmp_path: Path) -> None:
    findings = audit(up, tmp_path, 100, seed=6, cars=4, flaw="forgetful")
    assert findings.twice, findings.text()
    assert not findings.late, findings.text()


def test_a_car_that_executes_late_is_caught(up: Platform, tmp_path: Path) -> None:
    findings = audit(up, tmp_path, 8, seed=7, cars=8, hold_rate=1.0, flaw="slow clock")
    assert findings.late, findings.text()
    assert not findings.twice, findings.text()

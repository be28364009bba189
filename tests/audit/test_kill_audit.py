"""Nothing acknowledged is lost, doubled or reordered, whichever process is killed, and the audit
itself can fail: a build that acks before the write is caught."""

import sys
from pathlib import Path

from tests.audit.kill_audit import audit


def test_twenty_kills_lose_double_and_reorder_nothing(tmp_path: Path) -> None:
    findings = audit(tmp_path, kills=20, seed=20)
    print(findings.text())
    assert findings.acked > 1_000
    assert findings.acked_not_stored == []
    assert findings.duplicates == []
    assert findings.out_of_order == []


def test_the_audit_catches_a_build_that_acks_before_the_write(tmp_path: Path) -> None:
    broken = (sys.executable, str(Path(__file__).parent / "early_ack_up.py"))
    findings = audit(tmp_path, kills=4, seed=4, command=broken)
    assert findings.acked_not_stored, findings.text()

"""Commands survive a link that is cut where it hurts: once, in time, and one true end each."""

from pathlib import Path

from tests.audit.link_audit import audit


def test_no_command_executes_twice_or_late_or_ends_in_a_lie(tmp_path: Path) -> None:
    findings = audit(tmp_path, commands=400, seed=5)
    print(findings.text())
    assert findings.cuts["answer going up"] >= 4
    assert findings.cuts.total() >= 20
    assert findings.states["executed"] >= 300
    assert findings.clean(), findings.text()

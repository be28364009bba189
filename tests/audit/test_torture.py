"""A short torture, and proof that its judge of commands can say no (that of records has its own
proof in `test_kill_audit.py`)."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.audit.callers import Caller, CommandFindings, judge
from tests.audit.kill_audit import Findings
from tests.audit.torture import Verdict, audit

FAULTS = 12


def test_a_dozen_faults_lose_and_double_nothing(tmp_path: Path) -> None:
    verdict = audit(tmp_path, FAULTS, seed=3)
    print(verdict.text())
    assert verdict.done.total() == FAULTS
    assert len(verdict.done) >= 5, "a seed that tries too little"
    assert verdict.records.acked > 500
    assert verdict.commands.ends["executed"] > 0
    assert verdict.troubles() == []


def line(command_id: str, state: str) -> str:
    """A line of a car's journal: a checksum, then the entry."""
    return "00000000 " + json.dumps({"entry": {"id": command_id, "state": state, "time_us": 1}})


def ended(state: str, *, final: bool = True) -> dict[str, Any]:
    return {"state": state, "final": final}


@pytest.mark.parametrize(
    ("journal", "ids", "ends", "lost", "doubled"),
    [
        (["started", "executed"], {"a"}, {"a": ended("executed")}, 0, 0),
        (["refused"], {"a"}, {"a": ended("refused")}, 0, 0),
        ([], {"a"}, {"a": ended("expired")}, 0, 0),
        (["started", "executed", "started"], {"a"}, {"a": ended("executed")}, 0, 1),
        (["started", "executed"], {"a", "b"}, {"a": ended("executed")}, 1, 1),
        (["started", "executed"], {"a"}, {"a": ended("expired")}, 1, 0),
        ([], {"a"}, {"a": ended("executed")}, 1, 0),
        ([], {"a"}, {"a": ended("outcome_unknown", final=False)}, 1, 0),
        (["started"], {"a"}, {"a": ended("handed_over", final=False)}, 1, 0),
        (["started", "executed"], {"a"}, {"a": ended("outcome_unknown", final=False)}, 1, 0),
        ([], {"a"}, {}, 1, 0),
    ],
)
def test_the_judge(
    journal: list[str],
    ids: set[str],
    ends: dict[str, dict[str, Any]],
    lost: int,
    doubled: int,
) -> None:
    caller = Caller("5YJ3E1EA7KF000001")
    caller.ids["key"] = ids
    findings = CommandFindings()
    judge(findings, caller, ends, "\n".join(line("a", state) for state in journal))
    assert (len(findings.lost), len(findings.doubled)) == (lost, doubled), findings.text()


def test_what_a_killed_car_does_not_know_itself_is_lost_only_without_such_a_car() -> None:
    caller = Caller("5YJ3E1EA7KF000001")
    caller.ids["key"] = {"a"}
    findings = CommandFindings()
    judge(findings, caller, {"a": ended("outcome_unknown", final=False)}, line("a", "started"))
    assert (len(findings.lost), len(findings.interrupted)) == (0, 1)
    assert Verdict(Counter({"car killed": 1}), Findings(0), findings).troubles() == []
    assert len(Verdict(Counter({"car killed": 0}), Findings(0), findings).troubles()) == 1

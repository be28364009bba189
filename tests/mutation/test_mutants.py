"""Every planted bug still has its place in the code, and is code."""

import ast

import pytest

from tests.mutation.__main__ import ROOT
from tests.mutation.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.bug)
def test_the_target_stands_in_the_code_once(mutant: Mutant) -> None:
    text = (ROOT / "src" / "motorcade" / mutant.file).read_text()
    assert text.count(mutant.old) == 1, f"say in mutants.py what this bug looks like now: {mutant}"
    ast.parse(text.replace(mutant.old, mutant.new))


def test_there_are_enough_and_each_is_told_apart() -> None:
    assert len(MUTANTS) >= 20
    assert len({mutant.bug for mutant in MUTANTS}) == len(MUTANTS)
    assert 0 < sum(mutant.short for mutant in MUTANTS) <= 6

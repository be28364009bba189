"""`make mutants`: plant each bug in a copy of the tree and see whether its tests catch it.

Exits 1 when one survives, or when its tests do not run at all. `--short` runs a few.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.mutation.mutants import MUTANTS, Mutant

ROOT: Final = Path(__file__).parent.parent.parent
TIMEOUT_S: Final = 240.0  # of one mutant's tests
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="only those of the gate")
    parser.add_argument("words", nargs="*", help="only mutants with one of these in their text")
    parser.add_argument("--jobs", type=int, default=2, help="mutants tried at once")
    chosen = parser.parse_args(arguments)
    mutants = [
        mutant
        for mutant in MUTANTS
        if (mutant.short or not chosen.short)
        and (not chosen.words or any(word in mutant.bug for word in chosen.words))
    ]
    survived = 0
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for mutant, (caught, by) in zip(mutants, pool.map(try_mutant, mutants), strict=True):
            survived += not caught
            word = "caught  " if caught else "SURVIVED"
            print(f"{word}  {mutant.bug}\n          by {by}", flush=True)
    print(f"{len(mutants)} mutants, {len(mutants) - survived} caught, {survived} survived")
    return 1 if survived else 0


def try_mutant(mutant: Mutant) -> tuple[bool, str]:
    """Whether its tests fail, and the first that does."""
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory)
        copy_tree(tree)
        plant(tree, mutant)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:randomly"]
        try:
            run = subprocess.run(
                [*command, "-p", "no:cacheprovider", *mutant.tests],
                cwd=tree,
                env={**os.environ, "PYTHONPATH": str(tree / "src"), "FAULTS_STRIDE": "1"},
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            return True, f"hanging for {TIMEOUT_S:.0f} s"
    failed = _FAILED.findall(run.stdout)
    if run.returncode == 1 and failed:
        return True, failed[0]
    if run.returncode == 0:
        return False, "nobody"
    return False, f"nobody: pytest ended with {run.returncode}\n{run.stdout[-2000:]}{run.stderr}"


def copy_tree(target: Path) -> None:
    """All that the tests need, as it is in the working tree."""
    for name in ("src", "tests"):
        ignore = shutil.ignore_patterns("__pycache__", ".mypy_cache")
        shutil.copytree(ROOT / name, target / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", target)


def plant(tree: Path, mutant: Mutant) -> None:
    """Replace the text. Raises `ValueError` when it does not stand there exactly once."""
    path = tree / "src" / "motorcade" / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.file} holds {mutant.old!r} {text.count(mutant.old)} times")
    path.write_text(text.replace(mutant.old, mutant.new))


if __name__ == "__main__":
    sys.exit(main())

"""`make fuzz FUZZ_S=600`: every parser, so many CPU seconds each; prints runs, branches, findings.

Half of the time the kernels run as Python, so that the fuzzer sees their branches; half as they are
in production. Then the corpus is replayed under `coverage`, which counts the branches of the
parser's own modules. Exit status 1 if anything was found.
"""

import argparse
import hashlib
import itertools
import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.fuzz.table import TARGETS
from tests.fuzz.target import Target

ROOT: Final = Path(__file__).parents[2]
AS_PYTHON: Final = {"NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "ignore"}
# A process each: instrumented code keeps some 100 bytes a run of `signals-packed` (without, 500,000
# runs keep none), and 25 million runs reach the limit of memory that is there for the parser.
SLICE_CPU_S_MAX: Final = 150.0


@dataclass
class Result:
    """What came of one target."""

    name: str
    runs: int = 0
    corpus: int = 0
    branches: int = 0
    branches_covered: int = 0
    finding: str = ""  # the end of the process's own words

    def line(self) -> str:
        share = 100 * self.branches_covered / max(1, self.branches)
        found = "FOUND, see below" if self.finding else "nothing found"
        return (
            f"{self.name:22} {self.runs:>10,} runs {self.corpus:>6,} inputs "
            f"{self.branches_covered:>4}/{self.branches:<4} branches {share:5.1f} %  {found}"
        )


def fuzz(target: Target, cpu_s: float, directory: Path, seed: int) -> Result:
    """Fuzz one target; its corpus and findings stay in `directory`."""
    corpus = directory / target.name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for data in target.seeds():
        (corpus / hashlib.sha256(data).hexdigest()[:20]).write_bytes(data)
    result = Result(target.name)
    has_kernels = any(module.endswith(".kernels") for module in target.modules)
    modes: list[dict[str, str]] = [AS_PYTHON, {}] if has_kernels else [{}]
    slices = math.ceil(cpu_s / len(modes) / SLICE_CPU_S_MAX)
    for number, mode in itertools.product(range(slices), modes):
        slice_s = cpu_s / len(modes) / slices
        words = ["-m", "tests.fuzz.one", target.name, str(slice_s), str(corpus)]
        words.append(str(seed * 1_000 + number))
        done = _python(words, mode)
        told = [line for line in done.stdout.splitlines() if line.startswith('{"runs"')]
        if done.returncode or not told:
            mode_word = "kernels as Python" if mode else "as in production"
            result.finding = f"({mode_word})\n{done.stdout[-2_000:]}{done.stderr[-2_000:]}"
            break
        result.runs += json.loads(told[-1])["runs"]
    result.corpus = len(list(corpus.iterdir()))
    if not result.finding:
        _count_branches(target, corpus, result)
    return result


def _count_branches(target: Target, corpus: Path, result: Result) -> None:
    data, report = corpus.parent / "coverage", corpus.parent / "coverage.json"
    files = ",".join(f"*/src/{module.replace('.', '/')}.py" for module in target.modules)
    words = ["-m", "coverage", "run", "--branch", f"--data-file={data}", f"--include={files}"]
    done = _python([*words, "-m", "tests.fuzz.replay", target.name, str(corpus)], AS_PYTHON)
    if done.returncode:
        result.finding = done.stderr[-4_000:]
        return
    _python(["-m", "coverage", "json", f"--data-file={data}", "-q", "-o", str(report)], {})
    totals: dict[str, Any] = json.loads(report.read_text())["totals"]
    result.branches, result.branches_covered = totals["num_branches"], totals["covered_branches"]


def _python(words: list[str], more: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **more}
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    environment["PYTHONPATH"] = os.pathsep.join(reversed(path))
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="default: all")
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU seconds per target")
    parser.add_argument("--directory", type=Path, default=ROOT / ".fuzz")
    parser.add_argument(
        "--seed", type=int, default=1, help="another one goes on where a run with this corpus ended"
    )
    options = parser.parse_args()
    results = []
    for name in options.targets or TARGETS:
        results.append(fuzz(TARGETS[name], options.seconds, options.directory, options.seed))
        print(results[-1].line(), flush=True)
    for result in results:
        if result.finding:
            print(f"\n{result.name}:\n{result.finding}")
    covered, branches = (
        sum(getattr(result, name) for result in results)
        for name in ("branches_covered", "branches")
    )
    print(f"{len(results)} targets, {covered}/{branches} branches", flush=True)
    sys.exit(1 if any(result.finding for result in results) else 0)


if __name__ == "__main__":
    main()

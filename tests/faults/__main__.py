"""`make faults`: every fault at every call, every byte flipped, counted. Exits 1 on a finding.

`--mutants` plants the bugs, too, and prints all numbers of the page on faults.
"""

import argparse
import shutil
import sys
from collections import Counter
from pathlib import Path

from tests.faults.corruption import Result, flip_all
from tests.faults.corruption_cases import ALL as CASES
from tests.faults.enumerate import Tally, enumerate_faults, fast_directory
from tests.faults.plan import Fault
from tests.faults.scenarios import ALL as SCENARIOS
from tests.mutation.__main__ import main as plant_mutants


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", action="store_true")
    chosen = parser.parse_args()
    with fast_directory() as directory:
        failures = at_every_call(directory / "disk") + at_every_byte(directory / "flips")
    for failure in failures:
        print(f"  {failure}")
    survivors = plant_mutants([]) if chosen.mutants else 0
    return 1 if failures or survivors else 0


def at_every_call(root: Path) -> list[str]:
    tallies = [_shown(enumerate_faults(make, root)) for make in SCENARIOS]
    faults: Counter[Fault] = sum((tally.pairs for tally in tallies), Counter())
    for fault in Fault:
        print(f"  {faults[fault]:6}  {fault.value}")
    kinds = {kind for tally in tallies for kind in tally.kinds}
    failures = [failure for tally in tallies for failure in tally.failures]
    print(
        f"{len(faults)} faults, {sum(len(tally.calls) for tally in tallies)} calls in "
        f"{len(tallies)} scenarios: {sum(faults.values())} (fault, call) pairs, of {len(kinds)} "
        f"kinds; {len(failures)} broke a promise",
        flush=True,
    )
    return failures


def _shown(tally: Tally) -> Tally:
    print(
        f"{tally.name:45} {len(tally.calls):4} calls {tally.runs:5} pairs "
        f"{len(tally.failures):4} failed",
        flush=True,
    )
    return tally


def at_every_byte(root: Path) -> list[str]:
    results: list[Result] = []
    for make in CASES:
        result = flip_all(make(), root)
        shutil.rmtree(root)
        results.append(result)
        print(
            f"{result.name:30} {result.files:3} files {result.flips:5} bytes flipped: "
            f"{result.confined:5} confined {result.refused:5} refused {result.harmless:5} harmless "
            f"{len(result.failures):4} failed",
            flush=True,
        )
    failures = [failure for result in results for failure in result.failures]
    print(
        f"{sum(result.flips for result in results)} bytes of "
        f"{sum(result.files for result in results)} files flipped, {len(failures)} not found, not "
        "named or not confined",
        flush=True,
    )
    return failures


if __name__ == "__main__":
    sys.exit(main())

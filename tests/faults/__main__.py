"""`make faults`: every fault at every call, counted. Exits 1 when a promise broke."""

import sys
from collections import Counter

from tests.faults.enumerate import Tally, enumerate_faults, fast_directory
from tests.faults.plan import Fault
from tests.faults.scenarios import ALL


def main() -> int:
    with fast_directory() as directory:
        tallies = [_shown(enumerate_faults(make, directory / "disk")) for make in ALL]
    faults: Counter[Fault] = sum((tally.pairs for tally in tallies), Counter())
    for fault in Fault:
        print(f"  {faults[fault]:6}  {fault.value}")
    pairs = sum(tally.runs for tally in tallies)
    kinds = {kind for tally in tallies for kind in tally.kinds}
    failures = [failure for tally in tallies for failure in tally.failures]
    print(
        f"{len(faults)} faults, {sum(len(tally.calls) for tally in tallies)} calls in "
        f"{len(tallies)} scenarios: {pairs} (fault, call) pairs, of {len(kinds)} kinds; "
        f"{len(failures)} broke a promise"
    )
    for failure in failures:
        print(f"  {failure}")
    return 1 if failures else 0


def _shown(tally: Tally) -> Tally:
    print(
        f"{tally.name:45} {len(tally.calls):4} calls {tally.runs:5} pairs "
        f"{len(tally.failures):4} failed",
        flush=True,
    )
    return tally


if __name__ == "__main__":
    sys.exit(main())

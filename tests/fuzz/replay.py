"""`python -m tests.fuzz.replay TARGET CORPUS`: each input once; run under `coverage`."""

import sys
from pathlib import Path

from tests.fuzz.table import TARGETS


def main() -> None:
    target = TARGETS[sys.argv[1]]
    for path in sorted(Path(sys.argv[2]).iterdir()):
        target.run(path.read_bytes())


if __name__ == "__main__":
    main()

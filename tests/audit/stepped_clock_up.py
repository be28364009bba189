"""`motorcade up` whose processes see a wall clock that the audit steps, as NTP may.

Not a test. Everything in a process that decides takes its time from the one `Clock` that `app.py`
makes, so replacing that one class is a step of the machine's clock as far as our code can tell; the
machine's own clock, which other programs here need, stays as it is. The offset, int64 µs, stands in
a file that all processes map: `CLOCK_OFFSET_FILE`. Monotonic time is untouched, as in a real step.
"""

import mmap
import os
import struct
import sys
from pathlib import Path

FILE_VARIABLE = "CLOCK_OFFSET_FILE"
_OFFSET = struct.Struct("<q")


def write_offset(path: Path, seconds: float) -> None:
    """Step the clock of whoever maps `path` to `seconds` beside the true time."""
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.write(_OFFSET.pack(round(seconds * 1e6)))


def step_app_clock() -> None:
    """Let `motorcade.app` compose this process with the stepped clock."""
    from motorcade import app
    from motorcade.clock import SystemClock

    with Path(os.environ[FILE_VARIABLE]).open("r+b") as file:
        page = mmap.mmap(file.fileno(), _OFFSET.size)

    class SteppedClock(SystemClock):
        def now_us(self) -> int:
            offset_us: int = _OFFSET.unpack_from(page)[0]
            return super().now_us() + offset_us

    app.SystemClock = SteppedClock  # type: ignore[misc]


if __name__ == "__main__":
    if sys.argv[1:2] == ["up"]:
        from motorcade.cli import main, platform

        platform.CHILD_MODULE = Path(__file__).stem
        paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        main.main()
    else:
        from motorcade import app as motorcade_app

        step_app_clock()
        motorcade_app.main()

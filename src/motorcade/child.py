"""`python -m motorcade.child MODULE '<json>'`: how the supervisor starts a process.

Runs MODULE as the main program, so prepared that it starts soon: Python's cyclic collector rests,
because a start imports a thousand modules and makes no garbage worth looking for, and structlog
does not load `rich`, with which it would draw tracebacks for people at a terminal. Together a
fifth of a start's CPU time (docs/measurements.md, "After a drain").
"""

import gc
import runpy
import sys
from typing import Any, Final, cast

START_THRESHOLD: Final = 1_000_000  # allocations between collections; a role sets its own later

if __name__ == "__main__":
    gc.set_threshold(START_THRESHOLD)
    cast(dict[str, Any], sys.modules)["rich"] = None  # "not installed", to whoever imports it
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)

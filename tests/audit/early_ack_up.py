"""A deliberately broken build: `motorcade up` whose gateway acks before the log has the record.

Not a test: `test_kill_audit.py` runs it to prove that the audit catches such a build.
"""

import asyncio
import os
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

LATE_S = 0.3  # how long after the ack the records are really handed to the log


def break_intake() -> None:
    from motorcade.events import RecordBatch
    from motorcade.gateway import intake as intake_module

    class EarlyWriter:
        """Says "durable" at once; writes a copy later."""

        def __init__(self, writer: Any) -> None:
            self._writer = writer

        def append(self, batch: RecordBatch) -> Future[RecordBatch]:
            copy = RecordBatch(batch.rows.copy(), batch.buffer.copy())
            timer = threading.Timer(LATE_S, self._writer.append, (copy,))
            timer.daemon = True
            timer.start()
            done: Future[RecordBatch] = Future()
            done.set_result(batch)
            return done

        def close(self) -> None:
            self._writer.close()

    original = intake_module.Intake.__init__

    def broken(self: Any, writer: Any, loop: asyncio.AbstractEventLoop, **limits: Any) -> None:
        original(self, EarlyWriter(writer), loop, **limits)

    intake_module.Intake.__init__ = broken  # type: ignore[method-assign]


if __name__ == "__main__":
    if sys.argv[1:2] == ["up"]:
        # The supervisor: let it start this file's twin module instead of motorcade.app.
        from motorcade.cli import main, platform

        platform.CHILD_MODULE = Path(__file__).stem
        os.environ["PYTHONPATH"] = str(Path(__file__).parent)
        main.main()
    else:
        from motorcade import app

        break_intake()
        app.main()

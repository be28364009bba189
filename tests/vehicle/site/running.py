"""Energy sites as outsiders run them: `motorcade site add`, `motorcade drive --site`."""

import contextlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.platform_process import MOTORCADE, run_motorcade


def add_site(data: Path, out: Path, *words: str, name: str = "Home") -> dict[str, Any]:
    """Add a site; what the command printed, and its file."""
    printed = run_motorcade(
        "site", "add", "--data", str(data), "--name", name, "--out", str(out), *words
    )
    added: dict[str, Any] = json.loads(printed)
    return added


def change_house(file: Path, **members: Any) -> None:
    """Edit the simulated house, as a person would."""
    site = json.loads(file.read_text())
    site["house"] |= members
    del site["checks"]
    file.write_text(json.dumps(site))


@contextlib.contextmanager
def site_running(file: Path, data: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`motorcade drive --site`, ended at the end unless it has been."""
    process = subprocess.Popen(
        [MOTORCADE, "drive", "--site", str(file), "--data", str(data), "--json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def until(ask: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `ask` gives once it is true."""
    import time

    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)
    return answer

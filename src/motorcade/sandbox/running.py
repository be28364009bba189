"""Starts a sandbox beside tests, or finds the one that they were told of."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from motorcade.sandbox.client import Sandbox, SandboxError

READY_S_MAX: Final = 300.0  # a first start compiles kernels
STOP_S_MAX: Final = 40.0
URL_VARIABLE: Final = "MOTORCADE_SANDBOX_URL"


@contextmanager
def running_sandbox(url: str = "", *options: str) -> Iterator[Sandbox]:
    """The sandbox at `url`, or of the environment, or one that is started and ended here.

    `options` are further words for `motorcade sandbox`. Raises `SandboxError`.
    """
    given = url or os.environ.get(URL_VARIABLE, "")
    if given:
        sandbox = Sandbox(given)
        sandbox.call("GET", "/")  # now, so that a wrong address is told at once
        yield sandbox
        return
    with tempfile.TemporaryDirectory(prefix="motorcade-tests-") as name:
        ready_file, output = Path(name) / "ready.json", Path(name) / "output"
        words = [sys.executable, "-m", "motorcade.cli.main", "sandbox", "--ports", "auto"]
        words += ["--vehicles", "0", "--ready-file", str(ready_file), *options]
        with output.open("wb") as out:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )
        try:
            _wait(process, ready_file, output)
            yield Sandbox(json.loads(ready_file.read_text())["api"]["url"])
        finally:
            _end(process)


def _wait(process: "subprocess.Popen[bytes]", ready_file: Path, output: Path) -> None:
    end_s = time.monotonic() + READY_S_MAX
    while not ready_file.exists():
        if process.poll() is not None or time.monotonic() > end_s:
            said = output.read_text(errors="replace")[-2_000:]
            raise SandboxError(f"motorcade sandbox did not start: {said}")
        time.sleep(0.02)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

"""The platform as outsiders see it: `motorcade up` in a subprocess, and its processes."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from motorcade.cli import export as export_command

BIN = Path(sys.executable).parent
MOTORCADE = str(BIN / "motorcade")
READY_S_MAX = 90.0  # a first start may compile every kernel


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, nearest first."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def runs(pid: int) -> bool:
    """Whether a process is there, and not merely dead and waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def title(pid: int) -> str:
    """What a process is called, such as `motorcade gateway`; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def run_motorcade(*arguments: str, timeout_s: float = 60.0) -> str:
    """Run the command line; return what it printed. Fails with its errors shown."""
    done = subprocess.run(
        [MOTORCADE, *arguments], capture_output=True, text=True, timeout=timeout_s
    )
    assert done.returncode == 0, f"motorcade {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


class Platform:
    """One running platform on one data directory; may be killed and started again."""

    def __init__(
        self,
        data: Path,
        settings: Sequence[str] = (),
        command: Sequence[str] = (MOTORCADE,),
        options: Sequence[str] = (),
    ) -> None:
        self.data = data
        self._options = options  # more words for `up`
        self._settings = settings
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self.ready: dict[str, Any] = {}

    def start(self) -> None:
        """Start and wait for the ready file."""
        ready_file = self.data.parent / f"{self.data.name}-ready.json"
        ready_file.unlink(missing_ok=True)
        arguments = ["up", "--data", str(self.data), "--ports", "auto"]
        arguments += ["--ready-file", str(ready_file), *self._options]
        for setting in self._settings:
            arguments += ["--set", setting]
        log = (self.data.parent / f"{self.data.name}-up.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*self._command, *arguments], stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + READY_S_MAX
        while not ready_file.exists():
            assert self._process.poll() is None, f"up ended: {self.log()}"
            assert time.monotonic() < deadline, f"up not ready: {self.log()}"
            time.sleep(0.02)
        self.ready = json.loads(ready_file.read_text())

    def log(self) -> str:
        """What the platform printed, its end."""
        return (self.data.parent / f"{self.data.name}-up.log").read_text()[-8_000:]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def children(self) -> list[int]:
        """The platform's own processes below the supervisor."""
        return descendants(self.pid)

    def child(self, role: str) -> int:
        """The process that plays a role: gateway, api, reader."""
        for pid in self.children():
            if title(pid) == f"motorcade {role}":
                return pid
        raise AssertionError(f"no {role} runs")

    def kill_all(self) -> None:
        """kill -9 of the supervisor; its children must end by themselves."""
        assert self._process is not None
        left = self.children()
        self._process.kill()
        self._process.wait()
        deadline = time.monotonic() + 30
        while any(runs(pid) for pid in left):
            assert time.monotonic() < deadline, f"children outlive their supervisor: {left}"
            time.sleep(0.02)

    def stop(self) -> int:
        """SIGTERM; return the exit code."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)
        try:
            return self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


@contextlib.contextmanager
def platform(
    data: Path, settings: Sequence[str] = (), command: Sequence[str] = (MOTORCADE,)
) -> Iterator[Platform]:
    """A platform that is up, and stopped at the end with exit code 0."""
    running = Platform(data, settings, command)
    running.start()
    try:
        yield running
    finally:
        code = running.stop()
    assert code == 0, f"up exited with {code}: {running.log()}"


def add_vehicles(data: Path, vins: Sequence[str], out: Path) -> dict[str, dict[str, Any]]:
    """Add vehicles by the command line; return each one's vehicle.json by VIN."""
    listed = out / "vins.txt"
    out.mkdir(parents=True, exist_ok=True)
    listed.write_text("\n".join(vins) + "\n")
    run_motorcade("vehicle", "add", "--data", str(data), "--vins", str(listed), "--out", str(out))
    return {vin: json.loads((out / vin / "vehicle.json").read_text()) for vin in vins}


def export(data: Path, vin: str, topic: str = "telemetry", *, decoded: bool = False) -> list[Any]:
    """What `motorcade export` says is stored, line by line."""
    lines = run_motorcade("export", *_export_words(data, vin, topic, decoded), timeout_s=120)
    return [json.loads(line) for line in lines.splitlines()]


def stored(data: Path, vin: str, topic: str = "telemetry", *, decoded: bool = False) -> list[Any]:
    """The same of the same command, run in this process: another one takes 2 s to start."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(printed):
        export_command.app(args=_export_words(data, vin, topic, decoded), standalone_mode=False)
    printed.seek(0)
    return [json.loads(line) for line in printed]


def _export_words(data: Path, vin: str, topic: str, decoded: bool) -> list[str]:
    words = ["--data", str(data), "--vin", vin, "--topic", topic, "--format", "jsonl"]
    return [*words, "--decoded"] if decoded else words

"""How a process is forked: as the main program, as the supervisor's own child, and lean."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from motorcade.cli.platform import PRELOADED
from motorcade.nursery import Nursery, NurseryError
from tests.platform_process import runs, title

PROBE = """
import gc, json, os, sys, threading
link = json.loads(sys.argv[1])
told = {
    "name": __name__,
    "arguments": sys.argv[1:],
    "threshold": gc.get_threshold()[0],
    "lean": sys.modules["rich"] is None,
    "threads": len(os.listdir("/proc/self/task")),
    "parent": os.getppid(),
    "loaded": "numba" in sys.modules,
    "open": sorted(int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) > 2),
}
os.write(link["handed"]["out"], json.dumps(told).encode())
sys.exit(link["code"])
"""
SLEEPER = "import time; time.sleep(60)"
LOADED = """
import sys
from motorcade.api.build import build_api
from motorcade.config import Config
class Counter: config, entropy, requests = Config(), None, None
build_api(Counter())
print(sorted(sys.modules.keys() & {"pydantic", "attrs"}))
"""


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, source in {"probe": PROBE, "sleeper": SLEEPER}.items():
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)


def with_nursery(test: Callable[[Nursery], Coroutine[Any, Any, None]], *preloaded: str) -> None:
    with closing(Nursery(preloaded)) as nursery:
        asyncio.run(asyncio.wait_for(test(nursery), 60))


def test_a_child_is_the_main_program_with_what_is_handed_to_it() -> None:
    async def test(nursery: Nursery) -> None:
        read, write = os.pipe()
        child = await nursery.fork("odd one", "probe", {"code": 7}, {"out": write})
        os.close(write)
        assert await child.wait() == 7
        with open(read) as file:
            said = json.load(file)
        assert said["name"] == "__main__"
        assert json.loads(said["arguments"][0])["code"] == 7
        assert said["threshold"] >= 1_000_000
        assert said["lean"]
        assert said["loaded"]
        assert said["threads"] == 1, "a fork copies one thread: there must be no others"
        assert said["parent"] == os.getpid()
        out = json.loads(said["arguments"][0])["handed"]["out"]
        assert out in said["open"]
        assert len(said["open"]) <= 2, "the pipe, and the directory that is listed"

    with_nursery(test, *PRELOADED)


def test_children_outlive_the_nursery_and_the_next_one_forks_on() -> None:
    async def test(nursery: Nursery) -> None:
        nursery.watch()
        first = await nursery.fork("first", "sleeper", {}, {})
        while title(first.pid) != "motorcade first":
            await asyncio.sleep(0.01)
        os.kill(nursery.pid, signal.SIGKILL)
        second = await nursery.fork("second", "sleeper", {}, {})
        assert runs(first.pid)
        for child in (first, second):
            child.kill()
            assert await child.wait() == -signal.SIGKILL

    with_nursery(test)


def test_a_nursery_that_dies_is_there_again_though_nobody_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("motorcade.nursery.RESTART_S", 0.01)

    async def test(nursery: Nursery) -> None:
        nursery.watch()
        dead = nursery.pid
        os.kill(dead, signal.SIGKILL)
        while nursery.pid == dead:
            await asyncio.sleep(0.01)
        assert runs(nursery.pid)

    with_nursery(test)


def test_a_nursery_that_cannot_load_is_told() -> None:
    async def test(nursery: Nursery) -> None:
        with pytest.raises(NurseryError, match="see what it printed"):
            await nursery.fork("odd", "probe", {}, {})

    with_nursery(test, "there_is_no_such_module")


def test_the_api_loads_no_library_for_models_that_it_does_not_have() -> None:
    command = [sys.executable, "-c", LOADED]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"

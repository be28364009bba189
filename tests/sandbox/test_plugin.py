"""The pytest plugin as an app's tests use it: a test run of its own, in a process of its own."""

import importlib
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from motorcade.sandbox.client import Sandbox

PLUGIN = "motorcade.pytest_plugin"
ROOT = Path(__file__).parents[2]
IMPORT_S_MAX = 0.05
TESTS = """
import json
import urllib.request

import pytest

SEEN = set()


def vehicles(world):
    request = urllib.request.Request(f"{world.api_url}/api/1/vehicles", headers=world.headers)
    with urllib.request.urlopen(request) as answer:
        return [row["vin"] for row in json.load(answer)["response"]]


@pytest.mark.parametrize("number", range(3))
def test_each_test_has_a_world_of_its_own(motorcade_sandbox, number):
    assert vehicles(motorcade_sandbox) == [motorcade_sandbox.vehicle.vin]
    assert motorcade_sandbox.id not in SEEN
    SEEN.add(motorcade_sandbox.id)


@pytest.mark.motorcade_world(vehicles=["asleep", "charging"], seed=9)
def test_the_marker_says_what_is_in_it(motorcade_sandbox):
    assert [car.told["doing"] for car in motorcade_sandbox.vehicles] == ["asleep", "charging"]
    assert len(vehicles(motorcade_sandbox)) == 2


def test_a_failing_answer(motorcade_sandbox):
    motorcade_sandbox.fail_next(503)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        vehicles(motorcade_sandbox)
    assert vehicles(motorcade_sandbox)
"""


def run(directory: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Pytest in `directory`, with this plugin and no other of the environment."""
    told = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", PLUGIN, "-q", "--strict-markers", *words],
        cwd=directory,
        env=told,
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "test_app.py").write_text(TESTS)
    return tmp_path


def test_tests_start_a_sandbox_and_end_it(directory: Path) -> None:
    done = run(directory)
    assert "5 passed" in done.stdout, done.stdout + done.stderr
    assert not sandboxes_of(directory)


def sandboxes_of(directory: Path) -> list[str]:
    """Processes that still have this folder as theirs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.joinpath("cwd").resolve() == directory:
                found.append(process.joinpath("cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_tests_use_the_sandbox_that_they_are_told_of(directory: Path, sandbox: Sandbox) -> None:
    assert "5 passed" in run(directory, "--motorcade-sandbox-url", sandbox.url).stdout
    assert "5 passed" in run(directory, MOTORCADE_SANDBOX_URL=sandbox.url).stdout


def test_a_sandbox_that_is_not_there_is_told(directory: Path) -> None:
    done = run(directory, "--motorcade-sandbox-url", "http://127.0.0.1:9", "-x")
    assert "http://127.0.0.1:9 does not answer" in done.stdout


def test_the_package_offers_the_plugin_and_importing_it_costs_nothing() -> None:
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert offered["pytest11"] == {"motorcade": PLUGIN}
    assert hasattr(importlib.import_module(PLUGIN), "motorcade_sandbox")
    code = (
        "import sys, pytest, time; before = set(sys.modules); begun = time.process_time(); "
        f"import {PLUGIN}; spent = time.process_time() - begun; "
        "print(spent, *(set(sys.modules) - before))"
    )
    begun_s = time.monotonic()
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.monotonic() - begun_s < 60
    spent_s, *loaded = said.stdout.split()
    assert set(loaded) == {"motorcade", PLUGIN}
    assert float(spent_s) < IMPORT_S_MAX

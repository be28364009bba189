"""`motorcade sandbox` as a process: what it prints, where it listens, how it ends."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from motorcade.cli import sandbox as command
from motorcade.cli.render import CommandError
from tests.api.standins import running
from tests.platform_process import MOTORCADE, descendants, runs, title

READY_S_MAX = 120.0


def start(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [MOTORCADE, "sandbox", "--ports", "auto", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: "subprocess.Popen[str]") -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(60)


def test_one_line_of_json_one_folder_one_process_tree(tmp_path: Path) -> None:
    data = tmp_path / "sandbox"
    ready_file = tmp_path / "ready.json"
    words = ("--data", str(data), "--json", "--vehicles", "1", "--speed", "2")
    words += ("--ready-file", str(ready_file), "--redirect-uri", "https://app.example/back")
    process = start(*words)
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        assert json.loads(ready_file.read_text()) == told
        assert ready_file.stat().st_mode & 0o777 == 0o600
        world = told["sandbox"]
        assert world["app"]["redirect_uris"] == ["https://app.example/back"]
        assert (world["speed"], len(world["vehicles"])) == (2.0, 1)
        headers = {"Authorization": f"Bearer {world['tokens']['access_token']}"}
        listed = httpx.get(f"{told['api']['url']}/api/1/vehicles", headers=headers).json()
        assert [row["vin"] for row in listed["response"]] == [world["vehicles"][0]["vin"]]
        deadline_s = time.monotonic() + 30
        # The nursery, gateway, API, cars; and later the reader.
        while len(children := descendants(process.pid)) != 5:
            assert time.monotonic() < deadline_s, children
            time.sleep(0.1)
        busy = subprocess.run(
            [MOTORCADE, "sandbox", "--ports", "auto", "--data", str(data)],
            capture_output=True,
            text=True,
        )
        assert busy.returncode == 1
        assert "a sandbox runs on" in busy.stderr
    finally:
        assert end(process) == 0
    assert not any(runs(pid) for pid in children)


def test_a_process_that_dies_ends_the_sandbox(tmp_path: Path) -> None:
    process = start("--data", str(tmp_path / "sandbox"), "--json", "--vehicles", "0")
    assert process.stdout is not None
    json.loads(process.stdout.readline())
    cars = [pid for pid in descendants(process.pid) if title(pid) == "motorcade cars"]
    os.kill(cars[0], signal.SIGKILL)
    assert process.wait(60) == 1
    assert process.stderr is not None
    assert "cars: ended with" in process.stderr.read()


def test_credentials_and_addresses_are_printed(tmp_path: Path) -> None:
    process = start("--vehicles", "2")
    assert process.stdout is not None
    lines = []
    end_s = time.monotonic() + READY_S_MAX
    while not lines or not lines[-1].startswith("Ctrl-C"):
        assert time.monotonic() < end_s
        lines.append(process.stdout.readline())
    folder = Path(next(line for line in lines if "log " in line).split()[-1]).parent
    assert folder.exists()
    assert end(process) == 0
    text = "".join(lines)
    for word in ("sandbox-app", "sandbox-secret", "owner@sandbox.test", "sandbox-password"):
        assert word in text
    assert text.count("  vehicle ") == 2
    assert not folder.exists()


def refused(*words: str) -> str:
    """What a sandbox says that does not start."""
    done = subprocess.run(
        [MOTORCADE, "sandbox", *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    return done.stderr


def test_elsewhere_than_on_loopback_only_when_told() -> None:
    for address in ("0.0.0.0", "::", "192.0.2.1"):
        assert "--expose" in refused("--ports", "auto", "--listen", address)


def test_what_a_killed_sandbox_left_is_removed_by_the_next(tmp_path: Path) -> None:
    kept, left = tmp_path / f"{command.PREFIX}new", tmp_path / f"{command.PREFIX}old"
    other = tmp_path / f"{command.PREFIX}other"
    for folder in (kept, left, other):
        folder.mkdir()
        (folder / "lock").touch()
        if folder is not other:
            (folder / command.MARK).touch()
    for folder in (left, other):
        os.utime(folder / "lock", (0, 0))
    with (left / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command._sweep(tmp_path)
        assert left.exists()  # it runs
    command._sweep(tmp_path)
    assert [folder.exists() for folder in (kept, left, other)] == [True, False, True]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert "somebody else" in refused("--ports", "auto", "--data", str(tmp_path))
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_two_that_start_at_once_empty_the_folder_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / command.MARK).touch()
    (tmp_path / "lock").touch()
    lock = (tmp_path / "lock").stat().st_ino
    removed = shutil.rmtree
    met = []

    def rmtree(path: Path) -> None:
        with pytest.raises(CommandError, match="a sandbox runs on"):
            command._emptied(tmp_path)
        met.append(path)
        removed(path)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    command._emptied(tmp_path)
    assert met == [tmp_path / "old"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([command.MARK, "lock"])
    assert (tmp_path / "lock").stat().st_ino == lock  # whoever waits for it waits for this one
    command._emptied(tmp_path)  # and it was let go


def test_the_platform_itself_has_no_sandbox(tmp_path: Path) -> None:
    with running(tmp_path) as platform:
        for method, path in (("GET", "/sandbox/"), ("POST", "/sandbox/faults")):
            answer = httpx.request(method, f"{platform.url}{path}", json={"answer": 503})
            assert answer.status_code == 404


@pytest.mark.parametrize("word", ["Example:", "--seed", "--speed"])
def test_help_has_an_example(word: str) -> None:
    done = subprocess.run([MOTORCADE, "sandbox", "--help"], capture_output=True, text=True)
    assert word in done.stdout

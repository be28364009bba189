"""`motorcade up` that cannot: one line that says what to mend, and no child left behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from motorcade.cli import platform
from motorcade.identity.authority import open_authority
from tests.platform_process import MOTORCADE


def test_a_damaged_key_is_named_in_one_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    authority = open_authority(data, "127.0.0.1")
    damaged = authority.secrets.path("root_ca.pem")
    content = bytearray(damaged.read_bytes())
    content[70] ^= 1
    damaged.write_bytes(content)

    command = [MOTORCADE, "up", "--data", str(data), "--ports", "auto"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 1
    said = ended.stderr.splitlines()
    assert len(said) == 1, said
    assert f"{damaged} is damaged" in said[0]
    assert not (data / "ready.json").exists()


@pytest.mark.parametrize(
    ("is_filled", "code", "expected"),
    [(False, 0, ["compile", "run"]), (False, 1, ["compile", "run"]), (True, 0, ["run"])],
)
def test_kernels_are_compiled_once_before_any_process_starts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_filled: bool,
    code: int,
    expected: list[str],
) -> None:
    """Also where that fails: then each process does it for itself."""
    done: list[str] = []

    def compile_all(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        assert command == [sys.executable, "-m", "motorcade.compiled"]
        done.append("compile")
        return subprocess.CompletedProcess(command, code)

    async def run(*_: object) -> None:
        done.append("run")

    monkeypatch.setattr(platform, "is_filled", lambda: is_filled)
    monkeypatch.setattr(platform, "_run", run)
    monkeypatch.setattr(subprocess, "run", compile_all)
    platform.run_platform(platform.PlatformOptions(tmp_path / "data"))
    assert done == expected

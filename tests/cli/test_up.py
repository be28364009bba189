"""`motorcade up` that cannot: one line that says what to mend, and no child left behind."""

import subprocess
from pathlib import Path

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

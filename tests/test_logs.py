"""Log lines: JSON off a terminal, by level, and never the end of whoever writes them."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, structlog
from motorcade import logs
logs.configure(None, "gateway", sys.argv[1])
log = structlog.get_logger()
log.info("vehicle_dropped", vehicle="G47E1N15KT1UYOGM7")
log.warning("registry_slow", waited_s=3)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))  # as a full disk does
log.error("log_segment_given_up", path="x" * 10_000)
print("goes on")
"""


@pytest.mark.parametrize(("level", "events"), [("info", 2), ("warning", 1), ("error", 0)])
def test_lines_are_json_of_the_level_and_a_full_disk_ends_nobody(
    level: str, events: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("logs") / "stderr"
    with path.open("w") as stderr:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, level], stdout=subprocess.PIPE, stderr=stderr
        )
    assert (done.returncode, done.stdout) == (0, b"goes on\n")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["vehicle_dropped", "registry_slow"][2 - events :]
    assert all(line["role"] == "gateway" and line["timestamp"] for line in lines)

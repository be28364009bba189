"""Schemathesis on the running platform: no 5xx, and no answer that the document does not have."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from motorcade.identity.scopes import SCOPES
from tests.engines.install import schemathesis
from tests.platform_process import Platform, add_vehicles, run_motorcade

EXAMPLES = os.environ.get("MOTORCADE_SCHEMATHESIS_EXAMPLES", "8")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
SETTINGS = ["commands.response_s_max=0.2", "rates.wakes_per_minute=0"]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    directory = tmp_path_factory.mktemp("openapi")
    platform = Platform(directory / "data", SETTINGS)
    platform.start()
    try:
        add_vehicles(platform.data, ["5YJ3E1EA7KF000001"], directory / "vehicles")
        yield platform
    finally:
        assert platform.stop() == 0, platform.log()


def token_of(platform: Platform) -> str:
    words = ["--scopes", " ".join(SCOPES), "--data", str(platform.data)]
    return str(json.loads(run_motorcade("token", *words))["access_token"])


def test_no_answer_is_a_fault_or_undocumented(platform: Platform, tmp_path: Path) -> None:
    url = platform.ready["api"]["url"]
    command = [str(schemathesis()), "-m", "schemathesis.cli", "run", f"{url}/schema/openapi.json"]
    command += ["--header", f"Authorization: Bearer {token_of(platform)}", "--seed", "7"]
    command += ["--checks", ",".join(CHECKS), "--max-examples", EXAMPLES, "--no-color"]
    command += ["--phases", "examples,fuzzing", "--continue-on-failure"]
    # Health may say 503, and a stream of events has no end.
    command += ["--exclude-path-regex", "^/(health|metrics)|/stream$"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    assert " passed" in done.stdout
    assert httpx.get(f"{url}/status").text == "ok"

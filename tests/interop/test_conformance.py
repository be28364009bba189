"""Two public suites that we did not write, unmodified, against `motorcade up --open-broker`.

gmqtt's `tests/test_mqtt5.py` (PyPI, source distribution): MQTT 5.0 and 3.1.1, descended from
Eclipse Paho's interoperability tests. Eclipse Paho's Go client (Go proxy): its functional tests,
MQTT 3.1.1. Both fix their ports, so the broker gets a loopback address of its own. What Mosquitto
does with them, and every difference, stands in `docs/protocols/mqtt-conformance.md`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engines.install import gmqtt_suite, paho_go_suite
from tests.platform_process import Platform

SUITE_S_MAX = 560.0

GMQTT_CANNOT = {
    "test_assigned_clientid": "gmqtt sends an id of its own making where the test means none",
}
"""Tests that no broker passes: test, why."""

PAHO_GO_TIMED = {
    "Test_cleanUpMids_2": "fails if the server has answered before the client looks",
    "Test_DisconnectWhileProcessingIncomingPublish": "floods us and then gives us one second",
}
"""Tests that a busy machine may fail: test, why. Mosquitto passes them, and so do we when idle."""


@dataclass(frozen=True)
class Broker:
    """Where the suites go."""

    address: str
    ca_file: str


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    process = os.getpid()
    address = f"127.{64 + (process >> 16) % 64}.{(process >> 8) % 256}.{process % 254 + 1}"
    running = Platform(
        tmp_path_factory.mktemp("conformance") / "data",
        settings=["mqtt.topic_bytes_max=65535"],  # as long as a topic can be; ours is 1,024
        options=["--open-broker", "--listen", address, "--ports", "default"],
    )
    running.start()
    yield Broker(address, running.ready["ca_file"])
    assert running.stop() == 0, running.log()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_gmqtt_s_own_suite(broker: Broker) -> None:
    suite = gmqtt_suite()
    words = [sys.executable, "-m", "pytest", "-p", "asyncio", "-p", "no:cacheprovider"]
    words += ["-c", os.devnull, "--rootdir", str(suite), "-rA", "-q", "tests/test_mqtt5.py"]
    told = {"HOST": broker.address, "SSL_CERT_FILE": broker.ca_file, "USERNAME": "suite"}
    environment = {name: value for name, value in os.environ.items() if name != "TOKEN"}
    results = run(words, suite, environment | told, r"^(PASSED|FAILED|ERROR) \S+::(\w+)")
    assert len(results) == 16
    assert failed(results) == set(GMQTT_CANNOT)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_paho_go_s_own_suite(broker: Broker) -> None:
    program = paho_go_suite()
    listed = subprocess.run(
        [program, "-test.list", "."], capture_output=True, text=True, check=True
    )
    wanted = [name for name in listed.stdout.split() if name in FUNCTIONAL]
    words = [str(program), "-test.v", "-test.run", f"^({'|'.join(wanted)})$"]
    environment = {**os.environ, "TEST_FVT_ADDR": broker.address}
    results = run(words, program.parent, environment, r"^--- (PASS|FAIL): (\w+)")
    assert len(results) == len(FUNCTIONAL)
    assert failed(results) <= set(PAHO_GO_TIMED)


def run(words: list[str], where: Path, environment: dict[str, str], line: str) -> dict[str, str]:
    """Run a suite; what it says of each test. The suite's own words are shown if a test fails."""
    try:
        done = subprocess.run(
            words,
            cwd=where,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SUITE_S_MAX,
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        pytest.fail(f"not done after {SUITE_S_MAX} s: {output.decode(errors='replace')[-4_000:]}")
    print(done.stdout[-20_000:])
    return {name: verdict for verdict, name in re.findall(line, done.stdout, re.MULTILINE)}


def failed(results: dict[str, str]) -> set[str]:
    return {name for name, verdict in results.items() if not verdict.startswith("PASS")}


FUNCTIONAL = {
    *("Test_Start", "Test_Disconnect", "Test_Publish_1", "Test_Publish_2", "Test_Publish_3"),
    *("Test_Publish_BytesBuffer", "Test_Subscribe", "Test_Will", "Test_CleanSession"),
    *("Test_Binary_Will", "Test_p0s0", "Test_p0s1", "Test_p0s2", "Test_p1s0", "Test_p1s1"),
    *("Test_p1s2", "Test_p2s0", "Test_p2s1", "Test_p2s2", "Test_PublishMessage"),
    *("Test_PublishEmptyMessage", "Test_CallbackOverrun", "Test_MultipleURLs", "Test_ping1_idle5"),
    *("Test_autoreconnect", "Test_cleanUpMids", "Test_cleanUpMids_2", "Test_ConnectRetry"),
    *("Test_ConnectRetryPublish", "Test_ResumeSubs", "Test_ResumeSubsWithReconnect"),
    *("Test_DisconnectWhileProcessingIncomingPublish", "Test_ResumeSubsMaxInflight"),
    *("Test_OverLengthTopic", "Test_Ack_After_Disconnect"),
}
"""The client's functional tests (`fvt_client_test.go`); its unit tests want no broker."""

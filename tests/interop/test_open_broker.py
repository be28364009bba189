"""`motorcade up --open-broker`: for tools and suites, and only where nobody else can reach it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.install import mosquitto as install_mosquitto
from tests.platform_process import MOTORCADE, Platform


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    install_mosquitto()
    running = Platform(tmp_path_factory.mktemp("open") / "data", options=["--open-broker"])
    running.start()
    yield running
    assert running.stop() == 0, running.log()


def test_it_says_what_it_is(broker: Platform) -> None:
    assert "OPEN BROKER" in broker.log()


@pytest.mark.parametrize("version", ["311", "5"])
def test_tools_talk_without_any_account(broker: Platform, version: str) -> None:
    address = ["-h", broker.ready["mqtt"]["host"], "-p", str(broker.ready["mqtt"]["port"])]
    address += ["-V", version]
    hears = subprocess.Popen(
        ["mosquitto_sub", *address, "-t", "some/#", "-q", "1", "-C", "1", "-W", "30", "-d"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert hears.stdout is not None
    while "Subscribed" not in hears.stdout.readline():
        assert hears.poll() is None
    words = ["mosquitto_pub", *address, "-t", "some/topic", "-m", "hello", "-q", "1"]
    subprocess.run(words, check=True, timeout=60)
    assert "hello" in hears.communicate(timeout=60)[0].splitlines()


@pytest.mark.parametrize("listen", ["0.0.0.0", "::", "192.0.2.1", "broker.example"])
def test_it_is_not_opened_to_others(tmp_path: Path, listen: str) -> None:
    words = [MOTORCADE, "up", "--data", str(tmp_path / "data"), "--ports", "auto"]
    words += ["--open-broker", "--listen", listen]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert listen in done.stderr
    assert "loopback" in done.stderr
    assert not (tmp_path / "data").exists()

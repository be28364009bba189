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
    hears = ["mosquitto_sub", *address, "-t", f"some/{version}", "-q", "1", "-c", "-i", version]
    hears += ["-x", "600"] if version == "5" else []
    subprocess.run([*hears, "-E"], check=True, timeout=60)  # leaves a session behind
    words = ["mosquitto_pub", *address, "-t", f"some/{version}", "-m", "hello", "-q", "1"]
    subprocess.run(words, check=True, timeout=60)
    heard = subprocess.run([*hears, "-C", "1"], check=True, timeout=60, capture_output=True)
    assert heard.stdout == b"hello\n"


@pytest.mark.parametrize("listen", ["0.0.0.0", "::", "192.0.2.1", "broker.example"])
def test_it_is_not_opened_to_others(tmp_path: Path, listen: str) -> None:
    words = [MOTORCADE, "up", "--data", str(tmp_path / "data"), "--ports", "auto"]
    words += ["--open-broker", "--listen", listen]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert listen in done.stderr
    assert "loopback" in done.stderr
    assert not (tmp_path / "data").exists()

"""A car on a platform, driven by a process of its own, and keys to pair with it."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.interop.town import S_MAX, Town
from tests.platform_process import MOTORCADE, run_motorcade


class Car:
    """A car on the platform, and the process that drives it."""

    def __init__(self, town: Town, directory: Path, number: int) -> None:
        self.town, self.directory = town, directory
        self.vin = f"5YJ3E1EA7KF{number:06d}"
        self.data = str(town.platform.data)
        run_motorcade(
            *("vehicle", "add", "--vin", self.vin, "--out", str(directory), "--data", self.data)
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *settings: str) -> None:
        """Drive, and wait until the platform sees it."""
        words = [MOTORCADE, "drive", "--vehicle", str(self.directory / "vehicle.json")]
        words += ["--data", self.data]
        for setting in settings:
            words += ["--set", setting]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        self.wait_for("online")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            assert self._process.wait(30) == 0
            self._process = None
            self.wait_for("offline")

    def wait_for(self, state: str) -> None:
        until(lambda: self.entry()["state"] == state)

    def entry(self) -> dict[str, Any]:
        answer = self.town.ask("GET", f"/{self.vin}")
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.body["response"]
        return found

    def pair(self, key: Path, *words: str, command: str = "pair") -> dict[str, Any]:
        said = run_motorcade(
            *("vehicle", command, "--vin", self.vin, "--public-key", str(key.with_suffix(".pub"))),
            *("--data", self.data, "--json", *words),
        )
        found: dict[str, Any] = json.loads(said)
        return found

    def data_of(self, group: str) -> dict[str, Any]:
        answer = self.town.ask("GET", f"/{self.vin}/vehicle_data")
        found: dict[str, Any] = answer.body["response"][group]
        return found


def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + S_MAX
    while not true():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.05)


def make_key(directory: Path, name: str) -> Path:
    """A private key, and its public one beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    file = directory / f"{name}.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    file.with_suffix(".pub").write_bytes(public)
    return file

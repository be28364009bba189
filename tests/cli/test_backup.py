"""`motorcade backup`, `verify` and `restore`: what they print, what they refuse, exit statuses."""

import json
from pathlib import Path

import pytest

from motorcade.cli.data import opened_registry
from motorcade.cli.main import main
from motorcade.identity.authority import open_authority

VIN = "5YJ3E1EA7KF000001"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    with opened_registry(directory, open_authority(directory)) as registry:
        registry.add_vehicles([VIN])
    return directory


@pytest.fixture(autouse=True)
def _keep_our_own_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.nice", lambda _: 0)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    captured = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, captured.out, captured.err


def test_round_trip_keeps_accounts_and_keys(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, new = tmp_path / "b.tar", tmp_path / "new"
    status, printed, _ = run(capsys, "backup", "--data", data, "--out", out)
    assert status == 0
    assert "private keys" in printed
    status, printed, _ = run(capsys, "verify", out)
    assert status == 0
    assert "1 vehicles" in printed
    assert run(capsys, "restore", out, "--data", new)[0] == 0
    before, after = open_authority(data), open_authority(new)
    assert before.account_key == after.account_key
    with opened_registry(new, after) as registry:
        assert registry.vehicle_by_vin(VIN) is not None


def test_damage_is_named_and_ends_with_status_1(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "b"
    assert run(capsys, "backup", "--data", data, "--out", out, "--json")[0] == 0
    file = out / "data" / "ca.pem"
    file.write_bytes(file.read_bytes()[::-1])
    status, printed, error = run(capsys, "verify", out)
    assert status == 1
    assert "data/ca.pem" in printed
    assert "damaged" in error
    status, printed, _ = run(capsys, "verify", out, "--json")
    assert status == 1
    assert [each["file"] for each in json.loads(printed)["damage"]] == ["data/ca.pem"]
    status, _, error = run(capsys, "restore", out, "--data", tmp_path / "new")
    assert status == 1
    assert "data/ca.pem" in error
    assert not (tmp_path / "new").exists()
    status, _, error = run(capsys, "restore", out, "--data", tmp_path / "new", "--even-damaged")
    assert status == 0
    assert "data/ca.pem" in error


def test_what_cannot_be_done_says_what_to_do(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = run(capsys, "backup", "--data", tmp_path / "no", "--out", tmp_path / "b")
    assert (status, "--data" in error) == (1, True)
    status, _, error = run(capsys, "backup", "--data", data, "--out", data)
    assert (status, "another --out" in error) == (1, True)
    status, _, error = run(capsys, "verify", tmp_path / "nothing")
    assert (status, "not there" in error) == (1, True)
    since = ("--since", tmp_path / "nothing")
    status, _, error = run(capsys, "backup", "--data", data, "--out", tmp_path / "b", *since)
    assert (status, "--since" in error) == (1, True)

"""`motorcade operator` and `motorcade token`: what they print works."""

import json
from pathlib import Path
from typing import Any

import pytest

from motorcade.cli.data import opened_registry
from motorcade.cli.main import main
from motorcade.identity.authority import open_authority
from motorcade.identity.port import OPERATOR_CLIENTS
from motorcade.identity.tokens import token_authority


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def run(*words: object, status: int = 0) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == status


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_an_operator_gets_credentials_with_its_denials(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = ["--deny-subscribe", "v/+/commands", "--deny-subscribe", "v/+/media/#"]
    run("operator", "add", "--data", data, "--name", "ops", "--json", *denied)
    account = told(capsys)
    assert set(account) == {"username", "password"}
    with opened_registry(data, open_authority(data)) as registry:
        principal = registry.authenticate("ops", account["password"].encode())
    assert principal is not None
    assert principal.deny_subscribe == ("v/+/commands", "v/+/media/#")


def test_an_operator_for_people_is_told_that_the_password_is_shown_once(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("operator", "add", "--data", data, "--name", "ops")
    assert "only now" in capsys.readouterr().out
    run("operator", "add", "--data", data, "--name", "ops", status=1)
    run("operator", "add", "--data", data, "--name", "no spaces", status=1)
    run("operator", "add", "--data", data, "--name", "x", "--deny-subscribe", "a/#/b", status=1)


def test_operators_are_listed_and_removed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("operator", "list", "--data", data, status=1)
    run("operator", "add", "--data", data, "--name", "ops", "--deny-subscribe", "v/+/media")
    run("operator", "list", "--data", data)
    assert "v/+/media" in capsys.readouterr().out
    run("operator", "list", "--data", data, "--json")
    (listed,) = told(capsys)
    assert (listed["name"], listed["deny_subscribe"]) == ("ops", ["v/+/media"])
    run("operator", "remove", "ops", "--data", data)
    run("operator", "remove", "ops", "--data", data, status=1)
    capsys.readouterr()
    run("operator", "list", "--data", data, "--json")
    assert told(capsys) == []


def test_a_token_is_one_of_ours(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("token", "--data", data, "--scopes", "vehicle_cmds vehicle_device_data", "--ttl", 60)
    printed = told(capsys)
    assert (printed["token_type"], printed["expires_in"]) == ("Bearer", 60)
    token = token_authority(open_authority(data)).verify(printed["access_token"])
    assert token.scopes == {"vehicle_cmds", "vehicle_device_data"}
    assert token.subject == "owner"
    assert token.owns("owner")
    assert token.client_id in OPERATOR_CLIENTS  # no app's: it has no allowance, and is not noted


def test_another_subject_owns_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("token", "--data", data, "--scopes", "vehicle_cmds", "--subject", "eve")
    printed = told(capsys)
    assert printed["expires_in"] == 28_800
    token = token_authority(open_authority(data)).verify(printed["access_token"])
    assert not token.owns("owner")


@pytest.mark.parametrize(
    "words", [["--scopes", "root"], ["--scopes", ""], ["--scopes", "openid", "--ttl", "0"]]
)
def test_a_token_nobody_should_have_is_refused(data: Path, words: list[str]) -> None:
    run("token", "--data", data, *words, status=1)

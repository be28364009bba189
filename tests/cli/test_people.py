"""`motorcade person` and `motorcade app`: what they print works, and what they end is ended."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from motorcade.cli.data import opened_registry
from motorcade.identity.authority import open_authority
from motorcade.registry.people.port import App, Person
from tests.cli.test_accounts import run, told

REDIRECT = "https://app.example/callback"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def add_app(data: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    run(
        *("app", "add", "--data", data, "--name", "Charger", "--redirect-uri", REDIRECT),
        *("--scopes", "openid vehicle_device_data", "--json", *words),
    )
    return dict(told(capsys))


def stored_app(data: Path, client_id: str, secret: str = "") -> tuple[App | None, bool]:
    with opened_registry(data, open_authority(data)) as registry:
        app = registry.people.app(client_id)
        return app, app is not None and registry.people.secret_fits(app, secret)


def signs_in(data: Path, email: str, password: str) -> Person | None:
    with opened_registry(data, open_authority(data)) as registry:
        return registry.people.check_password(email, password)


def test_an_app_gets_an_id_and_a_secret_that_fit(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_app = add_app(data, capsys, "--purpose", "Charge cheaply")
    assert set(told_app) == {"client_id", "client_secret"}
    app, fits = stored_app(data, told_app["client_id"], told_app["client_secret"])
    assert fits
    assert app is not None
    assert (app.name, app.purpose, app.redirect_uris) == ("Charger", "Charge cheaply", (REDIRECT,))
    assert app.scopes == ("openid", "vehicle_device_data")


def test_people_are_told_that_the_secret_is_shown_once(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("app", "add", "--data", data, "--name", "A", "--scopes", "openid")
    assert "only now" in capsys.readouterr().out
    public = ("--client-id", "ownerapi", "--public", "--redirect-uri", "tesla://auth/callback")
    run("app", "add", "--data", data, "--name", "B", "--scopes", "openid", *public)
    assert "PKCE" in capsys.readouterr().out
    run("app", "add", "--data", data, "--name", "C", "--scopes", "root", status=1)
    run("app", "add", "--data", data, "--name", "D", "--scopes", "openid", *public, status=1)
    missing = ("--public-key", data / "none.pem")
    run("app", "add", "--data", data, "--name", "E", "--scopes", "openid", *missing, status=1)


def test_apps_are_listed_renewed_and_revoked(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("app", "list", "--data", data, status=1)
    app = add_app(data, capsys)
    client_id = app["client_id"]
    run("app", "list", "--data", data)
    assert "Charger" in capsys.readouterr().out
    run("app", "renew", "--data", data, "--json", client_id)
    renewed = told(capsys)["client_secret"]
    assert stored_app(data, client_id, renewed)[1]
    assert not stored_app(data, client_id, app["client_secret"])[1]
    run("app", "revoke", "--data", data, client_id)
    assert "Charger" in capsys.readouterr().out
    assert stored_app(data, client_id)[0] is None
    run("app", "list", "--data", data, "--json")
    assert told(capsys) == []
    run("app", "revoke", "--data", data, client_id, status=1)


def test_a_person_signs_in_with_what_is_printed(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add = ("person", "add", "--data", data, "--email")
    run(*add, "ann@example.org", "--subject", "owner", "--json")
    ann = told(capsys)
    assert (ann["email"], ann["subject"]) == ("ann@example.org", "owner")
    person = signs_in(data, "ann@example.org", ann["password"])
    assert person is not None
    assert person.subject == "owner"
    run(*add, "ann@example.org", status=1)
    run(*add, "no address", status=1)
    run("person", "list", "--data", data, "--json")
    (listed,) = told(capsys)
    assert (listed["email"], listed["subject"]) == ("ann@example.org", "owner")
    assert "password" not in json.dumps(listed)
    run("person", "password", "--data", data, "--json", "owner")
    drawn = told(capsys)["password"]
    assert signs_in(data, "ann@example.org", drawn) is not None
    assert signs_in(data, "ann@example.org", ann["password"]) is None
    run("person", "remove", "--data", data, "ann@example.org")
    assert signs_in(data, "ann@example.org", drawn) is None
    run("person", "remove", "--data", data, "ann@example.org", status=1)


def test_a_password_can_be_chosen_and_is_not_repeated(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse\n")
    add = ("person", "add", "--data", data, "--email", "ann@example.org", "--password-file")
    run(*add, file)
    assert "correct horse" not in capsys.readouterr().out
    assert signs_in(data, "ann@example.org", "correct horse") is not None
    file.write_text("short\n")
    run("person", "password", "--data", data, "owner@x.org", "--password-file", file, status=1)


def test_forgetting_a_key_says_what_ends_and_what_goes_on(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_app(data, capsys)
    run("app", "rotate-key", "--data", data)
    assert "stay good until they end" in capsys.readouterr().out
    run("app", "rotate-key", "--forget", "--data", data)
    text = capsys.readouterr().out
    assert "every access token signed before is refused" in text
    assert "refresh tokens are not signed: apps go on" in text
    assert "admin token" not in text  # no server runs that could hold one
    (data / "ready.json").write_text(json.dumps({"pid": os.getpid()}))
    run("app", "rotate-key", "--forget", "--data", data)
    assert "the admin token in" in capsys.readouterr().out


def test_the_operator_gives_and_takes_domains(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    pem = data.with_name("key.pem")
    pem.write_bytes(
        key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    keyless = add_app(data, capsys)["client_id"]
    first, second = (add_app(data, capsys, "--public-key", pem)["client_id"] for _ in range(2))
    run("app", "register", "--data", data, first, "App.net")
    assert "app.net" in capsys.readouterr().out
    run("app", "register", "--data", data, second, "app.net", status=1)
    assert "motorcade app release" in capsys.readouterr().err
    for wrong in (
        (keyless, "other.net"),
        ("none", "other.net"),
        (first, "https://other.net"),
        (first, ""),
    ):
        run("app", "register", "--data", data, *wrong, status=1)
    run("app", "release", "--data", data, "app.net")
    assert first in capsys.readouterr().out
    run("app", "release", "--data", data, "app.net", status=1)
    run("app", "register", "--data", data, second, "app.net")

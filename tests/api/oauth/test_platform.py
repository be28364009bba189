"""OAuth on the real platform: `motorcade up`, the command line beside it, TLS, open streams."""

import json
import re
import ssl
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from motorcade.identity.region import TESLA_HOSTS
from tests.api.oauth.house import REDIRECT, SCOPES, Browser, claims
from tests.platform_process import Platform, add_vehicles, run_motorcade

VIN = "5YJ3E1EA7KF000001"
AT_ONCE_S = 1.0  # 50 ms of polling, and the machine's haste


class Outside:
    """What `house.Browser` needs of a deployment, from outside."""

    def __init__(self, url: str, app: dict[str, Any]) -> None:
        self.url = url
        self.app = app

    def query(self, **changes: Any) -> dict[str, str]:
        return {
            "response_type": "code",
            "client_id": self.app["client_id"],
            "redirect_uri": REDIRECT,
            "scope": " ".join(SCOPES),
            "state": "s-1",
        } | changes

    def tokens(self, email: str, password: str) -> dict[str, Any]:
        with Browser(self) as browser:  # type: ignore[arg-type]
            browser.sign_in(email=email, password=password)
            code = browser.allow()["code"]
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            **self.app,
        }
        answer = httpx.post(f"{self.url}/oauth2/v3/token", data=fields)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    directory = tmp_path_factory.mktemp("up")
    running = Platform(directory / "data", options=["--region", "eu"])
    running.start()
    add_vehicles(running.data, [VIN], directory / "cars")
    yield running
    assert running.stop() == 0


def add_app(up: Platform) -> Outside:
    words = ["--name", "Charger", "--redirect-uri", REDIRECT, "--scopes", " ".join(SCOPES)]
    told = run_motorcade("app", "add", "--data", str(up.data), "--json", *words)
    return Outside(up.ready["api"]["url"], json.loads(told))


def owners_password(up: Platform) -> str:
    found = re.search(r"its password, shown once: (\S+)", up.log())
    assert found is not None, up.log()
    return found[1]


def test_the_owner_is_made_once_and_grants_an_app_access(up: Platform) -> None:
    app = add_app(up)
    body = app.tokens("owner@localhost", owners_password(up))
    access = claims(body["access_token"])
    assert access["aud"] == ["https://fleet-api.prd.eu.vn.cloud.tesla.com"]
    assert (access["ou_code"], access["sub"]) == ("EU", "owner")
    assert body["refresh_token"].startswith("EU_")
    answer = httpx.get(
        f"{app.url}/api/1/vehicles/{VIN}",
        headers={"Authorization": f"Bearer {body['access_token']}"},
    )
    assert answer.status_code == 200


def test_revoking_an_app_closes_its_open_streams_at_once(up: Platform) -> None:
    app = add_app(up)
    body = app.tokens("owner@localhost", owners_password(up))
    bearer = {"Authorization": f"Bearer {body['access_token']}"}
    url = app.url.replace("http", "ws") + f"/api/1/vehicles/{VIN}/stream"
    with connect(url, additional_headers=bearer, proxy=None) as stream:
        assert json.loads(stream.recv(10))["type"] == "snapshot"
        run_motorcade("app", "revoke", "--data", str(up.data), app.app["client_id"])
        begun_s = time.monotonic()
        with pytest.raises(ConnectionClosed) as closed:
            _read_on(stream)
        assert time.monotonic() - begun_s < AT_ONCE_S
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "login_required")
    assert httpx.get(f"{app.url}/api/1/vehicles", headers=bearer).status_code == 401


def _read_on(stream: ClientConnection) -> None:
    while True:
        stream.recv(10)


def test_the_command_lines_tokens_name_the_running_region(up: Platform) -> None:
    told = run_motorcade("token", "--data", str(up.data), "--scopes", "vehicle_device_data")
    token = json.loads(told)["access_token"]
    assert claims(token)["aud"] == ["https://fleet-api.prd.eu.vn.cloud.tesla.com"]
    bearer = {"Authorization": f"Bearer {token}"}
    url = up.ready["api"]["url"]
    assert httpx.get(f"{url}/api/1/vehicles", headers=bearer).status_code == 200


@pytest.mark.parametrize("name", ["localhost", *TESLA_HOSTS])
def test_the_certificate_answers_to_teslas_names(up: Platform, name: str) -> None:
    context = ssl.create_default_context(cafile=up.ready["ca_file"])
    url = up.ready["api_tls"]["url"]
    with httpx.Client(verify=context) as client:
        request = client.build_request("GET", f"{url}/status", headers={"Host": name})
        request.extensions["sni_hostname"] = name
        assert client.send(request).text == "ok"


def test_a_new_key_is_taken_at_once_and_a_forgotten_one_opens_nothing(up: Platform) -> None:
    told = run_motorcade("token", "--data", str(up.data), "--scopes", "vehicle_device_data")
    bearer = {"Authorization": f"Bearer {json.loads(told)['access_token']}"}
    url = up.ready["api"]["url"]
    stream_url = url.replace("http", "ws") + f"/api/1/vehicles/{VIN}/stream"
    assert httpx.get(f"{url}/api/1/vehicles", headers=bearer).status_code == 200
    run_motorcade("app", "rotate-key", "--data", str(up.data))
    assert httpx.get(f"{url}/api/1/vehicles", headers=bearer).status_code == 200
    with connect(stream_url, additional_headers=bearer, proxy=None) as stream:
        assert json.loads(stream.recv(10))["type"] == "snapshot"
        run_motorcade("app", "rotate-key", "--forget", "--data", str(up.data))
        assert httpx.get(f"{url}/api/1/vehicles", headers=bearer).status_code == 401
        with pytest.raises(ConnectionClosed):
            _read_on(stream)
    told = run_motorcade("token", "--data", str(up.data), "--scopes", "vehicle_device_data")
    bearer = {"Authorization": f"Bearer {json.loads(told)['access_token']}"}
    assert httpx.get(f"{url}/api/1/vehicles", headers=bearer).status_code == 200


def test_a_second_start_makes_nobody(up: Platform) -> None:
    password = owners_password(up)
    assert up.stop() == 0
    up.start()
    assert up.log().count("shown once: ") == 3  # two admin tokens, one password
    app = add_app(up)
    assert app.tokens("owner@localhost", password)

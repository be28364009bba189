"""The page on the platform itself: what stands behind its parts is there, and stays."""

import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from motorcade.cli.data import opened_registry
from motorcade.identity.authority import open_authority
from motorcade.wire.mqtt.publish import Puback
from motorcade.wire.mqtt.reasons import ProtocolLevel
from tests.gateway.mqtt.wire_client import Client
from tests.platform_process import MOTORCADE, Platform, add_vehicles

VIN, EMAIL, WORD = "5YJ3E1EA7KF000001", "mika@example.org", "correct donkey"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with a car that spoke once, too warm for its operator, and Mika who operates."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "limits.json").write_text(json.dumps({"inside_temp": {"high": 30}}))
    settings = [f"dashboard.limits_file={folder / 'limits.json'}"]
    platform = Platform(folder / "data", settings)
    account = add_vehicles(platform.data, [VIN], folder / "vehicles")[VIN]["mqtt"]
    platform.start()
    try:
        with Client(platform.ready["mqtt"]["port"], ProtocolLevel.V5) as car:
            car.connect(account["username"], account["client_id"], account["password"].encode())
            topic = f"{account['publish_topic_prefix']}/telemetry/s/1"
            car.publish(topic, b'{"signals": {"inside_temp": 41, "outside_temp": 41}}', 1)
            car.expect(Puback)
        with opened_registry(platform.data, open_authority(platform.data)) as registry:
            registry.people.add_person(EMAIL, "Mika", WORD, "mika")
            registry.people.set_role(EMAIL, "operator")
        yield platform
    finally:
        assert platform.stop() == 0, platform.log()


def ask(up: Platform, method: str, path: str, **headers: str) -> tuple[int, Any]:
    url = urlsplit(up.ready["api"]["url"])
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=20)
    headers["Authorization"] = f"Bearer {up.ready['admin_token']}"
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body.get("response")


def signed_in(up: Platform, browser: Browser, path: str = "") -> Page:
    page = browser.new_context().new_page()
    page.goto(up.ready["dashboard"]["url"].rstrip("/") + path)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(WORD)
    page.get_by_role("button", name="Sign in").click()
    return page


def test_what_is_beyond_an_operator_s_limit_is_marked(up: Platform, browser: Browser) -> None:
    page = signed_in(up, browser, "/vehicles/1")
    beyond = page.get_by_role("button", name="Cabin").filter(has=page.get_by_label("out of range"))
    expect(beyond).to_have_count(1)
    expect(page.get_by_label("out of range")).to_have_count(1)  # as warm outside, without a limit
    page.context.close()


@pytest.mark.parametrize(
    ("setting", "content", "text"),
    [
        ("dashboard.limits_file", '{"soc": {"low": 5, "high": 1}}', "soc: low (5) has to be less"),
        ("api.charging_sites_file", None, "No such file"),
    ],
)
def test_an_operator_s_file_that_is_wrong_ends_the_start_with_its_error(
    tmp_path: Path, setting: str, content: str | None, text: str
) -> None:
    file = tmp_path / "file.json"
    if content is not None:
        file.write_text(content)
    words = ["--data", str(tmp_path / "data"), "--ports", "auto", "--set", f"{setting}={file}"]
    ended = subprocess.run([MOTORCADE, "up", *words], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert f"{setting}: " in ended.stderr
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_failed_command_is_acknowledged_on_the_page_and_stays_so_over_a_restart(
    up: Platform, browser: Browser
) -> None:
    path = f"/api/1/vehicles/{VIN}/command/honk_horn"
    assert ask(up, "POST", path, **{"X-Command-Expires-S": "1"})[0] == 408
    page = signed_in(up, browser)
    title = "Honk horn failed: vehicle offline"
    expect(page.get_by_label("Work queue").get_by_text(title)).to_be_visible()
    expect(page.get_by_text("0 lost")).to_be_visible()
    page.get_by_role("link", name="Work", exact=True).click()
    page.get_by_label("Work queue").get_by_text(title).click()
    expect(page.get_by_text("Honk horn requested")).to_be_visible()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("seen by Mika")).to_be_visible()
    page.get_by_role("link", name="System").click()
    expect(page.get_by_role("heading", name="Ledger")).to_be_visible()
    page.context.close()

    assert up.stop() == 0, up.log()
    up.start()
    status, queue = ask(up, "GET", "/api/2/work")
    assert status == 200
    (item,) = queue["items"]
    assert (item["title"], item["acknowledged_by"]) == (title, "Mika")
    assert [(note["who"], note["what"]) for note in item["log"]] == [("Mika", "acknowledged")]

"""The page on the platform itself: what stands behind its parts is there, and stays."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from motorcade.cli.data import opened_registry
from motorcade.identity.authority import open_authority
from tests.platform_process import Platform

VIN, EMAIL, WORD = "5YJ3E1EA7KF000001", "mika@example.org", "correct donkey"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with a car that is not there, and Mika who operates."""
    platform = Platform(tmp_path_factory.mktemp("page") / "data")
    platform.start()
    try:
        with opened_registry(platform.data, open_authority(platform.data)) as registry:
            registry.add_vehicles([VIN])
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


def test_a_failed_command_is_acknowledged_on_the_page_and_stays_so_over_a_restart(
    up: Platform, browser: Browser
) -> None:
    path = f"/api/1/vehicles/{VIN}/command/honk_horn"
    assert ask(up, "POST", path, **{"X-Command-Expires-S": "1"})[0] == 408
    page = browser.new_context().new_page()
    page.goto(up.ready["dashboard"]["url"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(WORD)
    page.get_by_role("button", name="Sign in").click()
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

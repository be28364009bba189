"""Who cannot see, or not all colours, or has no mouse: axe finds nothing serious anywhere."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.dashboard.browser import DESK, PHONE, Theme, window
from tests.dashboard.standin import Town

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")
VIEWS = {
    "/": "Battery rising",
    "/?state=moving&state=alarm": "Moving or in alarm",
    "/vehicles/10204": "Battery, hottest cell",
    "/vehicles/10204?tab=commands": "Flash lights",
    "/vehicles/10204?tab=export": "PARQUET",
    "/vehicles/10204?tab=software": "2026.46.1",
    "/vehicles/10204?tab=consent": "Charge planner",
    "/work/1": "Nobody has touched it.",
    "/system": "Ledger",
    "/people": "veikko@example.com",
}


def findings(page: object) -> list[str]:
    """What axe finds that is serious, one line each."""
    page.evaluate(AXE.read_text() + "\n; undefined")  # type: ignore[attr-defined]
    told = page.evaluate(  # type: ignore[attr-defined]
        "axe.run(document, {resultTypes: ['violations']}).then((told) => told.violations)"
    )
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:120]}: {node['failureSummary'][:200]}"
        for rule in told
        if rule["impact"] in SERIOUS
        for node in rule["nodes"][:3]
    ]


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_serious(browser: Browser, theme: Theme, size: tuple[int, int]) -> None:
    with window(browser, Town(1_200, basemap=False), theme=theme, size=size, still=True) as seen:
        page = seen.go("/")
        found: dict[str, list[str]] = {}
        for path, text in VIEWS.items():
            page.goto(seen.served.url + path)
            if path == "/" and size == PHONE:
                text = "Queue"
            expect(page.get_by_text(text).first).to_be_visible()
            found[path] = findings(page)
        page.goto(seen.served.url + "/")
        expect(page.get_by_role("slider")).to_be_visible()
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_text("Replay").first).to_be_visible()
        found["replay"] = findings(page)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        found["help"] = findings(page)
        serious = {path: lines for path, lines in found.items() if lines}
        assert not serious, serious

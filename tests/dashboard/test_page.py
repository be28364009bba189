"""The page in a browser, over the stand-in: its addresses, keys and states, in both themes."""

import re
from collections import Counter
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.browser import BEGIN_US, DESK, PHONE, Theme, window
from tests.dashboard.standin import Town

CARS = 1_200


def town(**more: object) -> Town:
    """A small town; without the basemap, which costs a second of every page."""
    return Town(CARS, basemap=False, **more)  # type: ignore[arg-type]


# --- addresses ---

ROUTES = {
    "/": ("Live", "Vehicles"),
    "/vehicles/10204": ("Live", "HD-204"),
    "/vehicles/10204?tab=commands": ("Live", "Set charge limit"),
    "/vehicles/10204?tab=export": ("Live", "PARQUET"),
    "/vehicles/10204?tab=software": ("Live", "2026.46.1"),
    "/vehicles/10204?tab=consent": ("Live", "Charge planner"),
    "/work": ("Work", "Battery rising"),
    "/work/1": ("Work", "Nobody has touched it."),
    "/system": ("System", "Ledger"),
    "/people": ("People", "veikko@example.com"),
}


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_address_shows_its_view(
    browser: Browser, theme: Theme, size: tuple[int, int]
) -> None:
    with window(browser, town(), theme=theme, size=size) as seen:
        page = seen.go("/")
        for path, (title, text) in ROUTES.items():
            page.goto(seen.served.url + path)
            expect(page).to_have_title(f"{title} · motorcade")
            expect(page.get_by_text(text).first).to_be_visible()
            assert page.locator("html").get_attribute("data-theme") == theme
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= size[0], f"{path} is {width} px wide"


def test_a_reload_signs_nobody_out_and_keeps_the_address(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/vehicles/10204?state=moving&state=alarm&tab=signals")
        page.reload()
        expect(page.get_by_role("heading", name="HD-204")).to_be_visible()
        assert "state=moving&state=alarm" in page.url
        expect(page.get_by_role("button", name=re.compile("^Moving"))).to_have_attribute(
            "aria-pressed", "true"
        )


def test_a_duplicated_tab_signs_in_anew(browser: Browser) -> None:
    """It is given a copy of the refresh token; to use it would end the session of both."""
    with window(browser, town()) as seen:
        page = seen.go()
        with page.context.expect_page() as opened:
            page.evaluate("void window.open('/?state=alarm')")
        copy = opened.value
        expect(copy.get_by_label("Vehicles by state")).to_be_visible()
        assert "/?state=alarm" in copy.url
        for each in (copy, page):
            each.reload()
            expect(each.get_by_label("Vehicles by state")).to_be_visible()
        used = seen.served.standin.used
        assert len(used) == len(set(used)) >= 3, "the session of both would have ended"


def test_one_signs_in_at_the_platform_and_comes_back(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/?state=alarm", signed_in=False)
        expect(page.get_by_label("Vehicles by state")).to_be_visible()
        assert "/?state=alarm" in page.url  # where one was going, and no code left in the address


def test_what_the_server_has_not_is_absent(browser: Browser) -> None:
    with window(browser, town(parts=frozenset({"system"}))) as seen:
        page = seen.go("/")
        expect(page.get_by_role("link", name="System")).to_be_visible()
        expect(page.get_by_role("link", name="Work")).to_have_count(0)
        expect(page.get_by_label("Work queue")).to_have_count(0)
        expect(page.get_by_role("slider")).to_have_count(0)


def test_nothing_is_tried_to_find_out_what_the_server_has(browser: Browser) -> None:
    with window(browser, town()) as seen:
        refused: list[str] = []
        seen.page.on(
            "response",
            lambda answer: refused.append(answer.url) if answer.status >= 400 else None,
        )
        page = seen.go("/vehicles/10204")
        expect(page.get_by_role("tab", name="Export")).to_be_visible()
        expect(page.get_by_role("slider")).to_be_visible()
        seen.cars()
        assert [url for url in refused if "/api/" in url] == []


def test_signing_out_forgets_the_session(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go()
        page.keyboard.press("?")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        page.reload()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_an_address_of_nothing_says_so_and_offers_search(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/nowhere")
        expect(page.get_by_role("heading", name="There is no page here")).to_be_visible()
        page.goto(seen.served.url + "/vehicles/99999999")
        expect(page.get_by_text("No vehicle has the id 99999999.")).to_be_visible()
        expect(page.get_by_text("t-204")).to_be_visible()  # the id to search the log by


def test_a_viewer_sees_no_people_and_no_commands(browser: Browser) -> None:
    with window(browser, town(role="viewer")) as seen:
        page = seen.go("/vehicles/10204?tab=commands")
        expect(page.get_by_text("Set charge limit").first).to_be_visible()
        expect(page.get_by_role("button", name="Flash lights")).to_have_count(0)
        expect(page.get_by_role("link", name="People")).to_have_count(0)


# --- counts, filters, search ---


def test_counts_sum_to_the_fleet_and_filter(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go()
        rows = page.get_by_label("Vehicles by state").get_by_role("button")
        expect(rows.first).to_contain_text(re.compile(r"\d"))
        counts = [int(re.sub(r"\D", "", text)) for text in rows.all_inner_texts()]
        assert sum(counts) == CARS
        rows.nth(0).click()
        rows.nth(6).click(modifiers=["Shift"])
        assert page.url.split("?")[1].startswith("state=moving&state=alarm")
        expect(page.get_by_text("Moving or in alarm")).to_be_visible()
        expect(page.get_by_text(f"{counts[0] + counts[6]} of 1,200")).to_be_visible()
        assert {"state": ["moving", "alarm"], "q": ""} in [
            told.get("filter") for told in seen.town.heard
        ]
        page.get_by_role("button", name="Drop the filter Moving or in alarm").click()
        expect(page.get_by_text("1,200 of 1,200")).to_be_visible()
        page.go_back()
        expect(page.get_by_text("Moving or in alarm")).to_be_visible()


def test_search_finds_a_vehicle_by_its_name(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go()
        page.keyboard.press("/")
        page.keyboard.type("hd-204")
        expect(page.get_by_role("option", name="HD-204")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="HD-204")).to_be_visible()
        assert "/vehicles/10204" in page.url


def test_the_list_says_what_the_map_says(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/?state=alarm")
        seen.cars()
        page.wait_for_timeout(
            1_000
        )  # the list is of what the map shows: let it have found the cars
        page.keyboard.press("v")
        rows = page.get_by_label("Vehicles in view").get_by_role("link")
        expect(rows.first).to_contain_text("in alarm")
        page.keyboard.press("j")
        page.keyboard.press("j")
        name = rows.nth(1).locator(".clip").inner_text()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def test_the_list_is_of_what_the_map_shows(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go()
        seen.cars()
        page.keyboard.press("v")
        told = page.get_by_label("Vehicles in view").locator("header .small")
        expect(told).to_have_text(re.compile("[0-9]"))
        all_of_them = told.inner_text()
        page.keyboard.press("Escape")
        for _ in range(6):
            page.keyboard.press("+")
            page.wait_for_timeout(400)
        page.keyboard.press("v")
        expect(told).not_to_have_text(all_of_them)
        expect(told).to_have_text(re.compile("[0-9]"))


# --- the drawer ---


def test_an_over_range_signal_is_marked_not_only_coloured(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/vehicles/10204")
        hot = page.get_by_role("button", name=re.compile("Battery, hottest cell"))
        expect(hot).to_contain_text("52.4")
        expect(hot.get_by_label("out of range")).to_be_visible()
        expect(page.get_by_label("out of range")).to_have_count(1)
        hot.click()
        expect(
            page.get_by_role("img", name=re.compile("hottest cell: between .*, limit 50 "))
        ).to_be_visible()


def test_the_ring_is_as_wide_as_the_fix_is_exact(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/vehicles/10204")
        expect(page.get_by_text("Model Y · software 2026.44.3 · id 10204")).to_be_visible()
        expect(page.get_by_text(re.compile("fix .* ago, ±40\u2009m"))).to_be_visible()
        ring = "Number(document.querySelector('canvas.overlay').dataset.ring)"
        seen.cars()
        seen.until("motorcadeMap.getZoom() === 13")  # an address that was opened shows its car
        page.get_by_role("button", name="Follow", exact=True).click()
        page.evaluate("void motorcadeMap.jumpTo({zoom: 16})")
        # 40 m at 49.4 degrees north: 512 * 2^16 px / (40,075,017 m * cos 49.4 degrees)
        seen.until(f"Math.abs({ring} - 51.5) < 1")
        page.keyboard.press("+")
        seen.until(f"Math.abs({ring} - 103) < 2")


def test_where_nobody_knows_how_exact_a_fix_is_it_says_so(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/vehicles/10205")
        expect(page.get_by_text(re.compile("^model not known · software"))).to_be_visible()
        expect(page.get_by_text(re.compile("fix .* ago, accuracy not told"))).to_be_visible()
        seen.until("document.querySelector('canvas.overlay').dataset.ring === 'unknown'")


def test_a_signals_last_hour_shows_while_it_is_pointed_at(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/vehicles/10204")
        row = page.get_by_role("button", name=re.compile("^Power"))
        row.hover()
        line = row.get_by_role("img", name="the last hour").locator("path")
        expect(line).to_have_attribute("d", re.compile(r"^M0\.0 .*L.*M.*L"))  # two parts: a gap
        page.get_by_role("heading", name="HD-204").hover()
        expect(page.get_by_role("img", name="the last hour")).to_have_count(0)
        page.get_by_role("button", name=re.compile("^All .* signals$")).click()
        page.get_by_role("button", name=re.compile("^Locked")).hover()
        page.wait_for_timeout(400)
        expect(page.get_by_role("img", name="the last hour")).to_have_count(0)


def test_a_number_is_explained_by_its_records(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/vehicles/10204")
        page.get_by_role("button", name=re.compile("Battery, hottest cell")).click()
        page.get_by_role("button", name="explain", exact=True).click()
        told = page.get_by_label("Explanation of Battery, hottest cell")
        expect(told.get_by_text("the value is 52.4")).to_be_visible()
        rows = told.locator("tbody tr")
        expect(rows).to_have_count(2)
        expect(rows.nth(0)).to_contain_text("52.4\u2009°C")
        expect(rows.nth(0)).to_contain_text("is the value")
        expect(rows.nth(0)).to_contain_text("telemetry\u20092/4711, gateway")
        expect(rows.nth(1)).to_contain_text("late by 3.000 s")


def test_the_software_it_runs_is_to_get_and_ran_before(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/vehicles/10204")
        page.get_by_role("tab", name="Software").click()
        panel = page.get_by_role("tabpanel", name="Software")
        expect(panel.get_by_text("Download")).to_be_visible()
        expect(panel.get_by_text("2026.46.1")).to_be_visible()
        ran = panel.get_by_role("listitem")
        expect(ran).to_have_count(2)
        expect(ran.nth(0)).to_contain_text("2026.44.3 since")
        expect(ran.nth(1)).to_contain_text("2026.40.1 since")


def test_admins_are_told_who_sees_a_vehicle_and_where_it_is(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/vehicles/10204")
        page.get_by_role("tab", name="Consent").click()
        panel = page.get_by_role("tabpanel", name="Consent")
        expect(panel.get_by_text("No position inside a zone.")).to_be_visible()
        rows = panel.get_by_role("listitem")
        expect(rows.filter(has_text="Veikko")).to_contain_text("no position")
        expect(rows.filter(has_text="Charge planner")).to_contain_text("position to 500\u2009m")
        expect(rows.filter(has_text="Charge planner")).to_contain_text("vehicle_location")
        expect(rows.filter(has_text="the whole fleet, by Mika")).to_contain_text("no position")
    with window(browser, town(role="operator")) as seen:
        page = seen.go("/vehicles/10204?tab=consent")
        expect(page.get_by_role("heading", name="Signals")).to_be_visible()
        expect(page.get_by_role("tab", name="Consent")).to_have_count(0)


def test_what_is_open_is_read_at_its_pace_and_no_faster(browser: Browser) -> None:
    with window(browser, town()) as seen:
        asked: Counter[str] = Counter()
        page = seen.go("/vehicles/10204")
        page.get_by_role("button", name=re.compile("Battery, hottest cell")).click()
        expect(
            page.get_by_role("img", name=re.compile("hottest cell: between .*, limit 50 "))
        ).to_be_visible()
        page.on("request", lambda request: asked.update([urlparse(request.url).path]))
        page.wait_for_timeout(5_000)
        base = "/api/2/vehicles/10204"
        # each second, every three, every fifteen; one more for where in its turn it began
        assert 1 <= asked[base] <= 6
        assert asked[f"{base}/commands"] <= 3
        assert asked[f"{base}/history"] <= 1
        page.get_by_role("button", name="explain", exact=True).click()
        page.wait_for_timeout(3_000)
        assert asked[f"{base}/explain"] == 1
        for tab, path in (("Software", f"{base}/history"), ("Consent", f"{base}/consent")):
            page.get_by_role("tab", name=tab).click()
            asked.clear()
            page.wait_for_timeout(3_000)
            assert asked[path] <= 1


def test_a_command_is_sent_and_its_timeline_shown(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/vehicles/10204?tab=commands")
        page.get_by_role("button", name="Charge limit").click()
        page.get_by_role("spinbutton").fill("70")
        page.get_by_role("button", name="Send to HD-204").click()
        expect(page.get_by_text("Charge limit: done")).to_be_visible()
        assert ("/api/1/vehicles/10204/command/set_charge_limit", {"percent": 70}) in (
            seen.town.posted
        )
        expect(page.get_by_text("Set charge limit 70")).to_be_visible()
        expect(page.get_by_text("+\u2009408\u2009ms").first).to_be_visible()


def test_unlocking_is_asked_about_first(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/vehicles/10204?tab=commands")
        page.get_by_role("button", name="Unlock").click()
        page.get_by_role("button", name="Cancel").click()
        assert seen.town.posted == []


# --- time ---


def test_an_instant_takes_the_whole_page_there_and_back(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go()
        seen.cars()
        expect(page.get_by_role("slider")).to_be_visible()
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_text(re.compile("^Replay [0-9:]+$"))).to_be_visible()
        assert "at=" in page.url
        border = "getComputedStyle(document.querySelector('.page'), '::after').borderTopWidth"
        assert page.evaluate(border) == "3px"
        page.wait_for_timeout(200)
        at = [told for told in seen.town.heard if told["type"] == "at"]
        assert at[-1]["speed"] == 0
        assert abs(at[-1]["at_us"] - (seen.town.now_us() - 60_000_000)) < 10_000_000
        page.keyboard.press("Space")
        page.wait_for_timeout(300)
        assert [told for told in seen.town.heard if told["type"] == "at"][-1]["speed"] == 5
        page.keyboard.press("Escape")
        expect(page.get_by_text("Live", exact=True).last).to_be_visible()
        page.wait_for_timeout(200)
        assert [told for told in seen.town.heard if told["type"] == "at"][-1]["at_us"] is None


def test_dragging_the_timeline_goes_to_that_instant(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go()
        track = page.get_by_role("slider", name="Instant shown")
        expect(track).to_have_attribute("aria-valuetext", "live")
        box = track.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 30)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 30, steps=4)
        page.mouse.up()
        expect(track).to_have_attribute("aria-valuenow", re.compile("^7[12][0-9]$"))


# --- the queue ---


def test_an_item_is_acknowledged_by_a_key_and_undone(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/work")
        expect(page.get_by_text("Battery rising")).to_be_visible()
        page.keyboard.press("j")
        expect(page).to_have_url(re.compile("/work/1"))
        page.keyboard.press("a")
        expect(page.get_by_text("seen by mika")).to_be_visible()
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("seen by mika")).to_have_count(0)
        page.keyboard.press("c")
        page.keyboard.type("on my way")
        page.keyboard.press("Enter")
        expect(page.get_by_text("on my way")).to_be_visible()
        expect(page.get_by_text("Heard last")).to_be_visible()
        page.keyboard.press("z")
        expect(page.get_by_text("snoozed until")).to_be_visible()
        expect(page.get_by_label("Work queue").get_by_text("Battery rising")).to_have_count(0)
        asked = [path for path, _ in seen.town.posted]
        assert [path.rsplit("/", 1)[1] for path in asked] == [
            "acknowledge",
            "undo",
            "comment",
            "snooze",
        ]


# --- keys ---


def test_sections_by_keys(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go()
        expect(page.get_by_role("link", name="People")).to_be_visible()
        for key, path in (("w", "/work"), ("s", "/system"), ("e", "/people"), ("l", "/")):
            page.keyboard.press("g")
            page.keyboard.press(key)
            expect(page).to_have_url(re.compile(f"{path}([?].*)?$"))
        assert page.title() == "Live · motorcade"


def test_keys_fold_panels_change_the_theme_and_are_listed(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/vehicles/10204")
        expect(page.get_by_label("Counts and queue")).to_be_visible()
        expect(page.get_by_role("button", name="Lasso")).to_be_visible()
        page.keyboard.press("[")
        expect(page.get_by_label("Counts and queue")).to_have_count(0)
        page.keyboard.press("]")
        expect(page.get_by_role("heading", name="HD-204")).to_have_count(0)
        page.keyboard.press("]")
        page.keyboard.press("t")
        assert page.locator("html").get_attribute("data-theme") == "light"
        page.keyboard.press("f")
        expect(page.get_by_role("button", name="Following")).to_be_visible()
        page.keyboard.press("l")
        expect(page.get_by_text("Draw around an area")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_text("Draw around an area")).to_have_count(0)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog").get_by_text("Fold the drawer")).to_be_visible()


def test_single_letter_keys_can_be_turned_off(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go()
        page.keyboard.press("?")
        page.get_by_role("checkbox", name="Single-letter keys").uncheck()
        page.keyboard.press("Escape")
        page.keyboard.press("t")
        assert page.locator("html").get_attribute("data-theme") == "dark"


def test_typing_in_a_field_is_no_key(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go()
        page.keyboard.press("/")
        page.keyboard.type("tl?")
        assert page.locator("html").get_attribute("data-theme") == "dark"
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_all_is_reached_by_tab(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/vehicles/10204")
        expect(page.get_by_role("button", name="Acknowledge")).to_be_visible()
        reached: set[str] = set()
        for _ in range(70):
            page.keyboard.press("Tab")
            reached.add(focused(page))
        for wanted in ("Live", "Work", "Zoom in", "Moving", "Acknowledge", "Battery rising"):
            assert any(name.startswith(wanted) for name in reached), (wanted, reached)
        assert any(name.startswith("Instant shown") for name in reached)


def focused(page: Page) -> str:
    return str(
        page.evaluate(
            "document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText"
        )
    ).strip()


# --- empty, loading, broken ---


def test_without_a_vehicle_it_says_how_to_connect_one(browser: Browser) -> None:
    with window(browser, Town(0, basemap=False)) as seen:
        page = seen.go()
        expect(page.get_by_role("heading", name="No vehicle has connected")).to_be_visible()
        expect(page.get_by_text("motorcade demo")).to_be_visible()
        expect(page.get_by_role("button", name="Copy")).to_have_count(3)


def test_a_filter_that_matches_nothing_offers_to_drop_itself(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/?state=charging&q=nobody")
        expect(page.get_by_text("No vehicle that matches “nobody” is charging.")).to_be_visible()
        page.get_by_role("button", name="Drop “nobody”").click()
        expect(page.get_by_text("is charging.")).to_have_count(0)


def test_an_empty_queue_says_who_closed_the_last_item(browser: Browser) -> None:
    with window(browser, town(queue=False)) as seen:
        page = seen.go()
        expect(
            page.get_by_text(re.compile("Nothing to do.*Last item closed.*by mika"))
        ).to_be_visible()


def test_a_lost_link_hides_nothing_and_comes_back(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go()
        seen.cars()
        seen.expected = lambda _: True  # the browser tells of each failed connection
        seen.served.cut()
        band = page.get_by_role("alert").filter(has_text="The link to the server is lost")
        expect(band).to_be_visible()
        expect(band).to_contain_text("old")
        expect(page.get_by_text("1,200 of 1,200")).to_be_visible()
        assert page.evaluate("motorcadeFleet.cars.used") == CARS
        seen.served.mend()
        expect(band).to_have_count(0, timeout=20_000)


def test_without_the_right_to_location_there_is_a_list(browser: Browser) -> None:
    with window(browser, town(location=False, role="viewer")) as seen:
        page = seen.go()
        expect(page.get_by_text("positions need consent")).to_be_visible()
        expect(page.get_by_label("Vehicles in view").get_by_role("link").first).to_be_visible()
        expect(page.locator("canvas.overlay")).to_have_count(0)


def test_less_motion_turns_dead_reckoning_into_jumps(browser: Browser) -> None:
    with window(browser, town(), still=True) as seen:
        page = seen.go()
        seen.cars()
        assert page.evaluate("motorcadeLayer.moves") is False


def test_the_picture_is_there_soon(browser: Browser) -> None:
    """Done when 2: on loopback; the software renderer's time is in it, so twice the figure."""
    with window(browser, town(now_us=lambda: BEGIN_US)) as seen:
        seen.go()
        seen.page.goto(seen.served.url + "/")
        seen.cars()
        ms = seen.page.evaluate("performance.now()")
        assert ms < 4_000


# --- shared links ---


def test_a_shared_link_opens_its_view_to_read_alone(browser: Browser) -> None:
    with window(browser, town(role="viewer")) as seen:
        page = seen.page
        page.goto(seen.served.url + "/s/good")
        expect(page.get_by_role("heading", name="HD-204")).to_be_visible()
        expect(page.get_by_text("Read-only, until")).to_be_visible()
        assert "/s/good/vehicles/10204?state=moving" in page.url
        expect(page.get_by_role("link", name="People")).to_have_count(0)
        page.keyboard.press("Escape")
        page.wait_for_url("**/s/good?**")
        page.reload()
        expect(page.get_by_text("Read-only, until")).to_be_visible()


def test_a_link_that_has_ended_says_so(browser: Browser) -> None:
    with window(browser, town()) as seen:
        seen.page.goto(seen.served.url + "/s/over")
        expect(seen.page.get_by_text("This link has ended")).to_be_visible()


def test_a_view_is_shared_by_a_button(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go("/vehicles/10204?state=alarm")
        page.get_by_role("button", name="Share this view").click()
        page.get_by_role("button", name="Make the link").click()
        expect(page.get_by_label("The link")).to_have_value(re.compile("/s/s1$"))
        path, body = seen.town.posted[-1]
        assert path == "/api/2/shares"
        assert body["view"].startswith("/vehicles/10204?state=alarm")
        page.get_by_role("button", name="Close", exact=True).last.click()
        page.get_by_role("link", name="Work", exact=True).click()
        expect(page.get_by_role("button", name="Share this view")).to_have_count(0)


def test_the_timeline_reaches_the_right_edge_live_and_in_replay(browser: Browser) -> None:
    with window(browser, town()) as seen:
        page = seen.go()
        track = page.get_by_role("slider")
        live = track.bounding_box()
        assert live is not None
        assert DESK[0] - (live["x"] + live["width"]) <= 16
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_role("group", name="Replay")).to_be_visible()
        assert track.bounding_box() == live


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_which_past_is_shown_can_be_chosen(browser: Browser, size: tuple[int, int]) -> None:
    with window(browser, town(), size=size) as seen:
        page = seen.go()
        page.get_by_role("slider").click(position={"x": 60, "y": 30})
        which = page.get_by_label("Which past")
        expect(which).to_have_value("arrived")
        which.select_option("as corrected")
        page.wait_for_url("**mode=corrected**")
        assert which.count() == 1
        page.get_by_role("button", name="Live", exact=True).or_(
            page.get_by_role("button", name="Live Esc")
        ).click()
        expect(which).to_have_count(0)


def test_a_place_is_drawn_and_who_was_in_it_last_week_is_told(browser: Browser) -> None:
    with window(browser, town()) as seen:
        asked: list[str] = []
        page = seen.go()
        seen.cars()
        page.on("request", lambda request: asked.append(request.url))
        page.keyboard.press("d")
        expect(page.get_by_text("Draw a place: who was in it last week.")).to_be_visible()
        expect(page.get_by_role("button", name="Draw a place")).to_have_attribute(
            "aria-pressed", "true"
        )
        page.mouse.move(500, 300)
        page.mouse.down()
        for x, y in ((700, 300), (700, 500), (500, 500)):
            page.mouse.move(x, y, steps=4)
        page.mouse.up()
        expect(page.get_by_label("How long back")).to_have_value("168")
        expect(page.get_by_label("Who was there").get_by_role("listitem")).to_have_count(6)
        (url,) = [url for url in asked if "/fleet/within" in url]
        begin, end = (int(re.findall(f"{name}=([0-9]+)", url)[0]) for name in ("from_us", "to_us"))
        assert end - begin == 7 * 86_400_000_000
        assert "&from=" in page.url  # the address shows it again
        page.reload()
        expect(page.get_by_label("How long back")).to_have_value("168")
        page.get_by_label("How long back").select_option("24")
        expect(page.get_by_label("How long back")).to_have_value("24")
        page.keyboard.press("l")
        expect(page.get_by_text("Draw around an area: who was there.")).to_be_visible()

"""The page on a started platform: time travel seen through it, shared links, exports, the lasso.

Cars send late, twice and ahead of time while a live reader watches (Done when 3 of issue 6). At
random instants, while nobody sends, it notes what there is to see: each car on the map, each
signal. Later the page at that instant must show the same, and as corrected what the cars know.
"""

import csv
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from websockets.sync.client import connect

from motorcade.cli.data import opened_registry
from motorcade.identity.authority import open_authority
from tests.api.window.fleet import WORLD
from tests.api.window.fleet import Page as Reader
from tests.late_senders import Convoy, Sender, driving
from tests.platform_process import Platform, add_vehicles
from tests.test_past import SETTINGS, read

VINS = [f"5YJ3E1EA7KF{number:06d}" for number in range(4)]
ROUNDS = 6
SEED = 20261127
EMAIL, WORD = "olga@example.org", "correct donkey"
CAR = ("lon", "lat", "state", "speed", "heading")
SEEN = """(() => {
  const { cars } = window.motorcadeFleet;
  const seen = {};
  for (let slot = 0; slot < cars.used; slot++) {
    const [speed, heading] = [cars.motion[2 * slot], cars.motion[2 * slot + 1]];
    const car = [cars.lon[slot], cars.lat[slot], cars.kind[2 * slot], speed, heading];
    if (cars.drawn(slot)) seen[slot] = car;
  }
  return seen;
})()"""


class Driver(Sender):
    """A sender that says where it is, too."""

    def signals(self, number: int) -> dict[str, float]:
        place = self.chance.uniform(-0.02, 0.02)
        return super().signals(number) | {
            "latitude": round(52.5 + place, 6),
            "longitude": round(13.4 - place / 2, 6),
            "vehicle_speed": self.chance.randint(0, 120) / 4,  # whole cm/s: the wire cuts the rest
            "gps_heading": float(number % 360),
        }


@dataclass
class Snapshot:
    """What a live reader had before it."""

    at_us: int
    views: dict[str, dict[str, Any]]  # by VIN, as the API told
    cars: dict[int, list[int]]  # by slot, as the stream told


@dataclass
class Voyage:
    platform: Platform
    convoy: Convoy
    snapshots: list[Snapshot] = field(default_factory=list)

    def look(self, reader: Reader) -> None:
        """Note what there is, once live state has all that was acked; nobody sends meanwhile."""
        for _ in range(100):
            views = {vin: read(self.platform, "", vin) for vin in VINS}
            reader_hears(reader)
            cars = {slot: [car[name] for name in CAR] for slot, car in reader.cars.items()}
            if all(self._is_current(vin, view, cars) for vin, view in views.items()):
                at_us = -(-time.time_ns() // 1_000_000) * 1_000  # addresses are to the millisecond
                time.sleep(0.002)
                self.snapshots.append(Snapshot(at_us, views, cars))
                return
        failures = self.convoy.failures
        raise AssertionError(f"live state does not catch up: {failures}, {views}, {cars}")

    def _is_current(self, vin: str, view: dict[str, Any], cars: dict[int, list[int]]) -> bool:
        newest: dict[str, tuple[int, float]] = {}
        for time_us, name, value in self.convoy.senders[vin].said:
            if time_us >= newest.get(name, (0, 0.0))[0]:
                newest[name] = (time_us, value)
        if not newest:
            return True
        said = {signal["name"]: signal["value"] for signal in view["signals"]}
        if any(said.get(name) != value for name, (_, value) in newest.items()):
            return False
        car = cars.get(view["slot"])
        place = [round(newest[name][1] * 1e7) for name in ("longitude", "latitude")]
        speed = round(newest["vehicle_speed"][1] * 100)
        return car is not None and car[:2] == place and car[3] == speed


def reader_hears(reader: Reader) -> None:
    try:
        reader.drain(0.3)
    except TimeoutError:
        return


@pytest.fixture(scope="module")
def voyage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Voyage]:
    directory: Path = tmp_path_factory.mktemp("travel")
    files = add_vehicles(directory / "data", VINS, directory / "vehicles")
    platform = Platform(directory / "data", SETTINGS)
    with opened_registry(directory / "data", open_authority(directory / "data")) as registry:
        registry.people.add_person(EMAIL, "Olga", WORD, "owner")
    chance = random.Random(SEED)
    platform.start()
    try:
        url = platform.ready["api"]["url"].replace("http", "ws", 1)
        with connect(f"{url}/api/2/fleet/stream", proxy=None) as socket:
            reader = Reader(socket)
            reader.say(type="hello", token=platform.ready["admin_token"])
            reader.view(WORLD)
            with driving(platform, files, Driver) as convoy:
                trip = Voyage(platform, convoy)
                for _ in range(ROUNDS):
                    time.sleep(chance.uniform(0.4, 1.2))
                    with convoy.still():
                        trip.look(reader)
        yield trip
    finally:
        assert platform.stop() == 0, platform.log()


@pytest.fixture
def page(voyage: Voyage, browser: Browser) -> Iterator[Page]:
    """Olga's, signed in by the platform's own form; nothing may fail in it."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    errors = heard(opened)
    opened.goto(voyage.platform.ready["dashboard"]["url"])
    opened.get_by_role("button", name="Sign in").click()
    opened.get_by_label("E-mail").fill(EMAIL)
    opened.get_by_label("Password").fill(WORD)
    opened.get_by_role("button", name="Sign in").click()
    expect(opened.get_by_label("Vehicles by state")).to_be_visible()
    yield opened
    assert errors == []
    context.close()


def heard(page: Page) -> list[str]:
    """What the browser's console will have told of as wrong."""
    errors: list[str] = []

    def told(kind: str, text: str) -> None:
        if kind in ("error", "warning") and "GL Driver Message" not in text:
            errors.append(text)

    page.on(
        "console",
        lambda message: told(message.type, f"{message.text} {message.location.get('url', '')}"),
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


def go(page: Page, address: str) -> None:
    """To another address of the page, without loading it anew."""
    page.evaluate(
        "(address) => void history.pushState(null, '', address)"
        " ?? dispatchEvent(new PopStateEvent('popstate'))",
        address,
    )


def until(page: Page, expression: str, wanted: Any, within_s: float = 30.0) -> None:
    """Wait until the page's answer is the wanted one; show the last one where it never is."""
    end_s = time.monotonic() + within_s
    while (told := page.evaluate(expression)) != wanted:
        view = page.evaluate("[window.motorcadeFleet?.bounds, window.motorcadeFleet?.atUs]")
        assert time.monotonic() < end_s, f"the page has {told}, wanted {wanted}; it shows {view}"
        page.wait_for_timeout(100)


def shown(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=re.compile(f"^{name}")).locator(".value")


def test_the_page_at_an_instant_shows_what_a_live_reader_saw(voyage: Voyage, page: Page) -> None:
    sent = [sent for sender in voyage.convoy.senders.values() for sent in sender.said]
    assert len(voyage.snapshots) == ROUNDS
    assert len(sent) > 200
    for snapshot in voyage.snapshots:
        at = f"at={snapshot.at_us}&map=9/52.5/13.4"
        go(page, f"/?{at}")
        expect(page.get_by_role("group", name="Replay")).to_be_visible()
        wanted = {str(slot): car for slot, car in snapshot.cars.items()}
        until(page, SEEN, wanted)
        until(page, "window.motorcadeFleet.atUs", snapshot.at_us)
        for view in snapshot.views.values():
            if not view["signals"]:
                continue
            said = {signal["name"]: signal["value"] for signal in view["signals"]}
            go(page, f"/vehicles/{view['id']}?{at}")
            expect(page.get_by_role("heading", name=view["name"])).to_be_visible()
            expect(shown(page, "Count")).to_have_text(f"{said['count']:,.0f}")
            expect(shown(page, "Charge level")).to_have_text(f"{said['soc']:.0f}\u2009%")
            expect(shown(page, "Latitude")).to_have_text(f"{said['latitude']:.5f}\u2009°")


def test_both_pasts_are_named_and_offered_and_differ_where_data_came_late(
    voyage: Voyage, page: Page
) -> None:
    """As corrected, a car's count at T is that of its newest message of T or before, whenever it
    came; as it arrived, that of the newest that had come, its clock ahead or not."""
    differed = 0
    for snapshot in voyage.snapshots:
        for vin, view in snapshot.views.items():
            known = [
                one
                for one in voyage.convoy.senders[vin].said
                if one[1] == "count" and one[0] <= snapshot.at_us
            ]
            arrived = [one["value"] for one in view["signals"] if one["name"] == "count"]
            if not known or not arrived:
                continue
            (then,) = arrived
            corrected = max(known, key=lambda one: one[0])[2]
            if corrected == then and differed:
                continue
            differed += corrected != then
            go(page, f"/vehicles/{view['id']}?at={snapshot.at_us}&map=9/52.5/13.4")
            which = page.get_by_label("Which past")
            expect(which.locator("option")).to_have_text(["as it arrived", "as corrected"])
            expect(which).to_have_value("arrived")
            expect(shown(page, "Count")).to_have_text(f"{then:,.0f}")
            which.select_option(label="as corrected")
            expect(shown(page, "Count")).to_have_text(f"{corrected:,.0f}")
            assert "mode=corrected" in page.url
    assert differed > 2, "nothing came late enough to tell the two apart"


def test_a_value_is_explained_by_the_records_that_came(voyage: Voyage, page: Page) -> None:
    vin = VINS[0]
    view = read(voyage.platform, "", vin)
    (count,) = [one for one in view["signals"] if one["name"] == "count"]
    go(page, f"/vehicles/{view['id']}?map=9/52.5/13.4")
    page.get_by_role("button", name=re.compile("^Count")).click()
    page.get_by_role("button", name="explain", exact=True).click()
    rows = page.get_by_label("Explanation of Count").locator("tbody tr")
    expect(rows).to_have_count(10)
    newest = rows.filter(has_text="is the value")
    expect(newest).to_have_count(1)
    expect(newest).to_contain_text(f"{count['value']:,.0f}")


def test_a_shared_link_shows_one_vehicle_until_it_is_ended(
    voyage: Voyage, page: Page, browser: Browser
) -> None:
    first, other = (read(voyage.platform, "", vin) for vin in VINS[:2])
    go(page, f"/vehicles/{first['id']}?map=9/52.5/13.4")
    page.get_by_role("button", name="Share this view").click()
    page.get_by_label("with positions").check()
    page.get_by_role("button", name="Make the link").click()
    link = page.get_by_label("The link").input_value()
    guest = browser.new_context().new_page()
    errors = heard(guest)
    guest.goto(link)
    expect(guest.get_by_role("heading", name=first["name"])).to_be_visible()
    expect(guest.get_by_text("Read-only, until")).to_be_visible()
    expect(shown(guest, "Latitude")).to_be_visible()
    for absent in ("Work", "People", "System"):
        expect(guest.get_by_role("link", name=absent, exact=True)).to_have_count(0)
    assert errors == []
    base = link[link.index("/s/") :]
    go(guest, f"{base}/vehicles/{other['id']}")
    expect(guest.get_by_role("heading", name="No such vehicle")).to_be_visible()
    page.get_by_role("button", name="End now").click()
    expect(page.get_by_role("button", name="End now")).to_have_count(0)
    guest.goto(link)
    expect(guest.get_by_text("This link has ended")).to_be_visible()
    guest.context.close()


def test_an_export_holds_each_sample_once(voyage: Voyage, page: Page, tmp_path: Path) -> None:
    vin = VINS[0]
    view = read(voyage.platform, "", vin)
    go(page, f"/vehicles/{view['id']}?tab=export&map=9/52.5/13.4")
    files: dict[str, Path] = {}
    for kind in ("csv", "gpx", "parquet"):
        with page.expect_download() as saved:
            page.get_by_role("button", name=kind.upper()).click()
        files[kind] = tmp_path / saved.value.suggested_filename
        saved.value.save_as(files[kind])
    rows = list(csv.DictReader(files["csv"].read_text().splitlines()))
    told = {row["count"] for row in rows if row["count"]}
    times = {sent[0]: sent[2] for sent in voyage.convoy.senders[vin].said if sent[1] == "count"}
    assert {float(count) for count in told} == set(times.values())
    assert files["gpx"].read_text().count("<trkpt") > 10
    assert files["parquet"].read_bytes()[:4] == b"PAR1"


def test_the_lasso_tells_who_was_there(voyage: Voyage, page: Page) -> None:
    go(page, "/?map=9/52.5/13.4")
    until(page, "window.motorcadeMap?.loaded()", True)
    page.get_by_role("button", name="Lasso").click()
    draw(page, 60)
    there = page.get_by_label("Who was there")
    expect(there.get_by_role("listitem")).to_have_count(len(VINS))
    with page.expect_download() as saved:
        there.get_by_role("button", name="Save as CSV").click()
    names = {read(voyage.platform, "", vin)["name"] for vin in VINS}
    rows = list(csv.DictReader(Path(saved.value.path()).read_text().splitlines()))
    assert {row["name"] for row in rows} == names
    there.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Lasso").click()
    draw(page, 20, away=(250, 150))
    expect(there.get_by_text("Nobody was in this area")).to_be_visible()


def draw(page: Page, radius: int, away: tuple[int, int] = (0, 0)) -> None:
    """A square with the mouse, around the map's middle or away from it."""
    box = page.locator("canvas.overlay").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2 + away[0], box["y"] + box["height"] / 2 + away[1]
    page.mouse.move(x - radius, y - radius)
    page.mouse.down()
    for dx, dy in ((1, -1), (1, 1), (-1, 1), (-1, -1)):
        page.mouse.move(x + dx * radius, y + dy * radius, steps=5)
    page.mouse.up()

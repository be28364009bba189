"""`make pictures`: the page's main views, from a real platform with a world on it, for `docs/`.

It takes some minutes: a platform is started empty, then lives through `stage.py`. One view is the
stand-in's: 100,000 cars, whose platform would want a machine of its own.
`python -m tests.dashboard.pictures FOLDER [--only NAME ...]`.
"""

import argparse
import base64
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import TimeoutError as BrowserTimeout

from motorcade.clock import SystemClock
from tests.dashboard.browser import BEGIN_US, DESK, PHONE, Theme, browsers, window
from tests.dashboard.png import palette_png
from tests.dashboard.stage import MIKA, Stage, stages, zone_of_hour
from tests.dashboard.standin import Town

CARS: Final = 3_000
PLACE: Final = "map=14.2/49.4085/8.6850"
WAIT_MS: Final = 240_000  # for anything: the machine may be busy with other work
TRIES: Final = 5
PNG_BYTES_MAX: Final = 300_000  # what we put into git
_DECODE: Final = """async (png) => {
  const bytes = Uint8Array.from(atob(png), (one) => one.charCodeAt(0));
  const picture = await createImageBitmap(new Blob([bytes]));
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  const { data } = pen.getImageData(0, 0, picture.width, picture.height);
  const parts = [];
  for (let at = 0; at < data.length; at += 32768)
    parts.push(String.fromCharCode(...data.subarray(at, at + 32768)));
  return [picture.width, picture.height, btoa(parts.join(""))];
}"""


class Album:
    """Takes pictures into a folder."""

    def __init__(self, browser: Browser, folder: Path, only: list[str]) -> None:
        self._browser, self._folder, self._only = browser, folder, only
        folder.mkdir(parents=True, exist_ok=True)

    def wants(self, *names: str) -> bool:
        return not self._only or any(name in self._only for name in names)

    def take(self, page: Page, name: str) -> None:
        """One picture. A renderer without a graphics card may miss a frame: it is asked again."""
        if not self.wants(name):
            return
        for attempt in range(TRIES):
            try:
                shot = page.screenshot(timeout=WAIT_MS / 4, caret="hide")
                break
            except BrowserTimeout:
                if attempt == TRIES - 1:
                    raise
        png = self._smaller(shot)
        assert len(png) <= PNG_BYTES_MAX, f"{name}: {len(png)} bytes are too many for git"
        target = self._folder / f"{name}.png"
        target.write_bytes(png)
        print(target, len(png), flush=True)

    def _smaller(self, shot: bytes) -> bytes:
        blank = self._browser.new_page()
        width, height, told = blank.evaluate(_DECODE, base64.b64encode(shot).decode())
        blank.close()
        pixels = np.frombuffer(base64.b64decode(told), np.uint8).reshape(height, width, 4)
        return palette_png(pixels[:, :, :3])


@contextmanager
def signed_in(
    browser: Browser, stage: Stage, theme: Theme, size: tuple[int, int]
) -> Iterator[Callable[[str], Page]]:
    """Opens addresses of the platform's page, as Mika."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=theme,
        locale="en-GB",
        timezone_id=zone_of_hour(SystemClock().now_us()),
        has_touch=size[0] < 900,
    )
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.goto(stage.url)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("E-mail").fill(MIKA[0])
    page.get_by_label("Password").fill(MIKA[1])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation", name="Sections").wait_for()

    def go(path: str) -> Page:
        page.goto(stage.url + path)
        page.get_by_role("navigation", name="Sections").wait_for()
        return page

    yield go
    context.close()


def settled(page: Page, rest_s: float = 4.0) -> Page:
    """Once cars and ground are drawn."""
    until(page, "window.motorcadeFleet?.cars.version > 1 && window.motorcadeMap?.loaded()")
    page.wait_for_timeout(rest_s * 1e3)
    until(page, "window.motorcadeMap.loaded()")
    return page


def until(page: Page, expression: str) -> None:
    deadline_s = time.monotonic() + WAIT_MS / 1e3
    while not page.evaluate(expression):
        assert time.monotonic() < deadline_s, f"never: {expression}"
        page.wait_for_timeout(200)


def real(album: Album, browser: Browser) -> None:
    """The views of a platform of one's own."""
    with tempfile.TemporaryDirectory() as folder, stages(Path(folder), CARS) as stage:
        stage.add_people()
        with signed_in(browser, stage, "dark", DESK) as go:
            page = go("/")
            page.get_by_text("No vehicle has connected").wait_for()
            album.take(page, "empty")
        stage.begin()
        stage.trouble()
        with signed_in(browser, stage, "dark", DESK) as go:
            desk(album, stage, go)
        with signed_in(browser, stage, "light", DESK) as go:
            if album.wants("live-light"):
                album.take(settled(go(f"/?{PLACE}")), "live-light")
        with signed_in(browser, stage, "light", PHONE) as go:
            if album.wants("phone"):
                page = go(f"/vehicles/{stage.hot}")
                page.get_by_role("heading", name="Signals").wait_for()
                album.take(settled(page), "phone")


def desk(album: Album, stage: Stage, go: Callable[[str], Page]) -> None:
    album.take(settled(go(f"/?{PLACE}")), "live")
    if album.wants("drawer"):
        page = go(f"/vehicles/{stage.hot}?state=moving&state=alarm")
        page.get_by_role("button", name="Battery, hottest cell").click()
        page.locator(".uplot canvas").wait_for()
        album.take(settled(page), "drawer")
    if album.wants("work"):
        page = go("/work")
        queue = page.get_by_label("Work queue")
        queue.get_by_role("link").first.click()
        page.get_by_role("button", name="Acknowledge").click(timeout=60_000)
        page.get_by_text("seen by Mika").wait_for()
        page.get_by_label("Comment").fill("Called the driver: stops at the next car park.")
        page.get_by_role("button", name="Add").click()
        page.get_by_text("Called the driver").wait_for()
        page.wait_for_timeout(11_000)  # what offers to undo it goes
        album.take(page, "work")
    if album.wants("replay"):
        at_us = SystemClock().now_us() - 45_000_000
        instant = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_us / 1e6))
        album.take(settled(go(f"/?{PLACE}&at={instant}")), "replay")
    if album.wants("system"):
        page = go("/system")
        page.get_by_role("heading", name="Ledger").wait_for()
        page.wait_for_timeout(3_000)
        album.take(page, "system")
    if album.wants("people"):
        page = go("/people")
        page.locator("main li").first.wait_for()  # who did what
        album.take(page, "people")


def seeded(album: Album, browser: Browser) -> None:
    """More cars than fit on the map one by one."""
    with window(browser, Town(100_000, now_us=lambda: BEGIN_US), theme="dark", size=DESK) as seen:
        seen.page.set_default_timeout(WAIT_MS)
        seen.go("/")
        album.take(settled(seen.page), "cells")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    asked = parser.parse_args()
    with browsers() as browser:
        album = Album(browser, asked.folder, asked.only)
        if album.wants("cells"):
            seeded(album, browser)
        if asked.only != ["cells"]:
            real(album, browser)


if __name__ == "__main__":
    try:
        main()
    except BrowserError as error:
        sys.exit(f"the browser: {error}")

"""The system's Chromium, headless, with WebGL 2 in software, and the page in it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlparse

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.dashboard.standin import Served, Town
from tests.engines.install import chromium

Theme = Literal["dark", "light"]
DESK = (1440, 900)
PHONE = (390, 844)
BEGIN_US = 1_795_698_392_000_000  # 2026-11-26 14:06:32 in Berlin
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",  # WebGL without a graphics card
    "--enable-unsafe-swiftshader",
]


@contextmanager
def browsers(*more: str) -> Iterator[Browser]:
    """One browser; each test gets a context of its own in it."""
    expect.set_options(timeout=30_000)  # the machine may be busy with other tests
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=[*FLAGS, *more])
        yield launched
        launched.close()


@dataclass
class Window:
    """A page, the stand-in behind it, and what must not happen in it."""

    page: Page
    served: Served
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    expected: Callable[[str], bool] = lambda text: "Failed to load resource" in text

    @property
    def town(self) -> Town:
        return self.served.town

    def go(self, path: str = "/", *, signed_in: bool = True) -> Page:
        """Open an address, signed in (by the page's own form, or as if it were), its link up."""
        if signed_in:  # as after a reload
            keep = "sessionStorage.seen = 1; sessionStorage['motorcade.refresh'] = 'r0'"
            self.page.add_init_script(f"if (!sessionStorage.seen) {{ {keep} }}")
        self.page.goto(self.served.url + path)
        if not signed_in:
            self.page.get_by_role("button", name="Sign in").click()
        live = "/^.(vehicles|s)?([/]|$)/.test(location.pathname)"
        self.until(f"!{live} || window.motorcadeFleet?.link === 'open'")
        return self.page

    def cars(self) -> Page:
        """Wait until cars are on the map."""
        self.until("window.motorcadeFleet?.cars.version > 1 && window.motorcadeMap?.loaded()")
        return self.page

    def until(self, expression: str, within_s: float = 60.0) -> None:
        """Wait for what the page's policy lets nobody wait for inside of it: no `eval`."""
        end_s = time.monotonic() + within_s
        while not self.page.evaluate(expression):
            assert time.monotonic() < end_s, f"not within {within_s} s: {expression}"
            self.page.wait_for_timeout(50)

    def check(self) -> None:
        """Nothing was asked of another host, and nothing failed in the page."""
        assert not self.foreign, f"the page asked another host: {self.foreign}"
        unexpected = [text for text in self.errors if not self.expected(text)]
        assert not unexpected, f"the page told of errors: {unexpected}"


@contextmanager
def window(
    browser: Browser,
    town: Town,
    *,
    theme: Theme = "dark",
    size: tuple[int, int] = DESK,
    still: bool = False,
    **more: Any,
) -> Iterator[Window]:
    """A page over a stand-in with this town; what it must not have done is checked at the end."""
    with Served(town) as served:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=theme,
            reduced_motion="reduce" if still else "no-preference",
            locale="en-GB",
            timezone_id="Europe/Berlin",
            has_touch=size[0] < 900,
            **more,
        )
        made = Window(context.new_page(), served)
        home = urlparse(served.url).netloc

        def asked(url: str) -> None:
            parts = urlparse(url)
            if parts.scheme not in ("blob", "data") and parts.netloc != home:
                made.foreign.append(url)

        def told(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and "GL Driver Message" not in message.text:
                made.errors.append(message.text)

        context.on("request", lambda request: asked(request.url))
        made.page.on("websocket", lambda opened: asked(opened.url))
        made.page.on("console", told)
        made.page.on("pageerror", lambda error: made.errors.append(str(error)))
        yield made
        made.check()
        context.close()

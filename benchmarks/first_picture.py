"""How long until the page shows something: from the address to cars on the map, and to the ground.

Claim: the first meaningful picture, cars where they are and counts beside them, within 2 s on
loopback. The browser is the system's Chromium without a graphics card, so the renderer's own time
is in it, on the same cores. Each load is a reload by somebody who is signed in, the browser's cache
empty (`--warm`: kept). Marks are the page's own (`web/src/lib/marks.ts`), ms since the address was
asked for; medians, least and most.
`python -m benchmarks.first_picture [--cars N] [--world N] [--loads N] [--warm] [--trace FILE]`.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page

from benchmarks.machine import MachineTimes, describe
from tests.dashboard.browser import DESK, browsers, window
from tests.dashboard.pictures import signed_in
from tests.dashboard.stage import stages
from tests.dashboard.standin import Town

NAMES: Final = (
    *("first paint", "script", "signed in", "map code", "map", "linked", "frame"),
    *("cars", "streets", "ground"),
)
WAIT_MS: Final = 120_000
_READ: Final = """() => {
  const out = {};
  for (const { name, startTime } of performance.getEntriesByType("paint"))
    if (name === "first-contentful-paint") out["first paint"] = startTime;
  for (const { name, startTime } of performance.getEntriesByType("mark"))
    if (name.startsWith("motorcade.")) out[name.slice(10).replaceAll("-", " ")] ??= startTime;
  return out;
}"""
Open = Callable[[], Page]


@contextmanager
def standin(browser: Browser, cars: int) -> Iterator[Open]:
    """Opens the page over the stand-in."""
    with window(browser, Town(cars, all_moving=True)) as seen:
        seen.go("/")
        yield lambda: _goto(seen.page, seen.served.url + "/")


@contextmanager
def platform(browser: Browser, cars: int) -> Iterator[Open]:
    """Opens the page of a platform with a world."""
    with tempfile.TemporaryDirectory() as folder, stages(Path(folder), cars) as stage:
        stage.add_people()
        stage.begin()
        with signed_in(browser, stage, "dark", DESK) as go:
            yield lambda: go("/")


def _goto(page: Page, url: str) -> Page:
    page.goto(url, wait_until="commit")
    return page


def load(open_: Open, *, warm: bool) -> dict[str, float]:
    """One load: ms of each mark."""
    page = open_()
    if not warm:
        session = page.context.new_cdp_session(page)
        session.send("Network.clearBrowserCache")
        session.detach()
        page = open_()
    for _ in range(WAIT_MS // 100):
        told: dict[str, float] = page.evaluate(_READ)
        if "cars" in told and "ground" in told:
            return told
        page.wait_for_timeout(100)
    raise AssertionError(f"no picture within {WAIT_MS} ms: {told}")


def trace(browser: Browser, open_: Open, target: Path) -> None:
    """A trace of one load, for `chrome://tracing` or Perfetto."""
    page = open_()
    browser.start_tracing(page=page, path=target)
    load(open_, warm=True)
    page.wait_for_timeout(500)
    browser.stop_tracing()


def show(what: str, loads: list[dict[str, float]], machine: str) -> None:
    print(f"{what}; {len(loads)} loads; {machine}")
    for name in NAMES:
        found = [told[name] for told in loads if name in told]
        if found:
            middle = statistics.median(found)
            print(f"  {name:12}  {middle:7.0f} ms   ({min(found):.0f} to {max(found):.0f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cars", type=int, nargs="*", default=[100_000], help="of the stand-in")
    parser.add_argument("--world", type=int, default=0, help="... and so many of a real platform")
    parser.add_argument("--loads", type=int, default=7)
    parser.add_argument("--warm", action="store_true", help="keep the browser's cache")
    parser.add_argument("--trace", type=Path, help="a trace of one more load")
    asked = parser.parse_args()
    print(describe())
    places: list[tuple[str, Any, int]] = [
        (f"stand-in, {cars} cars", standin, cars) for cars in asked.cars
    ]
    if asked.world:
        places.append((f"platform, {asked.world} cars", platform, asked.world))
    with browsers() as browser:
        for what, place, cars in places:
            with place(browser, cars) as open_:
                load(open_, warm=True)
                begun = MachineTimes.read()
                loads = [load(open_, warm=asked.warm) for _ in range(asked.loads)]
                show(what, loads, MachineTimes.read().since(begun, 0.0))
                if asked.trace:
                    trace(browser, open_, asked.trace)


if __name__ == "__main__":
    main()

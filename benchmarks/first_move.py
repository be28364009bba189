"""How long after `make up` on a machine that is set up its page moves.

Claim: within 10 s. `motorcade demo` is started in a new directory; the page's address and the
password are read from what it prints, somebody signs in at once, and cars have moved when a car on
the map stands elsewhere than before. The browser runs already: a person has one open. It has no
graphics card, and the same cores.
`python -m benchmarks.first_move [--starts N]`.
"""

import argparse
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page

from benchmarks.machine import MachineTimes, describe
from tests.dashboard.browser import DESK, browsers

WAIT_S: Final = 120.0
WANTED_S: Final = 10.0
_ENTRANCE: Final = re.compile(r"page (\S+)\s+sign in as (\S+) with (\S+)")
_MOVED: Final = """() => {
  const cars = window.motorcadeFleet?.cars;
  if (!cars || !cars.used) return false;
  const here = Array.from(cars.lon.slice(0, cars.used));
  const before = (window.placesBefore ??= here);
  return here.some((lon, slot) => before[slot] && lon && lon !== before[slot]);
}"""


def start(browser: Browser, data: Path) -> tuple[float, float]:
    """Seconds from the command until the address stands there, and until a car moves."""
    begun_s = time.monotonic()
    words = [sys.executable, "-m", "motorcade.cli.main", "demo", "--data", str(data)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            entrance = next(found for line in demo.stdout if (found := _ENTRANCE.search(line)))
            printed_s = time.monotonic() - begun_s
            page = browser.new_page(viewport={"width": DESK[0], "height": DESK[1]})
            sign_in(page, *entrance.groups())
            page.wait_for_function(_MOVED, timeout=WAIT_S * 1e3)
            moved_s = time.monotonic() - begun_s
            page.close()
        finally:
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=60)
    return printed_s, moved_s


def sign_in(page: Page, url: str, email: str, password: str) -> None:
    page.goto(url)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5)
    asked = parser.parse_args()
    print(describe())
    begun = MachineTimes.read()
    with browsers() as browser:
        found = []
        for _ in range(asked.starts):
            with tempfile.TemporaryDirectory() as folder:
                found.append(start(browser, Path(folder) / "data"))
                print(f"  address after {found[-1][0]:.1f} s, moving after {found[-1][1]:.1f} s")
    printed, moved = (statistics.median(column) for column in zip(*found, strict=True))
    print(
        f"medians of {asked.starts}: address {printed:.1f} s, moving {moved:.1f} s, wanted "
        f"{WANTED_S:g}; {MachineTimes.read().since(begun, 0.0)}"
    )
    return 0 if moved <= WANTED_S else 1


if __name__ == "__main__":
    sys.exit(main())

"""A fleet that moves leaves nothing behind in the page; `benchmarks.page_memory` has the hour."""

from playwright.sync_api import Browser

from tests.dashboard.memory import play

CARS, FRAMES = 5_000, 300
KEPT_KIB_MAX = 4_096  # the bytes of 200 frames would be five times as much


def test_what_came_is_let_go(browser: Browser) -> None:
    looks = play(browser, CARS, FRAMES, looks=3)
    warm, last = looks[1], looks[-1]  # until the first look code is compiled
    assert last.held_kib - warm.held_kib < KEPT_KIB_MAX
    assert last.nodes - warm.nodes < 200

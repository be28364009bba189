"""A browser for a module's tests; the page is built by `make setup`."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.dashboard.browser import browsers
from tests.dashboard.standin import PAGE


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert (PAGE / "index.html").is_file(), "the page is not built: run `make page`"
    with browsers() as launched:
        yield launched

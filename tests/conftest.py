"""What all tests share: nothing of a finished module stays open."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """Collect what a module's tests left in reference cycles: files among it, mapped or open.

    Some of the clients that we test with wait by `select`, which ends at descriptor 1,023.
    """
    yield
    gc.collect()

"""What all tests share: nothing of a finished module stays open."""

import functools
import gc
from collections.abc import Iterator

import httpx._transports.default
import pytest
import structlog


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """Collect what a module's tests left in reference cycles: files among it, mapped or open.

    Some of the clients that we test with wait by `select`, which ends at descriptor 1,023.
    """
    yield
    gc.collect()


@pytest.fixture(scope="session", autouse=True)
def _plain_tracebacks() -> None:
    """As the product logs them. Unconfigured, structlog draws every local variable of every frame
    where `rich` is installed: seconds, in which a server under test answers nobody."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


@pytest.fixture(scope="module", autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Commands that a test runs in process decide how this process logs from there on, and from
    which level: the next module's tests want to see all."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session", autouse=True)
def _authorities_loaded_once() -> Iterator[None]:
    """httpx loads all certificate authorities for each request that is made without a client, a
    plain one too: 46 ms of CPU of 50, and the suite makes thousands of them."""
    where = httpx._transports.default
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, "create_ssl_context", functools.cache(where.create_ssl_context))
        yield

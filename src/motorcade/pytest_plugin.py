"""The pytest plugin: fixture `motorcade_sandbox`, a fresh world for each test.

Pytest loads this module wherever Motorcade is installed, so it imports nothing but pytest: what
runs a sandbox is loaded by the first test that asks for one.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from motorcade.sandbox.client import Sandbox, World


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the sandbox is; without it the tests start one of their own."""
    group = parser.getgroup("motorcade")
    text = "Use the sandbox that runs there (default: $MOTORCADE_SANDBOX_URL, else start one)."
    group.addoption("--motorcade-sandbox-url", default="", metavar="URL", help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    line = (
        "motorcade_world(vehicles=1, seed=None, speed=1.0, signed_commands='supported'): "
        "what the fixture `motorcade_sandbox` is to hold"
    )
    config.addinivalue_line("markers", line)


@pytest.fixture(scope="session")
def motorcade_sandbox_server(pytestconfig: pytest.Config) -> "Iterator[Sandbox]":
    """The sandbox itself: one for all tests of this process."""
    from motorcade.sandbox.running import running_sandbox

    with running_sandbox(pytestconfig.getoption("--motorcade-sandbox-url")) as sandbox:
        yield sandbox


@pytest.fixture
def motorcade_sandbox(
    request: pytest.FixtureRequest, motorcade_sandbox_server: "Sandbox"
) -> "Iterator[World]":
    """A fresh world: an owner, an app that is let in, cars. Gone after the test."""
    marker = request.node.get_closest_marker("motorcade_world")
    wanted: dict[str, Any] = dict(marker.kwargs) if marker is not None else {}
    with motorcade_sandbox_server.world(**wanted) as world:
        yield world

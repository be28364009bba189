"""One sandbox for the whole folder; a world and its app for each test."""

from collections.abc import Iterator

import pytest

from motorcade.sandbox.client import Sandbox, World
from motorcade.sandbox.running import running_sandbox
from tests.sandbox.app import App


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox("", "--vehicles", "2", "--seed", "5") as sandbox:
        yield sandbox


@pytest.fixture
def world(sandbox: Sandbox) -> Iterator[World]:
    with sandbox.world() as world:
        yield world


@pytest.fixture
def app(world: World) -> Iterator[App]:
    app = App(world)
    yield app
    app.close()

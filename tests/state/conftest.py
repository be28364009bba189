"""Kernels are compiled before the first test: their first call takes seconds."""

import pytest
from hypothesis import settings

from motorcade.signals import kernels as signals_kernels
from motorcade.state import kernels as state_kernels

settings.register_profile("motorcade", deadline=None)  # no timing asserts: machines are shared
settings.load_profile("motorcade")


@pytest.fixture(scope="session", autouse=True)
def _warm() -> None:
    signals_kernels.warm()
    state_kernels.warm()

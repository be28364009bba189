"""Keys, made once: generating them costs more than most tests. Kernels too, as in production."""

import pytest
from hypothesis import settings

from motorcade.gateway.telemetry import kernels
from tests.gateway.telemetry.harness import Keys, make_keys

settings.register_profile("motorcade", deadline=None)  # no timing asserts: machines are shared
settings.load_profile("motorcade")


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    kernels.warm()
    return make_keys(tmp_path_factory.mktemp("keys"))

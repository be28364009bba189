"""Keys, made once: generating them costs more than most tests. Kernels too, as in production."""

import pytest

from motorcade.gateway.telemetry import kernels
from tests.gateway.telemetry.harness import Keys, make_keys


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    kernels.warm()
    return make_keys(tmp_path_factory.mktemp("keys"))

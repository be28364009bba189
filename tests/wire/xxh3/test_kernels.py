"""The compiled XXH3 against the `xxhash` package."""

import numpy as np
import pytest
import xxhash

from motorcade.wire.xxh3 import kernels


@pytest.mark.parametrize("length", [*range(17, 300), 1_023, 1_024, 1_025, 1_089, 5_000])
def test_the_hash_is_the_librarys(length: int) -> None:
    data = bytes((index * 7 + length) & 0xFF for index in range(length))
    high, low = kernels.xxh3_128(
        np.frombuffer(data, np.uint8).copy(), length, np.zeros(8, np.uint64)
    )
    assert int(high) << 64 | int(low) == xxhash.xxh3_128_intdigest(data)

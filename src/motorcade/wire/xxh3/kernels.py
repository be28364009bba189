"""XXH3, 128 bits, without a seed, for inputs of 17 bytes and more.

Source: the xxHash specification, "XXH3 algorithm". The second opinion is the `xxhash` package: a
kernel cannot call it, and calling it per record from Python costs more than the hash.
"""

import numpy as np

from motorcade.compiled import kernel

_P32_1, _P32_2, _P32_3 = np.uint64(0x9E3779B1), np.uint64(0x85EBCA77), np.uint64(0xC2B2AE3D)
_P64_1, _P64_2 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F)
_P64_3, _P64_4 = np.uint64(0x165667B19E3779F9), np.uint64(0x85EBCA77C2B2AE63)
_P64_5 = np.uint64(0x27D4EB2F165667C5)
_AVALANCHE = np.uint64(0x165667919E3779F9)
_LOW_32 = np.uint64(0xFFFFFFFF)
_SECRET = np.frombuffer(
    bytes.fromhex(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
        "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
        "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
        "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
        "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
        "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
    ),
    np.uint8,
)


@kernel
def _read_u64(data, at):
    value = np.uint64(0)
    for index in range(8):
        value |= np.uint64(data[at + index]) << np.uint64(8 * index)
    return value


@kernel
def _fold(left, right):
    """The 128-bit product of two uint64, its halves XORed."""
    left_low, left_high = left & _LOW_32, left >> np.uint64(32)
    right_low, right_high = right & _LOW_32, right >> np.uint64(32)
    low = left_low * right_low
    cross = (low >> np.uint64(32)) + left_high * right_low
    other = (cross & _LOW_32) + left_low * right_high
    high = left_high * right_high + (cross >> np.uint64(32)) + (other >> np.uint64(32))
    return ((other << np.uint64(32)) | (low & _LOW_32)) ^ high


@kernel
def _avalanche(value):
    value ^= value >> np.uint64(37)
    value *= _AVALANCHE
    return value ^ (value >> np.uint64(32))


@kernel
def _mix_16(data, at, key):
    return _fold(
        _read_u64(data, at) ^ _read_u64(_SECRET, key),
        _read_u64(data, at + 8) ^ _read_u64(_SECRET, key + 8),
    )


@kernel
def _mix_32(low, high, data, at, other, key):
    low += _mix_16(data, at, key)
    low ^= _read_u64(data, other) + _read_u64(data, other + 8)
    high += _mix_16(data, other, key + 16)
    high ^= _read_u64(data, at) + _read_u64(data, at + 8)
    return low, high


@kernel
def _xxh3_short(data, length):
    """17 to 240 bytes."""
    low, high = np.uint64(length) * _P64_1, np.uint64(0)
    if length <= 128:
        for pair in range((length - 1) // 32, -1, -1):
            low, high = _mix_32(low, high, data, 16 * pair, length - 16 * pair - 16, 32 * pair)
    else:
        for at in range(0, 128, 32):
            low, high = _mix_32(low, high, data, at, at + 16, at)
        low, high = _avalanche(low), _avalanche(high)
        for at in range(128, length - 31, 32):
            low, high = _mix_32(low, high, data, at, at + 16, at - 125)
        low, high = _mix_32(low, high, data, length - 16, length - 32, 103)
    mixed = low * _P64_1 + high * _P64_4 + np.uint64(length) * _P64_2
    return np.uint64(0) - _avalanche(mixed), _avalanche(low + high)


@kernel
def _accumulate(sums, data, at, key):
    for lane in range(8):
        value = _read_u64(data, at + 8 * lane)
        keyed = value ^ _read_u64(_SECRET, key + 8 * lane)
        sums[lane ^ 1] += value
        sums[lane] += (keyed & _LOW_32) * (keyed >> np.uint64(32))


@kernel
def _merge(sums, key, start):
    for pair in range(4):
        start += _fold(
            sums[2 * pair] ^ _read_u64(_SECRET, key + 16 * pair),
            sums[2 * pair + 1] ^ _read_u64(_SECRET, key + 16 * pair + 8),
        )
    return _avalanche(start)


@kernel
def xxh3_128(data, length, sums):
    """(high, low) of XXH3-128 over `data[:length]`, 17 bytes or more. `sums` is uint64[8] scratch.

    The same number as `xxhash.xxh3_128_intdigest`.
    """
    if length <= 240:
        return _xxh3_short(data, length)
    sums[0], sums[1], sums[2], sums[3] = _P32_3, _P64_1, _P64_2, _P64_3
    sums[4], sums[5], sums[6], sums[7] = _P64_4, _P32_2, _P64_5, _P32_1
    stripes = (length - 1) // 64
    for stripe in range(stripes):
        _accumulate(sums, data, 64 * stripe, 8 * (stripe & 15))
        if stripe & 15 == 15:
            for lane in range(8):
                mixed = sums[lane] ^ (sums[lane] >> np.uint64(47))
                sums[lane] = (mixed ^ _read_u64(_SECRET, 128 + 8 * lane)) * _P32_1
    _accumulate(sums, data, length - 64, 121)
    low = _merge(sums, 11, np.uint64(length) * _P64_1)
    high = _merge(sums, 117, ~(np.uint64(length) * _P64_2))
    return high, low


def warm() -> None:
    """Compile on production types."""
    xxh3_128(np.zeros(300, np.uint8), 300, np.zeros(8, np.uint64))

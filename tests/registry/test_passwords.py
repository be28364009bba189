"""Passwords: drawn whole, hashed under a key, compared without a hint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.registry.passwords import constant_time_equal, hash_password, make_password

KEY = bytes(range(32))


def test_a_password_carries_all_its_entropy_in_plain_characters() -> None:
    password = make_password(b"\xff" * 31 + b"\xfe")
    assert len(password) == 43
    assert password.replace("-", "").replace("_", "").isalnum() or set(password) <= set("-_")
    assert make_password(bytes(32)) != make_password(bytes(31) + b"\x01")
    with pytest.raises(ValueError, match="32 bytes"):
        make_password(bytes(31))


@given(st.text(), st.binary(), st.text(), st.binary())
def test_only_the_same_name_and_password_hash_alike(
    name: str, password: bytes, other_name: str, other_password: bytes
) -> None:
    same = (name, password) == (other_name, other_password)
    stored = hash_password(KEY, name, password)
    given_ = hash_password(KEY, other_name, other_password)
    assert constant_time_equal(stored, given_) == same


def test_name_and_password_do_not_run_into_each_other() -> None:
    assert hash_password(KEY, "ab", b"c") != hash_password(KEY, "a", b"bc")


def test_the_hash_needs_the_key() -> None:
    assert hash_password(KEY, "ops", b"secret") != hash_password(bytes(32), "ops", b"secret")

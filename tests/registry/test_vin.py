"""VINs: what ISO 3779 allows, and refusals that say what to write instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.events import VIN_ALPHABET, make_token
from motorcade.registry.errors import AlreadyExistsError, InvalidVinError
from motorcade.registry.vin import check_vin, check_vins


@given(st.text(VIN_ALPHABET, min_size=17, max_size=17))
def test_seventeen_allowed_characters_are_a_vin(vin: str) -> None:
    assert check_vin(vin) == vin


@pytest.mark.parametrize(
    ("vin", "told"),
    [
        ("", "0 characters"),
        ("5YJ3E1EA7KF00001", "16 characters"),
        ("5YJ3E1EA7KF0000012", "18 characters"),
        ("5YJ3E1EA7KF00000O", "'O'"),
        ("5YJ3E1EA7KF0000 1", "' '"),
        ("5yj3e1ea7kf000001", "write 5YJ3E1EA7KF000001"),
        ("../../etc/passwd1", "'/'"),
        ("５YJ3E1EA7KF000001", "'５'"),
    ],
)
def test_anything_else_is_refused_with_the_reason(vin: str, told: str) -> None:
    with pytest.raises(InvalidVinError, match=told):
        check_vin(vin)


@given(st.binary(min_size=16, max_size=16))
def test_a_token_is_never_a_vin(entropy: bytes) -> None:
    with pytest.raises(InvalidVinError):
        check_vin(make_token(entropy))


def test_a_list_is_bounded_and_without_doubles() -> None:
    vins = ["5YJ3E1EA7KF000001", "5YJ3E1EA7KF000002"]
    assert check_vins(vins, vins_max=2) == vins
    with pytest.raises(InvalidVinError, match="at most 1"):
        check_vins(vins, vins_max=1)
    with pytest.raises(AlreadyExistsError, match="twice"):
        check_vins([vins[0], vins[0]], vins_max=2)

"""What a vehicle identification number is: ISO 3779, without its check digit. No IO.

North America computes position 9 as a check digit, Europe and China do not, so none is demanded.
"""

from collections.abc import Sequence
from typing import Final

from motorcade.events import VIN_ALPHABET
from motorcade.registry.errors import AlreadyExistsError, InvalidVinError

VIN_CHARACTERS: Final = 17


def check_vin(vin: str) -> str:
    """Return `vin` if ISO 3779 allows it. Raises `InvalidVinError`, saying what is wrong."""
    if len(vin) != VIN_CHARACTERS:
        raise InvalidVinError(f"VIN {vin!r} has {len(vin)} characters, a VIN has {VIN_CHARACTERS}")
    wrong = sorted(set(vin) - set(VIN_ALPHABET))
    if not wrong:
        return vin
    if vin.upper() != vin and not set(vin.upper()) - set(VIN_ALPHABET):
        raise InvalidVinError(f"VIN {vin!r} has lower-case letters: write {vin.upper()}")
    raise InvalidVinError(
        f"VIN {vin!r} has {' '.join(map(repr, wrong))}: a VIN has digits and the letters A-Z "
        "without I, O and Q (ISO 3779)"
    )


def check_vins(vins: Sequence[str], *, vins_max: int) -> list[str]:
    """Check each VIN, that none stands there twice, and that there are not too many."""
    if len(vins) > vins_max:
        raise InvalidVinError(f"{len(vins)} VINs at once, at most {vins_max}: add them in parts")
    checked: dict[str, None] = {}
    for vin in vins:
        if check_vin(vin) in checked:
            raise AlreadyExistsError(f"VIN {vin} is in the list twice: keep one of them")
        checked[vin] = None
    return list(checked)

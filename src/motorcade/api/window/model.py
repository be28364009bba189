"""Which model a vehicle is, as people say it: by what it tells, else by its VIN. No IO.

Source: position 4 of a VIN of Tesla's world manufacturer codes (ISO 3779; Tesla's own decoder in
its service manuals). Of other makers' codes nothing is guessed.
"""

from collections.abc import Mapping
from typing import Final

TESLA: Final = frozenset({"5YJ", "7SA", "7G2", "LRW", "XP7", "SFZ"})
BY_LETTER: Final[Mapping[str, str]] = {
    "S": "Model S",
    "3": "Model 3",
    "X": "Model X",
    "Y": "Model Y",
    "C": "Cybertruck",
    "T": "Semi",
    "R": "Roadster",
}
BY_CAR_TYPE: Final[Mapping[str, str]] = {
    "ModelS": "Model S",
    "ModelX": "Model X",
    "Model3": "Model 3",
    "ModelY": "Model Y",
    "Cybertruck": "Cybertruck",
    "Cybercab": "Cybercab",
    "SemiTruck": "Semi",
    "SemiTruckV2": "Semi",
}


def model_of(vin: str, car_type: object = None) -> str | None:
    """The model's name; `None` where nobody knows it. `car_type`: the signal's value, if told."""
    told = BY_CAR_TYPE.get(car_type) if isinstance(car_type, str) else None
    if told is not None:
        return told
    return BY_LETTER.get(vin[3:4]) if vin[:3] in TESLA else None

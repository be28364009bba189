"""What a key may do by its role, a table. No IO.

Source: the protocol document, "Roles". The car decides by it whatever the cloud let pass.
"""

from typing import Final

from motorcade.wire.tesla_command.rights import Right

_ALL: Final = frozenset(Right)
_DRIVER: Final = _ALL - {Right.ACCESS, Right.KEYS}
_MONITOR: Final = frozenset({Right.PUBLIC, Right.READ, Right.LOCATE})

RIGHTS: Final[dict[str, frozenset[Right]]] = {
    "SERVICE": frozenset({Right.PUBLIC, Right.KEYS}),  # of keys: to remove; besides: the locks
    "OWNER": _ALL,
    "DRIVER": _DRIVER,
    "FM": _ALL - {Right.KEYS},  # a fleet manager: an owner in the cloud, who manages no keys
    "VEHICLE_MONITOR": _MONITOR,
    "CHARGING_MANAGER": _MONITOR | {Right.CHARGE},
    "GUEST": _DRIVER,
}
"""Roles without a row may do what whoever can reach the car may."""

SERVICE_DEEDS: Final = frozenset({"door_lock", "door_unlock"})

ROLE_NUMBERS: Final = {
    **{"NONE": 0, "SERVICE": 1, "OWNER": 2, "DRIVER": 3, "FM": 4, "VEHICLE_MONITOR": 5},
    **{"CHARGING_MANAGER": 6, "SERVICE_TECH": 7, "GUEST": 8, "RIDER": 9, "PREDELIVERY": 10},
    "INFOTAINMENT": 11,
}
"""`Keys.Role`."""
ROLE_NAMES: Final = {number: name for name, number in ROLE_NUMBERS.items()}


def rights_of_role(role: str) -> frozenset[Right]:
    """What a key of this role may do."""
    return RIGHTS.get(role, frozenset({Right.PUBLIC}))

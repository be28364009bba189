"""The scopes of access tokens, a table. Source: Tesla Fleet API, authentication overview."""

from typing import Final

SCOPES: Final[dict[str, str]] = {
    "openid": "sign in",
    "offline_access": "refresh tokens",
    "email": "the account's e-mail address",
    "profile": "the account's name and picture",
    "user_data": "the account's contact data",
    "vehicle_device_data": "vehicles and their live data",
    "vehicle_location": "where vehicles are",
    "vehicle_cmds": "commands to vehicles",
    "vehicle_charging_cmds": "charging history and charging commands",
    "vehicle_specs": "specifications of vehicles (partner tokens)",
    "metrics": "figures about the platform itself, none about a vehicle (ours)",
    "publish_samples": "storing samples of vehicles, by gRPC (ours)",
    "energy_device_data": "energy sites and their live data",
    "energy_cmds": "commands to energy sites",
}

OFFLINE_ACCESS: Final = "offline_access"
OPENID: Final = "openid"
PARTNER_ONLY: Final = "vehicle_specs"  # no person can grant it
OPERATORS_ONLY: Final = frozenset({"metrics", "publish_samples"})
APP_SCOPES: Final = tuple(scope for scope in SCOPES if scope not in OPERATORS_ONLY)
"""What apps may ask for: all but those that are the operator's."""

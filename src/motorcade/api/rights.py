"""Who may call which route and see which member, two tables. No IO.

A route without a row does not exist: tests compare both ways and call every route with every scope.
`docs/protocols/scopes.md` is drawn from here. Scopes: Tesla Fleet API, protocol page §1 and §2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from motorcade.api.rates import Pace
from motorcade.identity.port import ADMIN, OPERATOR, VIEWER

DEVICE_DATA: Final = "vehicle_device_data"
LOCATION: Final = "vehicle_location"
COMMANDS: Final = "vehicle_cmds"
CHARGING: Final = "vehicle_charging_cmds"
USER_DATA: Final = "user_data"
METRICS: Final = "metrics"
PUBLISH: Final = "publish_samples"
ENERGY_DATA: Final = "energy_device_data"
ENERGY_COMMANDS: Final = "energy_cmds"
FLEET: Final = (
    *(DEVICE_DATA, LOCATION, COMMANDS, CHARGING),
    *(ENERGY_DATA, ENERGY_COMMANDS, USER_DATA),
)
"""Any scope that makes a token good for the Fleet API at all."""


class Token(Enum):
    """Whose bearer token a route takes."""

    NONE = "none needed"
    PERSON = "a person's"
    PARTNER = "an app's own (partner token)"
    EITHER = "a person's or an app's own"
    SESSION = "none: signed in by cookie"  # pages


@dataclass(frozen=True, slots=True)
class Right:
    """One route. `Counter.allow` lets pass what its row says, and nothing else."""

    method: str  # GET, POST, DELETE; WS: a WebSocket; RPC: a method of gRPC
    path: str  # the template, as it is registered, without the types of its parameters
    scopes: tuple[str, ...] = ()  # any one of them is enough; none: any token of the right kind
    token: Token = Token.PERSON
    pace: Pace | None = None  # what of the app's allowance, mostly for the vehicle, it takes
    shared: bool = False  # also by a shared link's token
    everywhere: bool = False  # also for accounts of other regions and apps not registered here
    role: str = ""  # on the page, that the person needs at least: `window/roles.py`; "": none
    note: str = ""


VEHICLES: Final = "/api/1/vehicles"
VEHICLE: Final = "/api/1/vehicles/{tag}"
VEHICLE_2: Final = "/api/2/vehicles/{tag}"  # ours alone: version 1 is Tesla's
_OWNER: Final = "the owner's token alone"
_OWN_VEHICLE: Final = "the person's own: drivers, keys, privacy"
_WORK: Final = "without a role: what is of the person's own vehicles"
HISTORY: Final = "/api/1/dx/charging/history"
SESSIONS: Final = "/api/1/dx/charging/sessions"
PEOPLE: Final = "/api/2/people"
SHARES: Final = "/api/2/shares"
AUDIT: Final = "/api/2/audit"
PRODUCTS: Final = "/api/1/products"
SITE: Final = "/api/1/energy_sites/{site_id}"
_ANY_VEHICLE_SCOPE: Final = (COMMANDS, CHARGING, DEVICE_DATA)
PAGE_ADDRESSES: Final = (
    *("/", "/signed-in", "/vehicles/{id}", "/work", "/work/{id}", "/system", "/people"),
    *("/s/{token}", "/s/{token}/vehicles/{id}"),
)
"""Each answers with the page, which shows what belongs there."""

PAGE_FILES: Final = ("/assets/{name}", "/basemap/{name}", "/favicon.svg")

_RIGHTS: Final = (
    Right("GET", "/status", token=Token.NONE),
    Right("GET", "/health/live", token=Token.NONE),
    Right("GET", "/health/ready", token=Token.NONE),
    Right("GET", "/metrics", (METRICS,)),
    Right("GET", "/schema", token=Token.NONE, note="the OpenAPI document"),
    Right("GET", "/schema/openapi.json", token=Token.NONE, note="the OpenAPI document"),
    Right("GET", "/schema/{path}", token=Token.NONE, note="404"),
    *(Right("GET", path, token=Token.NONE, note="the page") for path in PAGE_ADDRESSES),
    *(Right("GET", path, token=Token.NONE, note="its files") for path in PAGE_FILES),
    Right("GET", "/account/style.css", token=Token.NONE),
    Right("GET", "/account", token=Token.SESSION, note="what apps hold of the person"),
    Right("POST", "/account", token=Token.SESSION),
    Right("GET", "/account/vehicles/{vehicle_id}", token=Token.SESSION, note=_OWN_VEHICLE),
    Right("POST", "/account/vehicles/{vehicle_id}", token=Token.SESSION, note=_OWN_VEHICLE),
    Right("GET", "/_ak/{domain}", token=Token.SESSION, note="approve an app's key, or refuse"),
    Right("POST", "/_ak/{domain}", token=Token.SESSION),
    Right("GET", "/user/revoke/consent", token=Token.SESSION, note="the same of one app"),
    Right("GET", "/developer", token=Token.SESSION, note="the person's own apps"),
    Right("POST", "/developer", token=Token.SESSION),
    Right("GET", "/developer/apps/{client_id}", token=Token.SESSION),
    Right("POST", "/developer/apps/{client_id}", token=Token.SESSION),
    Right("GET", "/oauth2/v3/authorize", token=Token.NONE, note="a page: sign in, allow an app"),
    Right("POST", "/oauth2/v3/authorize", token=Token.SESSION),
    Right("POST", "/oauth2/v3/token", token=Token.NONE, note="the app's secret, code or token"),
    Right("POST", "/oauth2/v3/revoke", token=Token.NONE, note="the app's secret"),
    Right("POST", "/oauth2/v3/introspect", token=Token.NONE, note="the app's secret"),
    Right("GET", "/oauth2/v3/userinfo", ("openid",), note="e-mail and name by `email`, `profile`"),
    Right("GET", "/oauth2/v3/.well-known/openid-configuration", token=Token.NONE),
    Right("GET", "/.well-known/oauth-authorization-server/oauth2/v3", token=Token.NONE),
    Right("GET", "/oauth2/v3/discovery/thirdparty/keys", token=Token.NONE),
    Right("GET", VEHICLES, (DEVICE_DATA,)),
    Right("GET", VEHICLE, (DEVICE_DATA,), pace=Pace.DATA),
    Right("GET", f"{VEHICLE}/vehicle_data", (DEVICE_DATA,), pace=Pace.DATA),
    Right("POST", f"{VEHICLE}/wake_up", _ANY_VEHICLE_SCOPE, pace=Pace.WAKE),
    Right(
        "POST",
        f"{VEHICLE}/command/{{name}}",
        (COMMANDS, CHARGING),
        pace=Pace.COMMAND,
        note="each command's own scopes besides: `commands/table.py`",
    ),
    Right("GET", f"{VEHICLE}/mobile_enabled", (DEVICE_DATA,), pace=Pace.DATA),
    Right(
        "GET",
        f"{VEHICLE}/nearby_charging_sites",
        (DEVICE_DATA,),
        pace=Pace.DATA,
        note="and `vehicle_location` besides: what is near tells where it is",
    ),
    Right("GET", f"{VEHICLE}/recent_alerts", (DEVICE_DATA,), pace=Pace.DATA),
    Right("GET", f"{VEHICLE}/release_notes", (DEVICE_DATA,), pace=Pace.DATA),
    Right("GET", f"{VEHICLE}/service_data", (DEVICE_DATA,), pace=Pace.DATA),
    Right("GET", f"{VEHICLE}/drivers", (DEVICE_DATA,), pace=Pace.DATA, note=_OWNER),
    Right(
        "DELETE",
        f"{VEHICLE}/drivers",
        (COMMANDS,),
        pace=Pace.DATA,
        note="the owner; a driver for themselves",
    ),
    Right("GET", f"{VEHICLE}/invitations", (COMMANDS,), pace=Pace.DATA, note=_OWNER),
    Right("POST", f"{VEHICLE}/invitations", (COMMANDS,), pace=Pace.DATA, note=_OWNER),
    Right(
        "POST",
        f"{VEHICLE}/invitations/{{invitation_id}}/revoke",
        (COMMANDS,),
        pace=Pace.DATA,
        note=_OWNER,
    ),
    Right("POST", "/api/1/invitations/redeem", (COMMANDS,)),
    Right("GET", "/api/1/dx/vehicles/options", (DEVICE_DATA,), pace=Pace.DATA),
    Right("GET", "/api/1/dx/vehicles/subscriptions/eligibility", (DEVICE_DATA,), pace=Pace.DATA),
    Right("GET", "/api/1/dx/vehicles/upgrades/eligibility", (DEVICE_DATA,), pace=Pace.DATA),
    Right("GET", "/api/1/dx/warranty/details", (DEVICE_DATA,), pace=Pace.DATA),
    Right("GET", "/api/1/vehicle_subscriptions", (DEVICE_DATA,)),
    Right("GET", HISTORY, (CHARGING,), pace=Pace.DATA),
    Right("GET", SESSIONS, (CHARGING,), pace=Pace.DATA),
    Right("POST", f"{VEHICLE}/charge_history", (CHARGING, DEVICE_DATA), pace=Pace.DATA),
    Right("GET", "/api/1/users/me", (USER_DATA,)),
    Right("GET", "/api/1/users/region", FLEET, everywhere=True, note="answers in every region"),
    Right("GET", "/api/1/users/orders", (USER_DATA,)),
    Right("GET", "/api/1/users/feature_config", FLEET),
    Right("GET", "/api/1/users/backup_key", (USER_DATA,)),
    Right("POST", "/api/1/users/keys", FLEET),
    Right(
        "POST",
        "/api/1/partner_accounts",
        token=Token.PARTNER,
        pace=Pace.REGISTRATION,
        everywhere=True,
        note="registers the app: no 412",
    ),
    Right("GET", "/api/1/partner_accounts/public_key", token=Token.PARTNER),
    Right("GET", "/api/1/partner_accounts/fleet_telemetry_errors", token=Token.PARTNER),
    Right("GET", "/api/1/partner_accounts/fleet_telemetry_error_vins", token=Token.PARTNER),
    Right("POST", "/api/1/vehicles/fleet_status", (DEVICE_DATA,)),
    Right("GET", f"{VEHICLE}/fleet_telemetry_config", (DEVICE_DATA,), pace=Pace.DATA),
    Right(
        "DELETE",
        f"{VEHICLE}/fleet_telemetry_config",
        (DEVICE_DATA,),
        Token.EITHER,
        Pace.DATA,
        note="also by the app alone, after its owner took the grant back",
    ),
    Right("GET", f"{VEHICLE}/fleet_telemetry_errors", (DEVICE_DATA,), pace=Pace.DATA),
    Right(
        "POST",
        f"{VEHICLE}/signed_command",
        (COMMANDS, CHARGING),
        pace=Pace.COMMAND,
        note="and what its payload asks: `api/signed.py`",
    ),
    Right(
        "POST",
        f"{VEHICLES}/fleet_telemetry_config_jws",
        (DEVICE_DATA,),
        note="the owner; signed by a paired key",
    ),
    Right("GET", f"{VEHICLE}/commands", _ANY_VEHICLE_SCOPE, pace=Pace.DATA),
    Right("GET", f"{VEHICLE}/commands/{{command_id}}", _ANY_VEHICLE_SCOPE, pace=Pace.DATA),
    Right("WS", f"{VEHICLE}/stream", (DEVICE_DATA,)),
    Right("GET", f"{VEHICLE}/stream", (DEVICE_DATA,), pace=Pace.DATA, note="server-sent events"),
    Right("GET", f"{VEHICLE_2}/history", (DEVICE_DATA,), pace=Pace.DATA, shared=True),
    Right(
        "GET",
        f"{VEHICLE_2}/export",
        (DEVICE_DATA,),
        pace=Pace.DATA,
        note="a file; GPX wants `vehicle_location` besides",
    ),
    Right(
        "GET",
        f"{VEHICLE_2}/explain",
        (DEVICE_DATA,),
        pace=Pace.DATA,
        note="of what tells of places: `vehicle_location` besides, and nothing kept back",
    ),
    Right(
        "WS",
        "/api/2/fleet/stream",
        token=Token.NONE,
        shared=True,
        note="a person's in the first message, with `vehicle_device_data`: `dashboard.md`",
    ),
    Right("GET", "/api/2/fleet/cars", (DEVICE_DATA,), shared=True),
    Right("GET", "/api/2/fleet/vehicles", (DEVICE_DATA,), shared=True),
    Right(
        "GET",
        VEHICLE_2,
        (DEVICE_DATA,),
        pace=Pace.DATA,
        shared=True,
        note="now, or as of `at`",
    ),
    Right("GET", f"{VEHICLE_2}/commands", _ANY_VEHICLE_SCOPE, pace=Pace.DATA),
    Right("GET", "/api/2/fleet/timeline", (DEVICE_DATA,), pace=Pace.DATA, shared=True),
    Right("GET", "/api/2/work", (DEVICE_DATA,), note=_WORK),
    Right("GET", "/api/2/work/{item}", (DEVICE_DATA,), note=_WORK),
    Right("POST", "/api/2/work/{item}/{action}", (DEVICE_DATA,), role=OPERATOR),
    Right("GET", "/api/2/system", role=VIEWER),
    Right(
        "GET",
        "/api/2/fleet/within",
        (DEVICE_DATA,),
        pace=Pace.DATA,
        note="and `vehicle_location` besides",
    ),
    Right("GET", PEOPLE, pace=Pace.DATA, role=ADMIN),
    Right("POST", f"{PEOPLE}/{{subject}}/role", pace=Pace.DATA, role=ADMIN, note="acts at once"),
    Right("GET", AUDIT, pace=Pace.DATA, role=ADMIN, note="who did what"),
    Right(
        "GET",
        f"{VEHICLE_2}/consent",
        (DEVICE_DATA,),
        pace=Pace.DATA,
        role=ADMIN,
        note="who sees it; owners: `/account`",
    ),
    Right("GET", SHARES, pace=Pace.DATA, role=VIEWER, note="one's own; an admin's: everybody's"),
    Right("POST", SHARES, (DEVICE_DATA,), pace=Pace.DATA, role=VIEWER, note="a link that ends"),
    Right("DELETE", f"{SHARES}/{{share_id}}", pace=Pace.DATA, role=VIEWER),
    Right("POST", f"{SHARES}/open", token=Token.NONE, note="the link's token, in the body"),
    Right("GET", PRODUCTS, (DEVICE_DATA, ENERGY_DATA)),
    Right("GET", f"{SITE}/live_status", (ENERGY_DATA,), pace=Pace.DATA),
    Right("GET", f"{SITE}/site_info", (ENERGY_DATA,), pace=Pace.DATA),
    Right("GET", f"{SITE}/site_status", (ENERGY_DATA,), pace=Pace.DATA),
    Right("GET", f"{SITE}/backup_time_remaining", (ENERGY_DATA,), pace=Pace.DATA),
    Right("GET", f"{SITE}/calendar_history", (ENERGY_DATA,), pace=Pace.DATA),
    Right("GET", f"{SITE}/telemetry_history", (ENERGY_DATA,), pace=Pace.DATA),
    Right("POST", f"{SITE}/backup", (ENERGY_COMMANDS,), pace=Pace.COMMAND),
    Right("POST", f"{SITE}/operation", (ENERGY_COMMANDS,), pace=Pace.COMMAND),
    Right("POST", f"{SITE}/storm_mode", (ENERGY_COMMANDS,), pace=Pace.COMMAND),
    Right(
        "POST",
        f"{SITE}/off_grid_vehicle_charging_reserve",
        (ENERGY_COMMANDS,),
        pace=Pace.COMMAND,
    ),
    Right("POST", f"{SITE}/grid_import_export", (ENERGY_COMMANDS,), pace=Pace.COMMAND),
    Right("POST", f"{SITE}/time_of_use_settings", (ENERGY_COMMANDS,), pace=Pace.COMMAND),
)

RIGHTS: Final[Mapping[tuple[str, str], Right]] = {(row.method, row.path): row for row in _RIGHTS}

_SERVICE: Final = "/motorcade.v1.Fleet"
STREAM_STATE: Final = Right("RPC", f"{_SERVICE}/StreamState", (DEVICE_DATA,), pace=Pace.DATA)
SEND_COMMAND: Final = Right(
    "RPC",
    f"{_SERVICE}/SendCommand",
    (COMMANDS, CHARGING),
    pace=Pace.COMMAND,
    note="each command's own scopes besides: `commands/table.py`",
)
PUBLISH_SAMPLES: Final = Right(
    "RPC",
    f"{_SERVICE}/PublishSamples",
    (PUBLISH,),
    note="no app can be given it; the token's subject must own the vehicle",
)
RPCS: Final = (STREAM_STATE, SEND_COMMAND, PUBLISH_SAMPLES)
"""The methods of gRPC that want a token. Health and reflection want none."""


@dataclass(frozen=True, slots=True)
class FieldRight:
    """Members of a route's answer that want a scope besides the route's own."""

    method: str
    path: str
    members: tuple[str, ...]  # dotted; `*` stands for any name
    scopes: tuple[str, ...]  # any one of them is enough
    without: str  # what is shown to those who hold none
    note: str = ""


LOCATION_PARAMETERS: Final = frozenset({"lat", "lon", "location", "calendar_data"})
"""Parameters of commands that say where a car is, or where its driver's appointments are; of
NAVIGATION's, all say where it goes."""

NAVIGATION: Final = "navigation_"

_KEPT: Final = "what the owner keeps back is not told either: `fleet-api.md`, Privacy"

_SIGNALS: Final = f"those of class `location`, and any that is not in `signals.md`; {_KEPT}"

_PARAMETERS: Final = (
    *(f"parameters.{name}" for name in sorted(LOCATION_PARAMETERS)),
    f"parameters.* of {NAVIGATION}*",
)

FIELD_RIGHTS: Final = (
    FieldRight(
        "GET",
        f"{VEHICLE}/vehicle_data",
        (
            "location_data",
            "drive_state.latitude",
            "drive_state.longitude",
            "drive_state.heading",
            "drive_state.active_route_*",
            "drive_state.gps_as_of",
        ),
        (LOCATION,),
        without="absent",
        note=f"and only where `endpoints` names `location_data`, as Tesla does; {_KEPT}",
    ),
    FieldRight(
        "GET",
        f"{VEHICLE}/vehicle_data",
        (
            "charge_schedule_data.charge_schedules.latitude",
            "charge_schedule_data.charge_schedules.longitude",
            "preconditioning_schedule_data.precondition_schedules.latitude",
            "preconditioning_schedule_data.precondition_schedules.longitude",
        ),
        (LOCATION,),
        without="absent",
        note=f"and members that Tesla's schedules have not; {_KEPT}",
    ),
    FieldRight("GET", f"{VEHICLE}/commands", _PARAMETERS, (LOCATION,), "absent", _KEPT),
    FieldRight(
        "GET", f"{VEHICLE}/commands/{{command_id}}", _PARAMETERS, (LOCATION,), "absent", _KEPT
    ),
    FieldRight(
        "RPC",
        STREAM_STATE.path,
        ("signals.*", *(f"commands.{name}" for name in _PARAMETERS)),
        (LOCATION,),
        without="absent",
        note=_SIGNALS,
    ),
    FieldRight(
        "WS",
        f"{VEHICLE}/stream",
        ("signals.*", *(f"commands.{name}" for name in _PARAMETERS)),
        (LOCATION,),
        without="absent",
        note=_SIGNALS,
    ),
    FieldRight(
        "GET",
        f"{VEHICLE_2}/history",
        ("signals.*",),
        (LOCATION,),
        without="absent",
        note=_SIGNALS,
    ),
    FieldRight("GET", f"{VEHICLE_2}/export", ("*",), (LOCATION,), "absent", _SIGNALS),
    FieldRight(
        "GET",
        HISTORY,
        ("data.siteLocationName", "response.data.siteLocationName"),
        (LOCATION,),
        without="absent",
    ),
    FieldRight("GET", "/api/2/fleet/vehicles", ("lon", "lat"), (LOCATION,), "null", _KEPT),
    FieldRight("GET", VEHICLE_2, ("signals.*",), (LOCATION,), without="absent", note=_SIGNALS),
    FieldRight("GET", f"{VEHICLE_2}/commands", _PARAMETERS, (LOCATION,), "absent", _KEPT),
    FieldRight("GET", SESSIONS, ("data.location",), (LOCATION,), without="absent"),
    FieldRight(
        "POST",
        f"{VEHICLE}/charge_history",
        ("total_charged_breakdown.home", "charging_history_graph.data_points.values.1"),
        (LOCATION,),
        without="0: what was charged at home counts as elsewhere",
    ),
    FieldRight("GET", PRODUCTS, ("vin",), (DEVICE_DATA,), without="absent", note="whole entries"),
    FieldRight(
        "GET", PRODUCTS, ("energy_site_id",), (ENERGY_DATA,), without="absent", note="whole entries"
    ),
    FieldRight(
        "GET",
        f"{VEHICLE}/stream",
        ("signals.*", *(f"commands.{name}" for name in _PARAMETERS)),
        (LOCATION,),
        without="absent",
        note=_SIGNALS,
    ),
)


def right_of(method: str, path: str) -> Right | None:
    """The row of a route; HEAD and OPTIONS have none of their own."""
    return RIGHTS.get((method, path))


def shown_parameters(
    command: str, parameters: Mapping[str, Any], scopes: frozenset[str]
) -> dict[str, Any]:
    """A command's parameters as a token with these scopes may see them."""
    if sees_location(scopes):
        return dict(parameters)
    if command.startswith(NAVIGATION):
        return {}
    return {name: value for name, value in parameters.items() if name not in LOCATION_PARAMETERS}


def sees_location(scopes: frozenset[str]) -> bool:
    """Whether a token's holder may be told where a vehicle is, was or goes."""
    return LOCATION in scopes

"""What the OpenAPI document says of routes beyond their types: queries, bodies, further answers.

The handlers read these themselves; a test sends every example, and Schemathesis the rest. What
follows from a route's row of rights (401, 403, 412, 421, 429) is not written here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from motorcade.api.rights import HISTORY, SESSIONS, SITE, VEHICLE, VEHICLE_2, VEHICLES
from motorcade.identity.port import ROLES
from motorcade.state.columns import STATES

Schema = Mapping[str, Any]
VIN: Final = "5YJ3E1EA7KF000001"
_POINT: Final = "04" + "6b" * 64


@dataclass(frozen=True, slots=True)
class Described:
    """One route."""

    query: Mapping[str, Schema] = field(default_factory=dict)
    body: Schema | None = None  # of a JSON object; `None`: none is read
    body_example: Mapping[str, Any] | None = None
    answers: tuple[int, ...] = ()
    body_required: bool = False
    form: bool = False  # the body is form-encoded, and refusals are OAuth's (RFC 6749 §5.2)
    events: bool = False  # the answer is server-sent events, and lasts
    file: str = ""  # the answer is a file of this media type, or of another
    plain: bool = False  # the answer is a JSON object that no type of ours describes


def whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def text(*words: str, characters_max: int = 0) -> Schema:
    schema: dict[str, Any] = {"type": "string"}
    if words:
        schema["enum"] = list(words)
    if characters_max:
        schema["maxLength"] = characters_max
    return schema


def members(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


_PAGE: Final = {"page": whole(1, 10**8), "per_page": whole(1, 1_000)}
_VIN: Final = {"vin": {"type": "string", "example": VIN}}
_LISTED: Final = {"cursor": whole(0, 999_999_999), "limit": whole(1, 500)}
_PERCENT: Final = whole(0, 100)
_FLAG: Final[Schema] = {"type": "boolean"}
_EMPTY: Final[Schema] = {"type": "object"}
_SENT: Final = (408, 422, 503, 507)  # what may become of a command
_MOMENT: Final[Schema] = {"type": "string", "example": "2026-11-26T00:00:00+01:00"}
_INSTANT: Final[Schema] = whole(0, 253_402_300_799_000_000)
_PAST_INSTANT: Final[Schema] = {"type": "string", "example": "2026-11-26T16:00:00Z"}
_OAUTH: Final = "/oauth2/v3"
_SPAN: Final = {
    "start_date": {"type": "string", "example": "2026-11-26T00:00:00+01:00"},
    "end_date": {"type": "string", "example": "2026-11-26T23:59:59+01:00"},
    "time_zone": {"type": "string", "example": "Europe/Berlin"},
}
_STATES: Final = ("self_consumption", "autonomous", "backup")


def _form(required: str, example: Mapping[str, Any], **properties: Schema) -> Described:
    return Described(
        body=members(required, **properties),
        body_example=example,
        body_required=True,
        answers=(400, 401),
        form=True,
        plain=True,
    )


def _set(example: Mapping[str, Any], **properties: Schema) -> Described:
    return Described(body=members(**properties), body_example=example, answers=_SENT)


DESCRIBED: Final[dict[tuple[str, str], Described]] = {
    ("GET", VEHICLES): Described(query=_PAGE),
    ("GET", f"{VEHICLE}/vehicle_data"): Described(
        query={"endpoints": {"type": "string", "example": "charge_state;drive_state"}},
        answers=(408,),
    ),
    ("GET", VEHICLE_2): Described(
        query={"at": _PAST_INSTANT, "mode": text("arrived", "corrected")}, answers=(400, 503)
    ),
    ("POST", f"{VEHICLE}/wake_up"): Described(body=_EMPTY, body_example={}, answers=_SENT),
    ("POST", f"{VEHICLE}/command/{{name}}"): Described(
        body=_EMPTY, body_example={"percent": 80}, answers=_SENT
    ),
    ("POST", f"{VEHICLE}/signed_command"): Described(
        body=members("routable_message", routable_message=text()),
        body_example={"routable_message": "MgISAA=="},
        body_required=True,
        answers=_SENT,
    ),
    ("GET", f"{VEHICLE}/commands"): Described(query={"count": whole(1, 200)}),
    ("POST", "/api/1/vehicles/fleet_telemetry_config_jws"): Described(
        body=members(
            "vins", "token", vins={"type": "array", "items": {"type": "string"}}, token=text()
        ),
        body_example={"vins": [VIN], "token": "eyJhbGciOiJUZXNsYS5TUzI1NiJ9.e30.AA"},
        body_required=True,
        answers=(404,),
    ),
    ("POST", "/api/1/vehicles/fleet_status"): Described(
        body=members("vins", vins={"type": "array", "items": {"type": "string"}}),
        body_example={"vins": [VIN]},
        body_required=True,
        answers=(404,),
    ),
    ("GET", f"{VEHICLE}/stream"): Described(events=True, answers=(503,)),
    ("GET", "/api/2/fleet/timeline"): Described(
        query={"from_us": _INSTANT, "to_us": _INSTANT, "buckets": whole(1, 10_000)},
        answers=(503,),
    ),
    ("GET", f"{VEHICLE_2}/export"): Described(
        query={
            "format": text("csv", "gpx", "parquet"),
            "from_us": _INSTANT,
            "to_us": _INSTANT,
            "signals": {"type": "string", "example": "speed,soc"},
        },
        answers=(503,),
        file="text/csv",
    ),
    ("GET", f"{VEHICLE_2}/explain"): Described(
        query={
            "signal": text(characters_max=128),
            "at": _PAST_INSTANT,
            "mode": text("arrived", "corrected"),
        },
        answers=(422, 503),
    ),
    ("GET", "/api/2/fleet/within"): Described(
        query={
            "area": {"type": "string", "example": "24.9,60.1;25.0,60.1;25.0,60.2"},
            "from_us": _INSTANT,
            "to_us": _INSTANT,
        },
        answers=(503,),
    ),
    ("GET", "/api/2/work"): Described(query={"open": text("true", "false")}, answers=(503,)),
    ("GET", "/api/2/work/{item}"): Described(answers=(503,)),
    ("POST", "/api/2/work/{item}/{action}"): Described(
        body=members(
            text=text(characters_max=2_000), for_s=whole(1, 604_800), to=text(characters_max=256)
        ),
        body_example={"text": "seen by the workshop", "for_s": 3_600},
        answers=(422, 503),
    ),
    ("GET", f"{VEHICLE_2}/history"): Described(
        query={
            "signals": {"type": "string", "example": "speed,soc"},
            "from_us": _INSTANT,
            "to_us": _INSTANT,
            "buckets": whole(1, 10_000),
            "at": _INSTANT,
        },
        answers=(422, 503),
    ),
    ("GET", f"{VEHICLE}/nearby_charging_sites"): Described(
        query={"count": whole(1, 200), "radius": whole(1, 500)}, answers=(408,)
    ),
    ("GET", f"{VEHICLE}/release_notes"): Described(
        query={"staged": text("true", "false"), "language": whole(0, 100)}
    ),
    ("DELETE", f"{VEHICLE}/drivers"): Described(query={"share_user_id": whole(1, 999_999_999)}),
    ("GET", f"{VEHICLE}/invitations"): Described(query=_PAGE),
    ("POST", f"{VEHICLE}/invitations"): Described(body=_EMPTY, body_example={}, answers=(422,)),
    ("POST", f"{VEHICLE}/invitations/{{invitation_id}}/revoke"): Described(
        body=_EMPTY, body_example={}
    ),
    ("POST", "/api/1/invitations/redeem"): Described(
        body=members("code", code=text(characters_max=200)),
        body_example={"code": "0l4NjYhX8Nf5Cq2uQ0k3bq1sV7wYtR6pZxK9mD2aGhE"},
        body_required=True,
        answers=(404,),
    ),
    ("GET", "/api/1/dx/vehicles/options"): Described(query=_VIN, answers=(404,)),
    ("GET", "/api/1/dx/vehicles/subscriptions/eligibility"): Described(query=_VIN, answers=(404,)),
    ("GET", "/api/1/dx/vehicles/upgrades/eligibility"): Described(query=_VIN, answers=(404,)),
    ("GET", "/api/1/dx/warranty/details"): Described(query=_VIN, answers=(404,)),
    ("GET", HISTORY): Described(
        query={
            **_VIN,
            "startTime": _MOMENT,
            "endTime": _MOMENT,
            "pageNo": whole(1, 999_999_999),
            "pageSize": whole(1, 100),
            "sortBy": text("chargeStartDateTime"),
            "sortOrder": text("ASC", "DESC"),
        },
        answers=(404,),
    ),
    ("GET", SESSIONS): Described(
        query={
            **_VIN,
            "date_from": _MOMENT,
            "date_to": _MOMENT,
            "limit": whole(1, 100),
            "offset": whole(0, 999_999_999),
        },
        answers=(404,),
    ),
    ("POST", f"{VEHICLE}/charge_history"): Described(body=_EMPTY, body_example={}),
    ("GET", "/api/1/users/me"): Described(answers=(404,)),
    ("GET", "/api/1/users/backup_key"): Described(answers=(404,)),
    ("POST", "/api/1/users/keys"): Described(
        body=members(
            "public_key",
            public_key={"type": "string", "pattern": "^04[0-9a-fA-F]{128}$"},
            kind=text(characters_max=100),
            model=text(characters_max=100),
            name=text(characters_max=100),
            tag=text(characters_max=100),
        ),
        body_example={"public_key": _POINT, "kind": "mobile_device", "name": "My phone"},
        body_required=True,
        answers=(422,),
    ),
    ("POST", "/api/1/partner_accounts"): Described(
        body=members("domain", domain=text(characters_max=253)),
        body_example={"domain": "app.example"},
        body_required=True,
        answers=(422, 424),
    ),
    ("GET", "/api/1/partner_accounts/public_key"): Described(
        query={"domain": {"type": "string", "example": "app.example"}}, answers=(404,)
    ),
    ("GET", f"{SITE}/live_status"): Described(answers=(408,)),
    ("GET", f"{SITE}/site_info"): Described(answers=(408,)),
    ("GET", f"{SITE}/site_status"): Described(answers=(408,)),
    ("GET", f"{SITE}/backup_time_remaining"): Described(answers=(408,)),
    ("GET", f"{SITE}/calendar_history"): Described(
        query={
            "kind": text("energy", "backup"),
            "period": text("day", "week", "month", "year", "lifetime"),
            **_SPAN,
        }
    ),
    ("GET", f"{SITE}/telemetry_history"): Described(query={"kind": text("charge"), **_SPAN}),
    ("GET", "/api/2/fleet/cars"): Described(query={"slots": {"type": "string", "example": "0,1"}}),
    ("GET", "/api/2/fleet/vehicles"): Described(
        query={
            "state": text(*STATES),
            "q": text(characters_max=100),
            "bounds": {"type": "string", "example": "13.0,52.0,14.0,53.0"},
            "cursor": whole(0, 999_999_999),
            "limit": whole(1, 500),
            "at": _PAST_INSTANT,
            "mode": text("arrived", "corrected"),
        },
        answers=(400, 503),
    ),
    ("GET", f"{VEHICLE_2}/commands"): Described(query={"limit": whole(1, 200)}),
    ("GET", "/api/2/shares"): Described(query=_LISTED),
    ("POST", "/api/2/shares"): Described(
        body=members(
            "view",
            "days",
            view=text(characters_max=2_000),
            days=whole(1, 90),
            location=_FLAG,
        ),
        body_example={"view": "/?state=moving", "days": 7, "location": False},
        body_required=True,
        answers=(404, 422),
    ),
    ("POST", "/api/2/shares/open"): Described(
        body=members("token", token=text(characters_max=200)),
        body_example={"token": "0"},
        body_required=True,
        answers=(404, 429),
    ),
    ("GET", "/api/2/people"): Described(query=_LISTED),
    ("GET", "/api/2/audit"): Described(
        query={**_LISTED, "who": text(characters_max=200), "vehicle": whole(0, 999_999_999)}
    ),
    ("POST", "/api/2/people/{subject}/role"): Described(
        body={
            "type": "object",
            "properties": {"role": {"type": ["string", "null"], "enum": [*ROLES, None]}},
            "required": ["role"],
        },
        body_example={"role": "operator"},
        body_required=True,
        answers=(422,),
    ),
    ("POST", f"{SITE}/backup"): _set(
        {"backup_reserve_percent": 20}, backup_reserve_percent=_PERCENT
    ),
    ("POST", f"{SITE}/operation"): _set(
        {"default_real_mode": "autonomous"}, default_real_mode=text(*_STATES)
    ),
    ("POST", f"{SITE}/storm_mode"): _set({"enabled": True}, enabled=_FLAG),
    ("POST", f"{SITE}/off_grid_vehicle_charging_reserve"): _set(
        {"off_grid_vehicle_charging_reserve_percent": 30},
        off_grid_vehicle_charging_reserve_percent=_PERCENT,
    ),
    ("POST", f"{SITE}/grid_import_export"): _set(
        {"customer_preferred_export_rule": "pv_only"},
        disallow_charge_from_grid_with_solar_installed=_FLAG,
        customer_preferred_export_rule=text("battery_ok", "pv_only", "never"),
    ),
    ("POST", f"{SITE}/time_of_use_settings"): _set(
        {"tou_settings": {"tariff_content_v2": {}}}, tou_settings=_EMPTY
    ),
    ("GET", "/health/live"): Described(plain=True, answers=(503,)),
    ("GET", "/health/ready"): Described(plain=True, answers=(503,)),
    ("POST", f"{_OAUTH}/token"): _form(
        "grant_type",
        {"grant_type": "client_credentials", "client_id": "ID", "client_secret": "SECRET"},
        grant_type=text("authorization_code", "refresh_token", "client_credentials"),
        client_id=text(),
        client_secret=text(),
        code=text(),
        redirect_uri=text(),
        code_verifier=text(),
        refresh_token=text(),
        scope=text(),
        audience=text(),
    ),
    ("POST", f"{_OAUTH}/revoke"): _form(
        "token", {"token": "TOKEN", "client_id": "ID"}, token=text(), client_id=text()
    ),
    ("POST", f"{_OAUTH}/introspect"): _form(
        "token", {"token": "TOKEN", "client_id": "ID"}, token=text(), client_id=text()
    ),
    ("GET", f"{_OAUTH}/userinfo"): Described(plain=True, answers=(404,)),
    ("GET", f"{_OAUTH}/.well-known/openid-configuration"): Described(plain=True),
    ("GET", f"/.well-known/oauth-authorization-server{_OAUTH}"): Described(plain=True),
    ("GET", f"{_OAUTH}/discovery/thirdparty/keys"): Described(plain=True),
}
"""By method and path template. A route without a row reads neither query nor body."""

PATH_PARAMETERS: Final[dict[str, Schema]] = {
    "tag": {
        "type": "string",
        "pattern": "^([A-HJ-NPR-Z0-9]{17}|[1-9][0-9]{0,15})$",
        "description": "a VIN, or the integer id from the list",
        "example": VIN,
    },
    "site_id": {"type": "string", "pattern": "^[1-9][0-9]{0,15}$", "example": "1"},
    "item": {"type": "string", "example": "command.0b6e1f2a4c5d4e6f8a9b0c1d2e3f4a5b"},
    "action": text("acknowledge", "assign", "snooze", "comment", "undo"),
    "command_id": {"type": "string", "example": "0b6e1f2a4c5d4e6f8a9b0c1d2e3f4a5b"},
    "invitation_id": {"type": "string", "pattern": "^[1-9][0-9]{0,8}$", "example": "1"},
}

SAMPLES: Final[dict[str, Any]] = {
    "vin": VIN,
    "product_id": VIN,
    "display_name": "Car 000001",
    "state": "online",
    "access_type": "OWNER",
    "email": "owner@example.org",
    "full_name": "Olga Owner",
    "region": "na",
    "fleet_api_base_url": "https://fleet-api.prd.na.vn.cloud.tesla.com",
    "public_key": _POINT,
    "domain": "app.example",
    "name": "an example",
    "reason": "",
}
"""What members of these names look like in the examples of answers."""

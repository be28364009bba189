"""The API as an ASGI application: every route, in one place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from litestar import Litestar, MediaType, Response, get
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.types import ASGIApp, ControllerRouterHandler, Middleware

import motorcade
from motorcade.api.alerts import recent_alerts
from motorcade.api.catalogue import (
    options,
    subscriptions_eligibility,
    upgrades_eligibility,
    vehicle_subscriptions,
    warranty,
)
from motorcade.api.charging_history import (
    charge_history,
    charging_history,
    charging_sessions,
)
from motorcade.api.commands import list_commands, send_command, show_command
from motorcade.api.counter import Counter
from motorcade.api.document import Document
from motorcade.api.drivers import (
    invite,
    list_drivers,
    list_invitations,
    redeem_invitation,
    remove_driver,
    revoke_invitation,
)
from motorcade.api.energy.routes import ROUTES as ENERGY
from motorcade.api.envelope import (
    WithTxid,
    framework_refusal,
    refusal,
    server_fault,
    unavailable,
)
from motorcade.api.errors import ApiError
from motorcade.api.explain import explain_signal
from motorcade.api.export import export_vehicle
from motorcade.api.fleet import (
    fleet_status,
    partner_error_vins,
    partner_errors,
    remove_config,
    show_config,
    show_errors,
)
from motorcade.api.health import live, metrics, ready, system
from motorcade.api.history import fleet_timeline, vehicle_history
from motorcade.api.oauth.routes import ROUTES as OAUTH_ROUTES
from motorcade.api.pages.routes import PAGES
from motorcade.api.partners import public_key, register
from motorcade.api.side_data import (
    mobile_enabled,
    nearby_charging_sites,
    release_notes,
    service_data,
)
from motorcade.api.signed import signed_command
from motorcade.api.stream import events, stream
from motorcade.api.telemetry_config import configure_telemetry
from motorcade.api.users import backup_key, feature_config, me, name_key, orders, region
from motorcade.api.vehicle_data import vehicle_data
from motorcade.api.vehicles import list_vehicles, show_vehicle, wake_up
from motorcade.api.window.audit import AUDIT_ROUTES
from motorcade.api.window.consent import show_consent
from motorcade.api.window.fleet import FLEET_ROUTES
from motorcade.api.window.page import PAGE_ROUTES
from motorcade.api.window.people import PEOPLE_ROUTES
from motorcade.api.window.shares import SHARE_ROUTES
from motorcade.api.window.stream import fleet_stream
from motorcade.api.within import fleet_within
from motorcade.api.work.routes import WORK_ROUTES
from motorcade.identity.errors import SecretsError
from motorcade.registry.errors import RegistryUnavailableError


@get("/status", media_type=MediaType.TEXT)
async def status() -> Response[str]:
    """Whether this process answers. No token needed."""
    return Response("ok", media_type=MediaType.TEXT)


class _Api(Litestar):
    """Litestar without its plugins for pydantic and attrs, which no handler of ours uses.

    It loads pydantic wherever that is installed: 0.12 s of every start.
    """

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]


@dataclass(frozen=True, slots=True)
class Extras:
    """What a deployment serves besides: the sandbox's own routes, and what stands before all."""

    routes: Sequence[ControllerRouterHandler] = ()
    middleware: Sequence[Middleware] = ()


PLAIN: Final = Extras()


def build_api(counter: Counter, extras: Extras = PLAIN) -> ASGIApp:
    """The application over these ports. Serve it on the loop that its router runs on."""
    # Outermost: wrong paths and methods have a transaction id too, and are counted.
    return WithTxid(build_routes(counter, extras), counter.entropy, counter.requests)


def build_routes(counter: Counter, extras: Extras = PLAIN) -> Litestar:
    """Every route. Each has its row in `rights.py`, but those of `extras`."""
    return _Api(
        route_handlers=[
            *extras.routes,
            status,
            live,
            ready,
            *(metrics, system),
            list_vehicles,
            show_vehicle,
            vehicle_data,
            wake_up,
            send_command,
            signed_command,
            configure_telemetry,
            list_commands,
            show_command,
            stream,
            events,
            *OAUTH_ROUTES,
            PAGES,
            *PAGE_ROUTES,
            fleet_stream,
            *FLEET_ROUTES,
            *PEOPLE_ROUTES,
            *AUDIT_ROUTES,
            show_consent,
            *WORK_ROUTES,
            *SHARE_ROUTES,
            *(mobile_enabled, nearby_charging_sites, release_notes, service_data),
            recent_alerts,
            *(charging_history, charging_sessions, charge_history),
            *(vehicle_history, export_vehicle, explain_signal, fleet_timeline, fleet_within),
            *(list_drivers, remove_driver, list_invitations, invite),
            *(revoke_invitation, redeem_invitation),
            *(options, subscriptions_eligibility, upgrades_eligibility, warranty),
            vehicle_subscriptions,
            *(register, public_key, partner_errors, partner_error_vins),
            *(fleet_status, show_config, remove_config, show_errors),
            *(me, region, orders, feature_config, backup_key, name_key),
            *ENERGY,
        ],
        middleware=list(extras.middleware),
        dependencies={
            "counter": Provide(lambda: counter, sync_to_thread=False, use_cache=True),
        },
        exception_handlers={
            ApiError: refusal,
            RegistryUnavailableError: unavailable,
            SecretsError: unavailable,
            HTTPException: framework_refusal,
            Exception: server_fault,
        },
        request_max_body_size=counter.config.api.body_bytes_max,
        openapi_config=OpenAPIConfig(
            title="Motorcade",
            version=motorcade.__version__,
            use_handler_docstrings=True,
            render_plugins=[Document()],  # the pages for people load scripts from elsewhere
        ),
        logging_config=None,
        debug=False,
    )

"""The platform's own page as an OAuth client: known from the start, and trusted without a page.

Its code goes nowhere but back to where the browser is: the page lies at the same origin as the
sign-in. So it works by every name and port by which somebody reaches us, also through a tunnel
(RFC 8252 §7.3 lets the port of loopback differ), and no other address is ever told a code.
"""

from typing import Final

import structlog

from motorcade.identity.port import PAGE_CLIENT
from motorcade.identity.scopes import APP_SCOPES, PARTNER_ONLY
from motorcade.registry.errors import AlreadyExistsError
from motorcade.registry.people.port import AppRequest, People

SIGNED_IN: Final = "/signed-in"
_log = structlog.get_logger()


def add_page(people: People) -> None:
    """Make the page's client, unless it is there; one that the operator revoked stays so."""
    if people.app(PAGE_CLIENT) is not None:
        return
    asked = AppRequest(
        name="Motorcade",
        redirect_uris=(f"http://localhost{SIGNED_IN}",),  # `code_grant.py` judges, not this
        scopes=tuple(scope for scope in APP_SCOPES if scope != PARTNER_ONLY),
        purpose="The platform's own page",
        client_id=PAGE_CLIENT,
        confidential=False,
    )
    try:
        people.add_app(asked)
    except AlreadyExistsError:
        _log.warning("page_client_revoked", hint="nobody can sign in to the page")

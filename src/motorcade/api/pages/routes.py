"""Every page, in one place."""

from pathlib import Path
from typing import Final

from litestar import Response, Router, get

from motorcade.api.pages.account import account, ask_to_revoke, change_account
from motorcade.api.pages.authorize import authorize, decide
from motorcade.api.pages.developer import change_app, developer, register, show_app
from motorcade.api.pages.pairing import ask_to_pair, decide_pairing
from motorcade.api.pages.problem import PROBLEMS
from motorcade.api.pages.render import STYLE_PATH, safe_headers
from motorcade.api.pages.vehicle import change_vehicle_page, show_vehicle_page

_STYLE: Final = (Path(__file__).parent / "templates" / "style.css").read_bytes()


@get(STYLE_PATH, include_in_schema=False)
async def style() -> Response[bytes]:
    """How the pages look."""
    headers = {**safe_headers(), "Cache-Control": "max-age=3600"}
    return Response(_STYLE, media_type="text/css; charset=utf-8", headers=headers)


PAGES: Final = Router(
    path="/",
    route_handlers=[
        style,
        authorize,
        decide,
        account,
        change_account,
        ask_to_revoke,
        *(show_vehicle_page, change_vehicle_page),
        *(ask_to_pair, decide_pairing),
        developer,
        register,
        show_app,
        change_app,
    ],
    exception_handlers=PROBLEMS,
)

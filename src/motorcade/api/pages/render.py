"""Makes pages: Jinja2 with everything escaped, and headers that let no other site in.

No script runs and nothing loads but our own style sheet (Content Security Policy Level 3). The
policy names where forms may lead: browsers hold redirects after a form to it as well.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from litestar import MediaType, Response
from litestar.datastructures import Cookie

if TYPE_CHECKING:  # 0.1 s to import, at the first page instead of at every start
    from jinja2 import Environment

STYLE_PATH: Final = "/account/style.css"


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("motorcade.api.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(
    template: str,
    *,
    status: int = 200,
    cookies: tuple[Cookie, ...] = (),
    form_origin: str = "",
    **values: Any,
) -> Response[str]:
    """A page of `templates/`. `form_origin`: where its form may lead besides ourselves, for CSP."""
    text = _environment().get_template(f"{template}.html").render(style=STYLE_PATH, **values)
    return Response(
        text,
        status_code=status,
        media_type=MediaType.HTML,
        headers=safe_headers(form_origin),
        cookies=list(cookies),
    )


def safe_headers(form_origin: str = "") -> dict[str, str]:
    """What every page and redirect of ours carries."""
    form_action = f"'self' {form_origin}".strip()
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'self'; form-action {form_action}; base-uri 'none'; "
            "frame-ancestors 'none'"
        ),
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        # Addresses carry codes and states; `no-referrer` would blank `Origin` in our own forms.
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def see_other(location: str, cookies: tuple[Cookie, ...] = ()) -> Response[bytes]:
    """303: the browser goes on with GET, and sends no form again (RFC 9700 §4.12)."""
    headers = {**safe_headers(), "Location": location}
    return Response(b"", status_code=303, headers=headers, cookies=list(cookies))

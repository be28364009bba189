"""Serves the page: `index.html` for every address in it, and its files.

Files are read once and kept, packed too: there are some dozen of them, 2 MB in all, and they change
with the installation alone. Nothing but what lay there at the first look is served, so no path can
lead elsewhere.
"""

import gzip
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get
from litestar.params import FromPath

from motorcade.api.rights import PAGE_ADDRESSES
from motorcade.dashboard.port import PAGE

INDEX: Final = "index.html"
NOT_BUILT: Final = (
    "The page is not part of this installation: it is built with the wheel. Run `pip install .` or "
    "`make page` in the checkout; the API works without it.\n"
)
FOREVER: Final = "public, max-age=31536000, immutable"  # the name changes with the content
ASK_AGAIN: Final = "no-cache"  # kept, but asked about each time: its name stays
PACKED_BYTES_MIN: Final = 1_024
_PACKED_ALREADY: Final = ("image/png", "image/jpeg", "image/webp", "font/woff2")
_CACHED: Final = "assets/"
_TYPES: Final = {".woff2": "font/woff2", ".pmtiles": "application/octet-stream"}

POLICY: Final = (
    "default-src 'self'; img-src 'self' blob: data:; worker-src 'self' blob:; style-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Content Security Policy Level 3: nothing from outside, no script or style in the markup."""

SAFE: Final = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # addresses carry codes of sign-ins and tokens of links
    "Cross-Origin-Opener-Policy": "same-origin",
}

_Request = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class File:
    """One file of the page."""

    content: bytes
    packed: bytes  # gzip; empty where that saves nothing
    kind: str
    tag: str  # its ETag
    caching: str


@cache
def files_below(root: Path) -> Mapping[str, File]:
    """Every file of the page, by its path; empty when the page was not built."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            name = path.relative_to(root).as_posix()
            found[name] = _read(name, path)
    return found if INDEX in found else {}


def _read(name: str, path: Path) -> File:
    content = path.read_bytes()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    packed = b""
    if len(content) >= PACKED_BYTES_MIN and kind not in _PACKED_ALREADY:
        packed = gzip.compress(content, 6, mtime=0)
    if len(packed) >= len(content):
        packed = b""
    if kind.startswith("text/") or kind in ("application/javascript", "application/json"):
        kind += "; charset=utf-8"
    tag = f'"{blake2b(content, digest_size=12).hexdigest()}"'
    return File(content, packed, kind, tag, FOREVER if name.startswith(_CACHED) else ASK_AGAIN)


def served(request: _Request, name: str, root: Path = PAGE) -> Response[bytes]:
    """The answer with this file, in the form that the browser takes."""
    files = files_below(root)
    if not files:
        headers = {**SAFE, "Cache-Control": "no-store", "Retry-After": "60"}
        return _text(NOT_BUILT, 503, headers)
    file = files.get(name)
    if file is None:
        return _text("No such file.\n", 404, {**SAFE, "Cache-Control": "no-store"})
    headers = {**SAFE, "Cache-Control": file.caching, "ETag": file.tag, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match", "") == file.tag:
        return Response(b"", status_code=304, headers=headers, media_type=file.kind)
    content = file.content
    if file.packed and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content = file.packed
    return Response(content, status_code=200, headers=headers, media_type=file.kind)


def _text(text: str, status: int, headers: Mapping[str, str]) -> Response[bytes]:
    kind = "text/plain; charset=utf-8"
    return Response(text.encode(), status_code=status, headers=dict(headers), media_type=kind)


_TYPED: Final = [
    path.replace("{id}", "{id:str}").replace("{token}", "{token:str}") for path in PAGE_ADDRESSES
]


@get(_TYPED, include_in_schema=False)
async def page(request: _Request) -> Response[bytes]:
    """The page; what is shown at which address is its own matter."""
    return served(request, INDEX)


@get("/assets/{name:path}", include_in_schema=False)
async def asset(request: _Request, name: FromPath[str]) -> Response[bytes]:
    """Scripts, styles, fonts: their names say what is in them."""
    return served(request, "assets/" + str(name).lstrip("/"))


@get("/basemap/{name:path}", include_in_schema=False)
async def basemap(request: _Request, name: FromPath[str]) -> Response[bytes]:
    """The map beneath the cars."""
    return served(request, "basemap/" + str(name).lstrip("/"))


@get("/favicon.svg", include_in_schema=False)
async def icon(request: _Request) -> Response[bytes]:
    """What browsers show beside the title."""
    return served(request, "favicon.svg")


PAGE_ROUTES: Final = [page, asset, basemap, icon]

"""Somebody before a page that wants them signed in: their browser, their form, what goes wrong."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Final

from litestar import Response
from litestar.datastructures import UploadFile
from litestar.exceptions import HTTPException

from motorcade.api.audit import Signed
from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.oauth.attempts import TooManyError
from motorcade.api.oauth.desk import Desk
from motorcade.api.oauth.form import FormError, Pairs, bounded
from motorcade.api.oauth.routes import desk_of, read_pairs
from motorcade.api.pages.browser import Browser
from motorcade.api.pages.problem import PageError
from motorcade.api.pages.render import page, see_other
from motorcade.api.pages.sign_in import sign_in_with
from motorcade.registry.audit.port import What
from motorcade.registry.people.port import Person
from motorcade.registry.port import Vehicle

AnyPage = Response[str] | Response[bytes]
PAGES_CLIENT: Final = "motorcade-account"  # what the audit calls the owners' pages
AGAIN: Final = "Nothing was changed. Go back, load the page anew and try again."


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page."""

    desk: Desk
    counter: Counter
    browser: Browser
    address: str
    path: str  # where its forms lead

    @property
    def person(self) -> Person:
        """Who signed in; ask only where somebody has."""
        assert self.browser.sign_in is not None
        return self.browser.sign_in.person

    async def tell(self, what: What, text: str = "", vehicle: Vehicle | None = None) -> None:
        """Have the audit know what they did; on disk when this returns."""
        doer = Signed(self.person.subject, PAGES_CLIENT)
        about = vehicle.token if vehicle is not None else None
        await self.counter.audit.tell(doer, what, text, vehicle=about)

    def page(self, template: str, status: int = 200, **values: Any) -> AnyPage:
        """A page with a form."""
        return page(
            template,
            status=status,
            cookies=self.browser.cookies,
            action=self.path,
            form_token=self.browser.form_token,
            **values,
        )

    def at(self, path: str) -> "Visit":
        """The same, its forms leading elsewhere."""
        return replace(self, path=path)

    def sign_in_page(self, trouble: str = "", email: str = "", status: int = 200) -> AnyPage:
        return self.page("sign_in", status, app_name="", problem=trouble, email=email)


async def begin(request: AnyRequest, counter: Counter, path: str = "") -> Visit:
    """Read who is there; in a thread, it asks the registry."""
    desk = desk_of(counter)
    browser = await asyncio.to_thread(Browser, request, desk.people, counter.entropy)
    address = request.client.host if request.client else ""
    return Visit(desk, counter, browser, address, path or request.url.path)


async def read_form_of(request: AnyRequest, visit: Visit) -> Pairs:
    """The fields of a form of ours. Raises `PageError`."""
    try:
        pairs = await _read(request)
    except FormError as error:
        raise PageError(400, "This cannot be read", str(error), AGAIN) from error
    visit.browser.check_form(dict(pairs).get("form_token", ""))
    return pairs


async def _read(request: AnyRequest) -> Pairs:
    """A form without files, or with (RFC 7578). Raises `FormError`."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await read_pairs(request)
    try:
        form = await request.form()
    except (HTTPException, ValueError, LookupError) as error:  # the others: a part's own charset
        raise FormError("not multipart/form-data, or more than can be") from error
    pairs: list[tuple[str, str]] = []
    for name, value in form.multi_items():
        content = await value.read() if isinstance(value, UploadFile) else value
        try:
            text = content.decode() if isinstance(content, bytes) else str(content)
        except UnicodeDecodeError as error:
            raise FormError(f"{name} is no text") from error
        pairs.append((name, text))
    return bounded(pairs)


async def entered(visit: Visit, fields: dict[str, str]) -> AnyPage | None:
    """The answer to a form of somebody who is not signed in, or signs in or out; else `None`."""
    step = fields.get("step")
    if step == "sign_in":
        email = fields.get("email", "")
        try:
            good = await sign_in_with(
                visit.counter, visit.browser, visit.address, email, fields.get("password", "")
            )
        except TooManyError as error:
            return visit.sign_in_page(str(error), email, 429)
        if not good:
            return visit.sign_in_page("The e-mail or the password is not right.", email, 403)
        return see_other(visit.path, visit.browser.cookies)
    if visit.browser.sign_in is None:
        return visit.sign_in_page("Please sign in again.", status=403)
    if step == "sign_out":
        secret = visit.browser.signed_out()
        await asyncio.to_thread(visit.desk.people.end_sign_in, secret)
        return see_other(visit.path, visit.browser.cookies)
    return None

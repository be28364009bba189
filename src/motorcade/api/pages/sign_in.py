"""Signing a browser in, for every page that asks for it."""

import asyncio
import hmac

from motorcade.api.counter import Counter
from motorcade.api.oauth.routes import desk_of
from motorcade.api.pages.browser import Browser


async def sign_in_with(
    counter: Counter, browser: Browser, address: str, email: str, password: str
) -> bool:
    """Sign a browser in, under a new secret; whether the password was right.

    Raises `TooManyError`.
    """
    desk = desk_of(counter)
    name, shown = browser.known
    mark = await asyncio.to_thread(desk.people.browser_mark, email, name)
    known = bool(mark) and hmac.compare_digest(mark, shown)
    if not known:
        name = counter.entropy(16).hex()
        mark = await asyncio.to_thread(desk.people.browser_mark, email, name)
    person = await desk.sign_ins.check(address, email, password, name if known else "")
    if person is None:
        return False
    secret = await asyncio.to_thread(desk.people.begin_sign_in, person.id, name, mark)
    if not secret:
        return False
    browser.signed_in(secret)
    browser.keep_known(name, mark, counter.config.api.known_browser_s)
    return True

"""Signing a browser in, for every page that asks for it."""

import asyncio

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
    person = await desk.sign_ins.check(address, email, password)
    if person is None:
        return False
    browser.signed_in(await asyncio.to_thread(desk.people.begin_sign_in, person.id))
    return True

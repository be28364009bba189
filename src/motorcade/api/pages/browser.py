"""The browser behind a page: who signed in with it, and whether a form came from a page of ours.

Every form carries a token that only our own pages know: drawn from a secret in a cookie, which
other sites neither read nor send along (SameSite). Where the browser says which site sent the form
(`Origin`, `Sec-Fetch-Site`), that must be us.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Final

from litestar.datastructures import Cookie

from motorcade.api.oauth.place import Connection, is_secure
from motorcade.api.pages.problem import ForeignFormError
from motorcade.registry.people.port import People, SignIn

_BROWSER: Final = "motorcade_browser"
_SIGN_IN: Final = "motorcade_sign_in"
_KNOWN: Final = "motorcade_known"
_SECRET_CHARACTERS: Final = 64
_MARKED: Final = re.compile(r"[0-9a-f]{32}\.[0-9a-f]{64}")


class Browser:
    """One request's browser. Reads cookies; `cookies` are those to set."""

    def __init__(
        self, connection: Connection, people: People, entropy: Callable[[int], bytes]
    ) -> None:
        self._connection = connection
        self._secure = is_secure(connection)
        self._prefix = "__Host-" if self._secure else ""
        self.cookies: tuple[Cookie, ...] = ()
        self._secret = connection.cookies.get(self._prefix + _BROWSER, "")
        if len(self._secret) != _SECRET_CHARACTERS:
            self._secret = entropy(32).hex()
            self._set(_BROWSER, self._secret)
        self._sign_in_secret = connection.cookies.get(self._prefix + _SIGN_IN, "")
        self.sign_in: SignIn | None = None
        if self._sign_in_secret:
            self.sign_in = people.sign_in(self._sign_in_secret)

    @property
    def form_token(self) -> str:
        """What each form carries. Signed in, it follows from what nobody else could have set."""
        secret = self._sign_in_secret if self.sign_in else self._secret
        return hmac.digest(secret.encode(), b"form", hashlib.sha256).hex()

    @property
    def known(self) -> tuple[str, str]:
        """A name of this browser, and what shows that somebody signed in with it before."""
        cookie = self._connection.cookies.get(self._prefix + _KNOWN, "")
        name, _, mark = cookie.partition(".")
        return (name, mark) if _MARKED.fullmatch(cookie) else ("", "")

    def keep_known(self, name: str, mark: str, kept_s: int) -> None:
        """Keep both beyond this sign-in: they open nothing, but are guessed with by nobody else."""
        self.cookies += (self._cookie(_KNOWN, f"{name}.{mark}", max_age_s=kept_s),)

    def check_form(self, token: str) -> None:
        """Raises `ForeignFormError`."""
        headers = self._connection.headers
        origin = headers.get("origin")
        # Compared as text: a header that is no origin is none of ours either.
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            raise ForeignFormError("This form was sent by another site.")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise ForeignFormError("This form was sent by another site.")
        if not hmac.compare_digest(self.form_token.encode(), token.encode("utf-8", "replace")):
            raise ForeignFormError("This form is too old, or cookies are off. Please try again.")

    def signed_in(self, secret: str) -> None:
        """Keep a sign-in; it ends with the browser's session, or after its time."""
        self._set(_SIGN_IN, secret)

    def signed_out(self) -> str:
        """Forget the sign-in; returns its secret."""
        self.cookies += (self._cookie(_SIGN_IN, "", max_age_s=0),)
        return self._sign_in_secret

    def _set(self, name: str, value: str) -> None:
        self.cookies += (self._cookie(name, value),)

    def _cookie(self, name: str, value: str, max_age_s: int | None = None) -> Cookie:
        return Cookie(
            key=self._prefix + name,
            value=value,
            path="/",
            httponly=True,
            secure=self._secure,
            # Lax: an app leads people here from its own site, and they are signed in still.
            samesite="lax",
            max_age=max_age_s,
        )

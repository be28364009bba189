"""Which e-mails, subjects, passwords, redirect URIs and keys can be. No IO."""

import re
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from motorcade.identity.scopes import APP_SCOPES
from motorcade.registry.errors import InvalidNameError

_EMAIL: Final = re.compile(r"[a-z0-9.!#$%&'*+/=^_`{|}-]{1,64}@[a-z0-9.-]{1,189}")
_SUBJECT: Final = re.compile(r"[A-Za-z0-9._@:+-]{1,128}")  # what a token's claims may be
_HOST: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
_REDIRECT: Final = re.compile(
    rf"(?P<scheme>[a-z][a-z0-9+.-]{{0,63}})://(?P<host>{_HOST})"
    r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_REDIRECT_CHARACTERS_MAX: Final = 1_024
_TEXT_CHARACTERS_MAX: Final = 200
_REFUSED_SCHEMES: Final = frozenset(  # what browsers and phones keep for themselves
    {
        *("javascript", "data", "vbscript", "file", "filesystem", "about", "blob", "view-source"),
        *("chrome", "chrome-extension", "moz-extension", "resource", "ws", "wss", "ftp"),
        *("intent", "android-app", "content", "mailto", "tel", "sms"),
    }
)
_LOOPBACK: Final = re.compile(r"(?:localhost|127\.[0-9.]+|\[::1\])(?::[0-9]+)?")


def check_email(email: str) -> str:
    """Return it in lower case. Raises `InvalidNameError`."""
    lower = email.strip().lower()
    if not _EMAIL.fullmatch(lower):
        raise InvalidNameError(f"e-mail {email[:80]!r}: write it as name@host, without spaces")
    return lower


def check_subject(subject: str, what: str = "subject") -> str:
    """Return it if a token can carry it. Raises `InvalidNameError`."""
    if not _SUBJECT.fullmatch(subject):
        raise InvalidNameError(
            f"{what} {subject[:80]!r}: use 1 to 128 of letters, digits and . _ @ : + -"
        )
    return subject


def check_text(text: str, what: str, *, empty: bool = False) -> str:
    """Return a name or purpose without the space around it. Raises `InvalidNameError`."""
    bare = text.strip()
    if len(bare) > _TEXT_CHARACTERS_MAX or not bare.isprintable() or not (bare or empty):
        raise InvalidNameError(
            f"{what}: must have 1 to {_TEXT_CHARACTERS_MAX} characters, all of them printable"
        )
    return bare


def check_redirects(uris: Sequence[str], *, uris_max: int) -> tuple[str, ...]:
    """Return each once, if browsers can be sent there safely. Raises `InvalidNameError`.

    RFC 6749 §3.1.2: absolute, without a fragment; RFC 8252 §7.1 and RFC 9700 §2.6: https, or http
    on loopback, or a scheme of the app's own.
    """
    if len(uris) > uris_max:
        raise InvalidNameError(f"{len(uris)} redirect URIs, at most {uris_max} are kept")
    return tuple(_check_redirect(uri) for uri in dict.fromkeys(uri.strip() for uri in uris))


def _check_redirect(uri: str) -> str:
    found = _REDIRECT.fullmatch(uri)
    if found is None or len(uri) > _REDIRECT_CHARACTERS_MAX:
        raise InvalidNameError(
            f"redirect URI {uri[:80]!r}: write it whole, as https://app.example/callback, without "
            "user name or fragment"
        )
    scheme = found["scheme"]
    if scheme in _REFUSED_SCHEMES:
        raise InvalidNameError(f"redirect URI {uri[:80]!r}: no browser may be sent to {scheme}:")
    if scheme == "http" and not _LOOPBACK.fullmatch(found["host"]):
        raise InvalidNameError(
            f"redirect URI {uri[:80]!r}: codes cross the net there; use https (http only on "
            "localhost)"
        )
    return uri


def redirect_origin(uri: str) -> str:
    """Scheme and host of a checked redirect URI, the scheme alone of an app's own: for CSP."""
    found = _REDIRECT.fullmatch(uri)
    assert found is not None  # checked when it was registered
    own_scheme = found["scheme"] not in ("http", "https")
    return f"{found['scheme']}:" if own_scheme else f"{found['scheme']}://{found['host']}"


def check_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """Return each once, in the table's order. Raises `InvalidNameError`."""
    unknown = [scope for scope in scopes if scope not in APP_SCOPES]
    if unknown or not scopes:
        what = f"no such scope: {', '.join(unknown)[:200]}" if unknown else "no scope given"
        raise InvalidNameError(f"{what}; an app may ask for {', '.join(APP_SCOPES)}")
    return tuple(scope for scope in APP_SCOPES if scope in scopes)


def check_domain(domain: str) -> str:
    """Return it in lower case; "" stands for none. Raises `InvalidNameError`."""
    lower = domain.strip().lower()
    if lower and (not _DOMAIN.fullmatch(lower) or len(lower) > 253):
        raise InvalidNameError(f"domain {domain[:80]!r}: write it as app.example, without https://")
    return lower


def check_public_key(pem: str) -> str:
    """Return the key's own PEM; "" stands for none. Raises `InvalidNameError`."""
    if not pem.strip():
        return ""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidNameError("public key: must be PEM (BEGIN PUBLIC KEY)") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise InvalidNameError("public key: must be on the curve P-256 (prime256v1)")
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def public_point(pem: str) -> str:
    """The uncompressed point of a key that `check_public_key` returned, in hex (SEC 1 §2.3.3)."""
    key = serialization.load_pem_public_key(pem.encode())
    form = serialization.PublicFormat.UncompressedPoint
    return key.public_bytes(serialization.Encoding.X962, form).hex()

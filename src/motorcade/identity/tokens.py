"""Access tokens: JWTs in the shape that Fleet API clients read, signed ES256. No IO.

Claims: protocol page of the Fleet API, §2. Go clients decode the payload with the standard base64
alphabet, so claims are ASCII without `?`, `>` and `~`: only those characters can put a `-` or `_`
into base64url of ASCII text.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from motorcade.clock import Clock
from motorcade.config import IdentityConfig
from motorcade.identity.authority import Authority
from motorcade.identity.errors import InvalidTokenError, SecretsError, TokenExpiredError
from motorcade.identity.key_ring import TokenKey, make_key, needed, read_ring, write_ring
from motorcade.identity.port import ADMIN_SUBJECT, AccessToken
from motorcade.identity.region import TESLA_BASE_URLS, fleet_base_url, region_code
from motorcade.identity.scopes import SCOPES

ISSUER: Final = "motorcade"
ALGORITHM: Final = "ES256"
KEY_FILE: Final = "token_signing.pem"
_SUBJECT: Final = re.compile(r"[A-Za-z0-9._@:+-]{1,128}")


class TokenAuthority:
    """Mints tokens and, as a `TokenVerifier`, checks them."""

    def __init__(
        self,
        ring: bytes | Sequence[TokenKey],
        *,
        clock: Clock,
        config: IdentityConfig,
        changed: Callable[[], Sequence[TokenKey] | None] = lambda: None,
    ) -> None:
        """`ring`: as `key_ring.py` writes it; `changed` gives it anew when another process did.

        `changed` is called by one thread at a time. What it raises is the caller's to see: a ring
        that cannot be read may have been changed because a key has leaked.

        Raises `ValueError` when there is no P-256 key in it.
        """
        self._keys = read_ring(ring) if isinstance(ring, bytes) else list(ring)
        self._changed = changed
        self._reloading = Lock()
        self._generation = 0
        self._clock = clock
        self._config = config
        self._audience = fleet_base_url(config)
        self._region = region_code(config)
        # `motorcade token` does not know what a running server was told.
        self._audiences = frozenset({self._audience, *TESLA_BASE_URLS.values()})

    def mint(
        self,
        subject: str,
        scopes: Iterable[str],
        *,
        ttl_s: int,
        client_id: str,
        further: Mapping[str, Any] | None = None,
    ) -> str:
        """A token for `subject` that is good for `ttl_s` seconds; `further` claims are our own.

        Raises:
            InvalidTokenError: no such token can be made; the text says why.
        """
        scopes = list(dict.fromkeys(scopes))
        self._check_request(subject, scopes, ttl_s, client_id)
        now_s = self._clock.now_us() // 1_000_000
        claims = {
            "iss": ISSUER,
            "sub": subject,
            "aud": [self._audience],
            "ou_code": self._region,
            "scp": scopes,
            "azp": client_id,
            "iat": now_s,
            "exp": now_s + ttl_s,
            **(further or {}),
        }
        return self._sign(claims)

    def identity_token(self, claims: Mapping[str, Any]) -> str:
        """An ID token (OpenID Connect Core §2): for an app to read, no API takes it."""
        return self._sign(dict(claims))

    @property
    def public_keys(self) -> dict[str, Any]:
        """What verifies our tokens: a JWK set (RFC 7517 §5)."""
        self._reload()
        return {
            "keys": [
                {
                    **key.key.as_dict(private=False),
                    "kid": key.id,
                    "use": "sig",
                    "alg": ALGORITHM,
                }
                for key in self._keys
            ]
        }

    def _sign(self, claims: dict[str, Any]) -> str:
        self._reload()
        newest = self._keys[0]
        header = {"alg": ALGORITHM, "kid": newest.id}
        return jwt.encode(header, claims, newest.key, algorithms=[ALGORITHM])

    def _key_of(self, token: Any) -> ECKey:
        """The key that a token's header names; the algorithm is ours to name."""
        wanted = token.headers().get("kid", self._keys[0].id)
        for attempt in range(2):
            for key in self._keys:
                if key.id == wanted:
                    return key.key
            if attempt or not self._reload():
                break
        raise InvalidTokenError("signed with a key that is none of ours, or no longer")

    def generation(self) -> int:
        """See `TokenVerifier.generation`."""
        self._reload()
        return self._generation

    def _reload(self) -> bool:
        """Whether another process has changed the ring. Raises `SecretsError`."""
        with self._reloading:
            keys = self._changed()
            if keys is None:
                return False
            before, self._keys = {key.id for key in self._keys}, list(keys)
            if before - {key.id for key in keys}:
                self._generation += 1
            return True

    def verify(self, bearer: str) -> AccessToken:
        """See `TokenVerifier.verify`."""
        if len(bearer) > self._config.token_bytes_max:
            raise InvalidTokenError(
                f"a token of {len(bearer)} characters, at most {self._config.token_bytes_max}"
            )
        try:
            claims = jwt.decode(bearer, self._key_of, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError) as error:
            raise InvalidTokenError(f"not a token of ours: {error}") from error
        token = self._read(claims)
        if token.expires_time_us <= self._clock.now_us():
            raise TokenExpiredError("the token's time is over: get a new one")
        return token

    def _check_request(self, subject: str, scopes: list[str], ttl_s: int, client_id: str) -> None:
        for name, text in (("subject", subject), ("client id", client_id)):
            if not _SUBJECT.fullmatch(text):
                raise InvalidTokenError(
                    f"{name} {text!r}: use 1 to 128 of letters, digits and . _ @ : + -"
                )
        unknown = [scope for scope in scopes if scope not in SCOPES]
        if unknown or not scopes:
            what = f"no such scope: {', '.join(unknown)}" if unknown else "no scope given"
            raise InvalidTokenError(f"{what}; there are {', '.join(SCOPES)}")
        if not 0 < ttl_s <= self._config.token_ttl_s_max:
            raise InvalidTokenError(
                f"a token for {ttl_s} s: must be 1 to {self._config.token_ttl_s_max} s"
            )

    def _read(self, claims: dict[str, Any]) -> AccessToken:
        """What a payload says. The signature is good: ours, but perhaps no access token."""
        subject, scopes, expires_s = claims.get("sub"), claims.get("scp"), claims.get("exp")
        audience = claims.get("aud")
        ours = isinstance(audience, list) and any(name in self._audiences for name in audience)
        if claims.get("iss") != ISSUER or not ours:
            raise InvalidTokenError("issued by another, or for another API")
        if not isinstance(subject, str) or type(expires_s) is not int:
            raise InvalidTokenError("the claims sub and exp are missing or not of their type")
        if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
            raise InvalidTokenError("the claim scp is missing or not a list of texts")
        session = claims.get("sid", 0)
        if type(session) is not int:
            raise InvalidTokenError("the claim sid is not a number")
        vehicle_id = claims.get("veh", 0)
        if type(vehicle_id) is not int:
            raise InvalidTokenError("the claim veh is not a number")
        return AccessToken(
            subject,
            frozenset(scopes),
            expires_s * 1_000_000,
            str(claims.get("azp", "")),
            session,
            str(claims.get("jti", "")),
            vehicle_id,
        )


def token_authority(authority: Authority) -> TokenAuthority:
    """The deployment's tokens, their key made at the first call. Raises `SecretsError`."""
    secrets, now_us = authority.secrets, authority.clock.now_us()
    secrets.read_or_make(KEY_FILE, lambda: write_ring([make_key(now_us)]))
    seen = [secrets.mark(KEY_FILE)]  # before it is read: a change in between is seen once more

    def changed() -> Sequence[TokenKey] | None:
        mark = secrets.mark(KEY_FILE)
        if mark == seen[0]:
            return None
        keys = _read_keys(authority)
        seen[0] = mark  # not before it was read: what failed once is tried again
        return keys

    return TokenAuthority(
        _read_keys(authority), clock=authority.clock, config=authority.config, changed=changed
    )


def _read_keys(authority: Authority) -> list[TokenKey]:
    """The ring. Raises `SecretsError`."""
    try:
        return read_ring(authority.secrets.read(KEY_FILE))
    except ValueError as error:
        raise SecretsError(
            f"{authority.secrets.path(KEY_FILE)} is damaged ({error}): delete it, and every "
            "access token must be made anew"
        ) from error


def rotate_key(authority: Authority, *, forget: bool = False) -> None:
    """Sign with a new key from now on, in every process.

    With `forget`, refuse all that older keys signed; refresh tokens are drawn, not signed, and
    stay. Without, no key goes: how long tokens live is what a start knows (`keep_key_fresh`).
    """
    token_authority(authority)  # makes the first key, tells of a damaged one
    made = make_key(authority.clock.now_us())

    def change(ring: bytes) -> bytes:
        return write_ring([made] if forget else [made, *read_ring(ring)])

    authority.secrets.change(KEY_FILE, change)


def keep_key_fresh(authority: Authority) -> None:
    """Rotate when the newest key is older than `identity.token_key_s`; drop keys not needed.

    At each start, with the server's settings.
    """
    token_authority(authority)
    config, now_us = authority.config, authority.clock.now_us()
    keys = read_ring(authority.secrets.read(KEY_FILE))
    if now_us - keys[0].made_time_us >= config.token_key_s * 1_000_000:
        rotate_key(authority)

    def change(ring: bytes) -> bytes:
        return write_ring(needed(read_ring(ring), now_us, kept_s=config.token_ttl_s_max))

    keys = read_ring(authority.secrets.read(KEY_FILE))
    if len(needed(keys, now_us, kept_s=config.token_ttl_s_max)) < len(keys):
        authority.secrets.change(KEY_FILE, change)


def admin_token(authority: Authority) -> str:
    """A token with every scope that sees every vehicle, as long-lived as a token may be."""
    tokens = token_authority(authority)
    ttl_s = authority.config.token_ttl_s_max
    return tokens.mint(ADMIN_SUBJECT, SCOPES, ttl_s=ttl_s, client_id="motorcade")

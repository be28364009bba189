"""Access tokens: JWTs in the shape that Fleet API clients read, signed ES256. No IO.

Claims: protocol page of the Fleet API, §2. Go clients decode the payload with the standard base64
alphabet, so claims are ASCII without `?`, `>` and `~`: only those characters can put a `-` or `_`
into base64url of ASCII text.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from motorcade.clock import Clock
from motorcade.config import IdentityConfig
from motorcade.identity.authority import Authority
from motorcade.identity.errors import InvalidTokenError, SecretsError, TokenExpiredError
from motorcade.identity.port import ADMIN_SUBJECT, AccessToken
from motorcade.identity.region import TESLA_BASE_URLS, fleet_base_url, region_code
from motorcade.identity.scopes import SCOPES

ISSUER: Final = "motorcade"
ALGORITHM: Final = "ES256"
_KEY_FILE: Final = "token_signing.pem"
_SUBJECT: Final = re.compile(r"[A-Za-z0-9._@:+-]{1,128}")


class TokenAuthority:
    """Mints tokens and, as a `TokenVerifier`, checks them."""

    def __init__(self, key_pem: bytes, *, clock: Clock, config: IdentityConfig) -> None:
        """Raises `ValueError` when `key_pem` is not a P-256 key."""
        key = serialization.load_pem_private_key(key_pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise ValueError("not a P-256 key")
        self._key = ECKey.import_key(key_pem)
        self._key_id = hashlib.sha256(self._public_bytes(key)).hexdigest()[:16]
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
        public = dict(self._key.as_dict(private=False))
        return {"keys": [{**public, "kid": self._key_id, "use": "sig", "alg": ALGORITHM}]}

    def _sign(self, claims: dict[str, Any]) -> str:
        header = {"alg": ALGORITHM, "kid": self._key_id}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])

    def verify(self, bearer: str) -> AccessToken:
        """See `TokenVerifier.verify`."""
        if len(bearer) > self._config.token_bytes_max:
            raise InvalidTokenError(
                f"a token of {len(bearer)} characters, at most {self._config.token_bytes_max}"
            )
        try:
            claims = jwt.decode(bearer, self._key, algorithms=[ALGORITHM]).claims
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
        return AccessToken(
            subject,
            frozenset(scopes),
            expires_s * 1_000_000,
            str(claims.get("azp", "")),
            session,
            str(claims.get("jti", "")),
        )

    @staticmethod
    def _public_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
        return key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )


def token_authority(authority: Authority) -> TokenAuthority:
    """The deployment's tokens, their key made at the first call. Raises `SecretsError`."""
    pem = authority.secrets.read_or_make(_KEY_FILE, _make_key)
    try:
        return TokenAuthority(pem, clock=authority.clock, config=authority.config)
    except ValueError as error:
        raise SecretsError(
            f"{authority.secrets.path(_KEY_FILE)} is damaged ({error}): delete it, and every "
            "access token must be made anew"
        ) from error


def admin_token(authority: Authority) -> str:
    """A token with every scope that sees every vehicle, as long-lived as a token may be."""
    tokens = token_authority(authority)
    ttl_s = authority.config.token_ttl_s_max
    return tokens.mint(ADMIN_SUBJECT, SCOPES, ttl_s=ttl_s, client_id="motorcade")


def _make_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

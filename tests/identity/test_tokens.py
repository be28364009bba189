"""Access tokens: what clients read, and every way in that must stay shut."""

import base64
import hashlib
import hmac
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from motorcade.clock import SimulatedClock
from motorcade.config import IdentityConfig
from motorcade.identity.authority import Authority, open_authority
from motorcade.identity.errors import InvalidTokenError, SecretsError, TokenExpiredError
from motorcade.identity.scopes import SCOPES
from motorcade.identity.tokens import (
    TokenAuthority,
    admin_token,
    keep_key_fresh,
    rotate_key,
    token_authority,
)

START_US = 1_750_000_000_000_000
SCOPE = "vehicle_device_data"


def make_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


KEY = make_key()
CLOCK = SimulatedClock(START_US)
TOKENS = TokenAuthority(KEY, clock=CLOCK, config=IdentityConfig())


def mint(**changes: Any) -> str:
    wanted = {"subject": "owner", "scopes": [SCOPE], "ttl_s": 60, "client_id": "test"} | changes
    return TOKENS.mint(wanted.pop("subject"), wanted.pop("scopes"), **wanted)


def part(token: str, index: int) -> Any:
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_the_claims_are_those_that_clients_read() -> None:
    assert part(mint(), 1) == {
        "iss": "motorcade",
        "sub": "owner",
        "aud": ["https://fleet-api.prd.na.vn.cloud.tesla.com"],
        "ou_code": "NA",
        "scp": [SCOPE],
        "azp": "test",
        "iat": START_US // 1_000_000,
        "exp": START_US // 1_000_000 + 60,
    }
    assert part(mint(), 0)["alg"] == "ES256"


@given(
    st.text("abcXYZ019._@:+-", min_size=1, max_size=128),
    st.lists(st.sampled_from(sorted(SCOPES)), min_size=1),
)
def test_the_payload_decodes_with_the_standard_alphabet_too(
    subject: str, scopes: list[str]
) -> None:
    payload = mint(subject=subject, scopes=scopes, client_id=subject).split(".")[1]
    assert not set(payload) & set("-_")


def test_a_good_token_says_who_and_what() -> None:
    token = TOKENS.verify(mint(scopes=["vehicle_cmds", SCOPE, SCOPE]))
    assert (token.subject, token.client_id) == ("owner", "test")
    assert token.scopes == {"vehicle_cmds", SCOPE}
    assert token.expires_time_us == START_US + 60_000_000


@pytest.mark.parametrize(("subject", "owns"), [("owner", True), ("admin", True), ("eve", False)])
def test_owner_and_admin_own_every_vehicle(subject: str, owns: bool) -> None:
    assert TOKENS.verify(mint(subject=subject)).owns("owner") is owns


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"subject": ""}, "subject"),
        ({"subject": "a?b"}, "subject"),
        ({"subject": "é"}, "subject"),
        ({"client_id": "a>b"}, "client id"),
        ({"scopes": []}, "no scope"),
        ({"scopes": ["root"]}, "no such scope: root"),
        ({"ttl_s": 0}, "0 s"),
        ({"ttl_s": 1 << 40}, "must be 1 to"),
    ],
)
def test_a_token_that_would_harm_is_not_made(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidTokenError, match=told):
        mint(**changes)


def test_a_token_ends_to_the_second() -> None:
    clock = SimulatedClock(START_US)
    tokens = TokenAuthority(KEY, clock=clock, config=IdentityConfig())
    token = mint(ttl_s=60)
    clock.advance(59.999)
    assert tokens.verify(token).subject == "owner"
    clock.advance(0.001)
    with pytest.raises(TokenExpiredError):
        tokens.verify(token)


def forged(header: dict[str, Any], key: bytes | None = None) -> str:
    """Our claims under another header, signed HS256 with `key`, or not at all."""
    text = f"{encoded(header)}.{mint().split('.')[1]}"
    if key is None:
        return f"{text}."
    return f"{text}.{encoded(hmac.digest(key, text.encode(), hashlib.sha256))}"


def public_pem() -> bytes:
    key = serialization.load_pem_private_key(KEY, None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def signed(claims: Any, key: bytes = KEY, header: dict[str, Any] | None = None) -> str:
    return jwt.encode({"alg": "ES256", **(header or {})}, claims, ECKey.import_key(key))


GOOD = part(mint(), 1)
FOREIGN = make_key()
ABUSES = {
    "alg none": forged({"alg": "none", "typ": "JWT"}),
    "alg None": forged({"alg": "None"}),
    "no alg": forged({"typ": "JWT"}),
    "public key as HMAC secret": forged({"alg": "HS256"}, public_pem()),
    "empty HMAC secret": forged({"alg": "HS256"}, b""),
    "another's key": signed(GOOD, FOREIGN),
    "another's key in the header": signed(
        GOOD, FOREIGN, {"jwk": ECKey.import_key(FOREIGN).as_dict(private=False)}
    ),
    "another issuer": signed(GOOD | {"iss": "https://auth.tesla.com"}),
    "another audience": signed(GOOD | {"aud": ["https://example.org"]}),
    "audience as text": signed(GOOD | {"aud": GOOD["aud"][0]}),
    "no expiry": signed({name: value for name, value in GOOD.items() if name != "exp"}),
    "expiry as text": signed(GOOD | {"exp": "9999999999"}),
    "expiry true": signed(GOOD | {"exp": True}),
    "no subject": signed(GOOD | {"sub": None}),
    "scopes as text": signed(GOOD | {"scp": "vehicle_cmds"}),
    "signature cut": mint()[:-4],
    "signature gone": mint().rsplit(".", 1)[0] + ".",
    "claims changed": ".".join([mint().split(".")[0], encoded(GOOD), mint().split(".")[2]]),
    "deep header": encoded(b'{"alg":"ES256","x":' + b"[" * 5_000) + ".e30.AAAA",
    "too long": mint() + "A" * 10_000,
    "critical extension": forged({"alg": "ES256", "crit": ["b64"], "b64": False}, b"x"),
    "encrypted": "e30.e30.e30.e30.e30",
    "nothing": "",
    "no dots": "Bearer",
    "not ASCII": "é.é.é",
    "surrogate": "\udc80.e30.e30",
}


@pytest.mark.parametrize("token", ABUSES.values(), ids=ABUSES.keys())
def test_abuse_is_refused(token: str) -> None:
    with pytest.raises(InvalidTokenError) as refusal:
        TOKENS.verify(token)
    assert not isinstance(refusal.value, TokenExpiredError)


@given(st.text())
def test_any_text_is_refused_in_the_same_way(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        TOKENS.verify(text)


def test_an_admin_token_holds_every_scope(tmp_path: Path) -> None:
    authority = open_authority(tmp_path / "data", clock=CLOCK)
    token = token_authority(authority).verify(admin_token(authority))
    assert token.scopes == set(SCOPES)
    assert token.owns("owner")


def test_tokens_of_one_deployment_are_strange_to_another(tmp_path: Path) -> None:
    ours, theirs = (open_authority(tmp_path / name, clock=CLOCK) for name in ("a", "b"))
    with pytest.raises(InvalidTokenError):
        token_authority(theirs).verify(admin_token(ours))
    again = open_authority(tmp_path / "a", clock=CLOCK)
    assert token_authority(again).verify(admin_token(ours)).subject == "admin"


def opened(tmp_path: Path, clock: SimulatedClock) -> Authority:
    return open_authority(tmp_path / "data", clock=clock)


def kid(token: str) -> str:
    return str(part(token, 0)["kid"])


def test_after_a_rotation_older_tokens_are_good_and_new_ones_have_a_new_key(tmp_path: Path) -> None:
    authority = opened(tmp_path, SimulatedClock(START_US))
    running = token_authority(authority)
    old = running.mint("owner", [SCOPE], ttl_s=60, client_id="test")
    rotate_key(opened(tmp_path, SimulatedClock(START_US)))  # another process
    new = token_authority(authority).mint("owner", [SCOPE], ttl_s=60, client_id="test")
    assert kid(new) != kid(old)
    for token in (new, old):  # the first makes the running one read the ring anew
        assert running.verify(token).subject == "owner"
    assert running.generation() == 0
    assert kid(running.mint("owner", [SCOPE], ttl_s=60, client_id="test")) == kid(new)
    assert [key["kid"] for key in running.public_keys["keys"]] == [kid(new), kid(old)]
    assert all("d" not in key for key in running.public_keys["keys"])


def test_a_forgotten_key_verifies_nothing(tmp_path: Path) -> None:
    authority = opened(tmp_path, SimulatedClock(START_US))
    running = token_authority(authority)
    old = running.mint("owner", [SCOPE], ttl_s=60, client_id="test")
    rotate_key(authority, forget=True)
    assert running.generation() == 1
    with pytest.raises(InvalidTokenError):
        running.verify(old)
    assert len(running.public_keys["keys"]) == 1


def test_a_key_leaves_the_ring_at_the_start_after_its_last_token_has_ended(tmp_path: Path) -> None:
    clock = SimulatedClock(START_US)
    authority = opened(tmp_path, clock)
    first = kid(token_authority(authority).mint("a", [SCOPE], ttl_s=60, client_id="t"))
    rotate_key(authority)
    clock.advance(authority.config.token_ttl_s_max - 1)
    keep_key_fresh(authority)
    assert first in [key["kid"] for key in token_authority(authority).public_keys["keys"]]
    clock.advance(1)
    keep_key_fresh(authority)
    assert first not in [key["kid"] for key in token_authority(authority).public_keys["keys"]]


def test_a_rotation_drops_no_key_that_a_longer_lived_token_needs(tmp_path: Path) -> None:
    """The command line does not know for how long a server was told to let tokens live."""
    clock = SimulatedClock(START_US)
    line = opened(tmp_path, clock)
    ttl_s = 3 * line.config.token_ttl_s_max
    long_lived = IdentityConfig(token_ttl_s_max=ttl_s)
    server = open_authority(tmp_path / "data", clock=clock, config=long_lived)
    token = token_authority(server).mint("owner", [SCOPE], ttl_s=ttl_s, client_id="test")
    rotate_key(line)
    clock.advance(ttl_s - 1)
    rotate_key(line)
    keep_key_fresh(server)
    assert token_authority(server).verify(token).subject == "owner"


def test_a_start_keeps_a_fresh_key_and_replaces_an_old_one(tmp_path: Path) -> None:
    clock = SimulatedClock(START_US)
    authority = opened(tmp_path, clock)
    before = token_authority(authority).public_keys
    keep_key_fresh(authority)
    clock.advance(authority.config.token_key_s - 1)
    keep_key_fresh(authority)
    assert token_authority(authority).public_keys == before
    clock.advance(1)
    keep_key_fresh(authority)
    assert len(token_authority(authority).public_keys["keys"]) == 2


def test_a_key_file_of_before_there_were_rings_is_read(tmp_path: Path) -> None:
    authority = opened(tmp_path, SimulatedClock(START_US))
    authority.secrets.read_or_make("token_signing.pem", lambda: KEY)
    old = token_authority(authority)
    token = mint()
    assert old.verify(token).subject == "owner"
    keep_key_fresh(authority)
    assert token_authority(authority).verify(token).subject == "owner"


def test_a_damaged_ring_is_told(tmp_path: Path) -> None:
    authority = opened(tmp_path, SimulatedClock(START_US))
    authority.secrets.read_or_make("token_signing.pem", lambda: b"no key")
    with pytest.raises(SecretsError, match=r"token_signing\.pem is damaged"):
        token_authority(authority)


def test_a_ring_that_could_not_be_read_once_is_read_again(tmp_path: Path) -> None:
    """Open for others for a moment, half restored: the key that was forgotten then is forgotten."""
    authority = opened(tmp_path, SimulatedClock(START_US))
    running = token_authority(authority)
    old = running.mint("owner", [SCOPE], ttl_s=60, client_id="test")
    rotate_key(authority, forget=True)
    path = authority.secrets.path("token_signing.pem")
    good = path.read_bytes()
    path.chmod(0o644)
    with pytest.raises(SecretsError, match="others could read"):
        running.generation()
    path.chmod(0o600)  # the file is what it was when it could not be read
    assert running.generation() == 1
    with pytest.raises(InvalidTokenError):
        running.verify(old)
    path.write_bytes(b"no key")
    for _ in range(2):
        with pytest.raises(SecretsError, match=r"token_signing\.pem is damaged"):
            running.generation()
    path.write_bytes(good)
    assert running.generation() == 1


def test_a_ring_is_read_by_one_thread_at_a_time() -> None:
    """Two that read at once could put an older ring over a newer one, or count a change twice."""
    inside, most = [0], [0]

    def changed() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        inside[0] -= 1

    tokens = TokenAuthority(KEY, clock=CLOCK, config=IdentityConfig(), changed=changed)
    threads = [threading.Thread(target=tokens.generation) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]

"""Which region tokens and answers name."""

import pytest

from motorcade.clock import SimulatedClock
from motorcade.config import ConfigError, IdentityConfig
from motorcade.identity.region import fleet_base_url, region_code, region_name
from motorcade.identity.tokens import TokenAuthority
from tests.identity.test_tokens import KEY, part


@pytest.mark.parametrize(
    ("region", "public_url", "url"),
    [
        ("na", "", "https://fleet-api.prd.na.vn.cloud.tesla.com"),
        ("EU", "", "https://fleet-api.prd.eu.vn.cloud.tesla.com"),
        ("cn", "", "https://fleet-api.prd.cn.vn.cloud.tesla.cn"),
        ("lab", "https://fleet.example:8443/", "https://fleet.example:8443"),
        ("na", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("na", "https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("na", "https://fleet.example/motorcade", "https://fleet.example/motorcade"),
    ],
)
def test_a_region_has_a_base_url(region: str, public_url: str, url: str) -> None:
    config = IdentityConfig(region=region, public_url=public_url)
    assert fleet_base_url(config) == url
    assert (region_name(config), region_code(config)) == (region.lower(), region.upper())
    tokens = TokenAuthority(KEY, clock=SimulatedClock(1), config=config)
    token = tokens.mint("owner", ["openid"], ttl_s=60, client_id="test")
    claims = part(token, 1)
    assert (claims["aud"], claims["ou_code"]) == ([url], region.upper())
    assert tokens.verify(token).subject == "owner"


@pytest.mark.parametrize(
    ("region", "public_url", "told"),
    [
        ("lab", "", "--public-url"),
        ("n a", "", "letters"),
        ("", "", "letters"),
        ("na", "fleet.example", "https://"),
        ("na", "https://fleet.example/?a", "query"),
        ("na", "https://fleet.example/~x", "query"),
        ("na", "https://[", "https://HOST"),
        ("na", "https://[::1", "https://HOST"),
        ("na", "https://::1]", "https://HOST"),
        ("na", "https://[:::1]", "https://HOST"),
        ("na", "https://[]", "https://HOST"),
        ("na", "https://a..b", "https://HOST"),
        ("na", "https://-", "https://HOST"),
        ("na", "https://fleet.example:", "https://HOST"),
        ("na", "https://fleet.example:0", "https://HOST"),
        ("na", "https://fleet.example:65536", "https://HOST"),
        ("na", "https://fleet.example:x", "https://HOST"),
        ("na", "https://" + "a." * 127 + "aa", "https://HOST"),
    ],
)
def test_a_region_that_cannot_be_is_refused(region: str, public_url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        fleet_base_url(IdentityConfig(region=region, public_url=public_url))


def test_a_token_of_the_command_line_is_good_on_a_server_with_another_url() -> None:
    told = IdentityConfig(public_url="https://fleet.example")
    server = TokenAuthority(KEY, clock=SimulatedClock(1), config=told)
    line = TokenAuthority(KEY, clock=SimulatedClock(1), config=IdentityConfig())
    token = line.mint("owner", ["openid"], ttl_s=60, client_id="test")
    assert server.verify(token).subject == "owner"

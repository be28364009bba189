"""Which region this deployment is, in tokens and answers alike. No IO.

Clients choose their host by a token's `aud` and `ou_code` and by what `users/region` answers
(protocol page of the Fleet API, §2). Without a public URL these name Tesla's own hosts, which
reach us through a proxy or a hosts entry.
"""

import re
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import urlsplit

from motorcade.config import ConfigError, IdentityConfig

TESLA_BASE_URLS: Final = {
    "na": "https://fleet-api.prd.na.vn.cloud.tesla.com",
    "eu": "https://fleet-api.prd.eu.vn.cloud.tesla.com",
    "cn": "https://fleet-api.prd.cn.vn.cloud.tesla.cn",
}
TESLA_HOSTS: Final = (
    *(url.removeprefix("https://") for url in TESLA_BASE_URLS.values()),
    "fleet-auth.prd.vn.cloud.tesla.com",
    "auth.tesla.com",
    "auth.tesla.cn",
    "owner-api.teslamotors.com",
)
"""Whom the certificate of our API answers for, so that clients with fixed hosts can be led here."""

NAME_CHARACTERS_MAX: Final = 253  # of a host (RFC 1035 §2.3.4, in text)
_REGION: Final = re.compile(r"[a-z]{2,8}")
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_URL: Final = re.compile(
    rf"https?://(?:(?P<name>{_LABEL}(?:\.{_LABEL})*)|\[(?P<v6>[0-9A-Fa-f:.]+)\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?:/[A-Za-z0-9._/-]*)?"
)


def region_name(config: IdentityConfig) -> str:
    """Lower case, as `users/region` answers it. Raises `ConfigError`."""
    name = config.region.lower()
    if not _REGION.fullmatch(name):
        raise ConfigError(f"region {config.region!r}: write 2 to 8 letters, such as na")
    return name


def region_code(config: IdentityConfig) -> str:
    """Upper case: the claim `ou_code`, and before the `_` of codes and refresh tokens."""
    return region_name(config).upper()


def fleet_base_url(config: IdentityConfig) -> str:
    """Where apps reach the API of this region: the claim `aud`. Raises `ConfigError`."""
    name = region_name(config)
    if not config.public_url:
        if name not in TESLA_BASE_URLS:
            raise ConfigError(
                f"region {name!r} is none of Tesla's ({', '.join(TESLA_BASE_URLS)}): give it a "
                "--public-url"
            )
        return TESLA_BASE_URLS[name]
    url = config.public_url.rstrip("/")
    if not _can_be_reached(url):
        raise ConfigError(
            f"public URL {config.public_url!r}: write https://HOST[:PORT], without a query"
        )
    return url


def _can_be_reached(url: str) -> bool:
    """Whether it names a host and a port; also keeps tokens readable for Go: no ? > ~ in it."""
    found = _URL.fullmatch(url)
    if found is None or len(found["name"] or "") > NAME_CHARACTERS_MAX:
        return False
    if found["v6"] is not None:
        try:
            IPv6Address(found["v6"])
        except ValueError:
            return False
    return 0 < int(found["port"] or 443) < 1 << 16


def fleet_hosts(config: IdentityConfig) -> list[str]:
    """The names and addresses under which apps reach the API, for its certificate."""
    host = urlsplit(fleet_base_url(config)).hostname or ""
    return list(dict.fromkeys([*TESLA_HOSTS, host]))

"""Run by the interpreter of a client's own environment: energy sites with `pypowerwall` or
`tesla-fleet-api`.

Not a test itself: `test_energy_clients.py` starts it with the library's name, the API's URL, a
token and a site's id, writes a method and its arguments per line (JSON), and reads a line for each.
Nothing of the client is changed; its public methods are called as an application calls them.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

Call = Any


def pypowerwall(url: str, token: str, site_id: int) -> Call:
    """Fleet API mode, configured by the file that its setup writes."""
    import pypowerwall

    place = Path(tempfile.mkdtemp())
    config = {"CLIENT_ID": "test", "AUDIENCE": url, "access_token": token, "site_id": site_id}
    (place / ".pypowerwall.fleetapi").write_text(json.dumps(config))
    powerwall = pypowerwall.Powerwall(
        fleetapi=True, authpath=str(place), email="owner@example.com", pwcacheexpire=0
    )

    async def call(name: str, *arguments: Any) -> Any:
        return getattr(powerwall, name)(*arguments)

    return call


def tesla_fleet_api(url: str, token: str, site_id: int) -> Call:
    import aiohttp
    from tesla_fleet_api import TeslaFleetApi

    async def call(name: str, *arguments: Any) -> Any:
        async with aiohttp.ClientSession() as session:
            api = TeslaFleetApi(session, access_token=token, server=url)
            if name == "products":
                return await api.products()
            return await getattr(api.energySites.create(site_id), name)(*arguments)

    return call


async def main() -> None:
    library, url, token, site_id = sys.argv[1:]
    call = {"pypowerwall": pypowerwall, "tesla-fleet-api": tesla_fleet_api}[library](
        url, token, int(site_id)
    )
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        try:
            said = {"said": await call(*json.loads(line))}
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise
        except BaseException as error:  # tesla-fleet-api's own are no `Exception`
            said = {"error": type(error).__name__, "text": str(getattr(error, "data", error))}
        print(json.dumps(said, default=str), flush=True)


asyncio.run(main())

"""Run by the interpreter of a client's own environment: what `tesla-fleet-api` reads.

Not a test itself: `test_reading_client.py` starts it with the API's URL, a token and a VIN, and
reads one JSON object of all answers. Nothing of the client is changed.
"""

import asyncio
import json
import sys
from typing import Any

import aiohttp
from tesla_fleet_api import TeslaFleetApi


async def told(call: Any) -> Any:
    """The answer, or the client's own error: those are no `Exception`, but `BaseException`."""
    try:
        return await call
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise
    except BaseException as error:
        return {"raised": type(error).__name__}


async def main() -> None:
    url, token, vin = sys.argv[1:]
    async with aiohttp.ClientSession() as session:
        api = TeslaFleetApi(session, access_token=token, server=url)
        car = api.vehicles.createFleet(vin)
        gone = api.vehicles.createFleet("5YJ3E1EA7KF999999")
        calls = {
            "status": api.status(),
            "products": api.products(),
            "me": api.user.me(),
            "region": api.user.region(),
            "feature_config": api.user.feature_config(),
            "orders": api.user.orders(),
            "vehicle": car.vehicle(),
            "vehicle_data": car.vehicle_data(),
            "mobile_enabled": car.mobile_enabled(),
            "release_notes": car.release_notes(),
            "service_data": car.service_data(),
            "drivers": car.drivers(),
            "invitations": car.share_invites(),
            "fleet_status": car.fleet_status([vin]),
            "telemetry_config": car.fleet_telemetry_config_get(),
            "options": car.options(vin),
            "warranty": car.warranty_details(vin),
            "gone": gone.vehicle(),
        }
        answers = {name: await told(call) for name, call in calls.items()}
        print(json.dumps(answers))


asyncio.run(main())

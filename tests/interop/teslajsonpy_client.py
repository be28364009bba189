"""Run by the interpreter of a client's own environment: a car by `teslajsonpy`.

Not a test itself: `test_further_clients.py` starts it with the API's URL, an access token and a
VIN, and reads one JSON object of what the library says. Nothing of the client is changed.
"""

import asyncio
import json
import sys
import time

import httpx
from teslajsonpy.controller import Controller


async def main() -> None:
    url, token, vin = sys.argv[1:]
    async with httpx.AsyncClient(timeout=60) as session:
        controller = Controller(
            session,
            access_token=token,
            refresh_token="none",  # it asks for one, and needs none before the other expires
            expiration=int(time.time()) + 3_600,
            update_interval=1,
            auth_domain=url,
            api_proxy_url=url,
        )
        await controller.connect()
        car = (await controller.generate_car_objects())[vin]
        await controller.update(vins={vin}, force=True)
        said = {
            "state": car.state,
            "battery_level": car.battery_level,
            "is_locked": car.is_locked,
            "shift_state": car.shift_state,
            "has_location": car.latitude is not None and car.longitude is not None,
        }
        await car.change_charge_limit(64)
        await car.honk_horn()
        await controller.update(vins={vin}, force=True)
        print(json.dumps({**said, "charge_limit_soc": car.charge_limit_soc}))


asyncio.run(main())

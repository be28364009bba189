"""Run by the interpreter of TeslaPy's own environment: signs in, refreshes, lists vehicles.

Not a test itself: `test_teslapy.py` starts it with a proxy, our CA and a folder. It writes the page
that a browser should open, reads where that led, and then answers each line with one: the name of
something to do. Nothing of the client is changed; its hosts are Tesla's.
"""

import json
import sys
from typing import Any

import teslapy

SCOPES = ("openid", "email", "offline_access", "user_data", "vehicle_device_data")


def say(what: Any) -> None:
    print(json.dumps(what), flush=True)


def in_a_browser(url: str) -> str:
    say(url)
    return str(json.loads(sys.stdin.readline()))


def main(proxy: str, ca_file: str, folder: str) -> None:
    tesla = teslapy.Tesla(
        "owner@localhost",
        verify=ca_file,
        proxy=proxy,
        authenticator=in_a_browser,
        cache_file=f"{folder}/cache.json",
    )
    tesla.scope = SCOPES
    tesla.fetch_token()
    actions = {
        "token": lambda: dict(tesla.token),
        "refresh": lambda: tesla.refresh_token(),
        "vins": lambda: [vehicle["vin"] for vehicle in tesla.vehicle_list()],
        "state": lambda: tesla.vehicle_list()[0].get_vehicle_summary()["state"],
    }
    for line in sys.stdin:
        try:
            say({"said": actions[json.loads(line)]()})
        except Exception as error:
            say({"raised": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Run by the interpreter of a client's own environment: signed commands with `tesla-fleet-api`.

Not a test itself: `test_signed_commands.py` starts it with the API's URL, a token, a VIN, a private
key in PEM form and the words to do, and reads one JSON line per word. Nothing of the client is
changed; its public methods are called as an application calls them.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tesla_fleet_api import TeslaFleetApi


async def do(vehicle: Any, word: str) -> Any:
    """A method's name, with its arguments behind colons, as JSON."""
    name, *arguments = word.split(":")
    result = await getattr(vehicle, name)(*(json.loads(argument) for argument in arguments))
    if isinstance(result, dict):
        return result.get("response", result)
    return str(result)


async def main() -> None:
    url, token, vin, pem, *words = sys.argv[1:]
    async with aiohttp.ClientSession() as session:
        api = TeslaFleetApi(session, access_token=token, server=url)
        key = load_pem_private_key(Path(pem).read_bytes(), password=None)
        api.private_key = key
        vehicle = api.vehicles.createSigned(vin)
        for word in words:
            begun_s = time.perf_counter()
            try:
                said = {"word": word, "said": await do(vehicle, word)}
            except Exception as error:
                said = {"word": word, "error": type(error).__name__, "text": str(error)}
            except BaseException as error:  # the client's own errors are no `Exception`
                said = {"word": word, "error": type(error).__name__, "text": str(error)}
            said["ms"] = round((time.perf_counter() - begun_s) * 1e3, 1)
            print(json.dumps(said, default=str), flush=True)


asyncio.run(main())

"""Run by the interpreter of a client's own environment: signed commands with `tesla-fleet-api`.

Not a test itself: `test_signed_commands.py` starts it with the API's URL, a token, a VIN and a
private key in PEM form, writes a method and its arguments per line (JSON), and reads a line for
each. Nothing of the client is changed; its public methods are called as an application calls them.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tesla_fleet_api import TeslaFleetApi


async def do(vehicle: Any, line: str) -> dict[str, Any]:
    """Call a method; the client's own errors are no `Exception`, but `BaseException`."""
    name, *arguments = json.loads(line)
    try:
        result = await getattr(vehicle, name)(*arguments)
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise
    except BaseException as error:
        return {"error": type(error).__name__, "text": str(getattr(error, "data", error))}
    return {"said": result}


async def main() -> None:
    url, token, vin, pem = sys.argv[1:]
    async with aiohttp.ClientSession() as session:
        api = TeslaFleetApi(session, access_token=token, server=url)
        api.private_key = load_pem_private_key(Path(pem).read_bytes(), password=None)
        signed, plain = api.vehicles.createSigned(vin), api.vehicles.createFleet(vin)
        while line := await asyncio.to_thread(sys.stdin.readline):
            kind, _, call = line.partition(" ")
            said = await do(signed if kind == "signed" else plain, call)
            print(json.dumps(said, default=str), flush=True)


asyncio.run(main())

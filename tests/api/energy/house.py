"""A platform with a running energy site, and a client that asks it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.platform_process import Platform, run_motorcade
from tests.vehicle.site.running import until

ENERGY = "energy_device_data energy_cmds"


def token(data: Path, scopes: str) -> str:
    minted = json.loads(run_motorcade("token", "--data", str(data), "--scopes", scopes))
    bearer: str = minted["access_token"]
    return bearer


@dataclass
class Caller:
    """One token's view of one site."""

    platform: Platform
    site_id: int
    token: str

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        url = self.platform.ready["api"]["url"] + path
        return httpx.request(
            method, url, headers={"Authorization": f"Bearer {self.token}"}, timeout=30, **how
        )

    def get(self, what: str, **query: str) -> Any:
        """The response of a 200."""
        answer = self.ask("GET", f"/api/1/energy_sites/{self.site_id}/{what}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["response"]

    def post(self, what: str, body: Any) -> httpx.Response:
        return self.ask("POST", f"/api/1/energy_sites/{self.site_id}/{what}", json=body)

    def set(self, what: str, body: Any) -> None:
        """Set it, which must do."""
        answer = self.post(what, body)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"response": {"code": 201, "message": "Updated"}}
        assert answer.headers["x-command-id"]

    def until_live(self) -> Any:
        path = f"/api/1/energy_sites/{self.site_id}/live_status"
        until(lambda: self.ask("GET", path).status_code == 200)
        return self.get("live_status")

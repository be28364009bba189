"""Apps with a ledger: commands under an idempotency key, repeated until one is taken, then judged.

What must hold, whatever happens in between: a key is one command; a car's journal begins it at most
once; the end that the API tells is the journal's; every command ends. One kind alone has no end: a
car that was killed between "started" and the outcome does not know it itself, and so
`outcome_unknown` stays (`docs/protocols/commands.md`, sections 4 and 5).
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.http_link import Answer, HttpLink

EXPIRES_S = 20
PAUSE_S = 0.1
FINAL_WAIT_S = 120.0
ANSWER_S_MAX = 30.0  # then the server is taken for frozen, and asked anew


@dataclass
class CommandFindings:
    """What became of the commands."""

    keys: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)  # at most one for each car killed

    def text(self) -> str:
        return (
            f"{self.keys} commands, ends {dict(self.ends)}; lost {len(self.lost)}, "
            f"doubled {len(self.doubled)}, interrupted in the car {len(self.interrupted)}"
        )


class Caller:
    """Sends one car commands, one at a time, until stopped."""

    def __init__(self, vin: str) -> None:
        self.vin = vin
        self.ids: dict[str, set[str]] = {}  # idempotency key -> the ids it was given
        self._ready: dict[str, Any] = {}
        self._stop = asyncio.Event()

    def aim(self, ready: dict[str, Any]) -> None:
        """Ask there from now on."""
        self._ready = ready

    def stop_sending(self) -> None:
        self._stop.set()

    async def run(self) -> None:
        """Send commands; return when stopped and the last one has an id."""
        number = 0
        while not self._stop.is_set():
            await self._send(f"{self.vin}-{number}")
            number += 1

    async def _send(self, key: str) -> None:
        """Until an answer names the command: a caller that heard nothing asks again."""
        ids = self.ids.setdefault(key, set())
        headers = {"X-Command-Expires-S": str(EXPIRES_S), "Idempotency-Key": key}
        path = f"/api/1/vehicles/{self.vin}/command/honk_horn"
        while not ids:
            answer = await self._ask("POST", path, headers)
            if answer is not None and "x-command-id" in answer.headers:
                ids.add(answer.headers["x-command-id"])
            else:
                await asyncio.sleep(PAUSE_S)
        if len(self.ids) % 4 == 0:  # and one that is unsure asks once more
            answer = await self._ask("POST", path, headers)
            if answer is not None and "x-command-id" in answer.headers:
                ids.add(answer.headers["x-command-id"])

    async def _ask(
        self, method: str, path: str, headers: dict[str, str] | None = None
    ) -> Answer | None:
        """One request on a connection of its own; `None` when no answer came."""
        link = HttpLink(self._ready["api"]["url"], self._ready["admin_token"])
        body = {} if method == "POST" else None
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                return await link.request(method, path, body, headers)
        except (OSError, EOFError, TimeoutError):
            return None
        finally:
            link.close()

    async def ends(self) -> dict[str, dict[str, Any]]:
        """Each command as the API shows it, once final or when waiting is over."""
        shown: dict[str, dict[str, Any]] = {}
        end_s = asyncio.get_running_loop().time() + FINAL_WAIT_S
        for command_id in sorted({each for ids in self.ids.values() for each in ids}):
            path = f"/api/1/vehicles/{self.vin}/commands/{command_id}"
            while True:
                answer = await self._ask("GET", path)
                known = answer is not None and answer.status == 200
                if known:
                    assert answer is not None
                    shown[command_id] = answer.body["response"]
                    if shown[command_id]["final"]:
                        break
                if asyncio.get_running_loop().time() > end_s:
                    break
                await asyncio.sleep(PAUSE_S)
        return shown


def judge(
    findings: CommandFindings, caller: Caller, ends: dict[str, dict[str, Any]], journal: str
) -> None:
    """Hold a car's journal, line by line as it was written, against the API's word."""
    begun: Counter[str] = Counter()
    outcome: dict[str, str] = {}
    for line in journal.splitlines():
        entry = json.loads(line[9:]).get("entry")
        if entry is not None:
            begun[entry["id"]] += entry["state"] == "started"
            outcome[entry["id"]] = entry["state"]
    for key, ids in caller.ids.items():
        findings.keys += 1
        if len(ids) != 1:
            findings.doubled.append(f"{key} became {len(ids)} commands")
    findings.doubled += [
        f"{each} begun {times} times" for each, times in begun.items() if times > 1
    ]
    for command_id in sorted({each for ids in caller.ids.values() for each in ids}):
        end = ends.get(command_id)
        if end is None:
            findings.lost.append(f"{command_id} was taken, and nobody knows it")
            continue
        findings.ends[end["state"]] += 1
        said = outcome.get(command_id, "absent")
        if end["state"] == "outcome_unknown" and said == "started":
            findings.interrupted.append(f"{command_id} has no end in its car's journal: {end}")
        elif not end["final"]:
            findings.lost.append(f"{command_id} has no end, the car's journal says {said}: {end}")
        elif (end["state"] == "executed") != (said in ("executed", "started")):
            findings.lost.append(
                f"{command_id} ended {end['state']}, the car's journal says {said}"
            )


def journal_of(directory: Path, vin: str) -> str:
    """A car's journal as text."""
    [file] = (path for path in directory.glob(f"*/{vin}/**/journal") if path.is_file())
    return file.read_text()

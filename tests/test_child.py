"""How a child's program is run: as the main one, with its own arguments, and lean."""

import json
import subprocess
import sys
from pathlib import Path

PROBE = """
import gc, json, sys
import structlog
print(json.dumps([__name__, sys.argv[1:], gc.get_threshold()[0], sys.modules["rich"] is None]))
"""
LOADED = """
import sys
from motorcade.api.build import build_api
from motorcade.config import Config
class Counter: config, entropy, requests = Config(), None, None
build_api(Counter())
print(sorted(sys.modules.keys() & {"pydantic", "attrs"}))
"""


def test_a_module_runs_as_the_main_program_while_the_collector_rests(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(PROBE)
    command = [sys.executable, "-m", "motorcade.child", "probe", '{"role": "x"}']
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    name, arguments, threshold, is_lean = json.loads(said)
    assert (name, arguments) == ("__main__", ['{"role": "x"}'])
    assert threshold >= 1_000_000
    assert is_lean


def test_the_api_loads_no_library_for_models_that_it_does_not_have() -> None:
    command = [sys.executable, "-c", LOADED]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"

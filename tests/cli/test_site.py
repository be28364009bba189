"""`motorcade site` and `motorcade drive --site`: sites are added, run, stored and removed."""

import json
import signal
from pathlib import Path

import pytest

from motorcade.cli.main import main
from motorcade.vehicle.errors import VehicleFileError
from motorcade.vehicle.site.site_file import read_site_file
from tests.platform_process import platform, run_motorcade
from tests.vehicle.site.running import add_site, change_house, site_running, until


def run(*words: object) -> int | str | None:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return end.value.code


def test_a_site_is_added_listed_shown_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    assert run("site", "add", "--data", data, "--name", "Home", "--batteries", 2) == 0
    added = json.loads(capsys.readouterr().out)
    site_id = added["energy_site_id"]
    site = read_site_file(Path(added["file"]))
    assert (site.house.battery_count, site.house.time_zone) == (2, "Europe/Berlin")
    assert not site.identity.damage
    assert Path(added["file"]).stat().st_mode & 0o77 == 0
    assert run("site", "list", "--data", data, "--json") == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["energy_site_id"], listed["name"]) == (site_id, "Home")
    assert run("site", "show", site_id, "--data", data) == 0
    assert site.identity.token in capsys.readouterr().out
    assert run("site", "remove", site_id, "--data", data) == 0
    assert run("site", "show", site_id, "--data", data) == 1
    assert "motorcade site list" in capsys.readouterr().err


def test_what_is_wrong_is_told_before_anything_is_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    assert run("site", "add", "--data", data, "--name", "Home", "--time-zone", "Mars/One") == 2
    assert "no time zone" in capsys.readouterr().err
    assert not data.exists()
    assert run("site", "add", "--data", data, "--name", "", "--out", out) == 1
    assert run("site", "add", "--data", data, "--name", "Home", "--out", out) == 0
    assert run("site", "add", "--data", data, "--name", "Other", "--out", out) == 1
    assert "choose another --out" in capsys.readouterr().err
    assert run("site", "list", "--data", data, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_a_wrong_site_file_is_told(tmp_path: Path) -> None:
    run("site", "add", "--data", tmp_path / "data", "--name", "Home", "--out", tmp_path)
    file = tmp_path / "site.json"
    whole = file.read_text()
    file.write_text(whole.replace('"battery_count": 1', '"battery_count": 2'))
    assert "damaged" in read_site_file(file).identity.damage[0]
    for wrong in (whole.replace("Europe/Berlin", "Mars/One"), whole.replace("52.52", "95"), "{}"):
        file.write_text(wrong)
        with pytest.raises(VehicleFileError, match=r"site\.json"):
            read_site_file(file)


def test_a_site_s_samples_are_stored_and_go_on_after_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with platform(data) as running:
        added = add_site(data, tmp_path / "site", "--solar-kw", "0")
        file = Path(added["file"])
        change_house(file, grid_outages=[(0, 4_000_000_000)])

        def stored() -> list[dict[str, object]]:
            lines = run_motorcade(
                *("export", "--data", str(data), "--site", str(added["energy_site_id"])),
                *("--topic", "energy", "--decoded"),
            )
            return [json.loads(line)["decoded"][0]["signals"] for line in lines.splitlines()]

        with site_running(file, running.data, "--rate", "10") as site:
            until(lambda: len(stored()) > 20)
            site.kill()
            site.wait()
        before = stored()
        with site_running(file, running.data, "--rate", "10") as site:
            until(lambda: len(stored()) > len(before) + 20)
            site.send_signal(signal.SIGTERM)
            assert site.wait(20) == 0
        after = stored()
        assert after[: len(before)] == before
        meter = [
            one["battery_to_house_energy"] for one in after if "battery_to_house_energy" in one
        ]
        assert meter == sorted(meter)
        assert meter[-1] > meter[0]
        assert after[0]["grid_connected"] is False
        assert after[0]["battery_power"] + after[0]["solar_power"] == after[0]["house_power"]

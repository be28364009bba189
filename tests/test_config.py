"""Settings by name: typed, checked, refused with the reason."""

import dataclasses

import pytest

from motorcade.config import Config, ConfigError

UNITS = {
    *("s", "ms", "bytes", "max", "min", "default", "file", "partitions", "burst"),
    *(
        "days",
        "minute",
        "url",
        "name",
        "names",
        "records",
        "id",
        "commands",
        "passes",
        "kib",
        "m",
        "region",
        "hz",
        "mps",
    ),
}


def test_overrides_are_typed_and_leave_the_rest() -> None:
    config = Config().with_overrides(
        ["mqtt.keep_alive_s_max=60", "log.bulk_commit_spacing_ms=1.5", "telemetry.client_ca_file=a"]
    )
    assert config.mqtt.keep_alive_s_max == 60
    assert config.log.bulk_commit_spacing_ms == 1.5
    assert config.telemetry.client_ca_file == "a"
    assert config.commands == Config().commands


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("mqtt.keep_alive_s_max", "group.name=value"),
        ("keep_alive=1", "group.name=value"),
        ("engine.power=1", "no group 'engine'"),
        ("mqtt.power=1", "mqtt has no 'power'"),
        ("mqtt.keep_alive_s_max=soon", "not a int"),
        ("mqtt.keep_alive_s_max=-1", "from 0 on"),
        ("log.housekeeping_s=nan", "finite"),
        ("log.housekeeping_s=inf", "finite"),
    ],
)
def test_a_wrong_setting_says_why(setting: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Config().with_overrides([setting])


def test_every_limit_ends_with_a_unit_or_what_it_counts() -> None:
    for group in dataclasses.fields(Config):
        for setting in dataclasses.fields(getattr(Config(), group.name)):
            assert setting.name.split("_")[-1] in UNITS, f"{group.name}.{setting.name}"


def test_a_bulk_buffer_holds_the_largest_record() -> None:
    config = Config()
    assert config.log.batch_bytes_max > config.telemetry.frame_bytes_hard_max
    assert config.log.batch_bytes_max > config.mqtt.packet_bytes_max
    assert config.log.queue_bytes_max >= config.log.batch_bytes_max

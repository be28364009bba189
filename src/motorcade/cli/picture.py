"""What a stream of the API has told so far about one vehicle. No IO, no clock."""

from collections.abc import Iterator
from typing import Any


class Picture:
    """A vehicle's last known signals and commands."""

    def __init__(self) -> None:
        self.state = ""
        self._signals: dict[str, dict[str, Any]] = {}
        self._commands: dict[str, dict[str, Any]] = {}

    def apply(self, message: dict[str, Any]) -> None:
        """Take in one message. A kind that is not known yet changes nothing."""
        kind = message.get("type")
        if kind == "snapshot":
            self.state = str(message["vehicle"].get("state", ""))
            self._signals = dict(message["signals"])
            oldest_first = reversed(message["commands"])
            self._commands = {command["id"]: command for command in oldest_first}
        elif kind == "signals":
            self._signals.update(message["signals"])
        elif kind == "command":
            command = message["command"]
            self._commands[command["id"]] = command

    def recent_commands(self, limit: int) -> list[dict[str, Any]]:
        """The last commands, newest first."""
        return list(reversed(self._commands.values()))[:limit]

    def rows(self, now_us: int) -> list[tuple[str, str, str, str]]:
        """Name, value, unit and age of every signal, by name."""
        return [
            (name, shown(told["value"]), told.get("unit") or "", age(now_us - told["time_us"]))
            for name, told in sorted(self._signals.items())
        ]

    @staticmethod
    def lines(message: dict[str, Any]) -> Iterator[str]:
        """A message as lines for people who pipe them on."""
        for name, told in sorted(message.get("signals", {}).items()):
            unit = f" {told['unit']}" if told.get("unit") else ""
            yield f"{told['time_us'] / 1e6:.3f} {name} {shown(told['value'])}{unit}"
        command = message.get("command")
        if command:
            reason = f" {command['reason']}" if command.get("reason") else ""
            yield f"command {command['id']} {command['name']} {command['state']}{reason}"


def shown(value: Any) -> str:
    """A value for people: floats without noise, absent ones as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value + 0.0:.7g}" if isinstance(value, float) else str(value)  # -0.0 + 0.0 is 0.0


def age(age_us: int) -> str:
    """How long ago, in the unit that fits; times ahead of our clock count as now."""
    seconds = max(0, age_us) / 1e6
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"

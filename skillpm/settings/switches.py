"""Variables of the environment that switch something on or off."""

from __future__ import annotations

from collections.abc import Mapping

from skillpm.errors import UsageError

_ON, _OFF = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
SWITCHES = ("SKILLPM_OFFLINE", "SKILLPM_NO_PLUGINS", "SKILLPM_TRACE_HOOKS")


def without_off(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without the switches that are off.

    Every command reads all switches, also those that it does not use: `SKILLPM_OFFLINE=flase` opens connections
    otherwise, or closes them, and nobody notices.

    Raises:
        UsageError: a switch is neither on nor off.
    """
    return {name: value for name, value in variables.items() if name not in SWITCHES or _is_on(name, value)}


def _is_on(name: str, value: str) -> bool:
    word = value.strip().lower()
    if word not in (*_ON, *_OFF):
        raise UsageError(f"{name}: `{value[:80]}` is neither on nor off", hint=f"set {name} to 1 or 0")
    return word in _ON

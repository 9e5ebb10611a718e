"""``skillpm config``."""

from __future__ import annotations

from typing import Any

import click

from skillpm.cli.context import command_settings
from skillpm.cli.options import user_option
from skillpm.cli.output import json_option, note, print_json, table


@click.command("config", epilog="Example: skillpm config --json")
@user_option("Show the settings for your home folder.")
@json_option
def command() -> None:
    """Show every setting and its origin: a flag, the environment, skillpm.yaml, config.yaml or the default."""
    from skillpm.ops.machine.configuration import configuration

    current = configuration(command_settings())
    if print_json(current):
        return
    table(
        ("setting", "value", "from"),
        [(setting.name, _shown(setting.value), setting.origin) for setting in current.settings],
    )
    for file in current.files:
        note(f"{file.path}{'' if file.exists else ' (not there)'}")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {place}" for name, place in value.items()) or "-"
    if isinstance(value, tuple):
        return ", ".join(_shown(item) for item in value) or "-"
    return "-" if value is None else str(value)

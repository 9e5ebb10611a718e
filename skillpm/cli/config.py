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
    settings = command_settings()
    stated, files = settings.settings(), settings.files()
    if print_json({"settings": stated, "files": [{"path": path, "exists": there} for path, there in files.items()]}):
        return
    table(("setting", "value", "from"), [(item.name, _shown(item.value), item.origin) for item in stated])
    for path, there in files.items():
        note(f"{path}{'' if there else ' (not there)'}")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {place}" for name, place in value.items()) or "-"
    if isinstance(value, tuple):
        return ", ".join(_shown(item) for item in value) or "-"
    return "-" if value is None else str(value)

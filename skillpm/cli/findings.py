"""How findings are told: one line each, with the place, and the hint below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from skillpm.cli.output import safe

__all__ = ["echo_finding"]


def echo_finding(root: object, finding: Mapping[str, Any], *, err: bool = False) -> None:
    """Print one finding, in the form that ``--json`` has, of the skill in ``root``."""
    place = f"{root}/{finding['path']}" if finding["path"] else str(root)
    line = f":{finding['line']}" if finding["line"] else ""
    colour = "red" if finding["severity"] == "error" else "yellow"
    mark = click.style(f"{finding['severity']} {finding['code']}", fg=colour)
    click.echo(f"{safe(place)}{line}: {mark}: {safe(finding['message'])}", err=err)
    if finding["hint"]:
        click.echo(f"    hint: {safe(finding['hint'])}", err=err)

"""``skillpm doctor``: what this machine can do."""

from __future__ import annotations

import click

from skillpm.cli.output import echo_json, json_option, table

__all__ = ["command"]


@click.command("doctor")
@json_option
def command(as_json: bool) -> None:
    """Tell what this machine can do: Python, memory, disk, sandbox, training packages, accelerator, models, store.

    Exits 0 also where something is missing: not everybody needs everything.
    """
    from skillpm.ops.context import open_context
    from skillpm.ops.doctor import examine
    from skillpm.settings import load_settings

    checks = examine(open_context(load_settings()))
    if as_json:
        echo_json({"ok": all(check.ok for check in checks), "checks": [check.document() for check in checks]})
        return
    rows = [("ok" if check.ok else "warn", check.name, check.found, check.hint or "") for check in checks]
    table(("", "what", "found", "hint"), rows)

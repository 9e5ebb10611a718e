"""``skillpm doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.common_options import exit_with
from skillpm.cli.context import command_context
from skillpm.cli.output import count, json_option, note, print_json, safe, table
from skillpm.errors import CheckError

if TYPE_CHECKING:
    from skillpm.ops.machine.doctor import Check


@click.command("doctor", epilog="Example: skillpm doctor")
@json_option
def command() -> None:
    """Check this machine: Python, memory, disk, sandbox, training packages, accelerator, models, store.

    A missing optional part is a warning. Exits 1 if there is an error; then little works.
    """
    from skillpm.ops.machine.doctor import examine

    checks = examine(command_context())
    errors = sum(check.level == "error" for check in checks)
    if not print_json({"ok": not errors, "checks": checks}):
        _print(checks)
        warnings = sum(check.level == "warning" for check in checks)
        note(f"{count(errors, 'error')}, {count(warnings, 'warning')}")
    exit_with(CheckError.exit_code if errors else 0)


def _print(checks: list[Check]) -> None:
    table(("level", "what", "found"), [(check.level, check.name, check.found) for check in checks])
    for kind, texts in (("hint", [(c.name, c.hint) for c in checks]), ("note", [(c.name, c.note) for c in checks])):
        names: dict[str, list[str]] = {}
        for name, text in texts:
            if text:
                names.setdefault(text, []).append(name)
        for text, about in names.items():
            click.echo(safe(f"{kind}: {', '.join(about)}: {text}"))

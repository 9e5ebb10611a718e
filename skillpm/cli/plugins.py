"""``skillpm plugins``."""

from __future__ import annotations

import click

from skillpm.cli.context import command_context
from skillpm.cli.output import json_option, note, print_json, table


@click.command("plugins", epilog="Example: skillpm plugins --json")
@json_option
def command() -> None:
    """List the loaded plugins, their origins and their hooks.

    skillpm loads the plugins of installed distributions into its own process. SKILLPM_LOAD_PLUGINS="NAME NAME" loads
    only these distributions, SKILLPM_NO_PLUGINS=1 none. SKILLPM_TRACE_HOOKS=1 prints every call of a hook with its
    time. The code of installed skills is listed but not loaded: it runs in a worker process of its own.
    """
    from skillpm.ops.machine.plugins import plugins_report

    context = command_context()
    report = plugins_report(context.host, context.installed())
    if print_json(report):
        return
    rows: list[tuple[object, ...]] = [
        (item.name, item.source, "skillpm", ", ".join(item.hooks), f"{item.seconds * 1000:.1f} ms", item.failures)
        for item in report.plugins
    ]
    rows += [
        (item.name, f"{item.name} {item.version}", "its own worker", ", ".join(item.code), "", "")
        for item in report.skills
    ]
    table(("plugin", "from", "runs in", "hooks or files", "time", "failures"), rows)
    for failure in report.failures:
        note(f"failed: {failure.plugin}: {failure.hook}: {failure.message}")

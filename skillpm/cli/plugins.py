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
    from skillpm.runtime.skillfiles import SkillFiles

    context = command_context()
    host, plugins = context.host, context.host.loaded()
    coded = [(skill, files) for skill in context.installed() if (files := SkillFiles(skill).code())]
    skills = [{"name": it.name, "version": it.version, "tree": it.tree, "code": files} for it, files in coded]
    if print_json({"plugins": plugins, "skills": skills, "failures": host.failures}):
        return
    rows: list[tuple[object, ...]] = [
        (item.name, item.source, "skillpm", ", ".join(item.hooks), f"{item.seconds * 1000:.1f} ms", item.failures)
        for item in plugins
    ]
    rows += [(it.name, f"{it.name} {it.version}", "its own worker", ", ".join(files), "", "") for it, files in coded]
    table(("plugin", "from", "runs in", "hooks or files", "time", "failures"), rows)
    for failure in host.failures:
        note(f"failed: {failure.plugin}: {failure.hook}: {failure.message}")

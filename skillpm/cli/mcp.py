"""``skillpm mcp``."""

from __future__ import annotations

import click

from skillpm.cli.complete import known_names
from skillpm.cli.consent import worker_options
from skillpm.cli.context import command_context
from skillpm.cli.output import count, note


@click.command("mcp", epilog="Example: skillpm mcp incident-triage --read-only")
@click.argument("skills", shell_complete=known_names, nargs=-1, metavar="[SKILL]...")
@click.option("--read-only", is_flag=True, help="Serve only tools that change nothing.")
@worker_options
def command(skills: tuple[str, ...], read_only: bool, workers: int | None, sandbox: str | None) -> None:
    """Serve SKILLs to an MCP client over stdin and stdout.

    Their tools run in the sandbox, SKILL.md and references are resources, and each skill is a prompt. The client asks
    you before it calls a tool. SKILLs are names or folders, by default all installed skills.
    """
    from skillpm.ops.learning.serve_mcp import skill_server

    context = command_context(workers=workers, sandbox=sandbox)
    chosen = context.skills(skills)
    server = skill_server(context, chosen, read_only=read_only)
    note(f"serving {count(len(chosen), 'skill')} over stdio")
    import anyio

    anyio.run(server.serve)

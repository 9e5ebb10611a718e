"""``skillpm mcp``."""

from __future__ import annotations

import os

import click

from skillpm.cli.common_options import is_typed
from skillpm.cli.complete import known_names
from skillpm.cli.consent import worker_options
from skillpm.cli.context import command_context
from skillpm.cli.options import number_option
from skillpm.cli.output import count, note, safe
from skillpm.errors import UsageError

TOKEN = "SKILLPM_MCP_TOKEN"  # noqa: S105  the name of a variable
_LOCAL = ("127.0.0.1", "::1", "localhost")
_SHORTEST = 20  # characters of a token


@click.command("mcp", epilog="Example: skillpm mcp incident-triage --read-only")
@click.argument("skills", shell_complete=known_names, nargs=-1, metavar="[SKILL]...")
@click.option("--read-only", is_flag=True, help="Serve only tools that change nothing.")
@click.option("--http", is_flag=True, help="Serve over HTTP instead, at the path /mcp.")
@number_option("--port", click.IntRange(1, 65535), 8000, "With --http.")
@click.option(
    "--host",
    default=_LOCAL[0],
    show_default=True,
    metavar="ADDRESS",
    help=f"With --http: where to listen; beyond this machine only with a token in {TOKEN}.",
)
@worker_options
@click.pass_context
def command(ctx: click.Context, /, skills: tuple[str, ...], read_only: bool, http: bool, port: int, host: str) -> None:
    """Serve SKILLs to an MCP client over stdin and stdout, or over HTTP.

    Their tools run in the sandbox, SKILL.md and references are resources, and each skill is a prompt. The client asks
    you before it calls a tool. SKILLs are names or folders, by default all installed skills.
    """
    token = os.environ.get(TOKEN, "") if http else ""
    if not http and is_typed(ctx, "port", "host"):
        raise UsageError("`--port` and `--host` need `--http`", hint="add `--http`")
    if http and not token and host not in _LOCAL:
        raise UsageError(f"other machines reach {safe(host)[:80]}, and there is no token", hint=f"set {TOKEN}")
    if token and (len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token):
        hint = f"use {_SHORTEST} or more letters and digits, such as `openssl rand -hex 32` prints"
        raise UsageError(f"{TOKEN} is not a token", hint=hint)
    from skillpm.ops.learning.serve import skill_server

    context = command_context()
    chosen = context.skills(skills)
    server = skill_server(context, chosen, read_only=read_only)
    what = f"serving {count(len(chosen), 'skill')}"
    if http:
        from skillpm.ops.learning.serve import listen

        place = f"[{host}]" if ":" in host else host
        listen(server.application(token), port, lambda: note(f"{what} at http://{place}:{port}/mcp"), host)
        return
    note(f"{what} over stdio")
    import anyio

    anyio.run(server.serve)

"""``skillpm login``, ``skillpm logout`` and ``skillpm whoami``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from skillpm.cli.complete import registry_names
from skillpm.cli.context import command_context
from skillpm.cli.output import json_option, note, print_json, safe, tell

if TYPE_CHECKING:
    from skillpm.ops.authoring.account import Login


@click.command("login", epilog="Example: skillpm login https://skills.example.org")
@click.argument("registry", metavar="URL", shell_complete=registry_names)
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")
@click.option("--trusted", is_flag=True, help="Exchange the ID token of this CI job for a token.")
@json_option
def command(registry: str, token_stdin: bool, trusted: bool) -> None:
    """Store your token of a registry on this machine.

    The registry's owner gives you the first token. It is asked for, or read from standard input, and never an argument:
    arguments end in histories. The file can be read by you alone. With --trusted, a CI job that the registry trusts
    gets a token for a quarter of an hour; the variable SKILLPM_ID_TOKEN has the job's ID token, and on GitHub Actions
    none is needed.
    """
    from skillpm.ops.authoring.account import exchanged, login, server

    context = command_context()
    server(context, registry)  # nobody types a token for what is no address
    if trusted:
        token = exchanged(context, registry, os.environ)
    elif token_stdin or not sys.stdin.isatty():
        token = sys.stdin.readline()
    else:
        token = click.prompt("Token", hide_input=True, err=True)
    account = login(context, registry, token)
    sentence = f"logged in at {account.registry}; the token is in {account.file}"
    tell(account, sentence, out=account.account)


@click.command("logout", epilog="Example: skillpm logout https://skills.example.org")
@click.argument("registry", metavar="[URL]", default="", shell_complete=registry_names)
@json_option
def logout(registry: str) -> None:
    """Remove your token of a registry from this machine. `skillpm token revoke` ends it everywhere."""
    from skillpm.ops.authoring.account import logout as remove

    url, was_stored = remove(command_context(), registry)
    sentence = f"logged out of {url}" if was_stored else f"no token of {url} is stored; nothing changed"
    tell({"registry": url, "changed": was_stored}, sentence)


@click.command("whoami", epilog="Example: skillpm whoami https://skills.example.org")
@click.argument("registry", metavar="[URL]", default="", shell_complete=registry_names)
@json_option
def whoami(registry: str) -> None:
    """Show your account in a registry, and what your token may do."""
    from skillpm.ops.authoring.account import server
    from skillpm.ops.authoring.account import whoami as ask

    login = ask(server(command_context(), registry))
    if not print_json(login):
        _print(login)


def _print(login: Login) -> None:
    import datetime as dt

    click.echo(safe(login.account))
    note(f"{login.role} of {login.registry}" if login.role != "none" else f"at {login.registry}")
    ends = f", until {dt.datetime.fromtimestamp(login.expires, dt.UTC):%Y-%m-%d %H:%M} UTC" if login.expires else ""
    where = f" in {', '.join(login.only)}" if login.only else ""
    note(f"the token may {', '.join(login.rights)}{where}{ends}")
    for scope, role in sorted(login.scopes.items()):
        if scope != "*":
            note(f"{role} of {scope}")

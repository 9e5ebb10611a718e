"""``skillpm owner``."""

from __future__ import annotations

import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click

from skillpm.cli.misuse import Group
from skillpm.cli.options import choice_option, server_option
from skillpm.cli.output import json_option, note, print_json, table, tell
from skillpm.errors import RegistryError
from skillpm.model.name import scope_of

if TYPE_CHECKING:
    from skillpm.index.http_registry import HttpRegistry


@click.group("owner", cls=Group)
def command() -> None:
    """Say who may publish a skill, or all skills of an owner, in a registry with a server.

    NAME is a skill, `OWNER/` for all skills of an owner, or `*` for the registry itself.
    """


@command.command("list", epilog="Example: skillpm owner list demo")
@click.argument("name")
@server_option
@json_option
def list_members(name: str, registry: HttpRegistry) -> None:
    """List who may publish NAME. Shows owners, publishers, trusted publishers and whether releases need an approval."""
    query = urlencode({"scope": scope_of(name)})
    people, issuers = registry.ask("GET", f"members?{query}"), registry.ask("GET", f"trusted-publishers?{query}")
    approval = registry.ask("GET", f"approvals/needed?{query}")["needed"] is True
    if print_json({"members": people, "trusted_publishers": issuers, "approval": approval}):
        return
    table(("account", "role"), [(item["account"], item["role"]) for item in people])
    for item in issuers:
        claims = ", ".join(f"{key}={value}" for key, value in sorted(item["claims"].items()))
        note(f"trusted publisher {item['id']}: {item['issuer']} with {claims}")
    if approval:
        note("releases wait for the approval of a second owner")


@command.command("add", epilog="Example: skillpm owner add demo ben --role publisher")
@click.argument("name")
@click.argument("account")
@choice_option(
    "--role",
    choices=("owner", "publisher", "reader"),
    default="owner",
    text="Owners manage, publishers publish, readers read where reading needs a token.",
)
@server_option
@json_option
def add(name: str, account: str, role: str, registry: HttpRegistry) -> None:
    """Give ACCOUNT a role in NAME."""
    _set(name, account, role, registry)


@command.command("remove", epilog="Example: skillpm owner remove demo ben")
@click.argument("name")
@click.argument("account")
@server_option
@json_option
def remove(name: str, account: str, registry: HttpRegistry) -> None:
    """Take the role in NAME away from ACCOUNT. The last owner stays."""
    _set(name, account, "none", registry)


def _set(name: str, account: str, role: str, registry: HttpRegistry) -> None:
    people = registry.ask("PUT", "members", {"scope": scope_of(name), "account": account, "role": role})
    if not print_json({"members": people}):
        table(("account", "role"), [(item["account"], item["role"]) for item in people])


@command.command("approval", epilog="Example: skillpm owner approval demo --on")
@click.argument("name")
@click.option(
    "--on/--off", "needed", required=True, help="Demand approval, or end it; only owners of the registry can end it."
)
@server_option
@json_option
def approval(name: str, needed: bool, registry: HttpRegistry) -> None:
    """Demand an approval for releases of NAME. An owner who did not announce the release gives it."""
    state = registry.ask("PUT", "approvals", {"scope": scope_of(name), "needed": needed})
    how = "wait for the approval of a second owner" if needed else "go live at once"
    tell(state, f"releases of {state['scope']} {how}")
    scopes = ("*", state["scope"]) if needed else ()  # owners of the registry are owners of every scope
    people: list[Any] = []
    with suppress(RegistryError):  # a scope without a skill; whatever it is, the rule stands
        for scope in scopes:
            people += registry.ask("GET", f"members?{urlencode({'scope': scope})}")
    if len(owners := {item["account"] for item in people if item["role"] == "owner"}) == 1:
        more = f"`skillpm owner add {shlex.quote(name)} ACCOUNT` adds another owner"
        note(f"warning: {owners.pop()} is the only owner, so nobody can approve what this account publishes: {more}")


@command.command(
    "trust", epilog="Example: skillpm owner trust demo --issuer https://ci.example --claim repository_id=42"
)
@click.argument("name")
@click.option("--issuer", required=True, metavar="URL", help="The OIDC issuer.")
@click.option(
    "--claim", "texts", required=True, multiple=True, metavar="NAME=PATTERN", help="A claim that the token must have."
)
@server_option
@json_option
def trust(name: str, issuer: str, texts: tuple[str, ...], registry: HttpRegistry) -> None:
    """Let CI jobs publish NAME without a stored token.

    An OIDC issuer tells the registry which job it is.
    All claims must fit. `*` in a pattern stands for any text. Prefer claims that are never given to another, such as a
    repository's number.
    """
    from skillpm.ops.authoring.account import claims

    document = {"scope": scope_of(name), "issuer": issuer, "claims": claims(texts)}
    entry = registry.ask("POST", "trusted-publishers", document)
    can = f"jobs of {issuer} can publish {entry['scope']} after `skillpm login URL --trusted`"
    tell(entry, can, out=entry["id"])


@command.command("distrust", epilog="Example: skillpm owner distrust 3")
@click.argument("number", type=int)
@server_option
@json_option
def distrust(number: int, registry: HttpRegistry) -> None:
    """Remove the trusted publisher NUMBER. `skillpm owner list` shows the numbers."""
    registry.ask("DELETE", f"trusted-publishers/{number}")
    tell({"removed": number}, f"removed the trusted publisher {number}")

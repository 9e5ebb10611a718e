"""``skillpm owner``."""

from __future__ import annotations

import click

from skillpm.cli.context import command_context
from skillpm.cli.misuse import Group
from skillpm.cli.options import choice_option, server_option
from skillpm.cli.output import json_option, note, print_json, safe, table, tell


@click.group("owner", cls=Group)
def command() -> None:
    """Say who may publish a skill, or all skills of an owner, in a registry with a server.

    NAME is a skill, `OWNER/` for all skills of an owner, or `*` for the registry itself.
    """


@command.command("list", epilog="Example: skillpm owner list demo")
@click.argument("name")
@server_option
@json_option
def list_members(name: str, registry: str) -> None:
    """List who may publish NAME. Shows owners, publishers, trusted publishers and whether releases need an approval."""
    from skillpm.ops.authoring.account import members, needs_approval, publishers, server

    place = server(command_context(), registry)
    people, issuers, approval = members(place, name), publishers(place, name), needs_approval(place, name)
    if print_json({"members": people, "trusted_publishers": issuers, "approval": approval}):
        return
    table(("account", "role"), [(item["account"], item["role"]) for item in people])
    for item in issuers:
        claims = ", ".join(f"{key}={value}" for key, value in sorted(item["claims"].items()))
        note(f"trusted publisher {item['id']}: {safe(item['issuer'])} with {safe(claims)}")
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
def add(name: str, account: str, role: str, registry: str) -> None:
    """Give ACCOUNT a role in NAME."""
    _set(name, account, role, registry)


@command.command("remove", epilog="Example: skillpm owner remove demo ben")
@click.argument("name")
@click.argument("account")
@server_option
@json_option
def remove(name: str, account: str, registry: str) -> None:
    """Take the role in NAME away from ACCOUNT. The last owner stays."""
    _set(name, account, "none", registry)


def _set(name: str, account: str, role: str, registry: str) -> None:
    from skillpm.ops.authoring.account import server, set_member

    people = set_member(server(command_context(), registry), name, account, role)
    if not print_json({"members": people}):
        table(("account", "role"), [(item["account"], item["role"]) for item in people])


@command.command("approval", epilog="Example: skillpm owner approval demo --on")
@click.argument("name")
@click.option("--on/--off", "needed", required=True, help="Whether releases need it; owners of the registry end it.")
@server_option
@json_option
def approval(name: str, needed: bool, registry: str) -> None:
    """Demand an approval for releases of NAME. An owner who did not announce the release gives it."""
    from skillpm.ops.authoring.account import demand_approval, server

    state = demand_approval(server(command_context(), registry), name, needed=needed)
    how = "wait for the approval of a second owner" if needed else "go live at once"
    tell(state, f"releases of {safe(state['scope'])} {how}")


@command.command(
    "trust", epilog="Example: skillpm owner trust demo --issuer https://ci.example --claim repository_id=42"
)
@click.argument("name")
@click.option("--issuer", required=True, metavar="URL", help="The OIDC issuer.")
@click.option("--claim", "claims", required=True, multiple=True, metavar="NAME=PATTERN", help="A claim that must fit.")
@server_option
@json_option
def trust(name: str, issuer: str, claims: tuple[str, ...], registry: str) -> None:
    """Let CI jobs publish NAME without a stored token.

    An OIDC issuer tells the registry which job it is.
    All claims must fit. `*` in a pattern stands for any text. Prefer claims that are never given to another, such as a
    repository's number.
    """
    from skillpm.ops.authoring.account import server, trust_publisher

    entry = trust_publisher(server(command_context(), registry), name, issuer, claims)
    can = f"jobs of {safe(issuer)} can publish {safe(entry['scope'])} after `skillpm login URL --trusted`"
    tell(entry, can, out=entry["id"])


@command.command("distrust", epilog="Example: skillpm owner distrust 3")
@click.argument("number", type=int)
@server_option
@json_option
def distrust(number: int, registry: str) -> None:
    """Remove the trusted publisher NUMBER. `skillpm owner list` shows the numbers."""
    from skillpm.ops.authoring.account import distrust_publisher, server

    distrust_publisher(server(command_context(), registry), number)
    tell({"removed": number}, f"removed the trusted publisher {number}")

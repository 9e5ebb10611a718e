"""``skillpm token``."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import click

from skillpm.cli.misuse import Group
from skillpm.cli.options import FiniteRange, number_option, server_option
from skillpm.cli.output import json_option, note, print_json, table, tell
from skillpm.model.name import did_you_mean, scope_of

if TYPE_CHECKING:
    from skillpm.index.http_registry import HttpRegistry


@click.group("token", cls=Group)
def command() -> None:
    """Make, list and revoke tokens of your account in a registry with a server."""


@command.command("create", epilog="Example: skillpm token create ci --only demo --days 30")
@click.argument("label")
@click.option(
    "--right",
    "rights",
    type=click.Choice(["read", "publish", "manage"]),
    multiple=True,
    default=("read", "publish"),
    show_default=True,
    help="What the token may do.",
)
@click.option("--only", multiple=True, metavar="NAME", help="Limit it to a skill, or to `OWNER/`.")
@number_option("--days", FiniteRange(0, 366, min_open=True), 90.0, "Days until it expires.")
@server_option
@json_option
def create(label: str, rights: tuple[str, ...], only: tuple[str, ...], days: float, registry: HttpRegistry) -> None:
    """Make a token and print it, once. It can do no more than the token that you are logged in with."""
    scopes = [scope_of(text) for text in only]
    _note_unknown(scopes, registry)
    entry = registry.ask("POST", "tokens", {"label": label, "rights": rights, "only": scopes, "days": days})
    where = f" in {', '.join(entry['only'])}" if entry["only"] else ""
    may = f"token {entry['id']} may {', '.join(entry['rights'])}{where} until {_day(entry['expires'])}"
    tell(entry, f"{may}, and is shown once", out=entry["token"])


def _note_unknown(scopes: list[str], registry: HttpRegistry) -> None:
    """Tell of a scope that may be misspelt: neither a skill nor an owner of the account; it may become one."""
    from skillpm.ops.authoring.account import whoami

    owned = whoami(registry).scopes if scopes else {}
    for scope in scopes:
        is_of_all = "*" in owned and (scope.endswith("/") or registry.page(scope) is not None)
        if scope not in owned and not is_of_all:
            near = did_you_mean(scope, owned.keys() - {"*"})
            note(f"warning: you have nothing in {registry.name} that is called {scope}{near and f'; {near}'}")


@command.command("list", epilog="Example: skillpm token list")
@server_option
@json_option
def list_tokens(registry: HttpRegistry) -> None:
    """List your tokens, without their secrets."""
    entries = registry.ask("GET", "tokens")
    if print_json({"tokens": entries}):
        return
    rows = [
        (item["id"], item["label"], ", ".join(item["rights"]), ", ".join(item["only"]) or "all", _day(item["expires"]))
        for item in entries
    ]
    table(("number", "label", "may", "only", "until"), rows)


@command.command("revoke", epilog="Example: skillpm token revoke 3")
@click.argument("number", type=int)
@server_option
@json_option
def revoke(number: int, registry: HttpRegistry) -> None:
    """Revoke the token NUMBER on every machine. `skillpm token list` shows the numbers."""
    registry.ask("DELETE", f"tokens/{number}")
    tell({"revoked": number}, f"revoked token {number}")


def _day(seconds: float | None) -> str:
    return "it is revoked" if seconds is None else f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d}"

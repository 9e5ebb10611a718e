"""``skillpm audit``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from skillpm.cli.context import command_context
from skillpm.cli.misuse import Group
from skillpm.cli.options import number_option
from skillpm.cli.output import cell, json_option, listing, print_json, safe, tell
from skillpm.errors import UsageError

if TYPE_CHECKING:
    from skillpm.agent.audit import AuditEntry, AuditLog


@click.group("audit", cls=Group)
def command() -> None:
    """Show and check the log of what `skillpm run` proposed, what was decided, and what ran.

    Entries are only ever added. Each holds the digest of the one before it.
    """


@command.command("list", epilog="Example: skillpm audit list --last 20")
@number_option("--last", click.IntRange(1), 50, "Entries to list.")
@json_option
def list_entries(last: int) -> None:
    """List the newest entries, oldest first."""
    entries = list(_log().entries())[-last:]
    if print_json(entries):
        return
    rows = [(entry.number, entry.when[:19], entry.skill, _what(entry), _commands(entry)) for entry in entries]
    listing(("entry", "when (UTC)", "skill", "what", "commands"), rows, "the log is empty")


@command.command("show", epilog="Example: skillpm audit show 3")
@click.argument("number", type=click.IntRange(1), metavar="ENTRY")
@json_option
def show(number: int) -> None:
    """Show one entry whole."""
    entry = next((entry for entry in _log().entries() if entry.number == number), None)
    if entry is None:
        raise UsageError(f"the log has no entry {number}", hint="run `skillpm audit list` to see them")
    document = entry.model_dump(mode="json")
    if print_json(document):
        return
    document["argv"] = _commands(entry)
    for name, value in document.items():
        click.echo(f"{name:<10} {safe(cell(value))}".rstrip())


@command.command("verify", epilog="Example: skillpm audit verify")
@click.option("--head", metavar="DIGEST", help="Check that the log has this digest.")
@json_option
def verify(head: str | None) -> None:
    """Check that no entry was changed, moved, added or removed. Exits 4 if one was."""
    number, digest = _log().verify(head)
    whole = "1 entry is whole" if number == 1 else f"{number} entries are whole"
    tell({"entries": number, "head": digest}, whole, out=digest)


def _log() -> AuditLog:
    from skillpm.agent.audit import AuditLog

    return AuditLog(command_context().settings.audit)


def _what(entry: AuditEntry) -> str:
    if entry.event == "decision":
        return f"{entry.word}: {entry.by}" if entry.by else entry.word
    return entry.ended if entry.exit_code is None else f"{entry.ended} {entry.exit_code}"


def _commands(entry: AuditEntry) -> str:
    return " && ".join(shlex.join(words) for words in entry.argv)

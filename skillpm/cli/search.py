"""``skillpm search``."""

from __future__ import annotations

import click

from skillpm.cli.complete import registry_names
from skillpm.cli.context import command_context
from skillpm.cli.output import clipped, echo_json, json_option, note, safe, table
from skillpm.model.name import meant

_WIDTH = 70  # characters of a summary in the table
_SHOWN = 20  # hits without --limit


@click.command("search", epilog="Example: skillpm search log triage")
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
@click.option(
    "--registry",
    "indexes",
    shell_complete=registry_names,
    metavar="PLACE",
    multiple=True,
    help="Search this registry; may be repeated.",
)
@click.option("--offline", is_flag=True, help="Use the cache only; open no connection.")
@click.option("--limit", type=click.IntRange(1), default=_SHOWN, show_default=True, help="Skills to show.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, texts: tuple[str, ...], indexes: tuple[str, ...], offline: bool, limit: int, as_json: bool
) -> None:
    """Find skills whose name or summary has every word, in all registries that list their skills.

    The exact name comes first, then names that begin with the text, then words in names, then words in summaries.
    """
    from skillpm.ops.machine.search import search

    result = search(command_context(indexes=indexes, offline=offline), texts)
    if as_json:
        echo_json(result)
    elif result.hits:
        columns = ("skill", "version", "source", "summary")
        table(
            columns, [(hit.name, hit.version, hit.source, clipped(hit.summary, _WIDTH)) for hit in result.hits[:limit]]
        )
    for name, error in result.failures.items():
        note(f"warning: {safe(name)} could not be searched: {safe(error.message)}")
    if not as_json:
        _note_count(len(result.hits), limit, result.near)
    if result.failures and not result.hits:
        ctx.exit(next(iter(result.failures.values())).exit_code)


def _note_count(count: int, limit: int, near: tuple[str, ...]) -> None:
    if count > limit:
        note(f"{limit} of {count} skills; `--limit {count}` shows all")
    elif not count:
        note("; ".join(["no skill matches", *([meant(near)] if near else [])]))

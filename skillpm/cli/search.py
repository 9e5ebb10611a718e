"""``skillpm search``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.common_options import exit_with
from skillpm.cli.context import command_context
from skillpm.cli.options import number_option, registry_options
from skillpm.cli.output import brief, clipped, json_option, note, print_json, shown, table
from skillpm.model.name import meant
from skillpm.model.release import SEARCH_FILTERS

if TYPE_CHECKING:
    from skillpm.ops.machine.search import Hit, SearchResult

_WIDTH = 70  # characters of a summary in the table
_SHOWN = 20  # hits without --limit


@click.command("search", epilog="Example: skillpm search log triage")
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
@registry_options("Search this registry")
@click.option("--has", multiple=True, type=click.Choice(SEARCH_FILTERS), help="Only skills with this; may be repeated.")
@number_option("--limit", click.IntRange(1), _SHOWN, "Skills to show.")
@json_option
def command(texts: tuple[str, ...], has: tuple[str, ...], limit: int) -> None:
    """Find skills whose name or summary has every word, in this project and in all registries that list their skills.

    The exact name comes first, then names that begin with the text, then words in names, then words in summaries.
    A registry behind a server searches keywords, tools and READMEs too, and finds misspelt words. It
    alone knows what `--has` asks for.
    """
    from skillpm.ops.machine.search import search

    result = search(command_context(), texts, has)
    is_json = print_json(result)
    if result.hits and not is_json:
        table(("skill", "version", "installed", "source", "summary"), [_row(hit) for hit in result.hits[:limit]])
    for name, error in result.failures.items():
        note(f"warning: {name} could not be searched: {error.message}{f'; {error.hint}' if error.hint else ''}")
    if not is_json:
        _note_count(result, limit)
    if result.failures and not result.hits:
        exit_with(next(iter(result.failures.values())).exit_code)


def _row(hit: Hit) -> tuple[str, ...]:
    installed = "" if hit.installed is None else "yes" if hit.installed == hit.version else shown(hit.installed)
    return hit.name, shown(hit.version), installed, brief(hit.source), clipped(hit.summary, _WIDTH)


def _note_count(result: SearchResult, limit: int) -> None:
    count = len(result.hits)
    if count > limit:
        note(f"{limit} of {count} skills; `--limit {count}` shows all")
    elif not count:
        elsewhere = [f"`--registry {place}` searches where you are logged in" for place in result.unasked[:1]]
        note("; ".join(["no skill matches", *([meant(result.near)] if result.near else elsewhere)]))

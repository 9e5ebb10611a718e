"""``skillpm search``."""

from __future__ import annotations

import click

from skillpm.cli.context import command_context
from skillpm.cli.output import echo_json, json_option, note, safe, table
from skillpm.model.name import meant

_WIDTH = 70  # characters of a summary in the table
_SHOWN = 20  # hits, unless --limit says otherwise


@click.command("search", epilog="Example: skillpm search log triage")
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
@click.option("--registry", "indexes", metavar="PLACE", multiple=True, help="Search this registry; may be repeated.")
@click.option("--offline", is_flag=True, help="Ask nobody on the network; what is cached must do.")
@click.option("--limit", type=click.IntRange(1), default=_SHOWN, show_default=True, help="Skills to show.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, texts: tuple[str, ...], indexes: tuple[str, ...], offline: bool, limit: int, as_json: bool
) -> None:
    """Find skills whose name or summary holds every word, in all registries that say what they have.

    First the name itself, then names that begin with the text, then words in names, then words in summaries.
    """
    from skillpm.ops.machine.search import search

    result = search(command_context(indexes=indexes, offline=offline), texts)
    if as_json:
        echo_json(result)
    elif result.hits:
        columns = ("skill", "version", "source", "summary")
        table(columns, [(hit.name, hit.version, hit.source, _short(hit.summary)) for hit in result.hits[:limit]])
    for name, error in result.failures.items():
        note(f"warning: {safe(name)} could not be searched: {safe(error.message)}")
    if not as_json:
        _say(len(result.hits), limit, result.near)
    if result.failures and not result.hits:
        ctx.exit(next(iter(result.failures.values())).exit_code)


def _say(count: int, limit: int, near: tuple[str, ...]) -> None:
    if count > limit:
        note(f"{limit} of {count} skills; `--limit {count}` shows all")
    elif not count:
        note("; ".join(["no skill fits", *([meant(near)] if near else [])]))


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"

"""``skillpm runs``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skillpm.cli.complete import run_names
from skillpm.cli.context import command_context
from skillpm.cli.misuse import Group
from skillpm.cli.output import cell, count, json_option, listing, note, print_json, safe, size, table, tell
from skillpm.cli.paths import TypedPath, output_file

if TYPE_CHECKING:
    from skillpm.ops.learning.stored_runs import StoredRun

_RUN = TypedPath()


@click.group("runs", cls=Group, epilog="Example: skillpm runs list")
def command() -> None:
    """List, show, compare and remove training runs.

    RUN is a run's name, its folder, or latest, which is the newest finished one.
    """


@command.command("list", epilog="Example: skillpm runs list --json")
@json_option
def list_all() -> None:
    """List the runs of this project, the oldest first."""
    from skillpm.ops.learning.stored_runs import list_runs

    runs = list_runs(command_context().settings)
    if print_json(runs):
        return
    rows = [(r.name, r.state, r.model, _steps(r), _figures(r.exact), size(r.size)) for r in runs]
    listing(("run", "state", "model", "stages", "exact", "size"), rows, "no run is here: `skillpm train` makes one")
    going = [run for run in runs if run.resumable and run.state == "unfinished"]
    if going:
        note(f"`skillpm train --resume {shlex.quote(going[-1].name)}` continues the newest unfinished run")


@command.command("show", epilog="Example: skillpm runs show latest")
@click.argument("run", type=_RUN, shell_complete=run_names, metavar="RUN")
@click.option("--html", type=TypedPath(), metavar="FILE", help="Write the page of the run: stages, curves, results.")
@json_option
def show(run: Path, html: Path | None) -> None:
    """Show the settings and the results of a run."""
    from skillpm.ops.learning.stored_runs import show_run
    from skillpm.train.run_folder import RunFolder

    shown = show_run(command_context().settings, run)
    if sentence := RunFolder(shown.folder).without_recipe:
        note(sentence)
    if html is not None:
        _write_page(run, html)
        return
    if print_json(shown):
        return
    it = shown.run
    rows = [("folder", shown.folder), ("state", it.state), ("begun", it.created), ("model", it.model)]
    rows += [("skill", f"{name} {version}") for name, version in it.skills.items()]
    rows += [(name, value) for name, value in shown.settings.items() if value is not None]
    rows += [("versions", ", ".join(f"{name} {version}" for name, version in shown.versions.items()))]
    rows += [("exact", _figures(it.exact)), ("size", size(it.size))]
    table(("what", "value"), rows)
    click.echo()
    wanted = ("loss", "mean_token_accuracy", "reward", "validation_before", "validation_after", "exact")
    columns = [name for name in wanted if any(name in figures for figures in shown.last.values())]
    cells = [
        [stage, it.stages.get(stage, 0), *(f"{f[name]:.4g}" if name in f else "-" for name in columns)]
        for stage, f in shown.last.items()
    ]
    table(("stage", "steps", *columns), cells)
    if it.resumable and it.state == "unfinished":
        note(f"`skillpm train --resume {shlex.quote(it.name)}` continues it")
    if it.state == "damaged":
        note(f"its manifest cannot be read: `skillpm runs prune {shlex.quote(it.name)}` removes the run")


@command.command("compare", epilog="Example: skillpm runs compare 20261128-101500-run latest")
@click.argument("first", type=_RUN, shell_complete=run_names, metavar="RUN")
@click.argument("second", type=_RUN, shell_complete=run_names, metavar="RUN")
@json_option
def compare(first: Path, second: Path) -> None:
    """Show how two runs differ. Prints the share of exact answers of both."""
    from skillpm.ops.learning.stored_runs import compare_runs

    compared = compare_runs(command_context().settings, first, second)
    if print_json(compared):
        return
    columns = ("made of", compared.first, compared.second)
    if compared.differences:
        table(columns, [(name, *map(cell, pair)) for name, pair in compared.differences.items()])
    else:
        note("both runs have the same inputs")
    if compared.exact:
        click.echo()
        rows = [(place, *map(_share, pair)) for place, pair in compared.exact.items()]
        table(("exact", compared.first, compared.second), rows)


@command.command("prune", epilog="Example: skillpm runs prune --unfinished --dry-run")
@click.argument("runs", type=_RUN, shell_complete=run_names, nargs=-1, metavar="[RUN]...")
@click.option("--unfinished", is_flag=True, help="Remove all unfinished runs.")
@click.option("--keep", type=click.IntRange(min=0), metavar="N", help="Remove all finished runs but the N newest.")
@click.option("--dry-run", is_flag=True, help="Print what would be removed; remove nothing.")
@json_option
def prune(runs: tuple[Path, ...], unfinished: bool, keep: int | None, dry_run: bool) -> None:
    """Remove runs with their adapters for good. A run that is being trained stays."""
    from skillpm.ops.learning.stored_runs import prune_runs

    settings = command_context().settings
    pruned = prune_runs(settings, runs, unfinished=unfinished, keep=keep, dry_run=dry_run)
    if print_json(pruned):
        return
    for name in pruned.removed:
        click.echo(safe(name))
    verb = "would remove" if dry_run else "removed"
    note(f"{verb} {count(len(pruned.removed), 'run')}, {size(pruned.size)}")


def _write_page(run: Path, path: Path) -> None:
    from skillpm.ops.learning.run_page import run_page
    from skillpm.storage.files import write_atomic

    write_atomic(output_file(path), run_page(command_context().settings, run))
    tell({"page": str(path)}, out=path)


def _steps(run: StoredRun) -> str:
    return ", ".join(f"{name} {steps}" for name, steps in run.stages.items()) or "-"


def _figures(exact: Mapping[str, float | None]) -> str:
    return ", ".join(f"{place} {_share(share)}" for place, share in exact.items()).replace("_", " ") or "-"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"

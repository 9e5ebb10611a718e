"""``skillpm cache``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.context import command_settings
from skillpm.cli.misuse import Group
from skillpm.cli.output import count, json_option, note, print_json, size, table, tell

if TYPE_CHECKING:
    from skillpm.ops.machine.cache import StoredTree


@click.group("cache", cls=Group, epilog="Example: skillpm cache prune --dry-run")
def command() -> None:
    """Show and clean the store and the cache.

    The store holds each installed skill once for all projects. The cache holds files that skillpm can fetch again.
    """


@command.command("dir", epilog="Example: skillpm cache dir --store")
@click.option("--store", is_flag=True, help="Print the store's folder instead.")
@json_option
def show_folder(store: bool) -> None:
    """Print the folder of the cache, or of the store."""
    settings = command_settings()
    places = {"cache": settings.cache, "store": settings.store}
    tell(places, out=places["store" if store else "cache"])


@command.command("info", epilog="Example: skillpm cache info --json")
@json_option
def info() -> None:
    """Show the contents and the size of the store and of the cache."""
    from skillpm.ops.machine.cache import inspect_cache

    report = inspect_cache(command_settings())
    if print_json(report):
        return
    projects = {project for _, needing in report.trees for project in needing}
    needing = f"stored skills that {len(projects)} project{' needs' if len(projects) == 1 else 's need'}"
    rows = [(needing, str(len(report.needed)), _total(report.needed))]
    rows.append(("unneeded stored skills", str(len(report.unneeded)), _total(report.unneeded)))
    if report.leftovers.files:
        rows.append(("leftovers of killed runs", str(report.leftovers.files), size(report.leftovers.size)))
    rows += [(f"cache: {folder.name}", str(folder.files), size(folder.size)) for folder in report.folders]
    table(("what", "count", "size"), rows)
    note(f"store: {report.store}")
    note(f"cache: {report.cache}")
    if report.unneeded or report.folders:
        note("`skillpm cache prune` removes unneeded skills and files that can be fetched again")


@command.command("prune", epilog="Example: skillpm cache prune --dry-run")
@click.option("--models", is_flag=True, help="Remove prepared models as well.")
@click.option("--dry-run", is_flag=True, help="Print what would be removed; remove nothing.")
@json_option
def prune_store(models: bool, dry_run: bool) -> None:
    """Remove what no project needs.

    These are skills, Python environments, and cached files that can be fetched again.
    A project needs the skills in its skillpm.lock, in the locks of its runs and in its record of installed skills. The
    command waits for running installs. It removes cached registry pages and git repositories, so `--offline` finds less
    afterwards. Prepared models stay unless you add --models.
    """
    from skillpm.ops.machine.cache import prune

    pruned = prune(command_settings(), models=models, dry_run=dry_run)
    if print_json(pruned):
        return
    if pruned.removed:
        columns = ("skill", "version", "size", "tree")
        table(columns, [(t.name or "?", t.version or "?", size(t.size), f"{t.tree[:16]}…") for t in pruned.removed])
    for environment in pruned.environments:
        verb = "would remove" if dry_run else "removed"
        note(f"{verb} the Python environment {environment.name}, {size(environment.size)}")
    for project in pruned.forgotten:
        note(f"{'would forget' if dry_run else 'forgot'} {project}: the project is gone")
    verb = "would remove" if dry_run else "removed"
    parts = [count(len(pruned.removed), "stored skill")] if pruned.removed else []
    parts += [f"{count(folder.files, 'file')} of {folder.name}" for folder in pruned.cached]
    parts += [count(len(pruned.environments), "Python environment")] if pruned.environments else []
    what = f"{verb} {', '.join(parts)}: {size(pruned.size)}" if parts else "nothing to remove"
    models_kept = f", {count(pruned.models, 'prepared model')} too (`--models` removes them)" if pruned.models else ""
    note(f"{what}; {count(pruned.kept, 'stored skill')} kept{models_kept}")


def _total(trees: list[StoredTree]) -> str:
    return size(sum(tree.size for tree in trees))

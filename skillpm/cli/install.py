"""``skillpm install``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from skillpm.cli.output import echo_json, json_option, note, progress, table

if TYPE_CHECKING:
    from skillpm.ops.install import Manner
    from skillpm.ops.installation import Installation
    from skillpm.settings import Settings
    from skillpm.storage.record import LinkKind

__all__ = ["Placing", "command", "placing_options", "render"]

F = TypeVar("F", bound=Callable[..., Any])


_PLACING = (
    click.option("--agent", "agents", metavar="NAME", multiple=True, help="Fill this agent's folder, or `all`."),
    click.option("--link", type=click.Choice(["copy", "symlink"]), help="How skills are put there; else copied."),
    click.option("--user", is_flag=True, help="Work in your home folder, for yourself."),
    click.option("--dry-run", is_flag=True, help="Say what would change; write nothing."),
    click.option(
        "--force",
        is_flag=True,
        help="Keep a folder that was edited or is not skillpm's as NAME.orig, and replace a skill of another source, "
        "instead of refusing.",
    ),
)


def placing_options(function: F) -> F:
    """Add the flags that say how skills are put into agents' folders; ``Placing.of`` reads them."""
    for option in reversed(_PLACING):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class Placing:
    """What the flags of ``placing_options`` said."""

    settings: Settings
    folders: tuple[str, ...]
    link: LinkKind | None
    dry_run: bool
    force: bool

    @classmethod
    def of(cls, flags: Mapping[str, Any], **others: Any) -> Placing:
        """Return them with the settings of this invocation. Raises UsageError where an agent is not known."""
        from skillpm.settings import load_settings
        from skillpm.storage.agents import agent_folders

        settings = load_settings(user=flags["user"], **others)
        folders = agent_folders(flags["agents"], user=flags["user"])
        return cls(settings, folders, flags["link"], flags["dry_run"], flags["force"])

    def manner(self) -> Manner:
        """Return how an operation puts skills, with progress on a terminal."""
        from skillpm.ops.extensions import installed_observer
        from skillpm.ops.install import Manner

        return Manner(
            folders=self.folders,
            link=self.link,
            dry_run=self.dry_run,
            force=self.force,
            progress=progress() if sys.stderr.isatty() else None,
            installed=installed_observer(self.settings),
        )


@click.command("install", epilog="Example: skillpm install incident-triage langgraph-cli")
@click.argument("texts", metavar="[REQUIREMENT|PATH]...", nargs=-1)
@click.option("--index", "indexes", metavar="PLACE", multiple=True, help="Ask this registry; may be repeated.")
@placing_options
@json_option
def command(texts: tuple[str, ...], indexes: tuple[str, ...], as_json: bool, **placing: object) -> None:
    """Install skills and what they require, lock them, and put them where agents look.

    A REQUIREMENT is `name`, `name>=1,<2` or `name@1.2.0`; a PATH is a skill's folder, written with a `/`.
    Where there is a skillpm.yaml, they are added to it. Without any, do what `skillpm sync` does.
    """
    from skillpm.ops.installation import unchanged

    place = Placing.of(placing, indexes=indexes)
    done = None if texts else unchanged(place.settings, place.folders, place.link)
    render(done or _install(place, texts), as_json=as_json)


def _install(place: Placing, texts: tuple[str, ...]) -> Installation:
    from skillpm.ops.context import open_context
    from skillpm.ops.install import install
    from skillpm.ops.sync import sync

    context = open_context(place.settings)
    return install(context, texts, place.manner()) if texts else sync(context, place.manner())


def render(done: Installation, *, as_json: bool) -> None:
    """Print what an install or an uninstall did."""
    for warning in done.warnings:
        note(f"warning: {warning}")
    if as_json:
        echo_json(done.document())
        return
    shown = [skill for skill in done.skills if skill.change != "kept"] or done.skills
    rows = [(skill.name, _versions(skill.previous, skill.version), skill.change, skill.source) for skill in shown]
    if rows:
        table(("skill", "version", "change", "source"), rows)
    counts = [f"{done.count(change)} {change}" for change in ("added", "replaced", "removed", "kept")]
    summary = ", ".join(text for text in counts if not text.startswith("0 ")) or "no skills"
    note(f"{'would be: ' if done.dry_run else ''}{summary}; folders: {', '.join(done.folders)}")


def _versions(before: str | None, after: str) -> str:
    return after if before in (None, after) else f"{before} -> {after}"

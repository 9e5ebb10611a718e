"""``skillpm install``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from skillpm.cli.complete import known_names
from skillpm.cli.findings import allow_option
from skillpm.cli.output import echo_json, json_option, note, progress, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skillpm.model.agent import Agent
    from skillpm.ops.installation import Installation
    from skillpm.settings import Settings
    from skillpm.storage.record import LinkKind

__all__ = ["command", "render"]


@click.command("install", epilog="Example: skillpm install incident-triage langgraph-cli")
@click.argument("texts", metavar="[REQUIREMENT|SOURCE]...", nargs=-1, shell_complete=known_names)
@click.option("--index", "indexes", metavar="PLACE", multiple=True, help="A registry to ask first; may be repeated.")
@click.option(
    "--skill", "names", metavar="NAME", multiple=True, help="Of a SOURCE with many, this one; may be repeated."
)
@click.option("--all", "every", is_flag=True, help="Of a SOURCE with many skills, every one.")
@click.option(
    "--agent", "agents", metavar="NAME", multiple=True, help="Fill this agent's folder too; `all`: those found here."
)
@click.option("--link", type=click.Choice(["copy", "symlink"]), help="How skills are put there.  [default: copy]")
@click.option("--user", is_flag=True, help="Install for yourself, in your home folder.")
@click.option("--offline", is_flag=True, help="Ask nobody on the network; what is cached must do.")
@click.option("--dry-run", is_flag=True, help="Say what would change; write nothing.")
@click.option("--force", is_flag=True, help="Keep a folder that is not skillpm's as NAME.orig, instead of refusing.")
@allow_option
@json_option
def command(
    texts: tuple[str, ...],
    indexes: tuple[str, ...],
    names: tuple[str, ...],
    every: bool,
    agents: tuple[str, ...],
    link: LinkKind | None,
    user: bool,
    offline: bool,
    dry_run: bool,
    force: bool,
    allowed: tuple[str, ...],
    as_json: bool,
) -> None:
    """Install skills and what they require, lock them, and put them where agents look.

    A REQUIREMENT is `name`, `name>=1,<2` or `name@1.2.0`. A SOURCE is a folder, written with a `/`, a skill's .tar.gz,
    git+URL[@ref][#subdirectory=FOLDER], or the address of a .well-known/agent-skills. Without any, install exactly
    what skillpm.lock says.
    """
    from skillpm.ops.installation import unchanged
    from skillpm.settings import load_settings
    from skillpm.storage.agents import agent_folders, unfilled
    from skillpm.storage.record import read_record

    settings = load_settings(user=user, indexes=indexes, offline=offline)
    folders = agent_folders(agents, user=user, project=settings.project)
    done = None if texts or names or every else unchanged(settings, folders, link)
    if done is None:
        done = _install(settings, texts, names, every, folders, link, allowed, dry_run, force)
        if not as_json:
            _tell_unfilled(unfilled(settings.project, {*folders, *read_record(settings.project).agents}, user=user))
    render(done, as_json=as_json)


def _tell_unfilled(agents: Sequence[Agent]) -> None:
    if agents:
        titles = ", ".join(agent.title for agent in agents[:3]) + (", …" if len(agents) > 3 else "")
        flag = f"--agent {agents[0].name}" if len(agents) == 1 else "--agent all"
        note(f"not seen by {titles}, found here too: `skillpm install {flag}` fills their folders as well")


def _install(
    settings: Settings,
    texts: tuple[str, ...],
    names: tuple[str, ...],
    every: bool,
    folders: tuple[str, ...],
    link: LinkKind | None,
    allowed: tuple[str, ...],
    dry_run: bool,
    force: bool,
) -> Installation:
    from skillpm.ops.allowance import Allowance
    from skillpm.ops.choice import Wanted
    from skillpm.ops.context import open_context
    from skillpm.ops.extensions import installed_observer
    from skillpm.ops.install import install

    return install(
        open_context(settings),
        texts,
        folders=folders,
        link=link,
        wanted=Wanted(names, every),
        dry_run=dry_run,
        force=force,
        allow=Allowance.of(allowed),
        progress=progress() if sys.stderr.isatty() else None,
        installed=installed_observer(settings),
    )


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

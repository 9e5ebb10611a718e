"""``skillpm install``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from skillpm.cli.complete import known_names
from skillpm.cli.findings import allow_option
from skillpm.cli.output import echo_json, json_option, note, progress, table, tell_project

if TYPE_CHECKING:
    from skillpm.clients.agent import Agent
    from skillpm.ops.context import Context
    from skillpm.ops.project.install import InstallOptions
    from skillpm.ops.project.installation import Installation
    from skillpm.settings import Settings
    from skillpm.storage.record import LinkKind

F = TypeVar("F", bound=Callable[..., Any])


_PLACING = (
    click.option("--registry", "indexes", metavar="PLACE", multiple=True, help="Ask this registry; may be repeated."),
    click.option("--offline", is_flag=True, help="Ask nobody on the network; what is cached must do."),
    click.option(
        "--agent",
        "agents",
        metavar="NAME",
        multiple=True,
        help="Fill this agent's folder too; `all`: those found.",
    ),
    click.option("--link", type=click.Choice(["copy", "symlink"]), help="How skills are put there; else copied."),
    click.option("--user", is_flag=True, help="Work in your home folder, for yourself."),
    click.option("--dry-run", is_flag=True, help="Say what would change; write nothing."),
    click.option(
        "--force",
        is_flag=True,
        help="Keep a folder that was edited or is not skillpm's as NAME.orig, and replace a skill of another source, "
        "instead of refusing.",
    ),
    allow_option,
)


def placing_options(function: F) -> F:
    """Add the flags that say where skills come from and how they are put into agents' folders; ``Placing`` has them."""
    for option in reversed(_PLACING):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class Placing:
    """What the flags of ``placing_options`` said."""

    settings: Settings
    agents: tuple[str, ...]
    folders: tuple[str, ...]
    link: LinkKind | None
    dry_run: bool
    force: bool
    allowed: tuple[str, ...]

    @classmethod
    def of(cls, flags: Mapping[str, Any]) -> Placing:
        """Return them with the settings of this invocation. Raises UsageError where an agent is not known."""
        from skillpm.clients.folders import agent_folders
        from skillpm.settings import load_settings

        settings = load_settings(user=flags["user"], indexes=flags["indexes"], offline=flags["offline"])
        folders = agent_folders(flags["agents"], user=flags["user"], project=settings.project)
        tell_project(settings)
        return cls(
            settings, flags["agents"], folders, flags["link"], flags["dry_run"], flags["force"], flags["allowed"]
        )

    def context(self) -> Context:
        """Return what the operation works on."""
        from skillpm.ops.context import open_context

        return open_context(self.settings)

    def options(self, *, adding: bool = False) -> InstallOptions:
        """Return how an operation puts skills, with progress on a terminal; ``adding`` writes the agents down."""
        from skillpm.ops.project.install import InstallOptions
        from skillpm.trust.allowance import Allowance

        return InstallOptions(
            folders=self.folders,
            agents=self.agents if adding else (),
            link=self.link,
            dry_run=self.dry_run,
            force=self.force,
            allow=Allowance.of(self.allowed),
            progress=progress() if sys.stderr.isatty() else None,
        )


@click.command("install", epilog="Example: skillpm install incident-triage langgraph-cli")
@click.argument("texts", metavar="[REQUIREMENT|SOURCE]...", nargs=-1, shell_complete=known_names)
@click.option(
    "--skill", "names", metavar="NAME", multiple=True, help="Of a SOURCE with many, this one; may be repeated."
)
@click.option("--all", "every", is_flag=True, help="Of a SOURCE with many skills, every one.")
@placing_options
@json_option
def command(texts: tuple[str, ...], names: tuple[str, ...], every: bool, as_json: bool, **placing: object) -> None:
    """Install skills and what they require, lock them, and put them where agents look.

    A REQUIREMENT is `name`, `name>=1,<2` or `name@1.2.0`. A SOURCE is a folder (written with a `/`), a .tar.gz,
    git+https://HOST/REPOSITORY@REF, or a site's .well-known/agent-skills; what lies there needs no skill.yaml. Where
    there is a skillpm.yaml, both are added to it, and so are agents. Without any, do what `skillpm sync` does.
    """
    from skillpm.ops.project.installation import unchanged

    place = Placing.of(placing)
    asked = bool(texts or names or every or place.agents)
    installation = None if asked else unchanged(place.settings, place.folders, place.link)
    render(installation or _install(place, texts, names, every=every), as_json=as_json)
    if installation is None and not as_json:
        _tell_unfilled(place)


def _install(place: Placing, texts: tuple[str, ...], names: tuple[str, ...], *, every: bool) -> Installation:
    from skillpm.ops.project.asked import Asked
    from skillpm.ops.project.install import install

    context = place.context()
    if texts or names or every:
        return install(context, Asked.read(texts, names, every=every), place.options(adding=True))
    from skillpm.ops.project.sync import sync

    return sync(context, place.options(adding=True))


def _tell_unfilled(place: Placing) -> None:
    """Name the agents that are used here and do not see what was installed."""
    from skillpm.clients.folders import unfilled
    from skillpm.storage.record import read_record

    settings = place.settings
    listed = place.agents and settings.project_text is not None  # the file that was just written says whose
    if listed or settings.agents:
        return
    agents: list[Agent] = unfilled(
        settings.project, {*place.folders, *read_record(settings.project).agents}, user=settings.user
    )
    if agents:
        titles = ", ".join(agent.title for agent in agents[:3]) + (", …" if len(agents) > 3 else "")
        flag = f"--agent {agents[0].name}" if len(agents) == 1 else "--agent all"
        whose = "its folder" if len(agents) == 1 else "their folders"
        note(f"not seen by {titles}, found here too: `skillpm install {flag}` fills {whose} as well")


def render(installation: Installation, *, as_json: bool) -> None:
    """Print what an install or an uninstall did."""
    for warning in installation.warnings:
        note(f"warning: {warning}")
    if as_json:
        echo_json(installation)
        return
    shown = [skill for skill in installation.skills if skill.change != "kept"] or installation.skills
    rows = [(skill.name, _versions(skill.previous, skill.version), skill.change, skill.source) for skill in shown]
    if rows:
        table(("skill", "version", "change", "source"), rows)
    counts = [f"{installation.count(change)} {change}" for change in ("added", "replaced", "removed", "kept")]
    summary = ", ".join(text for text in counts if not text.startswith("0 ")) or "no skills"
    note(f"{'dry run: ' if installation.dry_run else ''}{summary}; folders: {', '.join(installation.folders)}")


def _versions(before: str | None, after: str) -> str:
    return after if before in (None, after) else f"{before} -> {after}"

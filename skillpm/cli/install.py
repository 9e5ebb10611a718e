"""``skillpm install`` and ``skillpm uninstall``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.common_options import exit_with, is_set
from skillpm.cli.complete import installed_names, known_names
from skillpm.cli.context import changing_context, collecting_context, command_settings
from skillpm.cli.options import agents_option, allow_option, combined, registry_options, signer_option, user_option
from skillpm.cli.output import brief, count, json_option, note, print_json, shown, table, tell_project, terminal_bar

if TYPE_CHECKING:
    from skillpm.clients.agent import Agent
    from skillpm.ops.context import Context
    from skillpm.ops.project.asked import Asked
    from skillpm.ops.project.install import InstallOptions
    from skillpm.ops.project.installation import Installation
    from skillpm.settings import Settings
    from skillpm.storage.record import LinkKind

placing_options = combined(
    registry_options(),
    agents_option("Fill this agent's folder too; `all` means every detected agent."),
    click.option("--link", type=click.Choice(["copy", "symlink"]), help="How to place skills.  [default: copy]"),
    user_option("Install into your home folder."),
    click.option("--dry-run", is_flag=True, help="Print what would change; write nothing."),
    click.option(
        "--force",
        is_flag=True,
        help="Keep an edited or foreign folder in .skillpm/kept, and replace a skill from another source.",
    ),
    allow_option,
    signer_option,
)


@dataclass(frozen=True, slots=True)
class Placing:
    """The values of the flags of ``placing_options``."""

    settings: Settings
    agents: tuple[str, ...]
    folders: tuple[str, ...]
    link: LinkKind | None
    dry_run: bool
    force: bool
    allowed: tuple[str, ...]

    @classmethod
    def of(cls, flags: Mapping[str, Any]) -> Placing:
        """Read the flags and load the settings. Raises UsageError if an agent is not known."""
        from skillpm.clients.folders import agent_folders

        settings = command_settings()
        folders = agent_folders(flags["agents"], user=settings.user, project=settings.root)
        tell_project(settings)
        own = {name: flags[name] for name in ("agents", "link", "dry_run", "force", "allowed")}
        return cls(settings, folders=folders, **own)

    @property
    def plain(self) -> bool:
        """Are no agents named, which are recorded, and no skills, which must be there?"""
        return not (self.agents or self.allowed or self.settings.flags.get("signer_changes"))

    def context(self) -> Context:
        """Return the context of the operation."""
        return collecting_context(self.settings)

    def options(self, *, adding: bool = False) -> InstallOptions:
        """Return the options, with progress on a terminal; ``adding`` adds the agents to the project file."""
        from skillpm.clients.folders import named_agents
        from skillpm.ops.project.install import InstallOptions
        from skillpm.trust.allowance import Allowance

        return InstallOptions(
            folders=self.folders,
            agents=self.agents if adding else (),
            named=named_agents(self.agents, project=self.settings.root),
            link=self.link,
            dry_run=self.dry_run,
            force=self.force,
            allow=Allowance.of(self.allowed),
            progress=terminal_bar(),
        )


@click.command("install", epilog="Example: skillpm install anthropics/skills --skill pdf --agent claude-code")
@click.argument("texts", metavar="[REQUIREMENT|SOURCE]...", nargs=-1, shell_complete=known_names)
@click.option("--skill", "names", metavar="NAME", multiple=True, help="Take this skill of a SOURCE; may be repeated.")
@click.option("--all", "every", is_flag=True, help="Take every skill of a SOURCE; exit 1 if one must be left out.")
@click.option("--skip", metavar="NAME", multiple=True, help="With --all: leave this skill out; may be repeated.")
@click.option("--best-effort", is_flag=True, help="With --all: exit 0 even if a skill was left out.")
@click.option("--adapter", metavar="MODEL", help="Take the skills' trained adapters of this base model too.")
@placing_options
@json_option
def command(texts: tuple[str, ...], best_effort: bool, adapter: str | None, **flags: Any) -> None:
    """Install skills and their dependencies, lock them, and put them into agents' folders.

    A REQUIREMENT is `name`, `name>=1,<2` or `name@1.2.0`. A SOURCE is OWNER/REPO, OWNER/REPO/FOLDER@REF, the address of
    a repository or of a folder in it, as a browser shows it, a folder here (written with a `/`), an archive, or a
    site's .well-known/agent-skills; its skills need no skill.yaml. What is typed is added to skillpm.yaml if there is
    one. Without arguments, do the same as `skillpm sync`.
    """
    from skillpm.ops.project.installation import unchanged

    place, chosen = Placing.of(flags), {name: flags[name] for name in ("names", "every", "skip")}
    is_typed = bool(texts or any(chosen.values()) or adapter)
    installation = None if is_typed or not place.plain else unchanged(place.settings, place.folders, place.link)
    fresh = installation is None
    if installation is None:
        from skillpm.ops.project.asked import Asked

        asked = Asked.read(texts, **chosen) if is_typed else None
        installation = _install(place, asked, adapter or "")
    render(installation)
    if fresh and not is_set("json"):
        _tell_unfilled(place)
    if installation.left_out and not best_effort:
        exit_with(1)


def _install(place: Placing, asked: Asked | None, base: str) -> Installation:
    context = place.context()
    if asked is not None:
        from skillpm.ops.project.install import install

        return install(context, asked, replace(place.options(adding=True), base=base))
    from skillpm.ops.project.sync import sync

    return sync(context, place.options(adding=True))


def _tell_unfilled(place: Placing) -> None:
    """Print a note about detected agents whose folders were not filled."""
    from skillpm.clients.folders import unfilled
    from skillpm.storage.record import read_record

    settings = place.settings
    listed = place.agents and settings.project_text is not None  # the project file now lists the agents
    if listed or settings.agents:
        return
    agents: list[Agent] = unfilled(
        settings.root, {*place.folders, *read_record(settings.project).agents}, user=settings.user
    )
    if agents:
        titles = ", ".join(agent.title for agent in agents[:3]) + (", …" if len(agents) > 3 else "")
        flag = f"--agent {agents[0].name}" if len(agents) == 1 else "--agent all"
        whose = "its folder" if len(agents) == 1 else "their folders"
        note(f"{titles} cannot see these skills: run `skillpm install {flag}` to fill {whose} as well")


_CHANGES = ("added", "replaced", "placed", "removed", "kept")
_WORDS = {"placed": "put back or into another folder", "kept": "up to date"}


def render(installation: Installation) -> None:
    """Print the outcome of an install or an uninstall."""
    for warning in installation.warnings:
        note(f"warning: {warning}")
    if print_json(installation):
        return
    changed = [skill for skill in installation.skills if skill.change != "kept"]
    listed = installation.skills if is_set("verbose") else changed
    rows = [
        (skill.name, _versions(skill.previous, skill.version), skill.change, brief(skill.source)) for skill in listed
    ]
    if rows:
        table(("skill", "version", "change", "source"), rows)
    for sentence in installation.notes:
        note(sentence)
    for backup in installation.backups:
        kept = "would be" if installation.dry_run else "is"
        note(f"{backup.folder} was edited or is not skillpm's: it {kept} kept as {backup.kept}")
    counts = [(installation.count(change), _WORDS.get(change, change)) for change in _CHANGES]
    summary = ", ".join(f"{number:,} {word}" for number, word in counts if number) or "no skills"
    files = f"; files: {', '.join(installation.files)}" if installation.files else ""
    dry = "dry run: " if installation.dry_run else ""
    note(f"{dry}{summary}; folders: {', '.join(installation.folders)}{files}")
    for item in installation.left_out:
        note(f"left out: {item.name}: {item.reason}")
    if installation.left_out:
        note(f"{count(len(installation.left_out), 'skill')} left out; `--skip NAME` leaves one out on purpose")


def _versions(before: str | None, after: str) -> str:
    return shown(after) if before is None or before == after else f"{shown(before)} -> {shown(after)}"


@click.command("uninstall", epilog="Example: skillpm uninstall langgraph-cli")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=installed_names)
@user_option("Uninstall from your home folder.")
@click.option("--dry-run", is_flag=True, help="Print what would change; write nothing.")
@click.option("--force", is_flag=True, help="Keep an edited skill in .skillpm/kept instead of refusing.")
@json_option
def uninstall(names: tuple[str, ...], dry_run: bool, force: bool) -> None:
    """Remove skills from this project and its skillpm.yaml, with dependencies that no other skill needs."""
    from skillpm.ops.project import uninstall as operation
    from skillpm.ops.project.install import InstallOptions

    options = InstallOptions(dry_run=dry_run, force=force)
    render(operation.uninstall(changing_context(), names, options))

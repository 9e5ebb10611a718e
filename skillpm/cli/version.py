"""``skillpm version``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from skillpm.cli.misuse import Group
from skillpm.cli.output import json_option, tell
from skillpm.cli.paths import SkillPath
from skillpm.errors import UsageError

if TYPE_CHECKING:
    from skillpm.ops.authoring.version import VersionChange


class _ShowByDefault(Group):
    """A group that runs `show` if the first word is not a sub-command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `show` if the first word is not a sub-command. Raises UsageError where a part follows a folder."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            from skillpm.model.version import PARTS

            if len(args) > 1 and args[1] in PARTS:
                raise UsageError(
                    f"`{args[1]}` comes after the folder", hint=f"type `skillpm version bump {args[1]} {args[0]}`"
                )
            if args and args[0] in PARTS:
                raise UsageError(f"`{args[0]}` needs `bump`", hint=f"type `skillpm version bump {' '.join(args)}`")
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group("version", cls=_ShowByDefault)
def command() -> None:
    """Show, set or raise the version of a skill: `skillpm version [PATH]`."""


@command.command("show", short_help="Print the version.", epilog="Example: skillpm version show skills/mine")
@click.argument("path", type=SkillPath(), default=Path())
@json_option
def show(path: Path) -> None:
    """Print the version of the skill in PATH, as `skillpm version [PATH]` does."""
    from skillpm.ops.authoring.version import version_of

    name, version = version_of(path)
    tell({"name": name, "version": version}, out=version)


@command.command(
    "set", short_help="Write this version.", epilog="Example: skillpm version set 1.0.0 skills/incident-triage"
)
@click.argument("version")
@click.argument("path", type=SkillPath(), default=Path())
@click.option("--dry-run", is_flag=True, help="Print what would change; write nothing.")
@json_option
def set_(version: str, path: Path, dry_run: bool) -> None:
    """Write VERSION into skill.yaml, and into SKILL.md's metadata if it has a version; nothing else changes."""
    from skillpm.ops.authoring.version import set_version

    _print(set_version(path, version, dry_run=dry_run))


@command.command(
    "bump", short_help="Write the next version.", epilog="Example: skillpm version bump patch rc skills/mine"
)
@click.argument("parts", metavar="PART... [PATH]", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Print what would change; write nothing.")
@json_option
def bump(parts: tuple[str, ...], dry_run: bool) -> None:
    """Write the next version: the lowest higher version with the shape of PART.

    PART is major, minor, patch, release (the final of a pre-release), alpha, beta, rc, post or dev. A suffix may follow
    major, minor or patch, such as `minor rc`. The last word is the skill's folder if it is not a PART.
    """
    from skillpm.model.version import PARTS, next_version
    from skillpm.ops.authoring.version import set_version, version_of

    words, path = list(parts), Path()
    if len(words) > 1 and words[-1] not in PARTS:
        path = SkillPath().convert(words.pop(), None, None)
    elif words[0] not in PARTS:
        raise UsageError(f"`{words[0]}` is not a part of a version", hint=f"name one of {', '.join(PARTS)}")
    _, version = version_of(path)
    _print(set_version(path, next_version(version, words), dry_run=dry_run))


def _print(change: VersionChange) -> None:
    would = "would change" if change.dry_run else "changed"
    tell(
        change,
        f"{change.name}: {change.before} -> {change.after}; {would}: {' and '.join(change.files)}",
        out=change.after,
    )

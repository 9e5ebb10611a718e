"""``skillpm publish``: a skill into a registry."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skillpm.cli.consent import grant_consents, worker_options, yes_option
from skillpm.cli.context import command_context
from skillpm.cli.output import echo_json, json_option, note, safe, size
from skillpm.cli.pack import packed
from skillpm.cli.paths import TypedPath

if TYPE_CHECKING:
    from skillpm.ops.authoring.publish import Publication


@click.command("publish", epilog="Example: skillpm publish skills/incident-triage --registry /srv/skills")
@click.argument("path", type=TypedPath(), default=Path())
@click.option("--registry", metavar="PLACE", default="", help="A folder, file://…, or the name of a known registry.")
@click.option("--owner", metavar="NAME", default="", help="Publish it as NAME/skill.")
@click.option("--like", metavar="NAME", default="", help="Let a new name look like this one, which is published.")
@click.option("--dry-run", is_flag=True, help="Do all of it but write.")
@yes_option
@worker_options
@json_option
def command(
    path: Path,
    registry: str,
    owner: str,
    like: str,
    dry_run: bool,
    yes: bool,
    workers: int | None,
    sandbox: str | None,
    as_json: bool,
) -> None:
    """Check the skill in PATH, self-test its verifier, and add it to a registry.

    What is published never changes: the same content again is a success that says so, another content for a published
    version is refused, and so is a new name that looks like a published one. Exits 1 where the check or the self-test
    finds something, 5 where version or name are taken, 6 where nobody has agreed that the skill's code runs.
    """
    from skillpm.ops.authoring.publish import judged, open_publishing, publish

    context = command_context(workers=workers, sandbox=sandbox)
    target = open_publishing(registry, context)
    package = packed(path, owner)
    skill = context.skill(str(path.resolve())) if judged(package) else None
    if skill is not None:
        grant_consents(context, [skill], yes)
    publication = publish(context, package, target, skill=skill, dry_run=dry_run, look_alike_of=like)
    for warning in publication.warnings:
        note(f"warning: {warning}")
    if as_json:
        echo_json(publication)
    else:
        _print(publication, target.root.resolve())


def _print(publication: Publication, root: Path) -> None:
    release = f"{publication.packed.name} {publication.packed.release.version}"
    if publication.claims:
        note(f"self-test: {publication.claims} claims hold")
    if publication.change == "unchanged":
        note(f"{release} is published in {safe(root)} already, with this very content; nothing changed")
    else:
        click.echo(f"{publication.packed.name}=={publication.packed.release.version}")
        what = f"{size(publication.packed.release.size)}, tree {publication.packed.release.tree[:16]}…"
        note(f"{'would be published' if publication.dry_run else 'published'} in {safe(root)}: {what}")
    if not publication.dry_run:
        command = f"skillpm install {publication.packed.name} --registry {shlex.quote(str(root))}"
        line = f"next: whoever can read that folder says `{command}`"
        click.echo(safe(line), err=True)  # its path is whole: it is typed elsewhere

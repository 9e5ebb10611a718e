"""``skillpm publish``."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.consent import code_options, grant_consents
from skillpm.cli.context import command_context
from skillpm.cli.options import allow_option, place_option
from skillpm.cli.output import count, json_option, note, print_json, safe, size, terminal_bar
from skillpm.cli.pack import note_left_out, packed
from skillpm.cli.paths import SkillPath
from skillpm.cli.process import if_interrupted

if TYPE_CHECKING:
    from skillpm.ops.authoring.publish import Publication


@click.command("publish", epilog="Example: skillpm publish skills/incident-triage --registry /srv/skills")
@click.argument("path", type=SkillPath(), default=Path())
@place_option
@click.option("--owner", metavar="NAME", default="", help="Publish the skill as NAME/skill.")
@click.option("--like", metavar="NAME", default="", help="Allow a new name that looks like this published name.")
@click.option("--allow-unproven", is_flag=True, help="Allow a verifier that the self-test cannot prove.")
@click.option("--allow-missing", is_flag=True, help="Allow required skills that no registry has.")
@click.option("--key", metavar="NAME", default="", help="Sign with this key.  [default: default]")
@click.option("--keyless", is_flag=True, help="Sign as this CI job, by its OIDC identity and Sigstore.")
@click.option("--no-sign", is_flag=True, help="Publish without a signature; the page records it.")
@click.option("--allow-signer-change", is_flag=True, help="Allow another signer than that of earlier releases.")
@click.option("--dry-run", is_flag=True, help="Print what would be published.")
@allow_option
@code_options
@json_option
@if_interrupted("the same command publishes it, or says that it is there already")
def command(path: Path, registry: str, **flags: Any) -> None:
    """Check the skill in PATH, self-test its verifier, and add it to a registry.

    A published release never changes. Publishing the same content again changes nothing and succeeds. Other content
    for a published version is refused, and so is a new name that looks like a published one. A verifier is unproven if
    its skill has no task to try, or promises less than the defaults. The release is signed with your key; the first
    publish makes one. Exits 1 if the check or the self-test fails, 5 if the version or the name is taken, 6 without
    consent to the skill's code.
    """
    from skillpm.index.http_registry import HttpRegistry
    from skillpm.ops.authoring.publish import PublishOptions, judged, open_publishing, publish
    from skillpm.trust.allowance import Allowance

    context = command_context()
    target = open_publishing(registry, context, like=flags["like"], allow=Allowance.of(flags["allowed"]))
    if isinstance(target, HttpRegistry) and not flags["dry_run"]:
        target.demand_login()
    package = packed(context, path, flags["owner"], flags["allowed"])
    skill = context.skill(str(path.resolve())) if judged(package) else None
    if skill is not None:
        grant_consents(context, [skill])
    options = PublishOptions(**{option.name: flags[option.name] for option in fields(PublishOptions)})
    publication = publish(context, package, target, skill=skill, options=options, progress=terminal_bar())
    for warning in publication.warnings:
        note(f"warning: {warning}")
    if not print_json(publication):
        _print(publication, target.place)


def _print(publication: Publication, place: str) -> None:
    release = f"{publication.packed.name} {publication.packed.release.version}"
    if publication.claims:
        note(f"self-test: {count(publication.claims, 'claim')} hold ({count(publication.tasks, 'task')})")
    if publication.change == "waiting":
        note(f"{release} waits until another owner approves it; `skillpm registry approvals` shows it to them")
        return
    if publication.change == "unchanged":
        note(f"{release} is already published in {place} with the same content; nothing changed")
    else:
        click.echo(f"{publication.packed.name}=={publication.packed.release.version}")
        what = f"{size(publication.packed.release.size)}, tree {publication.packed.release.tree[:16]}…"
        note(f"{'would be published' if publication.dry_run else 'published'} in {place}: {what}")
        if not publication.dry_run:
            note(f"signed by {publication.signer}" if publication.signer else "not signed")
    note_left_out(publication.packed.tree.uncounted())
    if publication.dry_run:
        for name in publication.packed.tree.paths():
            click.echo(f"  {safe(name)}", err=True)
    else:
        command = f"skillpm install {publication.packed.name} --registry {shlex.quote(place)}"
        line = f"next: everyone who can read that {'registry' if '://' in place else 'folder'} can run `{command}`"
        click.echo(safe(line), err=True)  # not shortened: people type it in other folders

"""``skillpm adapter``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from skillpm.cli.complete import run_names
from skillpm.cli.context import command_context
from skillpm.cli.misuse import Group
from skillpm.cli.output import count, echo_json, json_option, note, safe
from skillpm.cli.paths import TypedPath


@click.group("adapter", cls=Group, epilog="Example: skillpm adapter pack latest --output my-adapter")
def command() -> None:
    """Hand on what a run has trained."""


@command.command("pack", epilog="Example: skillpm adapter pack latest --output my-adapter")
@click.argument("run", type=TypedPath(), shell_complete=run_names, metavar="RUN")
@click.option("--output", "-o", type=TypedPath(), required=True, metavar="DIR", help="A new folder.")
@json_option
def pack(run: Path, output: Path, as_json: bool) -> None:
    """Write the adapter of a finished run as a folder to hand on.

    adapter.json names the skills with the digests of their trees, the base model, the data, the recipe, the versions,
    the evaluation with its intervals, and the digest of every file. No path of this machine is in it.
    """
    from skillpm.ops.learning.adapter import pack_adapter
    from skillpm.ops.learning.runs import find_run

    release = pack_adapter(find_run(command_context().settings, run), output)
    if as_json:
        echo_json({"output": str(output), "release": release.model_dump(mode="json", exclude_none=True)})
        return
    click.echo(output)
    if not release.evaluation:
        note(f"it has no evaluation: run `skillpm eval --run {shlex.quote(run.name)}` before")
    note(f"{count(len(release.files), 'file')}; `skillpm adapter verify {shlex.quote(str(output))}` checks it")


@command.command("verify", epilog="Example: skillpm adapter verify my-adapter")
@click.argument("folder", type=TypedPath(), metavar="DIR")
@json_option
def verify(folder: Path, as_json: bool) -> None:
    """Compare a packed adapter with its digests, and with the skills that are installed here."""
    from skillpm.ops.learning.adapter import check_adapter

    checked = check_adapter(command_context(), folder)
    if as_json:
        echo_json(
            {
                "release": checked.release.model_dump(mode="json", exclude_none=True),
                "outdated": {name: list(versions) for name, versions in checked.outdated.items()},
            }
        )
        return
    release = checked.release
    skills = ", ".join(f"{skill.name} {skill.version}" for skill in release.skills)
    click.echo(safe(f"{release.name}: {release.kind} of {release.base_model}, trained on {skills}"))
    if release.base_digest is not None:
        note(f"the base model's digest is {release.base_digest}")
    for name, (learned, here) in checked.outdated.items():
        note(safe(f"{name}: trained on {learned}, the skill here is {here} with another content"))

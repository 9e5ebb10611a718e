"""``skillpm adapter``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from skillpm.cli.complete import installed_names, run_names
from skillpm.cli.context import command_context
from skillpm.cli.misuse import Group
from skillpm.cli.output import count, json_option, note, print_json, progress, safe
from skillpm.cli.paths import TypedPath


@click.group("adapter", cls=Group, epilog="Example: skillpm adapter pack latest --output my-adapter")
def command() -> None:
    """Pack and check trained adapters."""


@command.command("pack", epilog="Example: skillpm adapter pack latest --output my-adapter")
@click.argument("run", type=TypedPath(), shell_complete=run_names, metavar="RUN")
@click.option("--output", "-o", type=TypedPath(), required=True, metavar="DIR", help="A new folder.")
@click.option("--name", metavar="NAME", default="", help="The package's name.  [default: SKILL-MODEL]")
@click.option(
    "--release", "version", metavar="VERSION", default="1.0.0", show_default=True, help="The package's version."
)
@json_option
def pack(run: Path, output: Path, name: str, version: str) -> None:
    """Write the adapter of a run as a package.

    `skillpm publish` publishes it like a skill.
    adapter.json names the skills with the digests of their trees, the base model, the data, the recipe, the versions,
    the evaluation with its intervals, and the digest of every file. The thresholds of `skillpm calibrate` are in it,
    too. No path of this machine is in it.
    """
    from skillpm.ops.learning.adapter import pack_adapter
    from skillpm.ops.learning.runs import find_run

    packed = pack_adapter(find_run(command_context().settings, run), output, name, version)
    release = packed.release
    document = release.model_dump(mode="json", exclude_none=True)
    if print_json({"output": str(output), "name": packed.name, "version": packed.version, "release": document}):
        return
    click.echo(output)
    if not release.evaluation:
        note(f"it has no evaluation: run `skillpm eval --run {shlex.quote(str(run))}` before")
    place = shlex.quote(str(output))
    note(f"{packed.name} {packed.version}, {count(len(release.files), 'file')}; `skillpm publish {place}` shares it")


@command.command("verify", epilog="Example: skillpm adapter verify my-adapter")
@click.argument("place", metavar="DIR|NAME", shell_complete=installed_names)
@click.option("--replay", is_flag=True, help="Ask the model the recorded answers again.")
@click.option("--model", "-m", metavar="MODEL", default="", help="The base model, if it has another name here.")
@json_option
def verify(place: str, replay: bool, model: str) -> None:
    """Check an adapter, packed or installed. Compares it with its digests and with the installed skills."""
    from skillpm.ops.learning.adapter import check_adapter, find_packed
    from skillpm.ops.learning.adapter import replay as asked_again

    context = command_context()
    folder = find_packed(context, place)
    checked = check_adapter(context, folder, model)
    replayed = asked_again(context, folder, checked.release, model, progress()) if replay or model else None
    release = checked.release
    document = release.model_dump(mode="json", exclude_none=True)
    more = {"outdated": checked.outdated, "replayed": replayed, "calibration": checked.calibration}
    if print_json({"release": document, **more}):
        return
    skills = ", ".join(f"{skill.name} {skill.version}" for skill in release.skills)
    click.echo(safe(f"{place}: {release.kind} of {release.base_model}, trained on {skills}"))
    if release.base_digest is not None:
        note(f"the base model's digest is {release.base_digest}")
        if not checked.base_compared:
            note(f"nothing here has it: `skillpm adapter verify {shlex.quote(place)} --model FOLDER` compares a model")
    if replayed:
        note(replayed)
    for name, skill in checked.calibration.skills.items() if checked.calibration else ():
        levels = {"acts from": skill.act, "refuses up to": skill.refuse}
        words = [f"{word} a confidence of {level.confidence:.4f}" for word, level in levels.items() if level]
        note(f"{name}: {', '.join(words) or 'no threshold'}, calibrated on {skill.answers} answers")
    for name, (learned, here) in checked.outdated.items():
        note(f"{name}: trained on {learned}, the skill here is {here} with another content")

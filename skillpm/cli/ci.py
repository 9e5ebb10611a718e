"""``skillpm ci init``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from skillpm.cli.common_options import is_set
from skillpm.cli.context import command_context
from skillpm.cli.options import registry_option
from skillpm.cli.output import json_option, tell
from skillpm.errors import UsageError


@click.command("init", epilog="Example: skillpm ci init github --registry https://skills.example.org")
@click.argument("system", type=click.Choice(["github", "gitlab"]))
@registry_option("Publish to this server: https://…, or the name of a registry in the settings.", required=True)
@click.option("--skills", default=".", show_default=True, help="The folder of the skills in this repository.")
@click.option("--trusted", is_flag=True, help="Log in with the identity of the CI job, not with a token.")
@click.option("--keyless", is_flag=True, help="Sign with the identity of the CI job, by Sigstore, not with a key.")
@click.option("--no-sign", is_flag=True, help="Publish without a signature; the page records it.")
@click.option("--model", default="", metavar="URL#MODEL", help="Measure skills with this model, and comment the lift.")
@click.option("--dry-run", is_flag=True, help="Print the workflow.")
@json_option
def command(system: str, registry: str, dry_run: bool, **flags: Any) -> None:
    """Write a workflow that validates, self-tests and publishes the skills of this repository.

    It checks on every change and publishes from the default branch. With --model, each change request gets a comment:
    what the model answers with and without the text of each skill. An existing workflow is never overwritten. `ci`
    alone stands for `sync --locked`.
    """  # fmt: skip
    from skillpm.ops.authoring.ci import Signing, System, WorkflowOptions, write_workflow

    place = command_context().settings.registries.get(registry, registry)
    if flags["keyless"] and flags["no_sign"]:
        raise UsageError("`--keyless` and `--no-sign` contradict each other", hint="use one of them")
    signing = Signing.NOBODY if flags["no_sign"] else Signing.KEYLESS if flags["keyless"] else Signing.KEY
    options = WorkflowOptions(place, flags["skills"], flags["trusted"], signing, flags["model"])
    path, text = write_workflow(System(system), options, Path.cwd(), dry_run=dry_run)
    if dry_run and not is_set("json"):
        click.echo(text, nl=False)
        return
    sentence = f"wrote {path}; its first lines say what it needs"
    tell({"path": path, "text": text, "written": not dry_run}, sentence, out=path)

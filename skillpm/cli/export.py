"""``skillpm export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from skillpm.cli.complete import known_names
from skillpm.cli.consent import agreed_skills, worker_options, yes_option
from skillpm.cli.context import command_context
from skillpm.cli.output import echo_json, json_option, safe
from skillpm.cli.paths import TypedPath
from skillpm.errors import UsageError


@click.command("export", epilog="Example: skillpm export nemo-gym incident-triage --output build/gym")
@click.argument("exporter")
@click.argument("skills", shell_complete=known_names, nargs=-1, metavar="[SKILL]...")
@click.option("--output", "-o", type=TypedPath(), metavar="DIR", help="A new folder for the files; a file for `sbom`.")
@yes_option
@worker_options
@json_option
def command(exporter: str, skills: tuple[str, ...], output: Path | None, as_json: bool, **agreement: Any) -> None:
    """Write SKILLs, by default all installed skills, with the EXPORTER of a plugin.

    `skillpm plugins` lists the plugins. docs/hooks.md explains how to write one. `sbom` is built in: it writes the bill
    of materials of skillpm.lock (CycloneDX 1.6), by default to stdout.
    """
    if exporter == "sbom":
        _write_bill(skills, output)
        return
    from skillpm.ops.learning.export import export, refuse_unknown

    refuse_unknown(command_context(), exporter)
    if output is None:
        raise UsageError("`--output` is missing", hint="add `--output DIR`, a new folder")
    context, chosen = agreed_skills(skills, **agreement)
    files = export(context, exporter, chosen, output)
    if as_json:
        echo_json({"output": str(output), "files": files})
        return
    for file in files:
        click.echo(safe(output / file))


def _write_bill(skills: tuple[str, ...], output: Path | None) -> None:
    from skillpm.ops.project.sbom import bill_of_materials
    from skillpm.storage.files import write_atomic

    if skills:
        raise UsageError("`sbom` lists the whole lock", hint="remove the names of skills")
    context = command_context()
    if not context.settings.lock_path.is_file():
        raise UsageError("there is no skillpm.lock here", hint="`skillpm install SKILL` or `skillpm lock` makes one")
    text = json.dumps(bill_of_materials(context), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
    else:
        write_atomic(output, f"{text}\n")
        click.echo(safe(output))

"""``skillpm export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.complete import known_names
from skillpm.cli.consent import code_options, grant_consents
from skillpm.cli.context import command_context
from skillpm.cli.output import json_option, note, print_json, safe, tell
from skillpm.cli.paths import TypedPath, output_file
from skillpm.errors import UsageError

if TYPE_CHECKING:
    from skillpm.ops.context import Context

_FORMS = {
    "tools": ("openai", "anthropic", "langchain"),
    "rows": ("messages", "tool-calls", "prompt-completion", "preferences", "parquet"),
}
"""The forms of the exporters that have some; the first is the default."""


@click.command("export", epilog="Example: skillpm export tools incident-triage --format openai")
@click.argument("exporter")
@click.argument("skills", shell_complete=known_names, nargs=-1, metavar="[SKILL]...")
@click.option("--output", "-o", type=TypedPath(), metavar="DIR", help="A new folder; a file for `sbom` and `tools`.")
@click.option(
    "--format",
    "-f",
    "form",
    type=click.Choice([form for forms in _FORMS.values() for form in forms]),
    help="The form of `tools`, by default openai, or of `rows`, by default messages.",
)
@click.option("--data", type=TypedPath(), metavar="DIR", help="A folder that `skillpm synth` wrote, for its rows.")
@click.option(
    "--recipe", "-r", type=TypedPath(exists=True, dir_okay=False), metavar="FILE", help="A recipe, for a trainer."
)
@code_options
@json_option
def command(
    exporter: str,
    skills: tuple[str, ...],
    output: Path | None,
    form: str | None,
    data: Path | None,
    recipe: Path | None,
) -> None:
    """Write SKILLs, by default all installed skills, with the EXPORTER of a plugin.

    `skillpm plugins` lists the plugins. docs/bridges.md describes those of plugins/skillpm-bridges. Three exporters are
    built in: `sbom` prints the bill of materials of skillpm.lock (CycloneDX 1.6), `tools` the tools of contracts as a
    model's server takes them, and `rows` writes the rows of --data as trainers read them.
    """
    if form is not None and form not in _FORMS.get(exporter, ()):
        fitting = next(name for name, forms in _FORMS.items() if form in forms)
        raise UsageError(f"`--format {form}` is for `{fitting}`", hint=f"`skillpm export {fitting} --format {form}`")
    from skillpm.ops.learning.export import export, refuse_unknown

    context = command_context()
    refuse_unknown(context, exporter)
    if recipe is not None and exporter in ("rows", "sbom", "tools"):
        raise UsageError(f"`{exporter}` takes no recipe", hint="remove `--recipe`")
    if exporter == "rows":
        _rows(skills, data, form or "messages", output)
        return
    if exporter in ("sbom", "tools"):
        if data is not None:
            raise UsageError(f"`{exporter}` takes no rows", hint="remove `--data`")
        _write(_bill(context, skills) if exporter == "sbom" else _tools(context, skills, form or "openai"), output)
        return
    if output is None:
        raise UsageError("`--output` is missing", hint="add `--output DIR`, a new folder")
    chosen = grant_consents(context, context.skills(skills))
    exported = export(context, exporter, chosen, output, data=data, recipe=recipe)
    left_out = {"left_out": exported.left_out} if exported.left_out else {}
    if print_json({"output": str(output), "files": exported.files, **left_out}):
        return
    for file in exported.files:
        click.echo(safe(output / file))
    for field in exported.left_out:
        note(f"no equivalent for {field}")


def _rows(skills: tuple[str, ...], data: Path | None, form: str, output: Path | None) -> None:
    from skillpm.ops.learning.export_rows import export_rows

    if skills:
        raise UsageError("`rows` takes every row of `--data`", hint="remove the names of skills")
    if data is None or output is None:
        hint = "`skillpm export rows --data DIR --format messages --output DIR`"
        raise UsageError("`rows` needs `--data DIR` and `--output DIR`", hint=hint)
    counts = export_rows(data, form, output)
    if print_json({"output": str(output), "rows": counts}):
        return
    for split, number in counts.items():
        click.echo(f"{safe(output)}: {number} rows of {split}")


def _bill(context: Context, skills: tuple[str, ...]) -> Any:
    from skillpm.ops.project.sbom import bill_of_materials

    if skills:
        raise UsageError("`sbom` lists the whole lock", hint="remove the names of skills")
    if not context.settings.lock_path.is_file():
        raise UsageError("there is no skillpm.lock here", hint="`skillpm install SKILL` or `skillpm lock` makes one")
    return bill_of_materials(context)


def _tools(context: Context, skills: tuple[str, ...], form: str) -> Any:
    from skillpm.ops.learning.export import tool_schemas

    return tool_schemas(context, skills, form)


def _write(document: Any, output: Path | None) -> None:
    """Print a document, or write it to a file and print the path."""
    from skillpm.storage.files import write_atomic

    text = json.dumps(document, indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
    else:
        write_atomic(output_file(output), f"{text}\n")
        tell({"output": output}, out=output)

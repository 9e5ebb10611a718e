"""``skillpm pack``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skillpm.cli.context import command_context
from skillpm.cli.findings import echo_finding
from skillpm.cli.options import allow_option
from skillpm.cli.output import json_option, note, print_json, safe, size
from skillpm.cli.paths import SkillPath, TypedPath
from skillpm.errors import LayoutError
from skillpm.formats.as_json import as_json
from skillpm.formats.listed import listed

if TYPE_CHECKING:
    from skillpm.ops.authoring.pack import Packed
    from skillpm.ops.context import Context

_SHOWN = 12  # names of what is left out


@click.command("pack", epilog="Example: skillpm pack skills/incident-triage --output build/")
@click.argument("path", type=SkillPath(), default=Path())
@click.option(
    "--output",
    "-o",
    default="",
    metavar="FILE|FOLDER/",
    help="The archive's path.  [default: NAME-VERSION.tar.gz here, or beside PATH from within it]",
)
@click.option("--list", "list_files", is_flag=True, help="List the files of the package; check and write nothing.")
@allow_option
@json_option
def command(path: Path, output: str, list_files: bool, allowed: tuple[str, ...]) -> None:
    """Check the skill in PATH and write its archive, as a registry keeps it.

    Leaves out what .gitignore and .skillpmignore name, secrets, editor state, caches and skillpm's own files. The same
    files give the same content digest on every machine. Runs no code of the skill.
    """
    if list_files:
        _list(path)
        return
    from skillpm.ops.authoring.pack import archive_target
    from skillpm.storage.files import write_atomic

    package = packed(command_context(), path, allowed=allowed)
    typed = TypedPath().convert(output, None, None) if output else None
    target = archive_target(package, f"{typed}/" if output.endswith("/") else str(typed or ""), Path.cwd())
    write_atomic(target, package.archive)
    if print_json(package, file=target):
        return
    click.echo(target)
    note_left_out(package.tree.uncounted())
    note(f"{package.name} {package.release.version}: {size(len(package.archive))}, tree {package.release.tree}")


def _list(path: Path) -> None:
    from skillpm.ops.authoring.pack import source_files

    tree = source_files(path)
    if print_json({"files": tree.paths(), "left_out": tree.uncounted()}):
        return
    for name in tree.paths():
        click.echo(safe(name))
    note_left_out(tree.uncounted())


def note_left_out(names: Sequence[str]) -> None:
    """Print what a package leaves out; a few names, and the number of the others."""
    if names:
        note(f"left out: {listed(names, _SHOWN)}")


def packed(context: Context, path: Path, owner: str = "", allowed: Sequence[str] = ()) -> Packed:
    """Pack a folder and print all findings of the check on stderr."""
    from skillpm.ops.authoring.pack import pack
    from skillpm.trust.allowance import Allowance

    try:
        package = pack(path, owner=owner, extra=context.host.layout_rules(), allow=Allowance.of(allowed))
    except LayoutError as error:
        for finding in error.details.get("findings", ()):
            echo_finding(path, finding, err=True)
        raise
    for finding in package.report.findings:
        echo_finding(path, as_json(finding), err=True)
    return package

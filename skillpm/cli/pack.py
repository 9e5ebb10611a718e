"""``skillpm pack``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from skillpm.cli.findings import echo_finding
from skillpm.cli.output import echo_json, json_option, note, size
from skillpm.cli.paths import TypedPath
from skillpm.formats.as_json import as_json

if TYPE_CHECKING:
    from skillpm.ops.authoring.pack import Packed


@click.command("pack", epilog="Example: skillpm pack skills/incident-triage --output build/")
@click.argument("path", type=TypedPath(), default=Path())
@click.option(
    "--output", default="", metavar="FILE|FOLDER/", help="The archive's path.  [default: NAME-VERSION.tar.gz]"
)
@json_option
def command(path: Path, output: str, as_json: bool) -> None:
    """Check the skill in PATH and write its archive, as a registry keeps it.

    The same files give the same bytes on every machine. Runs no code of the skill.
    """
    from skillpm.storage.files import write_atomic

    package = packed(path)
    target = TypedPath().convert(output, None, None)
    if output.endswith("/") or target.is_dir():
        target = target / package.file_name
    write_atomic(target, package.archive)
    if as_json:
        echo_json(package, file=target)
        return
    click.echo(target)
    note(f"{package.name} {package.release.version}: {size(package.release.size)}, sha256 {package.release.archive}")


def packed(path: Path, owner: str = "") -> Packed:
    """Pack a folder and print all findings of the check on stderr."""
    from skillpm.errors import LayoutError
    from skillpm.ops.authoring.pack import pack
    from skillpm.runtime.distributions import load_host
    from skillpm.settings import load_settings

    try:
        package = pack(path, owner=owner, extra=load_host(plugins=load_settings().plugins).layout_rules())
    except LayoutError as error:
        for finding in error.details.get("findings", ()):
            echo_finding(path, finding, err=True)
        raise
    for finding in package.report.findings:
        echo_finding(path, as_json(finding), err=True)
    return package

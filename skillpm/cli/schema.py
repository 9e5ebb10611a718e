"""``skillpm schema``."""

from __future__ import annotations

import click

from skillpm.cli.complete import schema_names
from skillpm.cli.context import command_context
from skillpm.cli.output import echo_json, json_option, table


@click.command("schema", epilog="Example: skillpm schema contract")
@click.argument("name", required=False, shell_complete=schema_names)
@json_option
def command(name: str | None, as_json: bool) -> None:
    """Print the JSON Schema of the document NAME. Without NAME, list the documents."""
    from skillpm.ops.machine.schema import DOCUMENTS, document_schema

    if name is not None:
        echo_json(document_schema(name, command_context()))
    elif as_json:
        echo_json([{"name": document, "where": where} for document, (_, where) in DOCUMENTS.items()])
    else:
        table(("name", "where"), [(document, where) for document, (_, where) in DOCUMENTS.items()])

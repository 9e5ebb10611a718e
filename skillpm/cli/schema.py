"""``skillpm schema``."""

from __future__ import annotations

import click

from skillpm.cli.complete import schema_names
from skillpm.cli.context import command_context
from skillpm.cli.output import echo_json, json_option, print_json, table


@click.command("schema", epilog="Example: skillpm schema contract")
@click.argument("name", required=False, shell_complete=schema_names)
@json_option
def command(name: str | None) -> None:
    """Print the JSON Schema of the document NAME. Without NAME, list the documents."""
    from skillpm.ops.machine.schema import DOCUMENTS, document_schema

    if name is not None:
        echo_json(document_schema(name, command_context()))
        return
    listed = {document: where for document, (_, where) in DOCUMENTS.items()}
    if not print_json([{"name": document, "where": where} for document, where in listed.items()]):
        table(("name", "where"), list(listed.items()))

"""The part of the site that is made when it is built: a page for each command and each document, and its navigation."""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from skillpm.cli.main import SECTIONS, main  # noqa: E402
from skillpm.ops.machine.schema import DOCUMENTS, document_schema  # noqa: E402

_OUTSIDE = re.compile(
    r"\[([^\]]+)\]\((?:\.\./)+(?!docs/)((?:benchmarks|skills|plugins|demo|registry|tests)/[^)]*|[A-Z]+\.md)\)"
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the decisions and the generated pages into the navigation."""
    for section in config.nav or ():
        items = next(iter(section.values()))
        if "Reference" in section:
            commands = [{title: [f"reference/{_file(name)}" for name in names]} for title, names in SECTIONS.items()]
            items += [{"Commands": ["reference/commands.md", *commands]}]
            items += [
                {"Documents": ["reference/documents.md", *(f"reference/document-{name}.md" for name in DOCUMENTS)]}
            ]
        if "Explanation" in section:
            pages = sorted(path.name for path in (ROOT / "docs/decisions").glob("*.md"))
            items[-1] = {"Decisions": [f"decisions/{name}" for name in pages]}
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, text in _pages():
        files.append(File.generated(config, f"reference/{name}", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Name what is in the checkout alone, instead of linking to it."""
    return _OUTSIDE.sub(r"\1 (`\2` of the checkout)", markdown)


def _pages() -> Iterator[tuple[str, str]]:
    root = click.Context(main, info_name="skillpm")
    lists = []
    for title, names in SECTIONS.items():
        lists += [f"## {title}\n", "| command | |\n|---|---|"]
        for name, (_, about) in names.items():
            command = main.get_command(root, name)
            assert command is not None
            lists.append(f"| [`skillpm {name}`]({_file(name)}) | {_cell(about)} |")
            yield _file(name), "\n\n".join(_command(click.Context(command, info_name=name, parent=root), 1)) + "\n"
        lists.append("")
    yield "commands.md", "# Commands\n\n" + "\n".join(lists)
    rows = [f"| [`{name}`](document-{name}.md) | {_cell(place)} |" for name, (_, place) in DOCUMENTS.items()]
    head = "# Documents\n\n`skillpm schema NAME` prints the JSON Schema of each.\n\n| name | is |\n|---|---|\n"
    yield "documents.md", head + "\n".join(rows) + "\n"
    for name, (_, place) in DOCUMENTS.items():
        yield f"document-{name}.md", _document(name, place)


def _file(command: str) -> str:
    return f"command-{command.replace(' ', '-')}.md"


def _command(context: click.Context, level: int) -> Iterator[str]:
    """Yield the parts of a command's page, and of those below it."""
    command = context.command
    yield f"{'#' * level} skillpm {context.command_path.removeprefix('skillpm ')}"
    yield from (_text(" ".join(part.split())) for part in (command.help or "").split("\n\n"))
    yield f"```\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```"
    records = [item for item in (parameter.get_help_record(context) for parameter in command.params) if item]
    if records:
        rows = (f"| `{names}` | {_cell(about)} |" for names, about in records)
        yield "\n".join(["| option | |\n|---|---|", *rows])
    if command.epilog:
        yield f"```sh\n{command.epilog.removeprefix('Example: ')}\n```"
    for name in command.list_commands(context) if isinstance(command, click.Group) else ():
        inner = command.get_command(context, name)
        assert inner is not None
        yield from _command(click.Context(inner, info_name=name, parent=context), level + 1)


def _document(name: str, place: str) -> str:
    """Return the page of a document: a table for each of its models."""
    schema = document_schema(name)
    parts = [f"# {name}", f"It is {_text(place)}. `skillpm schema {name}` prints its JSON Schema."]
    parts += _model(schema)
    for title, inner in schema.get("$defs", {}).items():
        parts += [f"## {title}", *_model(inner)] if title != "Json" else []
    return "\n\n".join(parts) + "\n"


def _model(schema: Mapping[str, Any]) -> Iterator[str]:
    about, _, attributes = schema.get("description", "").partition("Attributes:")
    said = dict(re.findall(r"^    (\w+): ((?:.|\n {8})*)", attributes, re.MULTILINE))
    if about.strip():
        yield _text(" ".join(about.split()))
    if "properties" not in schema:
        yield f"It is: {_type(schema)}."
    required = schema.get("required", ())
    rows = []
    for name, inner in schema.get("properties", {}).items():
        default = "required" if name in required else f"`{inner['default']!r}`" if inner.get("default") else ""
        text = said.get(name) or inner.get("description", "").partition("\n")[0]
        rows.append(f"| `{name}` | {_type(inner)} | {default} | {_cell(' '.join(text.split()))} |")
    if rows:
        yield "\n".join(["| key | type | default | |\n|---|---|---|---|", *rows])


def _type(schema: Any) -> str:
    """Return a JSON Schema in words, with links to the models that it names."""
    if not isinstance(schema, dict):
        return "anything"
    if "$ref" in schema:
        title = schema["$ref"].rpartition("/")[2]
        return f"[{title}](#{title.lower()})" if title != "Json" else "JSON"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(map(_type, schema[several])))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and "additionalProperties" in schema:
        return f"object of {_type(schema['additionalProperties'])}"
    bounds = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]}" for key, sign in bounds.items() if key in schema]
    return _cell(" ".join([str(schema.get("type", "anything")), *limits]))


def _text(text: str) -> str:
    """Return a text whose angle brackets and stars are signs, outside of code."""
    pieces = re.split(r"(`+[^`]*`+)", text)
    return "".join(piece if index % 2 else html.escape(piece, quote=False) for index, piece in enumerate(pieces))


def _cell(text: str) -> str:
    pieces = re.split(r"(`+[^`]*`+)", _text(text))
    return "".join(piece if index % 2 else piece.replace("|", "\\|") for index, piece in enumerate(pieces))

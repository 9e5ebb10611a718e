"""Make a new skill: the whole folder appears at once, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from skillpm.errors import DocumentError, UsageError
from skillpm.formats.printable import printable
from skillpm.layout.skeleton import Kind, skeleton
from skillpm.model.name import parse_name
from skillpm.storage.files import DiskErrors, refuse_unending, write_atomic
from skillpm.storage.whole_folder import whole_folder

if TYPE_CHECKING:
    from skillpm.programs.draft import Draft
    from skillpm.programs.operations import Operation
    from skillpm.programs.skill import About

Api = Literal["tools", "mcp", "openapi"]
_MOST_BYTES = 16 << 20  # of a description of an API
_KEPT = "\n\t\u200c\u200d"  # lines, and what joins or parts letters and emoji
PROGRAM_FILE = "references/program.json"  # what a program was when its skill was written


def create_skill(name: str, directory: Path, kind: Kind = Kind.CLI, *, minimal: bool = False) -> Path:
    """Write a new skill of a kind into ``directory/name`` and return that folder.

    Raises:
        UsageError: the name is not valid, or a file of that name exists.
        StorageError: the disk refused; nothing is left behind.
    """
    target = _target(name, directory)
    return _write(target, skeleton(name, kind, minimal=minimal))


def create_from_program(
    name: str,
    directory: Path,
    program: str,
    commands: tuple[tuple[str, ...], ...] = (),
    *,
    warn: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write a skill for a program that is installed here, into ``directory/name``, and return that folder.

    Only the help and the parser of ``program``, a name or a path, are read; none of its commands runs. ``commands`` are
    the subcommands that get a tool, each as its words; by default the first ones. ``warn`` takes a sentence about what
    was left out.

    Raises:
        UsageError: the name is not valid, a file of that name exists, or nothing can be read of the program.
        StorageError: the disk refused; nothing is left behind.
    """
    from skillpm.programs.accepted import accepted
    from skillpm.programs.ask import Asker
    from skillpm.programs.from_program import drafts
    from skillpm.programs.read import CommandChoice, parser_problems, read_program
    from skillpm.programs.skill import About, skill_files

    target = _target(name, directory)
    read = read_program(Asker(program), CommandChoice(commands), warn)
    tools = accepted(drafts(read), partial(parser_problems, program), warn) if read.source != "help" else drafts(read)
    cut = [draft.name for draft in tools if draft.left_out]
    if cut:
        said = "options that are less used, or whose values are not known"
        warn(f"{said}, are left out of {', '.join(cut)}; README.md lists them")
    about = About(
        name=name,
        subject=read.name,
        summary=read.description or f"Calls {read.name}",
        origin=f"`{read.name}`, read from its {'help' if read.source == 'help' else f'{read.source} parser'}",
        programs=(read.name,),
        files={PROGRAM_FILE: read.model_dump_json(indent=1, exclude_defaults=True) + "\n"},
    )
    return _write(target, skill_files(about, tools, runs_of))


def create_from_api(
    name: str,
    directory: Path,
    source: Path | tuple[str, ...],
    form: Api,
    chosen: tuple[str, ...] = (),
    *,
    warn: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write a skill for an API that a source describes, into ``directory/name``, and return that folder.

    The source is a file of JSON or YAML, or the words that start an MCP server, which is then asked in the sandbox.
    ``chosen`` are the tools that it is for, by default all, or the first ones of which a
    skill can hold the text. ``warn`` takes a sentence about each thing that the contract cannot take.

    Raises:
        UsageError: the name is not valid, a file of that name exists, or the API has not a tool that was chosen.
        DocumentError: the source is not what it should be, or holds nothing that a contract can take.
        StorageError: the file cannot be read, or the disk refused; nothing is left behind.
    """
    from skillpm.programs.operation_drafts import drafts_of
    from skillpm.programs.operations import operations_of_openapi, operations_of_tools
    from skillpm.programs.skill import About

    target = _target(name, directory)
    origin, shown = (str(source), source.name) if isinstance(source, Path) else (" ".join(source),) * 2
    try:
        document = _api_document(_described(source), origin) if isinstance(source, Path) else _served(source)
        document = _visible(document)
        reader = operations_of_openapi if form == "openapi" else operations_of_tools
        tools = drafts_of(_chosen(list(reader(document, warn)), chosen), warn)
        info = document.get("info") if isinstance(document, dict) else None
        title = str(info.get("title") or name) if isinstance(info, dict) else name
        about = About(name=name, subject=title, summary=f"Calls of {title}", origin=f"`{shown}`")
        return _write(target, _files_that_fit(about, tools, warn))
    except DocumentError as error:
        raise DocumentError(error.rule, path=error.path or origin, line=error.line, hint=error.hint) from None


def _visible(value: Any) -> Any:
    """Return a document whose texts and keys have no controls of a terminal, and nothing else that nobody sees."""
    if isinstance(value, str):
        return printable(value, keep=_KEPT)
    if isinstance(value, list):
        return [_visible(item) for item in value]
    if isinstance(value, dict):
        return {printable(key, keep=_KEPT): _visible(item) for key, item in value.items()}
    return value


def _described(file: Path) -> str:
    if not file.exists() or file.is_dir():
        raise UsageError(f"no file {file}", hint="name the file that describes the API")
    refuse_unending(file)
    with DiskErrors("read", file), file.open("rb") as opened:
        return opened.read(_MOST_BYTES).decode("utf-8", "replace")


def _served(words: tuple[str, ...]) -> Any:
    from skillpm.programs.mcp_tools import tools_of_server

    return {"tools": tools_of_server(words)}


def _chosen(operations: list[Operation], names: tuple[str, ...]) -> list[Operation]:
    """Return the operations of these names, or all without names. Raises UsageError for a name that none has."""
    if not names or not operations:
        return operations
    known = {operation.name: operation for operation in operations}
    for name in names:
        if name not in known:
            near = ", ".join(get_close_matches(name, known) or list(known)[:5])
            raise UsageError(f"the API has no tool `{name}`", hint=f"the nearest names are: {near}")
    return [known[name] for name in dict.fromkeys(names)]


def _files_that_fit(about: About, tools: list[Draft], warn: Callable[[str], None]) -> dict[str, bytes]:
    """Return the files of a skill for as many of the first tools as its readers take.

    Raises:
        DocumentError: they take none of the tools.
    """
    from skillpm.formats.strict_yaml import MAX_DOCUMENT
    from skillpm.programs.skill import skill_files

    while tools:
        firsts = [place for place, draft in enumerate(tools) if not draft.rule]  # its other drafts follow
        taken = len(firsts)
        while taken:
            files = skill_files(about, tools[: [*firsts, len(tools)][taken]], runs_of)
            path = max(files, key=lambda path: len(files[path]))
            if len(files[path]) <= MAX_DOCUMENT:
                if taken < len(firsts):
                    told = f"only the first {taken} of {len(firsts)} tools are taken, the most that {path} holds"
                    warn(f"{told}; see `--command`")
                return files
            taken = min(taken - 1, max(1, int(taken * 0.95 * MAX_DOCUMENT / len(files[path]))))
        warn(f"left out: the tool {tools[0].name}: {path} cannot hold its {len(files[path]):,} bytes of text")
        tools = tools[[*firsts, len(tools)][1] :]
    raise DocumentError("no tool fits into a skill", hint="shorten the descriptions of its parameters")


def _api_document(text: str, path: str) -> Any:
    """Return what JSON or YAML describes. Raises DocumentError."""
    from pydantic import TypeAdapter

    from skillpm.formats.document import Json
    from skillpm.formats.strict import strict_json
    from skillpm.formats.strict_yaml import MAX_DOCUMENT, read_yaml

    try:
        return strict_json(text)
    except ValueError as error:
        if (recorded := _recorded_tools(text)) is not None:
            return recorded
        if len(text) <= MAX_DOCUMENT:
            return TypeAdapter(Json).validate_python(read_yaml(text, path=path))
        raise DocumentError(
            f"not JSON, and too large for YAML: {error}", path=path, hint="write it as JSON, up to 16 MiB"
        ) from None


def _recorded_tools(text: str) -> Any:
    """Return the tools in all that an MCP server printed: pages of them, among notifications and words of its own.

    None where no line is the answer of a server. The last page says whether the list goes on.
    """
    from skillpm.formats.strict import strict_json

    found: dict[str, Any] | None = None
    for line in text.split("\n"):  # a text in JSON may have what Python calls other ends of a line
        try:
            message = strict_json(line.removeprefix("data:").strip())  # as streamable HTTP writes it
        except ValueError:
            continue
        if not isinstance(message, dict):
            continue
        answer = message.get("result", message)
        if isinstance(answer, dict) and isinstance(answer.get("tools"), list):
            before = found.get("tools", []) if found else []
            found = {"tools": [*before, *answer["tools"]], "nextCursor": answer.get("nextCursor")}
        elif "error" in message and found is None:
            found = message
    return found


def runs_of(request: str) -> list[tuple[str, ...]]:
    """Return the runs of words by which synthesis recognises what a suite asks."""
    from skillpm.synth.contamination import runs, skeleton
    from skillpm.synth.dedupe import normal_form

    return [*runs(skeleton(normal_form(request)))]


def _target(name: str, directory: Path) -> Path:
    if "/" in parse_name(name):
        raise UsageError(f"`{name}` has an owner in front", hint="remove the owner; `skillpm publish --owner` adds it")
    target = directory / name
    if os.path.lexists(target):
        raise UsageError(f"{target} already exists", hint="choose another name, or remove it first")
    return target


def _write(target: Path, files: Mapping[str, bytes]) -> Path:
    with whole_folder(target, "NAME") as folder:
        for path, content in files.items():
            write_atomic(folder / path, content)
    return target

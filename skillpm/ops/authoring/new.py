"""Make a new skill: the whole folder appears at once, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.layout.skeleton import Kind, skeleton
from skillpm.model.name import parse_name
from skillpm.storage.files import storage_error, write_atomic

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

    Args:
        name: of the skill.
        directory: the parent of the new folder.
        program: its name or path. Only its help and its parser are read; none of its commands runs.
        commands: the subcommands that get a tool, each as its words; the first ones where there are none.
        warn: takes a sentence about what was left out.

    Raises:
        UsageError: the name is not valid, a file of that name exists, or nothing can be read of the program.
        StorageError: the disk refused; nothing is left behind.
    """
    from skillpm.programs.accepted import accepted
    from skillpm.programs.from_program import drafts
    from skillpm.programs.read import Wanted, parser_problems, read_program
    from skillpm.programs.skill import About, skill_files

    target = _target(name, directory)
    read = read_program(program, Wanted(commands), warn)
    tools = accepted(drafts(read), partial(parser_problems, program)) if read.source != "help" else drafts(read)
    cut = [draft.name for draft in tools if draft.left_out]
    if cut:
        warn(f"options that are less used are left out of {', '.join(cut)}; README.md lists them")
    about = About(
        name=name,
        subject=read.name,
        summary=read.description or f"Calls {read.name}",
        origin=f"`{read.name}`, read from its {'help' if read.source == 'help' else f'{read.source} parser'}",
        programs=(read.name,),
        files={PROGRAM_FILE: read.model_dump_json(indent=1, exclude_defaults=True) + "\n"},
    )
    return _write(target, skill_files(about, tools))


def _target(name: str, directory: Path) -> Path:
    if "/" in parse_name(name):
        raise UsageError(f"`{name}` has an owner in front", hint="remove the owner; `skillpm publish --owner` adds it")
    target = directory / name
    if os.path.lexists(target):
        raise UsageError(f"{target} already exists", hint="choose another name, or remove it first")
    return target


def _write(target: Path, files: Mapping[str, bytes]) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
            draft = Path(temporary) / target.name
            for path, content in files.items():
                write_atomic(draft / path, content)
            draft.rename(target)
    except OSError as error:
        raise storage_error("make", target, error) from None
    return target

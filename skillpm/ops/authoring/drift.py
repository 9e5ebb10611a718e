"""Compare a skill with the programs that it is for, as they are installed here."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from pydantic import ValidationError

from skillpm.errors import DocumentError, UsageError
from skillpm.layout.package import Package
from skillpm.layout.source_tree import skill_tree
from skillpm.model.skill import Skill
from skillpm.ops.authoring.new import PROGRAM_FILE
from skillpm.programs.ask import Asker
from skillpm.programs.drift import Difference, Use, anywhere, differences, missing, uses_of_text, uses_of_tools
from skillpm.programs.program import Command, Program
from skillpm.programs.read import CommandChoice, help_texts, read_program

_BYTES = 16 << 20  # of references/program.json
_SECONDS = 90.0  # to read a command, and to read the program


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs between a skill and its programs.

    Attributes:
        programs: that were compared.
        absent: that are not installed here.
        unread: why each of the others could not be compared.
    """

    name: str
    programs: tuple[str, ...]
    absent: tuple[str, ...]
    unread: tuple[str, ...]
    differences: tuple[Difference, ...]


def drift(skill: Skill) -> Drift:
    """Compare contract, SKILL.md and ``references/program.json`` of a skill with the programs that it names.

    Raises:
        UsageError: the skill names no program, or none of them is installed and says what it takes.
        DocumentError: a document of the skill cannot be read.
    """
    tree = skill_tree(skill)
    package = Package(tree)
    contract = package.contract if "contract.yaml" in tree.paths() else None
    if contract is not None and contract.value is None:
        raise contract.errors[0]
    tools = contract.value.tools if contract is not None and contract.value is not None else ()
    record = _record(tree.read(PROGRAM_FILE) if PROGRAM_FILE in tree.paths() else None)
    uses = list(uses_of_tools(tools))
    names = dict.fromkeys([*(use.program for use in uses if use.program), *([record.name] if record else [])])
    uses += uses_of_text(tree.read("SKILL.md").decode(errors="replace"), names)
    if not names:
        raise UsageError(f"{skill.name} runs no program", hint="`drift` is for skills whose contract has an `argv`")
    present = [name for name in names if shutil.which(name)]
    absent = tuple(name for name in names if name not in present)
    if not present:
        raise UsageError(f"{', '.join(absent)} is not installed", hint="install it, and run `skillpm drift` again")
    found: list[Difference] = []
    unread: dict[str, UsageError] = {}
    for name in present:
        own = record if record is not None and record.name == name else None
        try:
            found += _of_program(name, own, [use for use in uses if use.program == name])
        except UsageError as error:
            unread[name] = error
    if len(unread) == len(present):
        raise unread[present[0]]
    compared = tuple(name for name in present if name not in unread)
    reasons = tuple(error.message for error in unread.values())
    return Drift(skill.name, compared, absent, reasons, tuple(dict.fromkeys(found)))


def _record(content: bytes | None) -> Program | None:
    if content is None:
        return None
    try:
        return Program.model_validate_json(content[:_BYTES])
    except ValidationError:
        hint = "write the skill again with `skillpm new --from-cli`, or remove the file"
        raise DocumentError("is not a program as `new` writes it", path=PROGRAM_FILE, hint=hint) from None


def _of_program(name: str, record: Program | None, uses: list[Use]) -> list[Difference]:
    """Return what differs between a skill and a program. Raises UsageError where the program does not say what it is.

    A program that hangs, or cannot be started, has lost no option.
    """
    known = tuple(command.words for command in record.commands if command.words) if record else ()
    wanted = dict.fromkeys((*known, *(use.words for use in uses if use.file != "SKILL.md" and use.words)))
    asked = tuple(dict.fromkeys(use.words or () for use in uses)) or ((),)
    asker = Asker(name, seconds=_SECONDS * (len(asked) + 1))
    texts = dict(zip(asked, asker.side_by_side(lambda words: help_texts(asker, words), asked), strict=True))
    try:
        now = read_program(asker, CommandChoice(tuple(wanted), missing_ok=True))
    except UsageError:  # it lists no option, as `top`: its text is searched all the same
        now = Program(name=name, commands=())
    said = next((line.strip()[:120] for text in texts.values() for line in text.splitlines() if line.strip()), "")
    if not said or (record is not None and not now.commands and not now.names):
        printed = f"prints `{said}`" if said else "prints nothing"
        raise UsageError(f"`{name}` lists no option: it {printed}", hint=f"look at `{name} --help`")
    found: list[Difference] = []
    if record is not None:
        _check_source(record, now, asker)
        kept = now.model_copy(
            update={"commands": tuple(item for item in now.commands if item.words in known or not known)}
        )
        found += differences(record, kept, PROGRAM_FILE)
    commands = {command.words: command for command in now.commands}
    whole = anywhere(now.commands)
    for use in uses:
        if use.words is None:
            found += missing(use, whole, "".join(texts.values()) + _flags(whole))
            continue
        if record is not None and use.words in known and use.words not in commands:
            continue  # the command is gone, which is said already
        command = commands.get(use.words)
        found += missing(use, command, texts[use.words] + _flags(command))
    return found


def _check_source(record: Program, now: Program, asker: Asker) -> None:
    """Refuse to compare what a parser says with what its help says. Raises UsageError."""
    if record.source != "help" and now.source == "help" and asker.python() is not None:
        raise UsageError(
            f"the parser of `{now.name}`, from which the skill was written, cannot be read now",
            hint=f"look at `{now.name} --help`; if it has another parser, write the skill again",
        )


def _flags(command: Command | None) -> str:
    return "".join(f" {name} " for option in command.options for name in option.names) if command else ""

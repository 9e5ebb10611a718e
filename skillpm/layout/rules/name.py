"""SK202 to SK209 and SK220: the name, as the Agent Skills specification has it, and as a folder can bear it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from skillpm.layout.rule import RuleSet, Scope
from skillpm.layout.rules.fields import fields_of, required_text, text_of
from skillpm.layout.subject import Subject
from skillpm.model.finding import Problem
from skillpm.model.name import WINDOWS_DEVICES, is_name

NAME_LENGTH = 64  # characters
NAME_HINT = "lowercase letters, digits and single hyphens, 1 to 64 characters"

RULES = RuleSet(Scope.FRONTMATTER)


def _name(subject: Subject) -> tuple[str, int]:
    """Return the name in its composed form, empty where there is none, and its line."""
    return subject.name, fields_of(subject).lines.get("name", subject.parts.line)


@RULES.error("SK202", "no name", why="`name` is required: it is what a client lists and what a user types.")
def no_name(subject: Subject) -> Iterator[Problem]:
    """Missing, empty or not text."""
    yield from required_text(subject, "name")


@RULES.strict_error("SK203", "name longer than 64 characters", why="The specification allows 64.")
def long_name(subject: Subject) -> Iterator[Problem]:
    """Counted in characters of the composed form."""
    name, line = _name(subject)
    if len(name) > NAME_LENGTH:
        yield Problem(f"the name has {len(name)} characters, {NAME_LENGTH} are allowed", line, hint=NAME_HINT)


@RULES.strict_error(
    "SK204",
    "name not in lower case",
    why="The specification allows lowercase letters only, so that a name is one name everywhere.",
)
def upper_case_name(subject: Subject) -> Iterator[Problem]:
    """Any letter that has a lower case."""
    name, line = _name(subject)
    if name != name.lower():
        yield Problem(f"the name `{name[:80]}` must be lowercase", line, hint=_better(name))


@RULES.strict_error(
    "SK205",
    "hyphen at an end of the name",
    why="The specification forbids it; a leading hyphen is taken for an option.",
)
def outer_hyphen(subject: Subject) -> Iterator[Problem]:
    """The first or the last character."""
    name, line = _name(subject)
    if name.startswith("-") or name.endswith("-"):
        yield Problem("the name must not start or end with a hyphen", line, hint=NAME_HINT)


@RULES.strict_error("SK206", "two hyphens in a row in the name", why="The specification forbids it.")
def double_hyphen(subject: Subject) -> Iterator[Problem]:
    """``--`` anywhere."""
    name, line = _name(subject)
    if "--" in name:
        yield Problem("the name must not hold two hyphens in a row", line, hint=NAME_HINT)


@RULES.strict_error(
    "SK207", "other characters in the name", why="The specification allows letters, digits and hyphens."
)
def other_characters(subject: Subject) -> Iterator[Problem]:
    """Neither alphanumeric (of any script) nor a hyphen."""
    name, line = _name(subject)
    other = sorted({character for character in name if not (character.isalnum() or character == "-")})
    if other:
        listed = " ".join(f"`{character}`" for character in other[:8])
        yield Problem(f"the name holds {listed}: only letters, digits and hyphens are allowed", line, hint=NAME_HINT)


@RULES.strict_error(
    "SK208",
    "name differs from the folder",
    why="Clients find a skill by one or by the other; where they differ, it answers to two names.",
)
def other_folder(subject: Subject) -> Iterator[Problem]:
    """Compared in the composed form; not looked at where there is no folder."""
    name, line = _name(subject)
    folder = unicodedata.normalize("NFKC", subject.folder) if subject.folder is not None else name
    if name and name != folder:
        yield Problem(
            f"the name `{name[:80]}` must equal the folder's name `{folder[:80]}`", line, hint="rename one of them"
        )


@RULES.install_error(
    "SK209",
    "name is not safe as a path",
    why="A client that makes a folder of this name would write outside its skills, or not at all.",
)
def unsafe_name(subject: Subject) -> Iterator[Problem]:
    """Separators, NUL, dots only, or a device of Windows."""
    name, line = _name(subject)
    separators = any(character in name for character in "/\\\0:")
    if separators or (name and not name.strip(".")) or name.lower() in WINDOWS_DEVICES:
        yield Problem(f"the name `{name[:80]}` is not safe as a folder's name", line, hint=NAME_HINT)


@RULES.warning(
    "SK220", "white space around the name", why="A client that does not strip it knows the skill by another name."
)
def padded_name(subject: Subject) -> Iterator[Problem]:
    """White space inside of the quotes."""
    fields = fields_of(subject)
    name = text_of(fields, "name")
    if name and name != fields["name"].rstrip("\n"):
        yield Problem("white space surrounds the name", fields.lines["name"], hint="remove it")


@RULES.install_error(
    "SK221",
    "name that cannot be installed",
    why="Names that travel through locks, registries and folders are plain ASCII in lower case.",
)
def no_package_name(subject: Subject) -> Iterator[Problem]:
    """Not lowercase ASCII letters, digits and single hyphens, or a device of Windows."""
    name = text_of(fields_of(subject), "name")
    if name is not None and ("/" in name or not is_name(name)):
        message = f"the name `{name[:80]}` cannot be installed: only {NAME_HINT} can"
        yield Problem(message, _name(subject)[1], hint=_better(name))


def _better(name: str) -> str:
    """Return the hint with the nearest name that can be installed, or the grammar if there is none."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    better = re.sub("[^a-z0-9]+", "-", plain).strip("-")[:NAME_LENGTH].strip("-")
    return f"call it `{better}`" if is_name(better) else NAME_HINT

"""SK1: can the frontmatter be found, and is it YAML?"""

from __future__ import annotations

from collections.abc import Iterator

from skillpm.layout.frontmatter import BYTE_ORDER_MARK
from skillpm.layout.rule import Problem, Rule, Scope, rule
from skillpm.layout.subject import Subject
from skillpm.model.finding import Severity

__all__ = ["RULES"]

EXAMPLE = "begin the file with `---`, `name: …`, `description: …`, `---`"


@rule(
    "SK101",
    "no frontmatter",
    scope=Scope.TEXT,
    why="Name and description stand in the frontmatter; clients skip a skill without it.",
)
def no_frontmatter(subject: Subject) -> Iterator[Problem]:
    """The first line is not ``---``, and not merely blank lines stand before it."""
    parts = subject.parts
    if parts.leading is None:
        yield Problem("must start with YAML frontmatter (---)", 1, hint=EXAMPLE)
    elif parts.leading.removeprefix(BYTE_ORDER_MARK).strip():
        hint = f"move what stands before line {parts.line - 1} below the frontmatter"
        yield Problem("text stands before the frontmatter", 1, hint=hint if parts.yaml is not None else EXAMPLE)


@rule(
    "SK102",
    "blank lines before the frontmatter",
    lenient=Severity.WARNING,
    scope=Scope.TEXT,
    why="The specification begins the file with `---`; some clients look at the first three bytes only.",
)
def blank_before_frontmatter(subject: Subject) -> Iterator[Problem]:
    """White space before the first ``---``."""
    leading = (subject.parts.leading or "").removeprefix(BYTE_ORDER_MARK)
    if leading and not leading.strip():
        yield Problem("blank lines stand before the frontmatter", 1, hint="remove them")


@rule(
    "SK103",
    "frontmatter not closed",
    scope=Scope.TEXT,
    why="Without the second `---` all of the text is taken for YAML.",
)
def unclosed_frontmatter(subject: Subject) -> Iterator[Problem]:
    """The second ``---`` line is missing."""
    parts = subject.parts
    if parts.yaml is None and parts.leading is not None and not parts.leading.removeprefix(BYTE_ORDER_MARK).strip():
        line = max(parts.line - 1, 1)
        yield Problem("the frontmatter is not closed with ---", line, hint="put `---` alone on the line after it")


@rule(
    "SK104",
    "frontmatter is not YAML",
    scope=Scope.TEXT,
    why="Clients skip a skill whose frontmatter they cannot parse; aliases and tags are attacks on parsers.",
)
def not_yaml(subject: Subject) -> Iterator[Problem]:
    """Not even with quotes around its values. Duplicate keys, anchors, tags and deep nesting count as not YAML."""
    frontmatter = subject.frontmatter
    if frontmatter.error and not frontmatter.readable:
        line = frontmatter.error.line or subject.parts.line
        hint = "quote values that hold `: ` or begin with one of * & ! % @ ` [ {"
        yield Problem(frontmatter.error.rule, line, hint=hint)


@rule(
    "SK105",
    "a value needs quotes",
    lenient=Severity.WARNING,
    scope=Scope.TEXT,
    why="As it stands the frontmatter is not YAML; only clients that quote the value and try again load it.",
)
def needs_quotes(subject: Subject) -> Iterator[Problem]:
    """An unquoted colon, or a first character that YAML reserves."""
    frontmatter = subject.frontmatter
    for line in frontmatter.quoted:
        reason = frontmatter.error.rule if frontmatter.error else "not YAML"
        yield Problem(f"the value needs quotes ({reason})", line, hint="put double quotes around the value")


@rule(
    "SK106",
    "frontmatter is not a mapping",
    scope=Scope.TEXT,
    why="Fields are found by name.",
)
def not_a_mapping(subject: Subject) -> Iterator[Problem]:
    """A list, a text or nothing between the two lines."""
    if subject.parts.yaml is not None and subject.frontmatter.readable and subject.fields is None:
        yield Problem("the frontmatter must be a YAML mapping", subject.parts.line, hint=EXAMPLE)


RULES: tuple[Rule, ...] = (
    no_frontmatter,
    blank_before_frontmatter,
    unclosed_frontmatter,
    not_yaml,
    needs_quotes,
    not_a_mapping,
)

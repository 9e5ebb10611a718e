"""SK1: can the frontmatter be found, and is it YAML?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from skillpm.layout.frontmatter import BYTE_ORDER_MARK
from skillpm.layout.rule import RuleSet, Scope
from skillpm.layout.rules import fields, name
from skillpm.layout.subject import Subject
from skillpm.model.finding import Problem, Severity

_BEYOND = {
    "FlowSequenceStartToken": "a list in brackets",
    "FlowMappingStartToken": "a mapping in braces",
    "TagToken": "a tag",
}
_ESCAPE = re.compile(
    r"""\\(?:(?P<known>[0abt\tnvfre "/\\N_LP]|x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|\Z)|.)"""
)  # of YAML's double quotes
EXAMPLE = "begin the file with `---`, `name: …`, `description: …`, `---`"

RULES = RuleSet(Scope.TEXT)


@RULES.error(
    "SK101", "no frontmatter", why="The frontmatter holds name and description; clients skip a skill without it."
)
def no_frontmatter(subject: Subject) -> Iterator[Problem]:
    """The first line is not ``---``, and not merely blank lines stand before it."""
    parts = subject.parts
    if parts.leading is None:
        yield Problem("must start with YAML frontmatter (---)", 1, hint=EXAMPLE)
    elif parts.leading.removeprefix(BYTE_ORDER_MARK).strip():
        hint = f"move what stands before line {parts.line - 1} below the frontmatter"
        yield Problem("there is text before the frontmatter", 1, hint=hint if parts.yaml is not None else EXAMPLE)


@RULES.strict_error(
    "SK102",
    "blank lines before the frontmatter",
    why="The specification begins the file with `---`; some clients look at the first three bytes only.",
)
def blank_before_frontmatter(subject: Subject) -> Iterator[Problem]:
    """White space before the first ``---``."""
    leading = (subject.parts.leading or "").removeprefix(BYTE_ORDER_MARK)
    if leading and not leading.strip():
        yield Problem("there are blank lines before the frontmatter", 1, hint="remove them")


@RULES.error("SK103", "frontmatter not closed", why="Without the second `---` all of the text is taken for YAML.")
def unclosed_frontmatter(subject: Subject) -> Iterator[Problem]:
    """The second ``---`` line is missing."""
    parts = subject.parts
    if parts.yaml is None and parts.leading is not None and not parts.leading.removeprefix(BYTE_ORDER_MARK).strip():
        line = max(parts.line - 1, 1)
        yield Problem("the frontmatter is not closed with ---", line, hint="put `---` alone on the line after it")


@RULES.error(
    "SK104",
    "frontmatter is not YAML",
    why="Clients skip a skill whose frontmatter they cannot parse; aliases and tags are attacks on parsers.",
)
def not_yaml(subject: Subject) -> Iterator[Problem]:
    """Not even with quotes around its values. Duplicate keys, anchors, tags and deep nesting count as not YAML."""
    frontmatter = subject.frontmatter
    if frontmatter.error and not frontmatter.readable:
        line = frontmatter.error.line or subject.parts.line
        hint = "quote values that hold `: ` or begin with one of * & ! % @ ` [ {"
        yield Problem(frontmatter.error.rule, line, hint=hint)


@RULES.strict_error(
    "SK105",
    "a value needs quotes",
    why="The frontmatter is not YAML; only clients that quote the value and try again load it.",
)
def needs_quotes(subject: Subject) -> Iterator[Problem]:
    """An unquoted colon, a first character that YAML reserves, or quotes that do not hold the value."""
    frontmatter, parts = subject.frontmatter, subject.parts
    reason = frontmatter.error.rule if frontmatter.error else "not YAML"
    lines = (parts.yaml or "").split("\n")
    for line in frontmatter.quoted:
        value = lines[line - parts.line].partition(":")[2].strip()
        if value[:1] in ("'", '"'):
            yield _wrong_quotes(value, line, reason)
        else:
            yield Problem(f"the value needs quotes ({reason})", line, hint="put double quotes around the value")


def _wrong_quotes(value: str, line: int, reason: str) -> Problem:
    """Say what is wrong with a value that has quotes, and is not YAML."""
    unknown = next((match[0] for match in _ESCAPE.finditer(value) if match["known"] is None), None)
    if value[0] == '"' and unknown is not None:
        message = f"the value has the escape `{unknown}`, which YAML does not read"
        return Problem(message, line, hint="write `\\\\` for a backslash, or put single quotes around the value")
    hint = "end it with the quote that begins it; inside, write `\\\"` in double quotes and `''` in single ones"
    return Problem(f"the quotes do not hold the whole value ({reason})", line, hint=hint)


@RULES.error("SK106", "frontmatter is not a mapping", why="Fields are found by name.")
def not_a_mapping(subject: Subject) -> Iterator[Problem]:
    """A list, a text or nothing between the two lines."""
    if subject.parts.yaml is not None and subject.frontmatter.readable and subject.fields is None:
        yield Problem("the frontmatter must be a YAML mapping", subject.parts.line, hint=EXAMPLE)


@RULES.strict_error(
    "SK107",
    "YAML that the reference validator does not read",
    scope=Scope.FRONTMATTER,
    why="Clients read it; the reference validator knows YAML without flow style, tags and merge keys.",
)
def beyond_strict_yaml(subject: Subject) -> Iterator[Problem]:
    """``[a, b]``, ``{a: b}``, ``!!str``, ``<<``: at most one problem, where the first stands."""
    text = subject.frontmatter.text
    if not any(mark in text for mark in ("[", "{", "!", "<<")):
        return
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for token in yaml.scan(text.replace("\r\n", "\n"), Loader=loader):
            merge = isinstance(token, yaml.ScalarToken) and token.value == "<<"
            what = "`<<`" if merge else _BEYOND.get(type(token).__name__)
            if what:
                line = subject.parts.line + token.start_mark.line
                message = f"{what} is YAML that the reference validator refuses"
                yield Problem(message, line, hint="write one item a line")
                return
    except yaml.MarkedYAMLError:
        return  # its values were read as if quoted, and the rule for that says so


@RULES.strict_error(
    "SK108",
    "three hyphens inside of the frontmatter",
    scope=Scope.FRONTMATTER,
    why="The reference validator ends the frontmatter at the first three hyphens, wherever they stand.",
)
def early_end(subject: Subject) -> Iterator[Problem]:
    """``---`` in a value or a comment, where what is left before it breaks a rule."""
    view = subject.reference
    if view is None or view is subject:
        return
    problem = first_breach(view)
    if problem is not None:
        line = (subject.text or "").count("\n", 0, (subject.text or "").find("---", 3)) + 1
        message = f"the reference validator ends the frontmatter here; then: {problem.message}"
        yield Problem(message, line, hint="write other dashes")


@RULES.strict_error(
    "SK109",
    "a tab that the reference validator does not read",
    scope=Scope.FRONTMATTER,
    why="YAML allows tabs around plain values; several parsers, such as the reference validator's, refuse them.",
)
def tab_in_value(subject: Subject) -> Iterator[Problem]:
    """A tab in or beside a value without quotes."""
    text = subject.frontmatter.text
    if "\t" not in text:
        return
    import yaml

    try:
        for _ in yaml.scan(text.replace("\r\n", "\n"), Loader=yaml.SafeLoader):  # not libyaml, which takes tabs
            pass
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        yield Problem(
            "there is a tab in or beside a value without quotes", subject.parts.line + line, hint="write spaces"
        )


@RULES.warning(
    "SK110",
    "text on the closing line",
    why="The frontmatter ends at a line that is `---` alone; clients that look for it miss the whole frontmatter.",
)
def glued_fence(subject: Subject) -> Iterator[Problem]:
    """The second ``---`` begins a line with more text, such as ``---# Title``."""
    parts = subject.parts
    if parts.yaml is not None and parts.glued:
        yield Problem("text follows the closing `---`", parts.body_line, hint="put the text on a line of its own")


def first_breach(subject: Subject) -> Problem | None:
    """Return the first breach of the specification in the text of SKILL.md, or None."""
    scopes = {Scope.TEXT, Scope.FRONTMATTER} if subject.fields is not None else {Scope.TEXT}
    for rule in (*RULES, *fields.RULES, *name.RULES):
        if rule.strict is Severity.ERROR and rule.scope in scopes:
            problems: Iterable[Problem] = rule.look(subject)
            for problem in problems:
                return problem
    return None

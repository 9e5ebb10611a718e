"""SK0: is there one SKILL.md, and is it text?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from skillpm.layout.frontmatter import BYTE_ORDER_MARK
from skillpm.layout.rule import RuleSet, Scope
from skillpm.layout.subject import Subject
from skillpm.model.finding import Problem

_CONFLICT = re.compile(r"(?:<{7} |={7}\r?$|>{7} )", re.MULTILINE)
_CODE_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)

RULES = RuleSet()


@RULES.error("SK001", "no SKILL.md", why="A skill is a folder with a SKILL.md; without it no client sees anything.")
def no_skill_file(subject: Subject) -> Iterator[Problem]:
    """SKILL.md is missing, or stands under a name in other case, or is a link or a pipe."""
    if subject.skill_path:
        return
    kind = subject.tree.irregular().get("SKILL.md")
    near = [path for path in subject.paths if path.lower() == "skill.md"]
    if kind:
        yield Problem(f"SKILL.md is a {kind}, not a regular file", path="SKILL.md", hint="write a regular file")
    elif near:
        yield Problem(f"no SKILL.md, only {near[0]}", path=near[0], hint="rename it to SKILL.md")
    else:
        yield Problem(
            "no SKILL.md", path="SKILL.md", hint="name the folder that holds it; `skillpm new NAME` makes a skill"
        )


@RULES.warning(
    "SK002",
    "skill.md in lower case",
    why="The specification names the file SKILL.md; on a file system that tells case apart many clients miss skill.md.",
)
def lower_case_skill_file(subject: Subject) -> Iterator[Problem]:
    """Only ``skill.md`` is there."""
    if subject.skill_path == "skill.md":
        yield Problem("the file must be called SKILL.md", hint="rename skill.md to SKILL.md")


@RULES.install_error(
    "SK003",
    "two SKILL.md that differ in case",
    why="Which of them is the skill depends on the client and on the file system.",
)
def two_skill_files(subject: Subject) -> Iterator[Problem]:
    """Names that differ in case only."""
    names = [path for path in subject.paths if path.lower() == "skill.md"]
    if subject.skill_path and len(names) > 1:
        yield Problem(f"{' and '.join(names)} differ in case only", hint="keep SKILL.md, remove the other")


@RULES.error(
    "SK004",
    "SKILL.md is not readable text",
    why="It is not readable, not UTF-8 or too large, so the skill cannot be loaded.",
)
def unreadable_skill_file(subject: Subject) -> Iterator[Problem]:
    """Bytes that no client can decode."""
    if subject.unreadable:
        yield subject.unreadable


@RULES.strict_error(
    "SK005",
    "byte order mark",
    scope=Scope.TEXT,
    why="Clients that look for `---` in the first bytes skip the whole skill without a word.",
)
def byte_order_mark(subject: Subject) -> Iterator[Problem]:
    """U+FEFF as the first character."""
    if (subject.text or "").startswith(BYTE_ORDER_MARK):
        yield Problem("begins with a byte order mark", 1, hint="save the file as UTF-8 without BOM")


@RULES.install_error(
    "SK006",
    "NUL character",
    scope=Scope.TEXT,
    why="Programs disagree on where a text with NUL ends, so what was reviewed is not what is read.",
)
def nul_character(subject: Subject) -> Iterator[Problem]:
    """U+0000 anywhere."""
    text = subject.text or ""
    position = text.find("\0")
    if position >= 0:
        yield Problem("holds a NUL character", text.count("\n", 0, position) + 1, hint="remove it")


@RULES.install_error(
    "SK010", "merge-conflict markers", scope=Scope.TEXT, why="The file holds two versions of the text at once."
)
def conflict_markers(subject: Subject) -> Iterator[Problem]:
    """A whole conflict outside code blocks; in the frontmatter one marker is enough."""
    if "<<<<<<< " not in (subject.text or "") and ">>>>>>> " not in (subject.text or ""):
        return
    parts = subject.parts
    marks = [(match, parts.line) for match in _line_starts(parts.yaml or "")]
    text = _CODE_FENCE.sub(lambda match: "\n" * match[0].count("\n"), parts.body)
    in_body = _line_starts(text)
    if {match[0][0] for match in in_body} == {"<", "=", ">"}:
        marks += [(match, parts.body_line) for match in in_body]
    if marks:
        match, line = marks[0]
        yield Problem(
            "holds merge-conflict markers",
            line + match.string.count("\n", 0, match.start()),
            hint="take one side with git, then remove the markers",
        )


def _line_starts(text: str) -> list[re.Match[str]]:
    return [match for match in _CONFLICT.finditer(text) if match.start() == 0 or text[match.start() - 1] == "\n"]


@RULES.warning(
    "SK011",
    "Windows line ends",
    scope=Scope.TEXT,
    why="Clients that look for `---` and a newline miss the frontmatter; a checkout elsewhere has other bytes.",
)
def windows_line_ends(subject: Subject) -> Iterator[Problem]:
    """Carriage return and line feed."""
    if "\r\n" in (subject.text or ""):
        yield Problem("lines end with a carriage return and a line feed", 1, hint="save the file with line feeds")

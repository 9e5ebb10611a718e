"""SK3: the instructions below the frontmatter, and what they point at."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from urllib.parse import unquote

from skillpm.layout.rule import RuleSet, Scope
from skillpm.layout.subject import Subject
from skillpm.model.finding import Problem

BODY_LINES = 500
BODY_TOKENS = 5000
CHARACTERS_PER_TOKEN = 4
_LINK = re.compile(r"\]\([ \t]*<?([^)\s>]+)")
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PLACEHOLDER = frozenset("{}<>$*…")

RULES = RuleSet(Scope.FRONTMATTER)


@RULES.warning("SK301", "no instructions", why="A client that activates the skill reads an empty text.")
def empty_body(subject: Subject) -> Iterator[Problem]:
    """Nothing but white space below the frontmatter."""
    if not subject.parts.body.strip():
        yield Problem("there are no instructions below the frontmatter", subject.parts.body_line, hint="write them")


@RULES.warning(
    "SK302", "more than 500 lines", why="The specification recommends fewer: the whole body enters the context at once."
)
def many_lines(subject: Subject) -> Iterator[Problem]:
    """Lines of the body."""
    lines = subject.parts.body.count("\n")
    if lines > BODY_LINES:
        message = f"the body has {lines} lines, up to {BODY_LINES} are recommended"
        yield Problem(message, subject.parts.body_line, hint="move detail into references/")


@RULES.warning(
    "SK303",
    "more than 5,000 tokens",
    why="The specification recommends fewer: the whole body enters the context at once.",
)
def many_tokens(subject: Subject) -> Iterator[Problem]:
    """Tokens, taken as four characters each."""
    tokens = len(subject.parts.body) // CHARACTERS_PER_TOKEN
    if tokens > BODY_TOKENS:
        message = f"the body has about {tokens} tokens, up to {BODY_TOKENS} are recommended"
        yield Problem(message, subject.parts.body_line, hint="move detail into references/")


@RULES.warning("SK304", "broken link", why="The model is sent to a file that is not there.")
def broken_link(subject: Subject) -> Iterator[Problem]:
    """A relative Markdown link, outside code, to a file or folder that the skill does not have."""
    targets = [(target, line) for target, line in _relative_links(subject) if not target.startswith("..")]
    known = _files_and_folders(subject) if targets else set()
    for target, line in targets:
        if target not in known:
            hint = "paths are relative to the skill's folder"
            yield Problem(f"links to `{target[:200]}`, which is not in the skill", line, hint=hint)


@RULES.warning(
    "SK305",
    "link out of the skill",
    why="Only the skill's own folder is installed; what lies beside it is not there for others.",
)
def outer_link(subject: Subject) -> Iterator[Problem]:
    """A relative Markdown link that climbs above the skill's folder."""
    for target, line in _relative_links(subject):
        if target.startswith(".."):
            yield Problem(f"links to `{target[:200]}`, outside of the skill", line, hint="copy it into the skill")


def _relative_links(subject: Subject) -> Iterator[tuple[str, int]]:
    if "](" not in subject.parts.body:
        return
    fence = ""
    for number, line in enumerate(subject.parts.body.split("\n"), subject.parts.body_line):
        mark = line.lstrip(" ")[:3]
        if mark in ("```", "~~~") and fence in ("", mark):
            fence = "" if fence else mark
            continue
        if fence or "](" not in line:
            continue
        for match in _LINK.finditer(_INLINE_CODE.sub("", line)):
            path = unquote(re.split(r"[#?]", match[1], maxsplit=1)[0], errors="replace")
            if path and not _SCHEME.match(path) and path[0] not in "/\\" and _PLACEHOLDER.isdisjoint(path):
                yield posixpath.normpath(path), number


def _files_and_folders(subject: Subject) -> set[str]:
    known = {".", *subject.paths, *subject.tree.irregular()}
    for path in subject.paths:
        folder = posixpath.dirname(path)
        while folder and folder not in known:
            known.add(folder)
            folder = posixpath.dirname(folder)
    return known

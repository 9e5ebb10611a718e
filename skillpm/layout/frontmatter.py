"""SKILL.md taken apart: frontmatter and body, read as strictly as YAML allows and then as leniently as clients do.

Source: the Agent Skills specification and its guide for clients: where a frontmatter is not YAML because a value needed
quotes (an unquoted colon, a leading ``*``), it is read as if that value were quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from skillpm.errors import DocumentError
from skillpm.formats.strict import PlainScalar, Table

MAX_FRONTMATTER = 1 << 16  # characters
BYTE_ORDER_MARK = "\ufeff"
_PAIR = re.compile(r"( *)([A-Za-z_][A-Za-z0-9_.-]*:[ \t]+)(\S.*)\Z")
_PLAIN = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,63}): +([A-Za-z0-9][ -~]*)")
_NULLS = frozenset({"null", "Null", "NULL"})
_BLOCK_SCALAR = re.compile(r"[|>][-+0-9]*(?:[ \t]+#.*)?\Z")


@dataclass(frozen=True, slots=True)
class Parts:
    """The text of SKILL.md, split at its two ``---`` lines.

    Attributes:
        leading: what stands before the first ``---``, or None if no line is ``---``.
        yaml: the text between the two lines, or None if the second is missing.
        line: the line on which ``yaml`` begins, 1-based.
        body: what follows; the whole text if there is no frontmatter.
        body_line: the line on which ``body`` begins.
        glued: does the body begin on the line of the second ``---``?
    """

    leading: str | None
    yaml: str | None
    line: int
    body: str
    body_line: int
    glued: bool = False


@dataclass(frozen=True, slots=True)
class Frontmatter:
    """What the YAML between the ``---`` lines says.

    Attributes:
        value: the parsed document, a Table where all is well; None if it could not be read or is empty.
        error: why it is not YAML; kept where quoting helped.
        quoted: the lines whose values were read as if quoted; empty if it is YAML as it stands.
        text: the YAML that was read, with those quotes.
    """

    value: Any = None
    error: DocumentError | None = None
    quoted: tuple[int, ...] = ()
    text: str = ""

    @property
    def readable(self) -> bool:
        """Could it be read, with or without help?"""
        return self.error is None or bool(self.quoted)


def split(text: str) -> Parts:
    """Split SKILL.md; ``---`` counts only as a line of its own, so it may stand inside a value."""
    start = next(_fences(text, 0), None)
    if start is None:
        return Parts(None, None, 1, text, 1)
    leading = text[: start[0]]
    line = text.count("\n", 0, start[1]) + 1
    end = next(_fences(text, start[1]), None)
    if end is None:
        glued = text.find("\n---", start[1] - 1) + 1
        if not glued:
            return Parts(leading, None, line, text, 1)
        body = text[glued + 3 :].lstrip("-")
        return Parts(leading, text[start[1] : glued], line, body, text.count("\n", 0, glued) + 1, glued=True)
    return Parts(leading, text[start[1] : end[0]], line, text[end[1] :], text.count("\n", 0, end[1]) + 1)


def _fences(text: str, position: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each line that is ``---``, from the line that begins at ``position`` on."""
    while position < len(text):
        newline = text.find("\n", position)
        end = len(text) if newline < 0 else newline + 1
        begin = position + 1 if position == 0 and text.startswith(BYTE_ORDER_MARK) else position
        if text.startswith("---", begin) and text[begin:end].rstrip(" \t\r\n") == "---":
            yield begin, end
        position = end


def read_frontmatter(parts: Parts) -> Frontmatter:
    """Parse the YAML of a split SKILL.md; never raises."""
    if parts.yaml is None:
        return Frontmatter()
    if len(parts.yaml) > MAX_FRONTMATTER:
        return Frontmatter(error=DocumentError(f"larger than {MAX_FRONTMATTER} characters", line=parts.line))
    return _frontmatter(parts.yaml, parts.line)


@lru_cache(maxsize=1 << 10)
def _frontmatter(yaml: str, line: int) -> Frontmatter:
    """Parse once what an install both describes and checks; nobody changes what comes back."""
    try:
        return Frontmatter(_read(yaml, line), text=yaml)
    except DocumentError as error:
        error.__traceback__ = error.__context__ = None  # the cache would keep the parser's frames with it
        text, quoted = quote_values(yaml, line) if _is_syntax(error) else ("", ())
        if not quoted:
            return Frontmatter(error=error)
        try:
            return Frontmatter(_read(text, line), error, quoted, text)
        except DocumentError:
            return Frontmatter(error=error)


def _read(text: str, line: int) -> Any:
    text = text.replace("\r\n", "\n")
    plain = _plain(text, line)
    return _yaml(text, line) if plain is None else plain


def _yaml(text: str, line: int) -> Any:
    from skillpm.formats.strict_yaml import read_yaml

    return read_yaml(text, first_line=line)


def _plain(text: str, line: int) -> Table | None:
    """Read what is nothing but ``key: words``, line by line, as YAML would; None leaves the text to a parser of YAML.

    Most skills say no more, and the import of a parser takes longer than all else that is done with one of them.
    """
    table = Table()
    for number, pair in enumerate(text.removesuffix("\n").split("\n"), line):
        match = _PLAIN.fullmatch(pair)
        if match is None:
            return None
        key, value = match.groups()
        if ": " in value or " #" in value or value.endswith((":", " ")) or not _NULLS.isdisjoint((key, value)):
            return None
        if key in table:
            return None
        table[key] = PlainScalar(value)
        table.lines[key] = number
    return table


def quote_values(text: str, first_line: int) -> tuple[str, tuple[int, ...]]:
    """Put single quotes around each ``key: value`` that is not YAML when it stands alone; return the lines touched."""
    lines = text.replace("\r\n", "\n").split("\n")
    quoted = []
    index = 0
    while index < len(lines):
        match = _PAIR.match(lines[index].rstrip())
        if match is None:
            index += 1
            continue
        end = _end_of_value(lines, index, len(match[1]))
        value = "\n".join([match[3], *lines[index + 1 : end]]).rstrip()
        if not _BLOCK_SCALAR.match(match[3]) and not _is_value(value):
            lines[index:end] = (match[1] + match[2] + "'" + _unquoted(value).replace("'", "''") + "'").split("\n")
            quoted.append(first_line + index)
        index = end
    return "\n".join(lines), tuple(quoted)


def _unquoted(value: str) -> str:
    """Return a value that is not YAML without the quotes around it, if they hold the whole of it.

    They do in `"Reads "x" files"`, not in `"x" and: "y"`, where the next quote ends what the first begins.
    """
    quote, inner = value[0], value[1:-1]
    if len(value) < 2 or quote not in ("'", '"') or value[-1] != quote:
        return value
    following = re.search(rf"(?<![\\{quote}]){quote}(?!{quote})", inner)
    if (
        following
        and re.match(r"[\s.,;:!?)]", inner[following.end() :] or " ")
        and inner[: following.start()][-1:].strip()
    ):
        return value
    return inner.replace("''", "'") if quote == "'" else re.sub(r'\\(["\\])', r"\1", inner)


def _end_of_value(lines: list[str], index: int, indentation: int) -> int:
    """Return the index after the last line that is indented deeper than the key at ``index``; trailing blanks apart."""
    end = index + 1
    for position in range(index + 1, len(lines)):
        content = lines[position].lstrip(" ")
        if content.strip() and len(lines[position]) - len(content) <= indentation:
            break
        if content.strip():
            end = position + 1
    return end


def _is_value(text: str) -> bool:
    try:
        return isinstance(_yaml(f"value: {text}", 1), Table)
    except DocumentError as error:
        return not _is_syntax(error)


def _is_syntax(error: DocumentError) -> bool:
    """Is it no YAML at all? Anchors, tags and duplicate keys are YAML that is refused, and no quotes help them."""
    return error.rule.startswith("not YAML")


def name_and_description(text: str) -> tuple[str, str] | None:
    """Return both, in one line each, or None if a client would skip the skill: no frontmatter, no description.

    Source: Agent Skills, guide for clients: names that break a rule are loaded with a warning, so they are kept here.
    """
    frontmatter = read_frontmatter(split(text.removeprefix(BYTE_ORDER_MARK)))
    fields = frontmatter.value
    if not frontmatter.readable or not isinstance(fields, dict):
        return None
    name, description = (" ".join(str(fields.get(key) or "").split()) for key in ("name", "description"))
    return (name, description) if description else None

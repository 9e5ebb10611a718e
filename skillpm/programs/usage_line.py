"""The usage lines of a program: its operands, and the options that they show as alternatives."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from skillpm.programs.help_options import kind_of
from skillpm.programs.program import Exclusion, Option

_NO_OPERAND = re.compile(
    r"^\W*(?:options?|operand|flags|command|subcommand|args?|arguments|global.options|.*-options|--)\W*$", re.IGNORECASE
)
_PIECE = re.compile(
    r"'[^'\s][^']*'|\{[^{}\s]+\}|<[^<>]+>(?:\.\.\.)?|\.\.\.|[\[\](){}|]|[^\s\[\](){}|<>]+(?:=?<[^<>]+>)?"
)


def operands(usage: list[str], name: str, words: tuple[str, ...], texts: dict[str, str]) -> list[Option]:
    """Return the operands of the first usage line that has some."""
    after = [line.split()[1 + len(words) : 2 + len(words)] for line in usage]
    if len(after) > 2 and all(re.fullmatch(r"[a-z][a-z-]+", word) for rest in after for word in rest or [""]):
        return []  # `npm config set ...`, `npm config list [--json]`, ...: subcommands
    for text in usage[:4]:  # `-c[dfwzZ]` is a bundle, and `<file(s)>` may be several
        line = re.sub(r"\[[A-Za-z]+(?: [a-z]+)+\]", "", text)  # prose: `[ignored command line arguments]`
        line = re.sub(r"(?<= )(-\w+)\[\w+\]", r"\1", re.sub(r"\(s\)([>\]])", r"s\1...", line))
        rest = re.sub(rf"^\S*{re.escape(name)}\b", "", line.replace("\u2026", "...").replace("--[no-]", "--").strip())
        for word in words:
            rest = re.sub(rf"^\s*{re.escape(word)}\b", "", rest)
        if re.match(r"\s*[a-z-]+\s.*<", rest):  # `git remote add <name>`: a subcommand
            continue
        result = list(_operands(rest, texts))
        if result:
            return result
    return []


def _operands(rest: str, texts: dict[str, str]) -> Iterator[Option]:
    for text, required, several in _pieces(rest):
        label = re.sub(r"^\{(\w+)\}$", r"\1", text.removesuffix("...")).strip("<>'").split("|")[0]  # typer's `{name}`
        if _NO_OPERAND.match(text) or not re.match(r"[A-Za-z]", label) or label.lower() in ("or", "program"):
            continue
        many = several or text.endswith("...")
        name = re.sub(r"(?i)(?<=ch)es$|(?<=[a-z])s$", "", label) if many else label
        kind = kind_of(name, "")
        yield Option.model_validate({
            "label": name, "description": texts.get(label.lower(), ""), "value": "required", "required": required,
            "kind": "text" if kind == "integer" else kind, "many": many,
        })  # fmt: skip


def _pieces(rest: str) -> Iterator[tuple[str, bool, bool]]:
    """Yield the words of a usage line that are not part of an option: text, is it required, may there be several?"""
    pieces = _PIECE.findall(rest)
    skipped, place = 0, 0  # the depth from which all is left out
    opened: list[str] = []  # brackets; what stands in braces alone is needed: `{[options] outfile}...`
    while place < len(pieces):
        piece = pieces[place]
        place += 1
        depth = len(opened)
        if piece in "[({":
            inside = itertools.takewhile(lambda item: item != "}", pieces[place:])
            opened.append("(" if piece == "{" and "|" in inside else piece)  # `{ a | b }`: either is enough
        elif piece in "])}":
            opened = opened[:-1]  # git's usage of commit closes one bracket too many
            if len(opened) < skipped:  # `[(-c | -C) <commit>]`: what an option stands in belongs to it
                skipped = len(opened)
        elif piece == "|" or piece.startswith("-") or "=" in piece:
            if piece == "--":
                continue
            if depth:
                skipped = skipped or depth
            elif piece == "|" or (pieces[place : place + 1] or [""])[0].startswith("<"):
                place += 1  # the other alternative, or the value of the option
        elif not skipped and piece != "...":
            after = [item for item in pieces[place : place + 3] if item not in "])}"]
            yield piece, set(opened) <= {"{"}, after[:1] == ["..."]


def exclusions(usage: list[str], options: Sequence[Option]) -> Iterator[Exclusion]:
    """Yield the options that exclude each other in the first usage line, and those that have a line for themselves."""
    known = {flag: option.name for option in options for flag in option.names}
    for found in re.finditer(r"[\[(]([^\[\]()]*?-[^\[\]()]*\|[^\[\]()]*)[\])]", " ".join(usage[:1])):
        flags = [part.split()[0].split("=")[0] for part in found[1].split("|") if part.split()]  # `[-a | --patch]`
        names = tuple(dict.fromkeys(known[flag] for flag in flags if flag in known))
        if len(names) > 1 and len(names) == len(flags):
            yield Exclusion(names=names)
    alone = [line.split()[-1] for line in usage[1:] if re.fullmatch(r"[\w./-]+(?: [a-z-]+)* --?[\w-]+", line)]
    yield from (Exclusion(names=(known[flag],)) for flag in dict.fromkeys(alone) if flag in known)

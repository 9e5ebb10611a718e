"""Read what a program prints for ``--help``, or its manual page: GNU, git, systemd, argparse, click, clap, cobra, BSD.

A line that begins with a dash lists an option. What follows its names after two spaces, or on deeper lines, describes
it. Everything else is found by the headings above it and by the usage line.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from skillpm.programs.help_options import (
    distinct,
    options_of,
    sentence_of,
    specs_of,
    with_brackets,
    with_values,
    without_grammar,
)
from skillpm.programs.program import Command, Example, Exclusion, Option
from skillpm.programs.usage_line import exclusions, operands
from skillpm.programs.values import kind_of

_MOST_LINES = 8000
_HEADED = re.compile(r"\s*--?[\w-]+(?:, [\w-]+)*:")  # a name above its text, which does not say whether it has a value
_HEAD = re.compile(r"^(?P<indent>[ \t]*)(?P<rest>-\S.*|[a-z]+=[A-Z]+ {2,}\S.*)$")  # `  bs=BYTES   read ...` of dd
_GAP = re.compile(r"(?:[ ]{2,}|\t|: (?=[A-Z]))")
_COMMAND = re.compile(
    r"^[ ]{1,8}([a-z](?:[a-z0-9:_.-]*\w)?):?\*?(?:, [a-z][\w-]*)*((?: [\[<A-Z]\S*)*)"
    r"(?:[ ]{2,}|\t|[ ]+- |(?<=[\]>.]) )\s*(\S.*)$"
)
_NAMES = re.compile(r"^ +[a-z][\w-]*(?:, [a-z][\w-]*)+,?$|^[a-z][\w.-]*(?: {2,}[a-z][\w.-]*)*$")  # npm, openssl
_COMMANDS = re.compile(r"^[A-Z][A-Za-z ]*commands(?: \(.*\))?:?$")
_BARE = re.compile(r"^[ ]{1,8}([a-z][a-z0-9_-]+)$")
_HEADING = re.compile(
    r"^[ ]{0,2}(?:[A-Z][^.]{0,60}|[a-z ]*commands):\s*$|^[A-Z][A-Z &/()-]{2,40}$|^[a-z][^-:.]{4,60}(?:\(see also.*\))?$"
)
_BANNER = re.compile(
    r"copyright|warranty|free software|licen[cs]e|\bversion \d|^\S+ v?\d+\.\d|^(?-i:[A-Z]{2,}) (?:is|are) "
    r"|:=|^defaults? |:$",
    re.IGNORECASE,
)
# `jq - ...`, `GNU Wget 1.2, a ...`
_NAMED = re.compile(r"^(?:[\w.-]+ - (?=\S)|[\w ]+ \d+(?:\.\d+)+, (?=an? ))(.*?)(?: \[version.*\])?$")
_ONE_OF = re.compile(r"[\])] \{([a-z][\w-]*(?:,[a-z][\w-]*)+)\}(?: \.\.\.)?$")  # of argparse, which lists commands so
_BOXED = re.compile(
    r"^(?P<indent>[ *]{1,8})(?P<names>--?\w[\w-]*(?:[ ]+--?\w[\w-]*){0,4})"
    r"(?:[ ]{2,}(?P<value><[a-z]+>|[A-Z]{3,}(?![a-z])))?(?:[ ]{2,}(?P<text>.*))?$"
)
_USAGE = re.compile(r"^\s*usage:?\s*(.*)$", re.IGNORECASE)
_PLAIN_USAGE = re.compile(r"^(\S+(?: \S+)* \[(?:OPTION|FLAG).*)$")
_OR = re.compile(r"^\s+or:\s+(.*)$")
_MANUAL = re.compile(r"^[\w.:+-]+\(\w+\)\s")
_DEFINES = re.compile(
    r"^ *(?:Each )?([A-Z][A-Z_-]+)(?: symbol)?(?: (?:is|can be|may be|must be) (?:one|any) of the following| may be"
    r"| (?:options|values)):?$"
)
_VALUE_ROW = re.compile(r"^ +(\w[\w.+-]{0,39})(?: {2,}\S.*)?$")


@dataclass(slots=True)
class Help:
    """What stands in one help text.

    Attributes:
        commands: names of subcommands and what is said of each.
        rows: what stands behind the name of a subcommand in their table: its operands.
        defined: the values of place holders.
        sure: does a heading call the subcommands so?
    """

    description: str = ""
    usage: list[str] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    exclusions: list[Exclusion] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)
    defined: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sure: bool = False

    def command(self, name: str, words: tuple[str, ...]) -> Command:
        """Return it as a command of a program of this name."""
        said = with_values(operands(self.usage, name, words, self.arguments), self.defined)
        options = (*self.options, *map(self._as_of_option, said))
        is_first = any(re.search(r"\.\.\.\] \[(?:expression|options?)\b", line) for line in self.usage[:1])
        return Command(
            words=words,
            description=self.description[:4000],
            options=distinct(options),
            operands_first=is_first,
            exclusions=(*self.exclusions, *exclusions(self.usage, self.options)),
            examples=tuple(self.examples[:20]),
        )

    def _as_of_option(self, operand: Option) -> Option:
        """Return an operand with the patterns of the option that has its place holder: `grep [-e] PATTERNS`."""
        same = [option for option in self.options if option.label == operand.label and not operand.description]
        kinds = {kind_of(option.name, option.label, option.kind, option.description) for option in same}
        patterns = kinds & {"glob", "regexp"}
        return operand.model_copy(update={"kind": patterns.pop()}) if len(patterns) == 1 else operand


def is_manual(text: str) -> bool:
    """Is a text a manual page?"""
    return _MANUAL.match(text.lstrip()) is not None


def read_help(text: str) -> Help:
    """Read a help text or a rendered manual page; what it does not say stays empty. Never raises."""
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", text).replace("\r", "").replace("’", "'").expandtabs(8)
    text, listed = without_grammar(text)
    lines = [line.rstrip() for line in text.split("\n")[:_MOST_LINES] if len(line) < 2000]
    lines = [part for line in lines for part in _columns(_unboxed(line))]
    help_text = Help(defined=dict(_defined("\n".join(lines))), options=listed)
    if is_manual(text):
        lines = _manual(lines, help_text)
    heading, place = "", 0
    while place < len(lines):
        line = lines[place]
        found = _USAGE.match(line) or _PLAIN_USAGE.match(line)
        if found and not help_text.usage:
            place = _usage(lines, place, found[1], help_text)
            continue
        is_prose = _HEADED.fullmatch(line) or line.lstrip().startswith(("---", "- ")) or _is_wrapped(lines, place)
        if _HEAD.match(line) and not is_prose:
            place = _option(lines, place, heading, help_text)
            continue
        if (_HEADING.match(line) and _has_inner(lines, place)) or _COMMANDS.match(line):
            heading = line.strip().rstrip(":").lower()
        elif heading.startswith("example"):
            _example(lines, place, help_text)
        else:
            _row(line, heading, help_text)
        place += 1
    help_text.options = with_values(with_brackets(help_text.options, text, help_text.usage), help_text.defined)
    if not help_text.description:
        help_text.description = _description(lines)
    if not help_text.sure and not re.search(r"command|\{|<action>", " ".join(help_text.usage), re.IGNORECASE):
        help_text.commands = {}
    firsts = [found[1] for line in help_text.usage if (found := re.match(r"[\w.-]+ ([a-z][a-z-]+)(?: |$)", line))]
    is_list = len(set(firsts)) > 1  # of docopt, whose usage has all forms of all commands
    help_text.commands |= {name: help_text.commands.get(name, "") for name in firsts if is_list}
    form = rf"^[\w.-]+ [\w-]+ ([a-z][a-z-]+)(?: .*<{'|$' if len(help_text.usage) > 1 else ''})"
    for line in help_text.usage:
        if found := _ONE_OF.search(line):
            help_text.commands = {**dict.fromkeys(found[1].split(","), ""), **help_text.commands}
        is_call = line.split()[:1] == help_text.usage[0].split()[:1]
        if is_call and (found := re.match(form, line)) and not is_list:  # `git remote add <name>`, `npm cache verify`
            help_text.commands.setdefault(found[1], "")
    return help_text


def _is_wrapped(lines: list[str], place: int) -> bool:
    """Is a line the rest of a sentence, which happens to begin with an option?"""
    before, line = (lines[place - 1] if place else ""), lines[place]
    depth = len(line) - len(line.lstrip())
    return len(before) > 60 and re.match(rf" {{{depth}}}[A-Za-z]", before) is not None and not _HEAD.match(before)


def _unboxed(line: str) -> str:
    """Return a line without the box that rich draws around it: a title, or an option in columns of their own."""
    if line.startswith(("╭", "╰")):
        title = line.strip("╭╮╰╯─ ")
        return f"{title}:" if title else ""
    if not line.startswith("│"):
        return line
    inner = line.strip("│").rstrip()
    found = _BOXED.match(inner)
    if found is None:
        return inner
    value = "" if found["value"] in (None, "<bool>", "BOOLEAN") else f" {found['value'].strip()}"
    return f"{found['indent']}{', '.join(found['names'].split())}{value}  {found['text']}"


def _columns(line: str) -> list[str]:
    """Return a line that lists two options beside each other as two lines."""
    found = re.match(r"^( *)(-\w +\S.*?\S) {2,}(-\w +\S.*)$", line)
    return [f"{found[1]}{found[2]}", f"{found[1]}{found[3]}"] if found else [line]


def _manual(lines: list[str], help_text: Help) -> list[str]:
    """Take name and synopsis from a manual page, and return the lines of its body, indented as a help text is."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if re.match(r"^[A-Z][A-Z0-9 /-]+$", line):
            current = sections.setdefault(line.strip(), [])
        else:
            current.append(line)
    name = " ".join(" ".join(sections.get("NAME", [])).split())
    help_text.description = name.partition(" - ")[2]
    names = {part for word in re.findall(r"[\w.+-]+", name.partition(" - ")[0]) for part in (word, word.split("-")[0])}
    synopsis = [line.strip() for line in sections.get("SYNOPSIS", []) if line.strip()]
    usage = [line for line in synopsis if line.split()[0] in names or line[0] in "[<({-"]  # no titles
    help_text.usage = (usage or synopsis)[:6]
    body = [line for title, part in sections.items() if "OPTION" in title or title in ("DESCRIPTION", "COMMAND-LINE")
            for line in ["", *part]]  # fmt: skip
    return body if any(map(_HEAD.match, body)) else [line for part in sections.values() for line in part]


def _has_inner(lines: list[str], place: int) -> bool:
    indent = len(lines[place]) - len(lines[place].lstrip())
    after = next((line for line in lines[place + 1 : place + 3] if line.strip()), "")
    return len(after) - len(after.lstrip()) > indent or after.lstrip().startswith("-")


def _usage(lines: list[str], place: int, first: str, help_text: Help) -> int:
    indent = len(lines[place]) - len(lines[place].lstrip())
    parts = [first] if first.strip() else []
    begin, place = place, place + 1
    while place < len(lines) and lines[place].strip():
        line = lines[place]
        if found := _OR.match(line) or _USAGE.match(line):
            parts.append(found[1])
        elif len(line) - len(line.lstrip()) < indent + bool(first.strip()) or line.lstrip().startswith("-"):
            break
        elif parts and line.split()[0] != parts[0].split()[0] and len(line) - len(line.lstrip()) > indent + 6:
            parts[-1] += " " + line.strip()
        elif parts and line.split()[0] != parts[0].split()[0]:  # prose below the usage
            break
        else:
            parts.append(line.strip())
        place += 1
    help_text.usage = parts
    lines[begin:place] = [""] * (place - begin)
    return place


def _option(lines: list[str], place: int, heading: str, help_text: Help) -> int:
    """Read one option and what describes it; return the place of the next line."""
    found = _HEAD.match(lines[place])
    assert found is not None
    indent, rest = len(found["indent"]), found["rest"]
    specs, end = specs_of(rest)
    below = re.fullmatch(r" ([a-z][\w-]*)", rest[end:]) if _is_deeper(lines, place, indent) else None  # `--sort spec`
    if label := below or re.fullmatch(r" +<([^<>]+)>(?:\.\.\.)?(?: \|.*)?", rest[end:]):  # `--install   <.deb file>...`
        rest = f"{rest[:end]} <{label[1]}>"
        specs, end = specs_of(rest)
    after = rest[end:]
    gap = _GAP.match(after)
    text = [after.strip()] if after.strip() and (gap or not specs or after.startswith((" ", ":"))) else []
    column = indent + len(rest) - len(after.lstrip()) if text else indent + 2
    place += 1
    blank = False
    while place < len(lines):
        line = lines[place]
        depth = len(line) - len(line.lstrip())
        if not line.strip():
            blank = True
        elif (
            depth <= indent or (line.lstrip().startswith("-") and depth < column) or (blank and text and depth < column)
        ):
            break
        elif len(text) < 40 and not (blank and text):
            column = column if text else depth
            text.append(line.strip())
        place += 1
    is_list = not re.search(r"[,/|]| or ", rest[:end]) and sum(len(item["name"]) > 2 for item in specs) > 1
    said = (
        [([item], "") for item in specs] if is_list else [(specs, " ".join(text))]
    )  # `-nouser -nogroup -path PATTERN`
    for option in itertools.chain(*(options_of(names, words, after) for names, words in said)):
        if option.flag not in ("--help", "--version", "-h", "-help", "-version"):
            help_text.options.append(option)
    if re.search(r"operation mode|^operations$", heading) and specs:
        _add_mode(help_text)
    return place


def _is_deeper(lines: list[str], place: int, indent: int) -> bool:
    """Does a line have its text below it?"""
    below = lines[place + 1] if place + 1 < len(lines) else ""
    return bool(below.strip()) and len(below) - len(below.lstrip()) > indent and not _HEAD.match(below)


def _defined(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the place holders that a text defines, with their values: in a list below, or as ``NAME := { a | b }``."""
    for found in re.finditer(r"\b([A-Z][A-Z_-]+) := \{([^{}]*)\}", text):
        yield found[1], tuple(found[2].replace("|", " ").split())
    lines = text.split("\n")
    for place, line in enumerate(lines):
        if head := _DEFINES.match(line):
            below = place + (1 if any(lines[place + 1 : place + 2]) else 2)  # dd has an empty line first
            rows = [_VALUE_ROW.match(row) for row in itertools.takewhile(str.strip, lines[below:])]
            depth = rows[0].start(1) if rows and rows[0] else 0  # what is deeper explains a value
            yield head[1], tuple(row[1] for row in rows if row is not None and row.start(1) == depth)


def _add_mode(help_text: Help) -> None:
    """Count the last option to those of which exactly one is given: "Main operation mode"."""
    name = help_text.options[-1].name
    former = next((group for group in help_text.exclusions if group.required), None)
    names = (*former.names, name) if former else (name,)
    help_text.exclusions = [Exclusion(names=tuple(dict.fromkeys(names)), required=True)]


def _row(line: str, heading: str, help_text: Help) -> None:
    """Read a line of a table of subcommands or arguments."""
    found = _COMMAND.match(line) or _BARE.match(line)
    if re.search(r"argument|positional|parameter", heading) and "{" not in line:
        found = re.match(r"^\s{1,8}[\[<]?([A-Za-z][\w-]*)[\]>]?(?:\.\.\.)?\s{2,}(\S.*)$", line) or found
        if found is not None and "command" not in heading and (found.lastindex or 0) > 1:
            help_text.arguments[found[1].lower()] = sentence_of(found[2])
            if not re.search(r"^positional", heading):
                return
    if re.search(r"commands(?: \(.*)?$", heading) and _NAMES.match(line):
        help_text.sure = True
        help_text.commands |= dict.fromkeys(re.findall(r"[a-z][\w-]*", line), "")
        return
    if found and not re.search(r"option|environment|variable|example|alias|^format|exit|column|topic", heading):
        text = found[3] if (found.lastindex or 0) > 2 else ""
        help_text.sure = help_text.sure or "command" in heading
        if found[1] not in ("help", "usage", "or") and (text or "command" in heading):
            help_text.commands.setdefault(found[1], sentence_of(text))
            help_text.rows.setdefault(found[1], found[2] if text else "")


def _example(lines: list[str], place: int, help_text: Help) -> None:
    """Take ``# what it does`` above a command line, or ``command line  # what it does``."""
    line = lines[place].strip()
    if found := re.match(r"^(?:\$ )?([a-z].*?)\s+# (\S.*)$", line):
        help_text.examples.append(Example(text=found[2].rstrip("."), line=found[1]))
    elif line.startswith("# ") and place + 1 < len(lines) and re.match(r"^\s+(?:\$ )?[a-z]", lines[place + 1]):
        help_text.examples.append(Example(text=line[2:].rstrip("."), line=lines[place + 1].strip().removeprefix("$ ")))


def _description(lines: list[str]) -> str:
    """Return the first paragraph that says what the program does: no version, licence or default."""
    texts = (re.sub(_NAMED, r"\1", text) for text in _paragraphs(lines))
    return sentence_of(next((text for text in texts if not _BANNER.search(text)), ""))


def _paragraphs(lines: list[str]) -> Iterator[str]:
    """Yield paragraphs of prose before the first option: not indented much, and no headings."""
    paragraph: list[str] = []
    for before, line in zip(["", *lines], [*lines, ""], strict=True):
        if _HEAD.match(line):
            break
        prose = re.match(r"^ {0,4}[A-Za-z]", line) and not _HEADING.match(line) and not _USAGE.match(line)
        if (
            prose
            and not line.rstrip().endswith(("options", "flags"))
            and not _COMMANDS.match(line)
            and not _COMMAND.match(line)
            and not _OR.match(line)
        ):
            if paragraph or not before.strip():  # what follows another kind of line is the rest of a sentence
                paragraph.append(line.strip())
        elif paragraph:
            yield " ".join(paragraph)
            paragraph = []
    if paragraph:
        yield " ".join(paragraph)

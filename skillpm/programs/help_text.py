"""Read what a program prints for ``--help``, or its manual page: GNU, git, systemd, argparse, click, clap, cobra, BSD.

A line that begins with a dash lists an option. What follows its names after two spaces, or on deeper lines, describes
it. Everything else is found by the headings above it and by the usage line.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from skillpm.programs.program import Command, Example, Exclusion, Option

_MOST_LINES = 8000
_NAME = r"--?(?:\[no-?\])?[A-Za-z0-9?#@][\w-]*(?:\.\w[\w-]*)*"
_META = r"<[^<>]+>(?:\.\.\.)?|\{[^{}\s]+\}|\[[^\[\]]+\]|[A-Za-z'\"][\w'\"./|-]*(?:\.\.\.)?"
_TYPES = (
    "string|strings|stringArray|stringToString|int|ints|uint|float|duration|list|bytes|filter|file|path|dir|name|"
    "number|num|n|mode|value|command|url|port|key|pattern|regex|type|format|level|size|time|date|text"
)
_SPEC = re.compile(
    rf"(?P<name>{_NAME})(?:\[=?(?P<optional>[^\]]+)\]|=(?P<equals>{_META}|''|\"\"|\[\]|\d+m?s?)(?P<colon>:)?"
    r"|[ ](?P<spaced>(?:\[[^\[\]]+\])?<[^<>]+>(?:\.\.\.)?|\[\([^\[\]]+\]\w+|\{[^{}\s]+\}|\[[A-Z<][^\[\]]*\]"
    r"|\[[^\[\]\s|]+\|[^\[\]]+\]"
    r"|[A-Z][A-Z0-9_/:|.-]*(?:\.\.\.)?(?![a-z])|[A-Z][A-Za-z]+(?=[ ]{2,}\S)"
    rf"|(?:{_TYPES})\b(?![ ]\w)))?(?P<more>\.\.\.)?"
)
_HEADED = re.compile(r"\s*--?[\w-]+(?:, [\w-]+)*:")  # a name above its text, which does not say whether it has a value
_NEGATIVE = re.compile(r"(?:disable|do not|don't|never|skip|suppress|prevent|turn off|without)\b", re.IGNORECASE)
_BETWEEN = re.compile(r"\s*(?:,|/|\||\bor\b)?\s*(?=--?[A-Za-z0-9?#@\[])")
_HEAD = re.compile(r"^(?P<indent>[ \t]*)(?=-)(?P<rest>-\S.*)$")
_GAP = re.compile(r"(?:[ ]{2,}|\t|: (?=[A-Z]))")
_COMMAND = re.compile(
    r"^[ ]{1,8}([a-z][a-z0-9:_.-]*)\*?(?:, [a-z][\w-]*)*((?: [\[<A-Z]\S*)*)(?:[ ]{2,}|\t|[ ]+- |(?<=[\]>.]) )\s*(\S.*)$"
)
_NAMES = re.compile(r"^ +[a-z][\w-]*(?:, [a-z][\w-]*)+,?$")
_BARE = re.compile(r"^[ ]{1,8}([a-z][a-z0-9_-]+)$")
_HEADING = re.compile(
    r"^[ ]{0,2}(?:[A-Z][^.]{0,60}|[a-z ]*commands):\s*$|^[A-Z][A-Z &/()-]{2,40}$|^[a-z][^-:.]{4,60}(?:\(see also.*\))?$"
)
_USAGE = re.compile(r"^\s*usage:?\s*(.*)$", re.IGNORECASE)
_PLAIN_USAGE = re.compile(r"^(\S+(?: \S+)* \[(?:OPTION|FLAG).*)$")
_OR = re.compile(r"^\s+or:\s+(.*)$")
_MANUAL = re.compile(r"^[A-Z0-9_.:+-]+\(\w+\)\s")
_DEFAULT = re.compile(
    r"[(\[]default(?:s to|:| is)?[ =]*[\"'`]?([^\"'`)\],;]+)[\"'`]?|default (?:is|value is) [\"'`]?([\w./:-]*\w)",
    re.IGNORECASE,
)
_VALUES = re.compile(
    r"\[?possible values: ([^\]]+)\]?|(?:one of|can be|must be|either)[:=]? "
    r"[\(\[\{]?((?:[\"'`]?[\w.-]+[\"'`]?(?:, or |, | or |\|)){1,12}[\"'`]?[\w.-]+[\"'`]?)",
    re.IGNORECASE,
)
_DEFINES = re.compile(
    r"^ *([A-Z][A-Z_-]+)(?: (?:is|can be|may be|must be) (?:one|any) of the following| (?:options|values)):?$"
)
_VALUE_ROW = re.compile(r"^ +(\w[\w.+-]{0,39})(?: {2,}\S.*)?$")
_RANGE = re.compile(r"(-?\d+)<=?x<=?(-?\d+)|[\[(](-?\d+)\s*(?:-|\.\.=?|to)\s*(-?\d+)[\])]")
_MANY = re.compile(r"multiple times|more than once|repeat(?:ed|able)|multiple", re.IGNORECASE)
_INTEGER = re.compile(
    r"^(?:int(?:eger)?|num(?:ber)?|n|count|lines|port|uint|seconds?|secs?|depth|levels?|width|cols|jobs|max.*|.*_count"
    r"|nmerge|digits)(?: range)?$",
    re.IGNORECASE,
)
_FOLDER = re.compile(r"^(?:dir|directory|folder|.*_dir|.*directory)$", re.IGNORECASE)
_PATH = re.compile(r"(?:^|[_ -])(?:file|files|filename|path|paths|pathspec|archive|script)s?$", re.IGNORECASE)
_NO_OPERAND = re.compile(
    r"^\W*(?:options?|flags|command|subcommand|args?|arguments|global.options|.*-options|--)\W*$", re.IGNORECASE
)


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
        known = {flag: option.name for option in self.options for flag in option.names}
        for found in re.finditer(r"[\[(]([^\[\]()]*?-[^\[\]()]*\|[^\[\]()]*)[\])]", " ".join(self.usage[:1])):
            flags = [part.split()[0].split("=")[0] for part in found[1].split("|") if part.split()]  # `[-a | --patch]`
            names = tuple(dict.fromkeys(known[flag] for flag in flags if flag in known))
            if len(names) > 1 and len(names) == len(flags):
                self.exclusions.append(Exclusion(names=names))
        alone = [line.split()[-1] for line in self.usage[1:] if re.fullmatch(r"[\w./-]+(?: [a-z-]+)* --?[\w-]+", line)]
        self.exclusions += [Exclusion(names=(known[flag],)) for flag in dict.fromkeys(alone) if flag in known]
        said = _with_values(operands(self.usage, name, words, self.arguments), self.defined)
        options = (*self.options, *said)
        is_first = any(re.search(r"\.\.\.\] \[(?:expression|options?)\b", line) for line in self.usage[:1])
        return Command(
            words=words,
            description=self.description[:4000],
            options=_distinct(options),
            operands_first=is_first,
            exclusions=tuple(self.exclusions),
            examples=tuple(self.examples[:20]),
        )


def is_manual(text: str) -> bool:
    """Is a text a manual page?"""
    return _MANUAL.match(text.lstrip()) is not None


def read_help(text: str) -> Help:
    """Read a help text or a rendered manual page; what it does not say stays empty. Never raises."""
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", text).replace("\r", "").replace("’", "'").expandtabs(8)
    lines = [line.rstrip() for line in text.split("\n")[:_MOST_LINES] if len(line) < 2000]
    lines = [part for line in lines for part in _columns(line)]
    help_text = Help(defined=dict(_defined("\n".join(lines))))
    if is_manual(text):
        lines = _manual(lines, help_text)
    heading, place = "", 0
    while place < len(lines):
        line = lines[place]
        found = _USAGE.match(line) or _PLAIN_USAGE.match(line)
        if found and not help_text.usage:
            place = _usage(lines, place, found[1], help_text)
            continue
        if _HEAD.match(line) and not _HEADED.fullmatch(line) and not line.lstrip().startswith(("---", "- ")):
            place = _option(lines, place, heading, help_text)
            continue
        if _HEADING.match(line) and _has_inner(lines, place):
            heading = line.strip().rstrip(":").lower()
        elif heading.startswith("example"):
            _example(lines, place, help_text)
        else:
            _row(line, heading, help_text)
        place += 1
    help_text.options = _with_values(_with_brackets(help_text.options, text), help_text.defined)
    if not help_text.description:
        help_text.description = _description(lines)
    if not help_text.sure and not re.search(r"command|\{|<action>", " ".join(help_text.usage), re.IGNORECASE):
        help_text.commands = {}
    for line in help_text.usage:
        is_call = line.split()[:1] == help_text.usage[0].split()[:1]
        if is_call and (found := re.match(r"^[\w.-]+ [\w-]+ ([a-z][a-z-]+) .*<", line)):  # `git remote add <name>`
            help_text.commands.setdefault(found[1], "")
    return help_text


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
        elif len(line) - len(line.lstrip()) <= indent or line.lstrip().startswith("-"):
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
    specs, end = _specs(rest)
    below = re.fullmatch(r" ([a-z][\w-]*)", rest[end:]) if _is_deeper(lines, place, indent) else None  # `--sort spec`
    if label := below or re.fullmatch(r" +<([^<>]+)>(?:\.\.\.)?(?: \|.*)?", rest[end:]):  # `--install   <.deb file>...`
        rest = f"{rest[:end]} <{label[1]}>"
        specs, end = _specs(rest)
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
    for option in itertools.chain(*(_options(names, words, after) for names, words in said)):
        if option.flag not in ("--help", "--version", "-h"):
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
            rows = [_VALUE_ROW.match(row) for row in itertools.takewhile(str.strip, lines[place + 1 :])]
            depth = rows[0].start(1) if rows and rows[0] else 0  # what is deeper explains a value
            yield head[1], tuple(row[1] for row in rows if row is not None and row.start(1) == depth)


def _with_values(options: Sequence[Option], defined: Mapping[str, tuple[str, ...]]) -> list[Option]:
    """Return options with the values of their place holders, if there are several plain ones."""
    values = {
        label: tuple(dict.fromkeys(words))
        for label, words in defined.items()
        if 1 < len(set(words)) <= 40 and all(re.fullmatch(r"\w[\w.+-]*", word) for word in words)
    }
    return [
        option.model_copy(update={"choices": values[option.label], "kind": "text"})
        if option.value != "none" and not option.choices and option.label in values
        else option
        for option in options
    ]


def _with_brackets(options: Sequence[Option], text: str) -> list[Option]:
    """Return options with the place holders that they have in ``[--omit <dev|optional>]`` alone."""
    labels = dict(re.findall(r"[\[|](--?[\w-]+)[ =](<[^<>\n]+>)", text))

    def labelled(option: Option) -> Option:
        label = next((labels[name] for name in option.names if name in labels), "")
        if not label or option.value != "none":
            return option
        bare = label.strip("<>")
        said = {"value": "required", "label": bare, "choices": _choices(label, ""), "kind": _kind(bare, "")}
        return option.model_copy(update=said)

    return [*map(labelled, options)]


def _add_mode(help_text: Help) -> None:
    """Count the last option to those of which exactly one is given: "Main operation mode"."""
    name = help_text.options[-1].name
    former = next((group for group in help_text.exclusions if group.required), None)
    names = (*former.names, name) if former else (name,)
    help_text.exclusions = [Exclusion(names=tuple(dict.fromkeys(names)), required=True)]


def _specs(rest: str) -> tuple[list[re.Match[str]], int]:
    """Return the names with their values in front of a line, and where they end."""
    specs: list[re.Match[str]] = []
    end = 0
    while found := _SPEC.match(rest, end):
        specs.append(found)
        end = found.end()
        between = _BETWEEN.match(rest, end)
        if between is None or not between[0] or between[0].count(" ") > 6:
            break
        end = between.end()
    return specs, specs[-1].end() if specs else 0


def _options(specs: list[re.Match[str]], text: str, after: str) -> Iterator[Option]:
    if not specs or re.match(r"^ [a-z] [a-z]  ", after):  # `--arg a v`: two values
        return
    names = [name for found in specs for name in _names(found["name"]) if not re.fullmatch(r"-[a-z]{3,}[A-Z]+", name)]
    names = [name for name in names if name.replace("--no-", "--", 1) not in names or not name.startswith("--no-")]
    metas = [found["optional"] or found["equals"] or found["spaced"] or "" for found in specs]
    label = max(metas, key=len)
    is_off = label == "false" and _NEGATIVE.match(text.strip()) and not any(found["colon"] for found in specs)
    if is_off:  # `-lock=false  Don't hold the lock`: the value belongs to the name
        names = [f"{name}=false" for name in names]
    if label in ("false", "true") or all(not meta for meta in metas):
        label = ""
    optional = any(found["optional"] for found in specs) and label != "..."
    kubectl = next((found for found in specs if found["colon"]), None)  # --output='': and --watch=false:
    if kubectl is not None:
        label = {"''": "string", '""': "string", "[]": "list"}.get(label, "int" if label.isdecimal() else label)
    value = "optional" if optional else "required" if label and label != "..." else "none"
    if label == "...":
        value = "none"
    bare = label.strip("<>[]='\"").removesuffix("...")
    choices = _choices(label, text) if value != "none" else ()
    bounds = _RANGE.search(text)
    numbers = [int(item) for item in bounds.groups() if item is not None] if bounds else []
    kind = _kind(bare, text)
    # a bundle of letters, as bash lists them, or a range of numbers: `-M   from first to M'th field`
    if not names or (len(names) == 1 and len(names[0]) == 2 and f"{names[0][1]}'th" in text):
        return
    yield Option.model_validate({
        "names": names, "label": bare[:200], "description": _sentence(text), "value": value, "kind": kind,
        "choices": choices,
        "minimum": numbers[0] if numbers and kind == "integer" else None,
        "maximum": numbers[1] if numbers and kind == "integer" and numbers[1] > numbers[0] else None,
        "default": _default(text, kind) if value != "none" else None,
        "many": value != "none" and (label.endswith("...") or bool(_MANY.search(text)) or "list" in label),
    })  # fmt: skip


def _default(text: str, kind: str) -> str | int | None:
    found = _DEFAULT.search(text)
    value = (found[1] or found[2] or "").strip()[:200] if found else ""
    return int(value) if kind == "integer" and re.fullmatch(r"-?\d{1,15}", value) else value or None


def _names(name: str) -> list[str]:
    found = re.match(r"--\[no-?\](.+)", name)
    return [f"--{found[1]}"] if found else [name]


def _choices(label: str, text: str) -> tuple[str, ...]:
    inner = label.strip("<>[]=")
    if re.fullmatch(r"\{[^{}]+\}|[\w.-]+(?:\|[\w.-]+)+", inner):
        values = re.split(r"[,|]", inner.strip("{}"))
    elif found := _VALUES.search(text):
        values = re.split(r", or |, | or |\|", found[1] or found[2])
    elif found := re.search(
        rf"{re.escape(inner)} (?:is|can be|may be):? ((?:'[\w.-]+'(?:, or |, | or )?){{2,12}})", text
    ):
        values = re.split(r", or |, | or ", found[1])
    else:
        return ()
    if values[-1].strip() in ("or", "and"):  # "a, b, or +FORMAT": any other value is right as well
        return ()
    plain = tuple(dict.fromkeys(value.strip().strip("\"'`") for value in values))
    return plain if 1 < len(plain) <= 40 and all(re.fullmatch(r"\w[\w.+:/-]{0,39}", value) for value in plain) else ()


def _kind(label: str, text: str) -> str:
    label = re.sub(r"\[[^\[\]]*\]", "", label)  # `[+]NUM`
    if _FOLDER.match(label):
        return "folder"
    if _PATH.search(label):
        return "path"
    more = r"suffix" if re.fullmatch(r"N|NUM", label) else r"suffix|\bsize\b"
    return "integer" if _INTEGER.match(label) and not re.search(more, text, re.IGNORECASE) else "text"


def _sentence(text: str) -> str:
    text = re.sub(
        r"\s*\[(?:default|possible values|env|aliases)[^\]]*\]|\s*\(default[^)]*\)", "", " ".join(text.split())
    )
    return re.split(r"(?<=[A-Za-z)]{2})\. (?=[A-Z`'(])|; |(?<=[a-z)])\.$", text.strip())[0].rstrip(".;")[:400]


def _row(line: str, heading: str, help_text: Help) -> None:
    """Read a line of a table of subcommands or arguments."""
    found = _COMMAND.match(line) or _BARE.match(line)
    if re.search(r"argument|positional|parameter", heading) and "{" not in line:
        found = re.match(r"^\s{1,8}[\[<]?([A-Za-z][\w-]*)[\]>]?(?:\.\.\.)?\s{2,}(\S.*)$", line) or found
        if found is not None and "command" not in heading and (found.lastindex or 0) > 1:
            help_text.arguments[found[1].lower()] = _sentence(found[2])
            if not re.search(r"^positional", heading):
                return
    if heading.endswith("commands") and _NAMES.match(line):  # npm
        help_text.sure = True
        help_text.commands |= dict.fromkeys(re.findall(r"[a-z][\w-]*", line), "")
        return
    if found and not re.search(r"option|environment|variable|example|alias|^format|exit|column", heading):
        text = found[3] if (found.lastindex or 0) > 2 else ""
        help_text.sure = help_text.sure or "command" in heading
        if found[1] not in ("help", "usage", "or") and (text or "command" in heading):
            help_text.commands.setdefault(found[1], _sentence(text))
            help_text.rows.setdefault(found[1], found[2] if text else "")


def _example(lines: list[str], place: int, help_text: Help) -> None:
    """Take ``# what it does`` above a command line, or ``command line  # what it does``."""
    line = lines[place].strip()
    if found := re.match(r"^(?:\$ )?([a-z].*?)\s+# (\S.*)$", line):
        help_text.examples.append(Example(text=found[2].rstrip("."), line=found[1]))
    elif line.startswith("# ") and place + 1 < len(lines) and re.match(r"^\s+(?:\$ )?[a-z]", lines[place + 1]):
        help_text.examples.append(Example(text=line[2:].rstrip("."), line=lines[place + 1].strip().removeprefix("$ ")))


def _description(lines: list[str]) -> str:
    """Return the first paragraph that is prose: not indented much, and neither a heading nor an option."""
    paragraph: list[str] = []
    for before, line in zip(["", *lines], lines, strict=False):
        if _HEAD.match(line):
            break
        prose = re.match(r"^ {0,4}[A-Za-z]", line) and not _HEADING.match(line) and not _USAGE.match(line)
        if (
            prose
            and not line.rstrip().endswith(("options", "flags"))
            and not _COMMAND.match(line)
            and not _OR.match(line)
        ):
            if paragraph or not before.strip():  # what follows another kind of line is the rest of a sentence
                paragraph.append(line.strip())
        elif paragraph:
            break
    text = " ".join(paragraph)
    named = re.match(r"^[\w.-]+ - (\S.*?)(?: \[version.*\])?$", text)
    return _sentence(named[1] if named else text)


def operands(usage: list[str], name: str, words: tuple[str, ...], texts: dict[str, str]) -> list[Option]:
    """Return the operands of the first usage line that has some."""
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
        label = text.removesuffix("...").strip("<>").split("|")[0]
        if _NO_OPERAND.match(text) or not re.match(r"[A-Za-z]", label) or label.lower() in ("or", "program"):
            continue
        many = several or text.endswith("...")
        name = re.sub(r"(?i)(?<=ch)es$|(?<=[a-z])s$", "", label) if many else label
        kind = _kind(name, "")
        yield Option.model_validate({
            "label": name, "description": texts.get(label.lower(), ""), "value": "required", "required": required,
            "kind": "text" if kind == "integer" else kind, "many": many,
        })  # fmt: skip


_PIECE = re.compile(r"\{[^{}\s]+\}|<[^<>]+>(?:\.\.\.)?|\.\.\.|[\[\](){}|]|[^\s\[\](){}|<>]+(?:=?<[^<>]+>)?")


def _pieces(rest: str) -> Iterator[tuple[str, bool, bool]]:
    """Yield the words of a usage line that are not part of an option: text, is it required, may there be several?"""
    pieces = _PIECE.findall(rest)
    depth, skipped, place = 0, 0, 0  # brackets that are open; the depth from which all is left out
    while place < len(pieces):
        piece = pieces[place]
        place += 1
        if piece in "[({":
            depth += 1
        elif piece in "])}":
            depth = max(0, depth - 1)  # git's usage of commit closes one bracket too many
            if depth < skipped:  # `[(-c | -C) <commit>]`: what an option stands in belongs to it
                skipped = depth
        elif piece == "|" or piece.startswith("-") or "=" in piece:
            if piece == "--":
                continue
            if depth:
                skipped = skipped or depth
            elif piece == "|" or (pieces[place : place + 1] or [""])[0].startswith("<"):
                place += 1  # the other alternative, or the value of the option
        elif not skipped and piece != "...":
            after = [item for item in pieces[place : place + 3] if item not in "])}"]
            yield piece, depth == 0, after[:1] == ["..."]


def _is_literal(option: Option) -> bool:
    """Is what stands for a value rather one of the values?"""
    is_word = re.fullmatch(r"[a-z][a-z0-9.+-]*", option.label) and not re.fullmatch(_TYPES, option.label)
    return option.value == "required" and bool(is_word) and option.kind == "text"


def _distinct(options: tuple[Option, ...]) -> tuple[Option, ...]:
    """Keep the first of the options that have one argument name."""
    kept: dict[str, Option] = {}
    for option in options:
        new, former = option, kept.get(option.name)
        if former is not None and former.names and not new.names:  # `--file=ARCHIVE ... [FILE]...`
            new = new.model_copy(update={"label": f"{new.label.lower()}{'s' if new.many else '_argument'}"})
        elif former is not None and former.value == "none" and new.value != "none" and former.names == new.names:
            new = new.model_copy(update={"value": "optional"})  # `--time` and `--time=WORD`
        elif former is not None and former.names == new.names and _is_literal(former) and _is_literal(new):
            values = (*(former.choices or (former.label,)), new.label)  # `--format=gzip`, `--format=zstd`
            new = former.model_copy(update={"choices": tuple(dict.fromkeys(values)), "description": ""})
        elif former is not None and not new.names and new.many:  # `URL [URL...]`
            new = former.model_copy(update={"many": True})
        elif former is not None:
            continue
        kept[new.name] = new
    return tuple(kept.values())

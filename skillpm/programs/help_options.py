"""What a help text says of an option: its names, its value, the choices and the kind of that value."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from skillpm.programs.phrases import imperative, one_side
from skillpm.programs.program import Option

_NAME = r"--?(?:\[no-?\])?[A-Za-z0-9?#@][\w-]*(?:\.\w[\w-]*)*|[a-z]+(?==[A-Z])"
_META = r"<[^<>]+>(?:\.\.\.)?|\{[^{}\s]+\}|\[[^\[\]]+\]|[A-Za-z'\"][\w'\"./|-]*(?:\.\.\.)?"
_TYPES = (
    "string|strings|stringArray|stringToString|int|ints|uint|float|duration|list|bytes|filter|file|path|dir|name|"
    "number|num|n|mode|value|command|url|port|key|pattern|regex|type|format|level|size|time|date|text"
)
_SPEC = re.compile(
    rf"(?P<name>{_NAME})(?:(?:[ ]?\[=|\[)(?P<optional>[^\]]+)\]"
    rf"|[ ]?=[ ]?(?P<equals>{_META}|''|\"\"|\[\]|-?\d+m?s?|\.\.\.)(?P<colon>:)?"
    r"|[ ](?P<spaced>(?:\[[^\[\]]+\])?<[^<>]+>(?:\.\.\.)?|\[\([^\[\]]+\]\w+|\{[^{}\s]+\}|\[[A-Z<][^\[\]]*\]"
    r"|\[[^\[\]\s|]+\|[^\[\]]+\]"
    r"|[A-Z][A-Z0-9_/:|.-]*(?:\.\.\.)?(?![a-z])|\+?[A-Za-z][\w.=:/|-]*(?=[ ]{2,}\S)"
    r"|[a-z][a-z-]*(?=,[ ]--[a-z-]+=)"  # `-f script-file, --file=script-file`
    rf"|(?:{_TYPES})\b(?![ ]\w)))?(?P<more>\.\.\.)?"
)
_LONGEST_GRAMMAR = 20_000
_NEGATIVE = re.compile(r"(?:disable|do not|don't|never|skip|suppress|prevent|turn off|without)\b", re.IGNORECASE)
_BETWEEN = re.compile(r"\s*(?:,|/|\||\bor\b)?\s*(?=--?[A-Za-z0-9?#@\[])")
_DEFAULT = re.compile(
    r"[(\[]default(?:s to|:| is)?[ =]*[\"'`]?([^\"'`)\],;]+)[\"'`]?|default (?:is|value is) [\"'`]?([\w./:-]*\w)",
    re.IGNORECASE,
)
_MARKED = r"[\"'`]?[\w.-]+[\"'`]?"
_COMMAS = rf"(?:{_MARKED}(?:, |\|))"  # a list ends with the word behind `or`
_LIST = rf"[\(\[\{{]?({_COMMAS}{{0,12}}(?:{_MARKED},? or ){{1,12}}{_MARKED}|{_COMMAS}{{1,12}}{_MARKED})"
_VALUES = re.compile(
    rf"\[?possible values: ([^\]]+)\]?|(?:one of|can be|must be|either)[:=]? {_LIST}"
    r"|\{([\w.-]+(?:\|[\w.-]+)+)\}"
    r"|(?:\b(?:valid|allowed|supported|available|accepted|permitted) (?:values|choices|options|formats|types|modes"
    rf"|levels)(?: are)?|\b(?:values|choices)(?: are|(?=:)))[:=]? {_LIST.replace(' or ', ' (?:or|and) ')}",
    re.IGNORECASE,
)
_RANGE = re.compile(r"(-?\d+)<=?x<=?(-?\d+)|[\[(](-?\d+)\s*(?:-|\.\.=?|to)\s*(-?\d+)[\])]")
_MANY = re.compile(r"multiple times|more than once|repeat(?:ed|able)|multiple", re.IGNORECASE)
_INTEGER = re.compile(
    r"^(?:int(?:eger)?|num(?:ber)?|n|count|lines|port|uint|seconds?|secs?|depth|levels?|width|cols|jobs|max.*|.*_count"
    r"|nmerge|digits)(?: range)?$",
    re.IGNORECASE,
)
_FOLDER = re.compile(r"^(?:dir|directory|folder|.*_dir|.*directory)$", re.IGNORECASE)
_PATH = re.compile(
    r"(?:^|[_ -]|\b(?:in|out))(?:file|files|filename|path|paths|pathspec|archive|script)s?$", re.IGNORECASE
)


def specs_of(rest: str) -> tuple[list[re.Match[str]], int]:
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


def options_of(specs: list[re.Match[str]], text: str, after: str) -> Iterator[Option]:
    """Yield the option that names with their values stand for, if they stand for one.

    Args:
        specs: of ``specs_of``.
        text: describes it.
        after: what follows the names on their line.
    """
    if not specs or re.match(r"^ [a-z] [a-z]  ", after):  # `--arg a v`: two values
        return
    label = max((found["optional"] or found["equals"] or found["spaced"] or "" for found in specs), key=len)
    names = _all_names(specs)
    is_kubectl = any(found["colon"] for found in specs)  # --output='': and --watch=false:
    if label == "false" and not is_kubectl and _NEGATIVE.match(text.strip()):
        names = [f"{name}=false" for name in names]  # `-lock=false  Don't hold the lock`: the value is part of the name
    # a bundle of letters, as bash lists them, or a range of numbers: `-M   from first to M'th field`
    if not names or (len(names) == 1 and len(names[0]) == 2 and f"{names[0][1]}'th" in text):
        return
    is_optional = label != "..." and any(found["optional"] for found in specs)
    if label in ("false", "true"):
        label = ""
    if is_kubectl:
        label = {"''": "string", '""': "string", "[]": "list"}.get(
            label, "int" if re.fullmatch(r"-?\d+", label) else label
        )
    is_told = label not in ("", "...") or any(found["equals"] == "..." for found in specs)  # `--require=...`
    value = "optional" if is_optional else "required" if is_told else "none"
    bare = label.strip("<>[]='\"+").removesuffix("...")
    choices = choices_of(label, text) if value != "none" else ()
    kind = "text" if choices and not all(map(str.isdecimal, choices)) else kind_of(bare, text)
    least, most = _bounds(text) if kind == "integer" else (None, None)
    yield Option.model_validate({
        "names": names, "label": bare[:200], "description": one_side(sentence_of(text), off=False), "value": value,
        "kind": kind, "choices": choices, "minimum": least, "maximum": most,
        "default": _default(text, kind) if value != "none" else None,
        "many": value != "none" and label != "..." and bool(re.search(r"\.\.\.$|list", label) or _MANY.search(text)),
    })  # fmt: skip


def _all_names(specs: list[re.Match[str]]) -> list[str]:
    names = [name for found in specs for name in _names(found["name"]) if not re.fullmatch(r"-[a-z]{3,}[A-Z]+", name)]
    return [name for name in names if not name.startswith("--no-") or name.replace("--no-", "--", 1) not in names]


def _names(name: str) -> list[str]:
    found = re.match(r"--\[no-?\](.+)", name)
    return [f"--{found[1]}"] if found else [name] if name.startswith("-") else [f"{name}="]


def _bounds(text: str) -> tuple[int | None, int | None]:
    found = _RANGE.search(text)
    if found is None:
        return None, None
    least, most = (int(item) for item in found.groups() if item is not None)
    return least, most if most > least else None


def _default(text: str, kind: str) -> str | int | None:
    found = _DEFAULT.search(text)
    value = (found[1] or found[2] or "").strip()[:200] if found else ""
    return int(value) if kind == "integer" and re.fullmatch(r"-?\d{1,15}", value) else value or None


def choices_of(label: str, text: str) -> tuple[str, ...]:
    """Return the values that a place holder, such as ``{deck,cabin}``, or else a text lists as the only ones."""
    inner = label.strip("<>[]=")
    if re.fullmatch(r"\{[^{}]+\}|[\w.-]+(?:\|[\w.-]+)+", inner):
        values = re.split(r"[,|]", inner.strip("{}"))
    elif found := _VALUES.search(text):
        values = re.split(r", (?:or|and) |, | (?:or|and) |\|", next(filter(None, found.groups())))
    elif found := re.search(
        rf"{re.escape(inner)} (?:is|can be|may be):? ((?:'[\w.-]+'(?:, or |, | or )?){{2,12}})", text
    ):
        values = re.split(r", or |, | or ", found[1])
    elif len(told := re.findall(r"'([\w.-]+)' [a-z]+s\b", text)) > 1:  # 'none' suppresses all, 'progress' shows more
        values = told
    else:
        return ()
    if values[-1].strip() in ("or", "and", "etc", "etc."):  # "a, b, or +FORMAT": any other value is right as well
        return ()
    plain = tuple(dict.fromkeys(value.strip().rstrip(".").strip("\"'`") for value in values))
    return plain if 1 < len(plain) <= 40 and all(re.fullmatch(r"\w[\w.+:/-]{0,39}", value) for value in plain) else ()


def kind_of(label: str, text: str) -> str:
    """Return what a value is by the name of its place holder: folder, path, integer or text."""
    label = re.sub(r"\[[^\[\]]*\]", "", label)  # `[+]NUM`
    if _FOLDER.match(label):
        return "folder"
    if _PATH.search(label):
        return "path"
    more = r"suffix" if re.fullmatch(r"N|NUM", label) else r"suffix|\bsize\b"
    return "integer" if _INTEGER.match(label) and not re.search(more, text, re.IGNORECASE) else "text"


def sentence_of(text: str) -> str:
    """Return the first sentence of a description, without defaults and values."""
    text = re.sub(
        r"\s*\[(?:default|possible values|env|aliases)[^\]]*\]|\s*\(default[^)]*\)", "", " ".join(text.split())
    )
    return re.split(r"(?<=[A-Za-z)]{2})\. (?=[A-Z`'(])|; |(?<=[a-z)])\.$", text.strip())[0].rstrip(".;")[:400]


def with_values(options: Sequence[Option], defined: Mapping[str, tuple[str, ...]]) -> list[Option]:
    """Return options with the values of their place holders, if there are several plain ones."""
    values = {
        name: tuple(dict.fromkeys(words))
        for label, words in defined.items()
        for name in (label, f"{label}S")  # `conv=CONVS`: each CONV symbol may be one of these
        if 1 < len(set(words)) <= 40 and all(re.fullmatch(r"\w[\w.+-]*", word) for word in words)
    }
    return [
        option.model_copy(update={"choices": values[option.label], "kind": "text"})
        if option.value != "none" and not option.choices and option.label in values
        else option
        for option in options
    ]


def without_grammar(text: str) -> tuple[str, list[Option]]:
    """Return a text without its grammar of options, as of ip and tc, and these: ``{ -j[son] | -n[etns] name }``."""
    head, _, rest = text.partition("OPTIONS := {")
    depth, ends = 0, [-1]
    for place, letter in enumerate(rest[:_LONGEST_GRAMMAR]):
        depth += (letter in "{[") - (letter in "}]")
        if depth < 0 or (letter == "|" and not depth):
            ends.append(place)
        if depth < 0:
            parts = [" ".join(rest[begin + 1 : end].split()) for begin, end in itertools.pairwise(ends)]
            return head + rest[place + 1 :], [option for part in parts for option in _grammar_option(part)]
    return text, []


def _grammar_option(part: str) -> Iterator[Option]:
    found = re.fullmatch(r"-(\w+)(?:\[([\w-]+)\])?(?: [\[{]? ?(\w[^\]}]*?) ?[\]}]?)?", part)
    if found is None or found[2] == "ersion":
        return
    names = [f"-{found[1]}", *([f"-{found[1]}{found[2]}"] if found[2] else [])]
    label = found[3] or ""
    choices = tuple(label.split(" | ")) if "|" in label else ()
    value = "required" if label else "none"
    yield Option.model_validate({"names": names, "label": label[:200], "value": value, "choices": choices})


def with_brackets(options: Sequence[Option], text: str, usage: Sequence[str]) -> list[Option]:
    """Return options with the place holders that they have in ``[--omit <dev|optional>]`` alone.

    In a usage line they need no marks: ``[-d exdir]``.
    """
    told = {name for option in options if option.value != "none" for name in option.names}
    shown = re.findall(r"\[(--?[\w-]+) ([A-Za-z][\w-]*)\]", " ".join(usage))
    labels = {name: label for name, label in shown if name not in told}
    labels |= dict(re.findall(r"[\[|](--?[\w-]+)[ =](<[^<>\n]+>)", text))
    listed = set(re.findall(r"[\[|](--[\w-]+)", text))

    def labelled(option: Option) -> Option:
        negated = f"--no-{option.flag[2:]}"
        if option.value == "none" and negated in listed and option.flag not in listed:  # `[--no-audit]` above `--audit`
            off = re.match(r"If set to false, then (\w.*)", option.description)
            deed = imperative(option.description)
            text = off[1] if off else f"do not {deed}" if deed else ""
            return option.model_copy(update={"names": (negated,), "description": text})
        label = next((labels[name] for name in option.names if name in labels), "")
        if not label or option.value != "none":
            return option
        bare = label.strip("<>")
        said = {"value": "required", "label": bare, "choices": choices_of(label, ""), "kind": kind_of(bare, "")}
        return option.model_copy(update=said)

    return [*map(labelled, options)]


def distinct(options: tuple[Option, ...]) -> tuple[Option, ...]:
    """Keep the first of the options that have one argument name."""
    kept: dict[str, Option] = {}
    for option in options:
        new, former = option, kept.get(option.name)
        if former is not None and former.names and not new.names:  # `--file=ARCHIVE ... [FILE]...`
            new = new.model_copy(update={"label": f"{new.label.lower()}{'s' if new.many else '_argument'}"})
        elif former is not None and former.value == "none" and new.value != "none" and former.names == new.names:
            # `--time` and `--time=WORD`; without words that are known, only the first is used
            said = new if new.choices or new.kind == "integer" else former
            new = new.model_copy(update={"value": "optional", "description": said.description})
        elif former is not None and former.names == new.names != () and _is_literal(former) and _is_literal(new):
            values = (*(former.choices or (former.label,)), new.label)  # `--format=gzip`, `--format=zstd`
            new = former.model_copy(update={"choices": tuple(dict.fromkeys(values)), "description": ""})
        elif former is not None and not new.names and new.many:  # `URL [URL...]`
            new = former.model_copy(update={"many": True})
        elif former is not None:
            continue
        kept[new.name] = new
    return tuple(kept.values())


def _is_literal(option: Option) -> bool:
    """Is what stands for a value rather one of the values?"""
    is_word = re.fullmatch(r"[a-z][a-z0-9.+-]*", option.label) and not re.fullmatch(_TYPES, option.label)
    return option.value == "required" and bool(is_word) and option.kind == "text"

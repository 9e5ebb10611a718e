"""Turn the commands of a program into tools: an argument for each option that is kept, and a command line."""

from __future__ import annotations

import itertools
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from skillpm.programs.draft import Draft, Slot, share_of_each
from skillpm.programs.phrases import (
    clean,
    flag_clauses,
    imperative,
    naming,
    noun_clauses,
    value_clauses,
    variants,
    words_of,
)
from skillpm.programs.program import Command, Option, Program
from skillpm.programs.values import GENERIC, examples, fresh, kind_of
from skillpm.programs.words import words

TEXT = {"type": "string", "minLength": 1, "maxLength": 400, "pattern": r"^[^-\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"}
_IDLE = re.compile(
    r"verbose|quiet|silent|debug|color|colour|log|config|help|version|progress|telemetry|usage|completion"
)
_ALIAS = re.compile(
    r"^(?:same as|alias|like -|equivalent|deprecated|synonym|obsolete|ignored|.*\bdeprecated\b)", re.IGNORECASE
)
_FORM = re.compile(
    r"^(?:use|output|print|produce|give|show|display|set)\b.*\b(?:format|output mode to \S+|output in \w+)\b",
    re.IGNORECASE,
)
_POPULAR = frozenset(words()["popular"].split())
_PLAIN = ("call", "execute", "start", "invoke", "use", "launch", "type", "give me a call of", "write a command line of",
          "put together a call of", "make a call of", "do it with", "show me a command line of")  # fmt: skip
_SHOW = {word for verb in ("show", "display", "list", "print") for word in (verb, *words()["synonyms"][verb])}
_SHOWING = re.compile(rf"\A(?:{'|'.join(sorted(_SHOW, key=len, reverse=True))}) ")
_KINDS = frozenset(("pattern", "glob", "regex", "regexp", "file", "filename", "path", "dir", "directory", "url", "uri",
                    "host", "hostname", "name", "time"))  # fmt: skip
_REQUIRED_GROUP = 5  # operations of a program such as tar
_OPTIONAL = 8  # arguments of a tool


def drafts(program: Program) -> list[Draft]:
    """Return a tool for each command, with a few optional arguments each."""
    asks = [imperative(command.description) or _by_words(command.words) for command in program.commands]
    made = []
    for command, said in zip(program.commands, asks, strict=True):
        is_plain = not said or asks.count(said) > 1
        ask = _lowered(said, command)
        made.append(_draft(program, command, f"run {' '.join((program.name, *command.words))}" if is_plain else ask))
    return own_phrasings(made)


def own_phrasings(drafts: list[Draft]) -> list[Draft]:
    """Return drafts, each without the phrasings that may mean another tool."""
    return [replace(draft, requests=_own(draft, drafts)) for draft in drafts]


def _lowered(ask: str, command: Command) -> str:
    """Return an imperative that says "files" for FILEs, and nothing of a place holder that is not given."""
    ask = re.sub(r" (?:in|by|with|using) (?:the|a) (?:given|specified) [A-Z]+\b", "", ask)
    for label in {option.label for option in command.options if option.label.isupper()}:
        ask = re.sub(rf"\b(?:the set of )?{re.escape(label)}(?=s?\b)", label.lower(), ask)
    return ask


def _own(draft: Draft, drafts: list[Draft]) -> tuple[str, ...]:
    """Return the phrasings of a tool without those that another tool's begin with: nobody could tell which is meant.

    Nor could anybody where the first part of what is asked is what another tool is asked, in another verb for showing:
    "output installed packages" in some format, beside "list installed packages".
    """
    others = [f"{_bare(text)} " for other in drafts if other.name != draft.name for text in other.requests]
    shown = {_shown(text.rstrip()) for text in others}
    ask = _shown(draft.ask)

    def is_own(text: str) -> bool:
        is_part = _SHOWING.match(text) is not None and not _shown(text).startswith(ask)
        return not (is_part and _shown(text) in shown) and not any(other.startswith(f"{text} ") for other in others)

    return tuple(text for text in draft.requests if is_own(_bare(text))) or draft.requests


def _shown(text: str) -> str:
    return _SHOWING.sub("show ", text)


def _bare(request: str) -> str:
    return request.removesuffix(" [*]")


def _shorter(phrase: str) -> list[str]:
    """Return an imperative and its first part alone: ``show changes`` for ``show changes between commits``.

    What asks whether something holds has no such part: ``check if the file with this name exists``.
    """
    found = (
        None
        if re.search(r"\b(?:if|whether)\b", phrase)
        else re.match(
            r"((?:\S+ ){1,5}?\S+?),? (?:with|using|from|in|into|between|along|to|for|of the|on|that|recursively)\b",
            phrase,
        )
    )
    if found is None or "{" in phrase[len(found[1]) :] or len(found[1].split()) < 2 or found[1].endswith("ed"):
        return [phrase]  # "packages inferred from plugins" has no end before "from"
    return [phrase, found[1]]


def _draft(program: Program, command: Command, ask: str) -> Draft:
    kept, left_out = _kept(command, is_parsed=program.source != "help")
    line = " ".join((program.name, *command.words))
    exclusions = tuple(_exclusions(command, kept))
    texts = [imperative(option.description) for option in kept]
    slots = []
    optional = share_of_each(sum(not option.required for option in kept))
    stand_ins = Counter(_one(word) for option in kept for word in {_placeholder(option), words_of(option.name)})
    names = Counter(_one(words_of(option.name)) for option in kept)
    inlined = _inlined(ask, kept)
    for option in kept:
        is_plain = texts.count(imperative(option.description)) > 1 and option.value == "none"
        has_twin = bool(option.names) and names[_one(words_of(option.name))] > 1
        in_group = any(required and option.name in names for names, required in exclusions)
        size = max((len(names) for names, required in exclusions if required), default=1)
        share = 1.0 if option.required else round(1 / size, 2) if in_group else optional
        slot = _slot(option, share, plain=is_plain)
        noun = _placeholder(option) if stand_ins[_one(_placeholder(option))] == 1 else ""
        clauses = [text for text in slot.clauses if not (has_twin and _names_it(text, option))]
        slots.append(replace(slot, clauses=(*clauses, *noun_clauses(option.name, noun))))
    return Draft(
        name=re.sub(r"[^A-Za-z0-9_.-]", "_", "_".join(command.words) or program.name)[:64],
        description=clean(command.description, 200) or f"{ask} ({line})",
        schema=_schema(kept, exclusions),
        slots=tuple(slots),
        args={option.name: f"{{{option.name}}}" for option in kept},
        requests=tuple(phrasings(ask, line, inlined)),
        ask=ask,
        argv=tuple(_argv(program, command, kept)),
        exclusions=exclusions,
        seeds=tuple(_seeds(program, command, kept)),
        left_out=left_out,
    )  # fmt: skip


def _one(word: str) -> str:
    """Return a word in the singular: "the file x" may be one of the FILEs of `grep --file=FILE [FILE]...`."""
    return word.removesuffix("s")


def _names_it(clause: str, option: Option) -> bool:
    """Does a clause call an option by its name, and not as it is typed?"""
    said = clause.replace(f"{{{option.name}}}", "")
    return words_of(option.name) in said and option.flag not in said


def _by_words(words: tuple[str, ...]) -> str:
    """Return ``add a remote`` for the subcommand ``remote add``."""
    return imperative(f"{words[-1]} a {words[-2]}") if len(words) > 1 else ""


def _inlined(ask: str, kept: list[Option]) -> list[tuple[str, list[str]]]:
    """Return phrases and the operands that each names in its place: all required ones where that is possible."""
    required = naming(ask, [(option.name, option.label) for option in kept if not option.names and option.required])
    every = naming(ask, [(option.name, option.label) for option in kept if not option.names])
    return [required, *([every] if len(every[1]) > len(required[1]) else [])]


def phrasings(ask: str, line: str, inlined: list[tuple[str, list[str]]]) -> Iterator[str]:
    """Yield requests for a tool, each with ``[*]`` for all clauses.

    ``ask`` is an imperative, ``line`` how a command line of the tool begins, or its name. ``inlined`` has phrases, and
    the slots that each names in its place.
    """
    plain = f"run {line}"
    for phrase, names in inlined:
        for text in (
            dict.fromkeys(text for short in _shorter(phrase) for text in variants(short)) if ask != plain else [phrase]
        ):
            yield f"{text} [*]"
        if ask != plain:
            yield f"use {line} to {phrase} [*]"
            yield f"{phrase} with {line} [*]"
            if names:
                yield f"{phrase} by means of {line} [*]"
                yield f"let {line.split()[0]} {phrase} [*]"
    yield f"run {line} [*]"
    yield f"{line} [*]"
    yield f"run {line} [*] for me"
    if ask == plain:
        yield from (f"{verb} {line} [*]" for verb in _PLAIN)


def _kept(command: Command, *, is_parsed: bool) -> tuple[list[Option], tuple[str, ...]]:
    """Choose the options that a contract gets: operands, what examples use, what has a short name, what comes first.

    Of a program whose parser is not known, an option that nothing describes may have a value, and an operand that is
    optional takes only what its name tells.
    """
    shown = " ".join(example.line for example in command.examples).split()
    groups = [set(group.names) for group in command.exclusions if group.required]

    def rank(option: Option) -> tuple[int, ...]:
        used = any(word.split("=")[0] in option.names for word in shown)
        short = any(len(name) == 2 for name in option.names)
        idle = bool(_IDLE.search(option.flag)) or bool(_ALIAS.match(option.description)) or not option.description
        negative = option.flag.startswith("--no-")
        popular = option.flag.lstrip("-") in _POPULAR
        in_group = any(option.name in names for names in groups)
        return (not option.required, bool(option.names), not in_group, idle, not used, not popular, negative, not short)

    alone = {group.names[0] for group in command.exclusions if len(group.names) == 1}  # another mode of the command
    usable = [_needed(o) for o in command.options if not re.fullmatch(r"-[\d#]", o.flag) and o.name not in alone]
    told = (option for option in usable if _is_told(option, is_parsed=is_parsed))
    ranked = sorted(told, key=rank)
    in_groups = [option for option in ranked if any(option.name in names for names in groups)][:_REQUIRED_GROUP]
    others = [option for option in ranked if not any(option.name in names for names in groups)]
    required = [option for option in others if option.required]
    chosen = {option.name for option in (*in_groups, *required, *[o for o in others if not o.required][:_OPTIONAL])}
    optional = [option for option in usable if not option.names and not option.required and option.name in chosen]
    chosen -= {option.name for option in optional[1:]}  # without the first, the second would be read as the first
    kept = [option for option in usable if option.name in chosen]
    return kept, tuple(option.title for option in usable if option.name not in chosen)


def _needed(option: Option) -> Option:
    """Return an option, required where it is an operand without which nothing is asked for: ``wget [URL]...``."""
    is_needed = not option.names and not option.required and _kind(option) == "url"
    return option.model_copy(update={"required": True}) if is_needed else option


def _is_told(option: Option, *, is_parsed: bool) -> bool:
    """Is it known which values an option takes? Made-up ones would teach what the program refuses."""
    if option.required:
        return True
    if not _takes_value(option):
        return is_parsed or bool(option.description) or option.flag.startswith("--")
    if not {"a", "i"}.isdisjoint(option.choices):  # every request says these
        return False
    return bool(option.choices) or _kind(option) != "word" or (is_parsed and not option.names)


def _exclusions(command: Command, kept: list[Option]) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield the options of which at most one is given, and whether one must be: what help says, and what names say."""
    names = {option.name for option in kept}
    said = [(group.names, group.required) for group in command.exclusions]
    opposites = [((name, f"{no}{name}"), False) for name in sorted(names) for no in ("no_", "no")]
    modes = [(group, False) for group in _modes([option for option in kept if option.names])]
    known: list[set[str]] = []
    for group, required in (*said, *opposites, *modes):
        inside = tuple(name for name in group if name in names)
        if len(inside) > 1 and not any(former.issuperset(inside) for former in known):
            known.append(set(inside))
            yield inside, required


def _modes(options: Sequence[Option]) -> Iterator[tuple[str, ...]]:
    """Yield names of options that mean different modes or forms of the output, of which a program takes one."""
    yield tuple(item.name for item in options if not _takes_value(item) and _FORM.search(item.description))
    for group in words()["modes"]:
        strong, _, weak = (part.split() for part in group.partition("|"))
        if any(item.name in strong for item in options):
            yield (*strong, *weak)


def as_schema(option: Option) -> dict[str, Any]:
    """Return the JSON Schema of the value of an option."""
    text = {"description": clean(option.description, 200)} if clean(option.description, 200) else {}
    schema: dict[str, Any]
    if not _takes_value(option):
        return {"type": "boolean", **text}
    if option.choices:
        schema = {"enum": list(_choices(option))}
    elif option.kind in ("integer", "number"):
        low = option.minimum if option.minimum is not None and option.minimum >= 0 else 0
        schema = {
            "type": option.kind,
            "minimum": low,
            **({"maximum": option.maximum} if option.maximum is not None else {}),
        }
    else:
        schema = {**TEXT, "examples": [str(value) for value in examples(_kind(option))]}
    is_number = option.kind == "integer" and type(option.default) is int and option.default >= schema.get("minimum", 0)
    if not option.many and (option.default in _choices(option) or (is_number and not option.choices)):
        schema["default"] = option.default
    if option.many:
        schema = {"type": "array", "items": schema, "minItems": 1, "maxItems": 8}
    return {**schema, **text}


def _choices(option: Option) -> tuple[str | int, ...]:
    """Return the only values, as numbers where the program reads numbers."""
    is_number = option.kind == "integer" and all(re.fullmatch(r"-?[0-9]{1,15}", item) for item in option.choices)
    return tuple(map(int, option.choices)) if is_number else option.choices


def _takes_value(option: Option) -> bool:
    """Does its argument hold a value? One that may be left out does where we know which values there are."""
    return option.value == "required" or (
        option.value == "optional" and bool(option.choices or option.kind == "integer")
    )


def _kind(option: Option) -> str:
    return kind_of(option.name, option.label, option.kind, option.description)


def _schema(kept: list[Option], exclusions: tuple[tuple[tuple[str, ...], bool], ...]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "additionalProperties": False}
    required = [option.name for option in kept if option.required]
    if required:
        schema["required"] = required
    schema["properties"] = {option.name: as_schema(option) for option in kept}
    rules: list[Any] = [
        {"not": {"required": list(pair)}} for names, _ in exclusions for pair in itertools.combinations(names, 2)
    ]
    rules += [{"anyOf": [{"required": [name]} for name in names]} for names, needed in exclusions if needed]
    return {**schema, **({"allOf": rules} if rules else {})}


def _argv(program: Program, command: Command, kept: list[Option]) -> Iterator[Any]:
    yield from (program.name, *command.words)
    operands = [{"value": option.name} for option in kept if not option.names]
    yield from operands if command.operands_first else ()
    for option in kept:
        if option.names and not _takes_value(option):
            yield {"flag": option.flag, "if": option.name}
        elif option.names:
            yield {
                "flag": option.flag,
                "value": option.name,
                **({"attached": True} if option.value == "optional" or option.flag.endswith("=") else {}),
            }
    yield from () if command.operands_first else operands


def _slot(option: Option, share: float, *, plain: bool) -> Slot:
    if not _takes_value(option):
        plain = plain or (option.label.isupper() and option.label in option.description)  # a value that nobody gives
        clauses = flag_clauses(option.name, option.flag, option.description, plain=plain)
        return Slot(option.name, (True,), tuple(clauses), share)
    clauses = value_clauses(option.name, option.flag, option.label, option.description, plain=plain,
                            is_file=option.kind in ("path", "folder"))  # fmt: skip
    if option.choices:
        return Slot(option.name, _choices(option), tuple(clauses), share, (), option.many)
    kind = _kind(option)
    bounded = option.kind == "integer" and (option.minimum is not None or option.maximum is not None)
    if bounded:
        low = max(0, int(option.minimum or 0))
        high = int(option.maximum) if option.maximum is not None else low + 60
        values = tuple(sorted({round(low + (high - low) * step / 12) for step in range(13)}))
        return Slot(option.name, values, tuple(clauses), share, (values[len(values) // 2],), option.many)
    return Slot(option.name, kind, tuple(clauses), share, tuple(fresh(kind)), option.many)


def _placeholder(option: Option) -> str:
    """Return the word that stands for a value in the usage line, ``archive`` of `--file=ARCHIVE`; empty for none.

    What kind of value an option takes does not tell the option: the pattern of `--exclude=PATTERN` may be any.
    """
    is_word = _takes_value(option) and re.fullmatch(r"<?[A-Za-z]{3,}>?", option.label) is not None
    noun = option.label.strip("<>").lower() if is_word else ""
    return "" if noun in GENERIC or (option.names and noun in _KINDS) else noun


def _seeds(program: Program, command: Command, kept: list[Option]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the examples of the documentation whose command lines have only arguments that are kept."""
    for example in command.examples:
        args = arguments_of(program, command, kept, example.line)
        if args is not None and 8 <= len(example.text) <= 200 and _says(example.text, args):
            yield example.text, args


def _says(text: str, args: dict[str, Any]) -> bool:
    """Does a sentence name each value of its command line?"""
    values = [
        item for value in args.values() if value is not True for item in (value if isinstance(value, list) else [value])
    ]
    return bool(args) and all(str(value) in text for value in values)


def arguments_of(program: Program, command: Command, kept: list[Option], line: str) -> dict[str, Any] | None:
    """Read a command line into arguments; None where it has what the contract does not."""
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    if words[:1] != [program.name] or tuple(words[1 : 1 + len(command.words)]) != command.words:
        return None
    options = {name: option for option in kept for name in option.names}
    operands = [option for option in kept if not option.names]
    args: dict[str, Any] = {}
    rest = words[1 + len(command.words) :]
    while rest:
        word = rest.pop(0)
        if re.fullmatch(r"-[A-Za-z]{2,}", word) and word not in options:  # a bundle
            rest[:0] = [f"-{letter}" for letter in word[1:]]
            continue
        name, equals, attached = word.partition("=") if word.startswith("--") else (word, "", "")
        name, equals, attached = (word, "", "") if word in options else (name, equals, attached)
        option = options.get(name)
        if option is None:
            option = next((item for item in operands if item.many or item.name not in args), None)
            if word.startswith("-") or option is None:
                return None
            value: Any = word
        elif not _takes_value(option):
            value = True
        elif not equals and not rest:
            return None
        else:
            value = attached if equals else rest.pop(0)
        if option.kind == "integer" and value is not True:
            if not str(value).isdecimal():
                return None
            value = int(value)
        args[option.name] = [*args.get(option.name, []), value] if option.many else value
    return args if all(option.name in args for option in kept if option.required) else None

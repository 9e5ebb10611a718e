"""How a person says what a description says: imperatives, clauses, and the place where a value is named."""

from __future__ import annotations

import re

from skillpm.programs.words import words

_WORDS = words()
_VERBS = frozenset(_WORDS["verbs"].split())
_WITH_FOR = frozenset(_WORDS["verbs_with_for"].split())
_SYNONYMS: dict[str, list[str]] = _WORDS["synonyms"]
_AFTER: dict[str, list[str]] = _WORDS["after"]
_NAMED: list[str] = _WORDS["named"]
_NOUN: list[str] = _WORDS["noun"]
_OPERAND: list[str] = _WORDS["operand"]
_SAID: list[str] = _WORDS["said"]
_TYPED_FLAG: list[str] = _WORDS["typed_flag"]
_TYPED_VALUE: list[str] = _WORDS["typed_value"]
_SHORT = {"dir": "directory", "workdir": "directory", "cwd": "directory", "out": "output"}
_FILLERS = frozenset(("file", "path", "name", "dir", "directory", "number", "value", "string"))
_CUT = re.compile(
    r"\s*(?:;|--|\bi\.e\.|\be\.g\.|, (?:but|although|unless|which|so|if|rather|whether|where|like|instead|not)\b|"
    r"\b(?:even )?"
    r"(?:instead of|rather than|Defaults? |if not\b|unless|This |Use this|Can be|May be|as opposed|Example: )).*$",
    re.DOTALL,
)
_TOOL = re.compile(
    r"^(?:an?|another|the)\s[\w ,-]*?(?:utility|tool|program|command|interface)\s(?:to|for|that)\s", re.IGNORECASE
)
_SIDES = re.compile(
    r"(enable|show|allow|include|activate|add|use|turn on)s?(?:/| or |,)"
    r"(disable|hide|disallow|exclude|deactivate|remove|avoid|(?:turn )?off)s?\b",
    re.IGNORECASE,
)
_THIRD = re.compile(r"^([a-z]+?)(es|s)$")


def clean(text: str, longest: int = 90) -> str:
    """Return the core of a description: one clause without brackets, quotes and explanations.

    It is empty where the clause would lose its end: "entries starting with ."
    """
    if re.search(r"(?:^|\s)\.{1,2}(?:\s|$)", text):
        return ""
    text = re.sub(r"(?<=\w)\((e?s)\)|\((\w+)\)(?=\w)", r"\1\2", text)  # "the file(s)", "(de)compress"
    text = re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", text)
    text = re.sub(r"[`\"{}\[\]()|\\<>*]|(?<!\w)'(?=\w)|(?<=\w)'(?!\w)", "", text)
    text = _CUT.sub("", " ".join(text.split())).strip(" .,:;")
    if re.search(r"(?:^|\s)(?:the|an?|using|when|if|of|and|or|than)$", text):  # "make the", before an option
        return ""
    if len(text) > longest:
        text = re.split(r", |\. |: ", text)[0]
    return text if 3 <= len(text) <= longest else ""


def imperative(text: str) -> str:
    """Return a description as an imperative in lower case; empty where it is not one."""
    text = _TOOL.sub("", clean(text))
    adverb = found[0].lower() if (found := re.match(r"[A-Za-z]+ly (?=[a-z])", text)) and not _is_verb(found[0]) else ""
    first, _, rest = text[len(adverb) :].partition(" ")
    verb = first.lower().strip(",").partition("/")[0]
    comma = "," if first.endswith(",") else ""
    third = _THIRD.match(verb)
    if verb not in _VERBS and third:
        verb = next((base for base in (third[1], verb[:-1]) if base in _VERBS), verb)
    if verb not in _VERBS:
        base = re.sub(r"ing$", "", verb)
        verb = next((item for item in (base, f"{base}e", base[:-1]) if item in _VERBS and item != verb), "")
    if re.match(r"(?:for|of|that|which|is|name)\b", rest) and verb not in _WITH_FOR:  # "Tag for the image" is a noun
        return ""
    if re.match(r"\w+[eo]r for \w+ing\b", rest):  # "stream editor for filtering text" is one, too
        return ""
    return f"{adverb}{verb}{comma} {rest}".strip() if verb else ""


def _is_verb(word: str) -> bool:
    return word.strip().lower() in _VERBS


def one_side(text: str, *, off: bool) -> str:
    """Return what one side of a switch does: ``Disable colors`` for ``Enable or disable colors``."""
    found = _SIDES.match(text)
    return f"{found[2] if off else found[1]}{text[found.end() :]}" if found else text


def gerund(phrase: str) -> str:
    """Return ``opening a browser`` for ``open a browser``."""
    verb, _, rest = phrase.partition(" ")
    if verb.endswith("e") and not verb.endswith(("ee", "ye", "oe")):
        verb = verb[:-1]
    elif re.search(r"[^aeiou][aeiou][bdgmnprt]$", verb) and len(verb) <= 4:
        verb += verb[-1]
    return f"{verb}ing {rest}".strip()


def words_of(name: str) -> str:
    """Return the words of a name: ``no browser`` for ``no_browser``."""
    return re.sub(r"[_-]+", " ", name).strip().removeprefix("option ")


def variants(phrase: str) -> list[str]:
    """Return an imperative with the other verbs that people use for it."""
    verb, _, rest = phrase.partition(" ")
    others = () if re.match(r"(?:out|up|off|down|over|through|away|back)\b", rest) else _SYNONYMS.get(verb, ())
    return [phrase, *(f"{other} {rest}".strip() for other in others)]  # nobody says "look for out" for "find out"


def flag_clauses(name: str, flag: str, description: str, *, plain: bool = False) -> list[str]:
    """Return how a request asks for a flag.

    The flag is empty where it is not an option of a command line. With ``plain``, another argument has the same
    description, so only the name tells them apart.
    """
    words = words_of(name) if len(words_of(name)) > 1 else flag
    typed = [text.replace("{f}", flag) for text in _TYPED_FLAG] if flag else []
    named = [f"with the {words} option", f"with {words} turned on", f"({words})"]
    said = "" if plain else imperative(description)
    negative = re.match(r"(?:do not|don't|never|without|disable|skip|suppress|avoid) (.+)", said)
    if negative and said.startswith(("do not", "don't")):
        what = negative[1]
        return [
            f"and do not {what}",
            f"but do not {what}",
            f"without {gerund(what)}",
            f", don't {what}",
            f"and never {what}",
            *typed,
        ]
    if said.startswith("only "):
        return [f", {said}", f"and {said}", f"; {said}", f"but {said}", *named, *typed]
    if said:
        more = [f"and {other}" for other in variants(said)[1:3] if not other.startswith("give me")]
        return [*(text.replace("{d}", said) for text in _SAID), *more, *named, *typed]
    noun = "" if plain else _noun(description)
    if noun:
        return [
            f"with {noun}",
            f", with {noun}",
            f"and with {noun}",
            f"({noun})",
            f"and I want {noun}",
            *named,
            *typed,
        ]
    return [*named, f"and turn on {words}", f", {words} on", f"and use {words}", *typed]


def _noun(description: str) -> str:
    text = clean(description, 45)
    is_noun = text and re.match(r"^(?:an? |the )?[a-z][a-z-]+(?: [a-z-]+){0,4}$", text[:1].lower() + text[1:])
    return (
        text[:1].lower() + text[1:]
        if is_noun and not re.search(r"\b(?:is|are|be|when|if|was|same|like|alias)\b", text)
        else ""
    )


def value_clauses(
    name: str, flag: str, label: str, description: str, *, plain: bool = False, is_file: bool = False
) -> list[str]:
    """Return how a request gives the value of an option or an operand, with ``{name}`` where the value stands.

    The flag is empty for an operand, and ``label`` stands for its value in the description. ``plain`` is as for
    ``flag_clauses``.
    """
    value, words = "{" + name + "}", words_of(name)
    said = "" if plain else placed(description, label, value)
    described = [text.replace("{d}", said) for text in _SAID] if said else []
    special = _OPERAND if not flag and is_file else _AFTER.get(_word_of_place(words), [])
    article = "a" if words[:1] not in "aeio" else "an"
    of = "for the {n} {v}" if words.endswith("s") else f"with {article} {{n}} of {{v}}"
    texts = [*special, *_NAMED, of, *(_TYPED_VALUE if flag else ())]
    return list(dict.fromkeys([*described, *(_filled(text, value, words, flag) for text in texts)]))


def noun_clauses(name: str, noun: str) -> list[str]:
    """Return how a request names a value by what it is, such as an archive; none without a noun."""
    return [_filled(text, f"{{{name}}}", noun, "") for text in _NOUN] if noun else []


def _filled(text: str, value: str, words: str, flag: str) -> str:
    # all places at once: an option may itself be called n, f or v
    text = text.replace("{f} {v}", "{f}{v}") if flag.endswith("=") else text  # `bs=4K`
    return re.sub(r"\{([nfv])\}", lambda place: {"n": words, "f": flag, "v": value}[place[1]], text)


def _word_of_place(words: str) -> str:
    """Return what tells how the value of a name is said, such as ``directory`` for ``work dir``; empty for nothing."""
    parts = words.split()
    if parts[0] in ("exclude", "ignore", "skip"):  # `exclude dir` is not where something happens
        return "exclude" if len(parts) == 1 else ""
    first = parts[0] if set(parts[1:]) <= _FILLERS else ""  # `user agent` is no user
    last = parts[-1]
    candidates = (_SHORT.get(last, last), last.removesuffix("s"), first, words)
    return next((key for key in candidates if key in _AFTER), "")


def placed(description: str, label: str, value: str) -> str:
    """Return a description as an imperative that names the value; empty where it has no place for it."""
    said = imperative(re.sub(r"[<>]", "", description))
    bare = re.escape(label.strip("<>").split("|")[0])
    if (said and bare and len(label) > 1) or label.isupper():
        text, count = re.subn(
            rf"\b(?:(?:the |a |an )?(?:specified|given) )?{bare}\b",
            lambda _: value,
            said,
            count=1,
            flags=0 if label.isupper() else re.IGNORECASE,
        )
        if count and (label.isupper() or not re.search(r"\b(?:an?|the|from|of|in) \{", text)):
            return text
    text, count = re.subn(
        r"\b(?:the |an? )?(?:specified|given|provided|following) (?:\w+ )?(\w+)", rf"\1 {value}", said, count=1
    )
    return text if count else ""


def naming(phrase: str, names: list[tuple[str, str]]) -> tuple[str, list[str]]:
    """Put the values of operands behind their nouns: ``clone the repository {repo} into ...``.

    ``names`` has, for each operand, what stands for it in the usage line.

    Returns:
        The phrase, and the operands that it names now.
    """
    done = []
    for name, label in names:
        noun = re.sub(r"[^a-z ]", " ", label.lower()).split()[-1:] or [""]
        stem = {
            "repo": "repositor(?:y|ies)",
            "dir": "directory",
            "pathspec": "files?|file contents",
            "dest": "destination",
        }.get(noun[0], f"{noun[0]}(?:e?s)?")
        pattern = rf"\b(?:an? |the |some |one or many |one or more |all |set of |your |new )*(?:{stem})\b(?! \{{)"
        if len(noun[0]) > 2 and (found := re.search(pattern, phrase, re.IGNORECASE)):
            what = (
                re.sub(r"^(?:an?|some|one or many|one or more|all|your|set of) ", "the ", found[0])
                if " " in found[0]
                else found[0]
            )
            phrase = f"{phrase[: found.start()]}{what} {{{name}}}{phrase[found.end() :]}"
            done.append(name)
    return phrase, done

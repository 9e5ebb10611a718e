"""Right answers that a skill's tasks may not have, and wrong ones that a lenient reader takes for them.

A verifier that reads the expected value as a pattern, or compares fifty letters of it, is right as long as no task has
such a value. So values are invented, in place of those of a task; the schema of the contract decides which of them can
be expected. Only that the wrong answer is not paid is claimed, because an invented task may make no sense. Where nobody
says which values can be expected, nonsense must not be paid either, or the verifier does not understand the task.
"""

from __future__ import annotations

import contextlib
import hashlib
import string
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.errors import DocumentError
from skillpm.formats.json_place import Path, with_value
from skillpm.model.task import canonical_json
from skillpm.selftest.mutations import Mutation, fields, name_of, tool_of
from skillpm.selftest.tasks import GateTask, gate_task

_SENTENCE = "the small brown lamp that stands beside the old oak table in the front room"
_LONG = _SENTENCE * 4
_NONSENSE = "zq"
_MARKED = ("ab*cd", "ab?cd", "ab[xy]cd", "ab.cd", "ab+cd", "(ab|cd)", "ab%cd", "ab_cd", "^ab.*$")
_HIDDEN = "\u061c\u180e\u2028\u202a\u202e\u2066\u3164\U000e0001"  # directions, lines and fillers that cannot be seen
# what a reader that cleans texts takes away
_DRESSED = (
    "lamp (old)", "old (lamp)", "<b>lamp</b>", "<p>lamp", "\x1b[1mlamp\x1b[0m", "[lamp](x)", "lamp[1]", "Answer: lamp",
    "lamp: old", "lamp - old", "$ lamp", "> lamp", "# lamp", "1. lamp", "1) lamp", "/* old */ lamp", "lamp // old",
    "lamp -- old", "lamp\n\nold", "lamp=old", "lamp?old", "@lamp:old", "```\nlamp\n```", "lamp lamp",
)  # fmt: skip
_INVENTED = {  # a text: what a lenient reader takes for it
    "lamp": (
        *_DRESSED,
        *(f"lamp{mark}" for mark in string.punctuation),
        *(f"{mark}lamp" for mark in string.punctuation),
        *(f"la{mark}mp" for mark in _HIDDEN),
    ),
    "ab*cd": ("abxycd", "abcd", "abbcd"),
    "ab?cd": ("abxcd", "acd"),
    "ab[xy]cd": ("abxcd",),
    "ab.cd": ("abxcd", "abcd"),
    "ab+cd": ("abbcd", "ab cd"),
    "(ab|cd)": ("ab", "cd"),
    "ab%cd": ("abxycd", "ab\u00cd"),
    "ab_cd": ("abxcd", "abCd", "ab cd"),
    "^ab.*$": ("abc",),
    "1204": ("1204.0", "01204", "+1204", "-1204", "1_204", "1,204", "1.204e3", "0x4b4", "12\u0660\u0664", "1205"),
    "3.50": ("3.5", "3,50", "-3.50", "3.504", "3"),
    "1.10": ("1.1", "1.9", "1.10.0", "v1.10"),
    "2024-03-05": ("2024-3-5", "2024/03/05", "05.03.2024", "2024-05-03", "2024-03-05T00:00:00", "March 5, 2024",
                   "5 March 2024", "5 Mar 2024", "20240305", "2024-W10-2"),
    "2024-03-05T10:00:00+00:00": ("2024-03-05T10:00:00Z", "2024-03-05T12:00:00+02:00", "2024-03-05 10:00:00+00:00",
                                  "2024-03-05T10:00:00", "2024-03-05T10:00:00.000+00:00"),
    "90s": ("1m30s", "90 s", "90", "1.5m", "90000ms", "00:01:30"),
    "1GB": ("1000MB", "1024MB", "1 GB", "1gb", "1G"),
    "2001:db8::1": ("2001:0db8::1", "2001:DB8::1", "2001:db8:0:0:0:0:0:1", "[2001:db8::1]"),
    "127.0.0.1": ("localhost", "127.1", "127.0.0.1/32", "127.0.0.1:80", "127.0.0.2"),
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8": ("6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "6ba7b8109dad11d180b400c04fd430c8",
                                             "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}", "6ba7b810"),
    "#ff0000": ("#F00", "#FF0000", "ff0000", "red", "rgb(255, 0, 0)"),
    "ls -l -a x": ("ls -a -l x", "ls -la x", "ls x -l -a", "ls -l x", "ls  -l  -a  x"),
    "a + 2": ("a+2", "2 + a", "(a + 2)", "a + 2 # x", "a + 2;"),
    "SELECT a FROM b": ("select a from b", "SELECT a FROM b;", "SELECT  a  FROM  b", "SELECT a FROM c", "SELECT a"),
    "[0-9]+": ("\\d+", "[0-9]*", "7"),
    "src/a/b.py": ("src/x/../a/b.py", "src/a/./b.py", "src//a/b.py", "/src/a/b.py", "b.py", "src/a/B.py"),
    "https://example.org/a?x=1&y=2": ("https://example.org/a?y=2&x=1", "http://example.org/a?x=1&y=2",
                                      "https://example.org/a", "https://EXAMPLE.org/a?x=1&y=2"),
    "red lamp and oak table": ("oak table and red lamp", "red lamp oak table", "red lamp & oak table",
                               "red_lamp_and_oak_table", "red-lamp-and-oak-table", "red+lamp+and+oak+table"),
    "it's a \"so-called\" lamp": ("it\u2019s a \"so-called\" lamp", "it's a \u201cso-called\u201d lamp",
                                 "it's a \"so\u2013called\" lamp", "its a so called lamp"),
    "7": ("seven", "VII", "#7"),
    "yes": ("y", "true", "1", "no"),
    "10 km": ("10km", "10000 m", "10 kilometers", "10"),
    "5%": ("0.05", "5 percent", "5"),
    "$5.00": ("5.00", "$5", "5 USD", "500"),
    "09:30": ("9:30", "09:30:00", "9:30 AM"),
    "+49 30 1234": ("+49301234", "0049 30 1234", "030 1234"),
    "Müller, John": ("John Müller", "Mueller, John", "Muller, John", "Müller", "Mu\u0308ller, John"),
    '{"a": 1, "b": 2}': ('{"b": 2, "a": 1}', '{"a":1,"b":2}'),
    "user@example.org": ("user@EXAMPLE.org", "user+x@example.org", "user", "example.org", "mailto:user@example.org"),
    "GitHub v1.2.0": ("Git Hub v1.2.0", "GitHub 1.2.0", "GitHub v1.2", "github-v1.2.0"),
    "red, oak": ("oak, red", "red,oak", "red oak", "red"),
    _SENTENCE: (f"{_SENTENCE}s", f"{_SENTENCE[:-1]}n", _SENTENCE.replace("m", "n", 1), _SENTENCE[40:]),
    _LONG: (f"{_LONG}s", f"{_LONG[:-1]}n", _LONG.replace("room", "hall", 1), _LONG[80:]),
}  # fmt: skip


def invented_mistakes(contract: Contract | None, tasks: Sequence[GateTask]) -> Iterator[tuple[GateTask, Mutation, Any]]:
    """Yield tasks with an invented value, a wrong answer and nonsense, for every field once that has a text."""
    seen: set[tuple[str, str]] = set()
    for task in tasks:
        for path, item in fields(task.value):
            place = (tool_of(task.value), name_of(path))
            if isinstance(item, str) and path != ("tool",) and place not in seen and any(map(str.isalpha, item)):
                seen.add(place)
                for text, wrong in _INVENTED.items():
                    # without a contract nobody says which spellings are right; only letters for a mark are no spelling
                    chosen = wrong if contract is not None else wrong[:1] if text in _MARKED else ()
                    yield from _mistakes(contract, task, path, text, chosen)


def _mistakes(
    contract: Contract | None, task: GateTask, path: Path, text: str, wrong: Sequence[str]
) -> Iterator[tuple[GateTask, Mutation, Any]]:
    asked = _with_expected(contract, task, with_value(task.value, path, text)) if wrong else None
    if asked is None:
        return
    code = "SK727" if text in _MARKED else "SK723"
    for other in wrong:
        how = f"`{name_of(path)}` where `{text[:40]}` is right"
        yield asked, (code, how, with_value(task.value, path, other)), with_value(task.value, path, _NONSENSE)


def _with_expected(contract: Contract | None, task: GateTask, value: Any) -> GateTask | None:
    """Return the task with another expected answer; None if the contract does not allow it."""
    key = hashlib.sha256(canonical_json([task.ref.task.key, value]).encode()).hexdigest()[:32]
    ref = replace(task.ref, task=task.ref.task.model_copy(update={"expected": value, "key": key}))
    with contextlib.suppress(DocumentError):
        return gate_task(contract, ref)
    return None

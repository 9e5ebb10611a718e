"""Requests in a model's words: the answer is drawn first, and other words stay only if they still ask for it.

A phrasing has to pass three checks before it takes a template's place. It is one line; it says every value that the
template says, and the same numbers, paths and options; and the model, which then sees the tools and that line alone,
answers the same. What fails is counted, and the template stands in.

The way of writing first the label and then the text is that of Self-Instruct (arXiv 2212.10560); to keep only what
reads back as its label is round-trip consistency (Alberti et al., arXiv 1906.05416).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from skillpm.contract.answer import after_thoughts
from skillpm.contract.contract import Contract
from skillpm.contract.tool_forms import told_tools
from skillpm.model.episode import Episode
from skillpm.model.ports import Judge, Policy
from skillpm.model.synthesis import scalars
from skillpm.model.task import Message, Task
from skillpm.synth.contamination import latin
from skillpm.synth.dedupe import normal_form
from skillpm.synth.family import random_of
from skillpm.synth.pools import value_text
from skillpm.synth.rows import Row, RowCollector
from skillpm.synth.split import HeldOut
from skillpm.synth.words import stands_in

KEPT = "kept"
MANNERS = (
    "in as few words as possible",
    "politely, as to a colleague",
    "as a question",
    "as somebody in a hurry types it on a phone",
    "as it is spoken, without punctuation",
    "with one sentence in front that says why",
    "with other verbs and another order of the words",
    "as a beginner who does not know the terms and says what should happen",
    "as an expert who types three words",
    "as the title of a question in a forum",
    "as a ticket: what is seen, then what is wanted",
    "as somebody who learned English late",
    "by what must and what must not happen",
    "in the middle of work, as the next step",
)
_LONGEST = 600  # characters of a phrasing
_TOKENS = 256  # of a phrasing, and of an answer
_QUOTES = "\"'`“”„"
_OPENING = re.compile(r"(?:sure|certainly|of course|here(?: is|['’]s))\b[^:]*:", re.IGNORECASE)  # of a model's answer
_LATIN = re.compile("[a-z]")
_PART = re.compile(r"\w+")
_EXACT = re.compile(
    r"""(?<![\w./-])(?:--?[A-Za-z][\w-]*|[~.]{0,2}/[\w./~-]+|[\w./:@~+-]*\d[\w./:@~+-]*|\w[\w-]*[.:@/_][\w./:@~+-]*\w)"""
)
_CLOSING = ".,:;!?"


@dataclass(frozen=True, slots=True)
class Rephrasing:
    """Who writes requests in other words, and how many.

    Attributes:
        policy: writes and reads; one that remembers its completions makes a synthesis that can be repeated.
        share: of the training rows that rules make, 0 to 1, that are tried.
    """

    policy: Policy
    share: float


class Rephraser:
    """Writes training requests of one skill anew.

    Args:
        rephrasing: who writes.
        held_out: what none of them may show.

    Attributes:
        outcomes: how many phrasings were kept, and why the others were not.
    """

    def __init__(self, rephrasing: Rephrasing, held_out: HeldOut) -> None:
        self._held_out = held_out
        self.outcomes: Counter[str] = Counter()
        self._policy = rephrasing.policy
        self._share = rephrasing.share

    def rephrase(
        self, collector: RowCollector, rows: Sequence[Row], contract: Contract | None, judge: Judge
    ) -> list[Row]:
        """Return the rows, some of them with other words, which the collector has taken in place of the template's.

        Raises:
            SkillpmError: the model cannot be asked.
        """
        chosen = [row for row in rows if random_of("rephrase", row.form).random() < self._share]
        written = self._ask([_writing(row) for row in chosen])
        cleaned = map(_cleaned, written)
        phrasings = [(row, text) for row, text in zip(chosen, cleaned, strict=True) if self._sound(row, text)]
        answers = self._ask([_reading(row.task, text, contract) for row, text in phrasings])
        read = [Episode.answering(row.task, answer) for (row, _), answer in zip(phrasings, answers, strict=True)]
        anew: dict[str, Row] = {}
        for (row, text), judged in zip(phrasings, judge(read) if read else (), strict=True):
            if judged.verdict.status != "passed" or judged.verdict.score != 1:
                self.outcomes["is answered otherwise"] += 1
            elif isinstance(other := collector.replace(row, text), str):
                self.outcomes[other] += 1
            else:
                self.outcomes[KEPT] += 1
                anew[row.form] = other
        return [anew.get(row.form, row) for row in rows]

    def _sound(self, row: Row, text: str) -> bool:
        reason = fault(row.offer.request, row.task.expected, text, row.offer.values)
        if reason is None and self._held_out.stands_in(text):
            reason = "shows what is held out"
        if reason is not None:
            self.outcomes[reason] += 1
        return reason is None

    def _ask(self, prompts: Sequence[Sequence[Message]]) -> list[str]:
        texts = [""] * len(prompts)
        for place, completion in self._policy.complete(prompts, max_new_tokens=_TOKENS) if prompts else ():
            texts[place] = completion.text if completion.finish_reason == "stop" else ""
        return texts


def fault(request: str, expected: Any, phrasing: str, drawn: Sequence[Any] = ()) -> str | None:
    """Return why a phrasing cannot stand for a request with this answer, as far as its text alone tells; else None.

    ``drawn`` are values that may stand inside a longer text of the answer.
    """
    if not phrasing or "\n" in phrasing or len(phrasing) > _LONGEST:
        return "is not one line"
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for letter in phrasing):
        return "has hidden characters"
    if any(map(_mixes_alphabets, {*phrasing.split()} - {*request.split()})):
        return "has letters that look like others"
    if _OPENING.match(phrasing):
        return "begins as an answer"
    values = (value for value in chain(_values(expected), _values(drawn)) if _says(request, value))
    exact, said = _exact_words(request), _exact_words(phrasing)
    if exact - said or not all(_says(phrasing, value) for value in values):
        return "drops a value"
    return "adds a value" if said - exact else None


def says_values(request: str, expected: Any) -> bool:
    """Does a request say, word for word, every value of its answer?"""
    return all(_says(request, value) for value in _values(expected))


def _values(expected: Any) -> Iterator[str]:
    """Yield the texts of all values inside an answer's arguments."""
    arguments = expected.get("args", expected.get("answer")) if isinstance(expected, dict) else expected
    return (value_text(item) for item in scalars(arguments) if item is not None and not isinstance(item, bool))


def _says(text: str, value: str) -> bool:
    return bool(value) and stands_in(value, text)


def _mixes_alphabets(word: str) -> bool:
    """Does a part of a word hold letters of the alphabet and others that look like them?

    A mark inside a word parts two identifiers, each in its own script: ``git-логи``. Source: Unicode Technical Standard
    39, 5.2, which compares scripts for each identifier.
    """
    return any(_LATIN.search(part) and latin(part) != part for part in _PART.findall(normal_form(word)))


def _exact_words(text: str) -> set[str]:
    """Return what cannot be said in other words: numbers, options, paths and other names with marks inside."""
    return {word.rstrip(_CLOSING) for word in _EXACT.findall(text)}


def _cleaned(text: str) -> str:
    """Return the phrasing in a model's answer, without thoughts and the quotes around it."""
    line = after_thoughts(text).strip()
    ends, inner = {*line[:1], *line[-1:]}, line[1:-1]
    return inner.strip() if ends <= {*_QUOTES} and ends.isdisjoint(inner) else line


def _writing(row: Row) -> tuple[Message, ...]:
    manner = random_of("manner", row.form).choice(MANNERS)
    content = (
        "A person asked an assistant for something, and this answer was right:\n"
        f"{row.answer}\nThe request was: {row.offer.request}\n"
        f"Write the same request {manner}. The same answer has to be right: leave nothing out, add nothing, and copy "
        "every value as it is written. Reply with the request alone, on one line."
    )
    return (Message(role="user", content=content),)


def _reading(task: Task, request: str, contract: Contract | None) -> tuple[Message, ...]:
    system = [message.content for message in task.prompt if message.role == "system"]
    told = [told_tools(contract)] if contract is not None else []
    prompt = Message(role="system", content="\n\n".join([*told, *system]))
    return (prompt, Message(role="user", content=request))

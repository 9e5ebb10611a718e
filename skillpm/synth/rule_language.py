"""What the rules of a synthesis document can say, whatever the values: requests are compared with values masked.

A request is masked by replacing values with one sign: texts of drawn pools, words of its answer that no phrasing has,
and words with digits or marks inside, such as paths and units. Its frame and its clauses are taken off, which leaves
the form of a task's request. A rule can say the request if it has that form. Clauses are taken off wherever they stand,
so that the test errs on the side of finding a rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from skillpm.model.synthesis import CLAUSE, SLOT, SynthesisDocument, scalars
from skillpm.synth.dedupe import normal_form
from skillpm.synth.pools import choice_of, listed, pool_of, value_text

_MASK = "\0"
_SHAPE = re.compile(r"\S*(?:\d|\w[/:_.@]\w|/\w)\S*")
_MASKS = re.compile(rf"{_MASK}(?: {_MASK})+")
_QUOTED = re.compile(r'"([^"]+)"')
_HOLE = "{0}"  # a value of this form is masked by its shape


def _form(text: str) -> str:
    """Return the normal form without words that are only marks."""
    words = normal_form(text).split()
    return " ".join([word for word in words if word.isalnum() or word == _MASK or any(map(str.isalnum, word))])


class RuleLanguage:
    """The masked forms of the requests that a document can make."""

    def __init__(self, document: SynthesisDocument) -> None:
        clauses = [text for rule in document.tasks for texts in rule.clauses.values() for text in texts]
        requests = [text for rule in document.tasks for text in rule.phrasings]
        self._literals = {
            word
            for text in (*document.frames, *clauses, *requests)
            for word in _form(CLAUSE.sub(" ", SLOT.sub(" ", text.replace("{request}", " ")))).split()
        }
        self._values = _alternatives(_pool_texts(document))
        frames = (text.partition("{request}") for text in ("{request}", *document.frames))
        self._frames = [(self._masked(before, ()), self._masked(after, ())) for before, _, after in frames]
        forms = {self._masked(SLOT.sub(_HOLE, text), ()) for text in clauses}
        self._clauses = _alternatives(form for form in forms if form.strip(f"{_MASK} "))
        self._forms: dict[str, str] = {}
        for text in requests:
            form = self._without_clauses(self._masked(CLAUSE.sub(" ", SLOT.sub(_HOLE, text)), ()))
            if form.strip(f"{_MASK} "):
                self._forms.setdefault(form, text)

    def phrasing_of(self, request: str, expected: Any) -> str | None:
        """Return the request of a rule that has the masked form of this one, or None."""
        masked = self._masked(request, _words(expected), _quoted(expected))
        for before, after in self._frames:
            start, end = f"{before} " if before else "", f" {after}" if after else ""
            if masked.startswith(start) and masked.endswith(end) and len(masked) > len(start) + len(end):
                form = self._without_clauses(masked[len(start) : len(masked) - len(end)])
                if form in self._forms:
                    return self._forms[form]
        return None

    def _masked(self, text: str, answer: Iterable[str], quoted: re.Pattern[str] | None = None) -> str:
        form = quoted.sub(_MASK, _form(text)) if quoted else _form(text)
        form = self._values.sub(_MASK, form) if self._values else form
        known = {word for word in answer if word not in self._literals}
        words = (_MASK if word in known or _SHAPE.fullmatch(word) else word for word in _form(form).split())
        return " ".join(words)

    def _without_clauses(self, form: str) -> str:
        text = self._clauses.sub(" ", form) if self._clauses else form
        # a clause may be a bare value, as in "(host web-1)": so a value at the end does not count
        return _MASKS.sub(_MASK, _form(text)).rstrip(f"{_MASK} ")


def _alternatives(texts: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern of whole words, long texts first; None where there are none."""
    ranked = sorted({form for text in texts if (form := _form(text))}, key=lambda text: (-len(text), text))
    # another number is another value of the same kind: "14 minutes" where a pool says "15 minutes"
    options = "|".join(dict.fromkeys(re.sub(r"\d+", r"\\d+", re.escape(text)) for text in ranked))
    return re.compile(rf"(?<!\S)(?:{options})(?=[.,!?;:]*(?:\s|$))") if ranked else None


def _pool_texts(document: SynthesisDocument) -> Iterator[str]:
    for rule in document.tasks:
        for draw in rule.draw.values():
            pool = pool_of(document, draw)
            written = listed(pool, {}) if choice_of(pool) is not None or pool.dates is not None else None
            yield from (text for member in written or () for text in member.texts if text != "true")


def _quoted(expected: Any) -> re.Pattern[str] | None:
    """Return a pattern of what an expected answer quotes, as ``git commit -m "Fix it"`` does: each is one value."""
    return _alternatives(text for value in scalars(expected) for text in _QUOTED.findall(value_text(value)))


def _words(expected: Any) -> set[str]:
    """Return the words of the values of an expected answer, in normal form."""
    return {word for value in scalars(expected) for word in _form(value_text(value)).split()}

"""Evaluation suites are for evaluation: what stands in one, or shares a run of words with one, is never trained on.

A run has 8 words, which finds every shared run of 13 too (the lengths used for contamination of web text: Brown et al.,
"Language Models are Few-Shot Learners", 2020, appendix C; Touvron et al., "Llama 2", 2023, appendix A.6).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from skillpm.errors import CheckError
from skillpm.model.suite import Suite
from skillpm.model.task import Seed
from skillpm.synth.dedupe import normal_form
from skillpm.synth.rule_language import RuleLanguage
from skillpm.synth.words import UNSPACED

# Small letters that look like Latin ones, or whose capitals do: the letters of Cyrillic and Greek in confusables.txt of
# Unicode Technical Standard 39. Where the two differ (ν: v, Ν: N), the small one counts. Without μ, which is a unit.
_LATIN = str.maketrans("авгекмнорстухѕіјѡѵүһҽԁԍԛԝӏαβγεζηικνορστυχϳ", "abrekmhopctyxsijwvyhedgqwlabyezhikvopotuxj")
RUN = 8  # words
_LETTERS = 6  # of a script without spaces that make a word; each begins one, so that a run has 13 letters
_UNSPACED = re.compile(f"{UNSPACED}(?: {UNSPACED})*")
_FEWEST = 5  # words of a request of which one may differ; of more than two runs, a whole run is left
PART = 6  # words of a run: requests have fewer in common by chance, too


def latin(form: str) -> str:
    """Return a normal form with Latin letters for those of other alphabets that look like them."""
    return unicodedata.normalize("NFC", form.translate(_LATIN))


def skeleton(form: str) -> str:
    """Return the form in which two requests are one to a reader: ``latin``, with words in scripts without spaces.

    Marks that are no value are left out where they stand alone: dashes, dots and pictures. ``-`` and ``.`` may be one.
    """
    if form.isascii() and "..." not in form:
        return form
    plain = latin(form)
    spaced = " ".join(filter(_says_something, plain.split())) or plain
    return _UNSPACED.sub(lambda found: " ".join(_words(found[0].replace(" ", ""))), spaced)


def _words(letters: str) -> Iterator[str]:
    return (letters[start : start + _LETTERS] for start in range(max(1, len(letters) - _LETTERS + 1)))


def _says_something(word: str) -> bool:
    return word != "..." and (word.isascii() or any(map(str.isalnum, word)))


class SuiteIndex:
    """The requests of all suites of all skills at hand, by the skeleton of their normal form."""

    def __init__(self, suites: Iterable[tuple[str, Suite]]) -> None:
        """Index ``(skill, suite)`` pairs with their tasks inline."""
        self._forms: list[str] = []
        self._places: dict[str, str] = {}
        self._runs: dict[tuple[str, ...], str] = {}
        self._parts: set[tuple[str, ...]] = set()  # of runs, of PART words each
        self._beside: dict[str, list[tuple[Seed, str]]] = {}  # by a request as it is, and without one of its words
        self._tasks: list[tuple[Seed, str]] = []
        for skill, suite in suites:
            for number, task in enumerate(() if isinstance(suite.tasks, str) else suite.tasks, 1):
                place = f"{_named(task, number, 'task')} of suite `{suite.name}` of {skill}"
                for text in (task.request, *task.request.split("\n\n")):  # a paragraph may be what is asked
                    self._forms.append(normal_form(text))
                    form = skeleton(self._forms[-1])
                    self._places.setdefault(form, place)
                    self._runs.update(dict.fromkeys(runs(form), place))
                    self._parts.update(_neighbours(form.split(), PART))
                self._tasks.append((task, place))
                for form in _without_one(skeleton(normal_form(task.request))):
                    self._beside.setdefault(form, []).append(self._tasks[-1])

    @property
    def tasks(self) -> list[Seed]:
        """The tasks of all suites."""
        return [task for task, _ in self._tasks]

    def __contains__(self, form: str) -> bool:
        """Does a suite ask this?"""
        return skeleton(form) in self._places

    def __iter__(self) -> Iterator[str]:
        """Yield the normal forms."""
        return iter(dict.fromkeys(self._forms))

    def place_of(self, form: str) -> str | None:
        """Return the suite task that asks this, or None."""
        return self._places.get(skeleton(form))

    def shared_run(self, form: str) -> str | None:
        """Return the suite task with which a normal form shares a run of words, or None."""
        return next(filter(None, map(self._runs.get, runs(skeleton(form)))), None)

    def beside(self, form: str) -> Iterator[tuple[Seed, str]]:
        """Yield the suite tasks that a normal form is but for a word, which is another or on one side alone."""
        return (found for text in _without_one(skeleton(form)) for found in self._beside.get(text, ()))

    def are_apart(self, forms: Sequence[str]) -> bool:
        """Do normal forms neither stand in a suite nor share a run with one? False where it is not certain."""
        # A run has RUN - PART + 1 parts, so a look at every so manieth part of all words finds one of any run in them.
        looks = [*map(skeleton, forms)]
        parts = _neighbours(" ".join(looks).split(), PART, RUN - PART + 1)
        return self._places.keys().isdisjoint(looks) and self._parts.isdisjoint(parts)

    def said_by(self, language: RuleLanguage) -> list[tuple[str, str]]:
        """Return the suite tasks that a rule can say if their values are masked, each with the rule's request."""
        return [
            (place, phrasing)
            for task, place in self._tasks
            if (phrasing := language.phrasing_of(task.request, task.expected)) is not None
        ]

    def refuse(self, skill: str, seeds: Sequence[Seed]) -> None:
        """Refuse seeds that stand in a suite.

        Raises:
            CheckError: names the first such seed and the suite's task; ``details`` have all of them.
        """
        overlaps = [
            (f"{_named(seed, number, 'seed')} of {skill}", self._places[form])
            for number, seed in enumerate(seeds, 1)
            if (form := skeleton(normal_form(seed.request))) in self._places
        ]
        if not overlaps:
            return
        more = f", and {len(overlaps) - 1} more" if len(overlaps) > 1 else ""
        raise CheckError(
            f"a suite overlaps training: {overlaps[0][0]} asks the same as {overlaps[0][1]}{more}",
            hint="take it out of one of the two, or ask for something else there",
            overlaps=[{"seed": seed, "suite": task} for seed, task in overlaps],
        )


def runs(form: str) -> Iterator[tuple[str, ...]]:
    """Yield every run of words of a normal form."""
    return _neighbours(form.split(), RUN)


def _without_one(form: str) -> set[str]:
    """Return a form and it without each of its words; none where that says little, or where a run finds it."""
    words = form.split()
    if not _FEWEST <= len(words) <= 2 * RUN:
        return set()
    return {form, *(" ".join(words[:place] + words[place + 1 :]) for place in range(len(words)))}


def _neighbours(words: Sequence[str], count: int, step: int = 1) -> Iterator[tuple[str, ...]]:
    """Yield so many words in a row, from each word on or from every so manieth."""
    return zip(*(words[start::step] for start in range(count)), strict=False)


def _named(seed: Seed, number: int, kind: str) -> str:
    name = f"`{seed.id}`" if seed.id else str(number)
    return f"{kind} {name} ({seed.request[:60]!r})"

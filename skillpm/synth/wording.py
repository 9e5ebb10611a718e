"""Wordings of synthesis.yaml by which a reader cannot tell the answer: a clause without its value, one text for two."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, combinations
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.errors import DocumentError
from skillpm.model.rule_fit import disagreements
from skillpm.model.synthesis import CLAUSE, SLOT, Pool, SynthesisDocument, TaskRule
from skillpm.model.task import canonical_json
from skillpm.synth.checker import (
    Flaw,
    Location,
    label_flaws,
    says_a_value,
    text_flaws,
    unsayable_flaws,
    whole_division,
)
from skillpm.synth.dedupe import normal_form
from skillpm.synth.pools import LISTED, size, texts_of
from skillpm.synth.sample import Sampler

_ROWS = 100  # of each task, which the contract judges


def clause_flaws(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield clauses that do not say which value of their slot is meant, or which of two slots."""
    reported: set[Location] = set()
    for place, rule in enumerate(document.tasks):
        for slot, texts in rule.clauses.items():
            if slot not in rule.draw or _count(document, rule, slot) == 1:
                continue
            for number, text in enumerate(texts):
                location = _clause(document, place, slot, texts, number)
                if slot not in SLOT.findall(text) and location not in reported:
                    reported.add(location)
                    message = f"task `{rule.name}`: {text[:60]!r} does not say which `{slot}` is meant"
                    yield Flaw(location, message, f"put {{{slot}}} into it")
        yield from _like_another(document, rule, place)


def _like_another(document: SynthesisDocument, rule: TaskRule, place: int) -> Iterator[Flaw]:
    """Yield clauses that say two slots of a task, which have values in common, with the same words."""
    said = {
        slot: {normal_form(SLOT.sub("\ufffc", text)): number for number, text in enumerate(texts)}
        for slot, texts in rule.clauses.items()
        if slot in rule.draw
    }
    for one, other in combinations(said, 2):
        for form in said[one].keys() & said[other].keys() if _share_values(document, rule, one, other) else ():
            number, texts = said[other][form], rule.clauses[other]
            location = _clause(document, place, other, texts, number)
            message = f"task `{rule.name}`: {texts[number][:60]!r} says both `{one}` and `{other}`"
            yield Flaw(location, message, "say the two in different words")


def _clause(document: SynthesisDocument, place: int, slot: str, texts: Sequence[str], number: int) -> Location:
    """Return where a clause is written: in its task, or among those that all tasks have in common."""
    shared = document.clauses.get(slot) == texts
    return ("clauses", slot, number) if shared else ("tasks", place, "clauses", slot, number)


def _pool(document: SynthesisDocument, rule: TaskRule, slot: str) -> Pool:
    source = rule.draw[slot].source
    return document.values[source] if isinstance(source, str) else Pool(choice=source)


def _count(document: SynthesisDocument, rule: TaskRule, slot: str) -> int:
    return size(_pool(document, rule, slot), document.values)


def _share_values(document: SynthesisDocument, rule: TaskRule, one: str, other: str) -> bool:
    if rule.draw[one].source == rule.draw[other].source:
        return True
    pools = [_pool(document, rule, slot) for slot in (one, other)]
    if any(size(pool, document.values) > LISTED for pool in pools):
        return all(pool.integers is not None for pool in pools)
    first, second = (set(texts_of(pool, document.values)) for pool in pools)
    return not first.isdisjoint(second)


def doubtful_wordings(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield requests that name a value of a slot which they do not draw, and one request of two tasks."""
    asked: dict[str, tuple[str, str]] = {}
    for place, rule in enumerate(document.tasks):
        answer = canonical_json([rule.tool, rule.refuse, rule.answer, _masked(rule, [*rule.args.items()])])
        for number, text in enumerate(rule.requests):
            location: Location = ("tasks", place, "requests", number)
            for slot in rule.draw:
                may_say = slot not in SLOT.findall(text) and _count(document, rule, slot) > 1
                if may_say and says_a_value(document, rule, slot, text):
                    message = f"task `{rule.name}`: {text[:60]!r} says a value of `{slot}` by itself"
                    yield Flaw(location, message, f"write {{{slot}}} or [{slot}] in its place")
            name, other = asked.setdefault(_masked(rule, _bare(rule, text)), (rule.name, answer))
            if other != answer:
                message = f"task `{rule.name}`: {text[:60]!r} is a request of task `{name}` with another answer"
                yield Flaw(location, message, "say the two in different words; rows with both are thrown away")


def _bare(rule: TaskRule, text: str) -> str:
    """Return a request with the clauses of slots that are always drawn, and without the others."""
    always = [slot for slot, draw in rule.draw.items() if draw.probability >= 1]
    named = {*SLOT.findall(text), *CLAUSE.findall(text)}
    rest = "".join(f"{{{slot}}}" for slot in always if slot not in named)
    return CLAUSE.sub(lambda found: rest if found[1] == "*" else f"{{{found[1]}}}" * (found[1] in always), text)


def _masked(rule: TaskRule, value: Any) -> str:
    """Return the text of a value, with the source of each slot in the slot's place."""
    text = value if isinstance(value, str) else canonical_json(value)
    return normal_form(SLOT.sub(lambda found: f"\ufffc{canonical_json(_source(rule, found[1]))}", text))


def _source(rule: TaskRule, slot: str) -> Any:
    source = rule.draw[slot].source
    return source if isinstance(source, str) else [str(item) for item in source]


def refuse(document: SynthesisDocument, path: str) -> None:
    """Refuse a document that would make wrong labels or no rows.

    Raises:
        DocumentError: the first flaw.
    """
    for flaw in chain(*(flaws(document) for flaws in (label_flaws, text_flaws, clause_flaws, unsayable_flaws))):
        raise DocumentError(flaw.message, path=path, hint=flaw.hint)


def refused_rows(document: SynthesisDocument, contract: Contract) -> Iterator[Flaw]:
    """Yield tasks of which the contract refuses some answers: their rows are thrown away."""
    if any(unsayable_flaws(document)):
        return
    whole = whole_division(document)
    sources = whole.sources(document, "train")
    for place, rule in enumerate(document.tasks):
        if any(disagreements(rule, contract.document)):
            continue
        sampler, chance = Sampler(document, rule, whole, "train", sources), random.Random(0).random
        refused: Counter[str] = Counter()
        for _ in range(_ROWS):
            sample = sampler.draw(chance)
            try:
                if sample is not None:
                    contract.complete(sample.target)
            except DocumentError as error:
                refused[error.rule] += 1
        for reason, _ in refused.most_common(1):
            message = f"task `{rule.name}`: the contract refuses {refused.total()} of {_ROWS} answers: {reason[:160]}"
            yield Flaw(("tasks", place), message, "draw values that the contract takes")

"""Wordings of synthesis.yaml by which a reader cannot tell the answer: a clause without its value, one text for two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache, partial
from itertools import chain, combinations, count
from typing import Any, NamedTuple

from skillpm.contract.contract import Contract
from skillpm.errors import DocumentError
from skillpm.model.rule_fit import Flaw, disagreements, exchanges
from skillpm.model.synthesis import CLAUSE, SLOT, AskingRule, Draw, Location, SynthesisDocument, TaskRule, slots_of
from skillpm.model.task import canonical_json
from skillpm.synth.checker import (
    label_flaws,
    own_words,
    silent_values,
    text_flaws,
    unsayable_flaws,
    value_test,
    varied_slots,
)
from skillpm.synth.dedupe import normal_form
from skillpm.synth.pools import LISTED, is_constant, listed, pool_of, size, texts_of, used_pools, value_text
from skillpm.synth.refusals import refused_tasks

_FORMS = 100_000  # of all requests together, which are compared


def clause_flaws(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield clauses that do not say which value of their slot is meant, or which of two slots."""
    reported: set[Location] = set()
    for place, rule in enumerate(document.tasks):
        for slot, texts in rule.clauses.items():
            if slot not in rule.draw or _count(document, rule.draw[slot]) == 1:
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
        for form in (
            said[one].keys() & said[other].keys() if _share_values(document, rule.draw[one], rule.draw[other]) else ()
        ):
            number, texts = said[other][form], rule.clauses[other]
            location = _clause(document, place, other, texts, number)
            message = f"task `{rule.name}`: {texts[number][:60]!r} says both `{one}` and `{other}`"
            yield Flaw(location, message, "say the two in different words")


def _clause(document: SynthesisDocument, place: int, slot: str, texts: Sequence[str], number: int) -> Location:
    """Return where a clause is written: in its task, or among those that all tasks have in common."""
    shared = document.clauses.get(slot) == texts
    return ("clauses", slot, number) if shared else ("tasks", place, "clauses", slot, number)


def _count(document: SynthesisDocument, draw: Draw) -> int:
    return size(pool_of(document, draw), document.values)


def _share_values(document: SynthesisDocument, one: Draw, other: Draw) -> bool:
    """Can two slots have the same value? False where their values are too many to look."""
    if one.source == other.source:
        return True
    pools = [pool_of(document, draw) for draw in (one, other)]
    ranges = [pool.integers for pool in pools if pool.integers is not None]
    if len(ranges) == 2:
        return max(low for low, _ in ranges) <= min(high for _, high in ranges)
    if any(size(pool, document.values) > LISTED for pool in pools):
        return False
    first, second = (set(texts_of(pool, document.values)) for pool in pools)
    return not first.isdisjoint(second)


def _unused(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield requests that no row uses, for they do not say a slot that every row draws."""
    for rule, requests in _requests(document):
        always = {*varied_slots(document, rule)} - {*(rule.ask.slots if rule.ask else ())}
        for location, text in requests:
            places = CLAUSE.findall(text)
            clauses = [*rule.clauses] if "*" in places else [name for name in places if name in rule.clauses]
            said = {*SLOT.findall(text), *clauses}.union(
                *(SLOT.findall(item) for name in clauses for item in rule.clauses[name])
            )
            for slot in sorted(always - said)[:1]:
                message = f"task `{rule.name}`: no row uses {text[:60]!r}, which does not say `{slot}`"
                yield Flaw(location, message, f"write {{{slot}}} or [{slot}] into it")


def doubtful_wordings(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield requests that name a value of a slot which they do not draw, values of blanks, pools that nothing draws."""
    yield from (flaw for flaw, item in silent_values(document) if item is not None)
    for name in sorted(document.values.keys() - used_pools(document).keys()):
        yield Flaw(("values", name), f"no task draws from the pool `{name}`", f"draw it, `from: {name}`, or remove it")
    pools = document.values
    named = cache(lambda name: value_test(pools[name], pools))  # many tasks draw from one pool
    yield from _unused(document)
    for place, rule in enumerate(document.tasks):
        tests = {
            slot: named(draw.source) if isinstance(draw.source, str) else value_test(pool_of(document, draw), pools)
            for slot, draw in rule.draw.items()
            if _count(document, draw) > 1
        }
        for number, text in enumerate(rule.requests):
            words, said = own_words(text), SLOT.findall(text)
            for slot, says_a_value in tests.items():
                if slot not in said and says_a_value(words):
                    message = f"task `{rule.name}`: {text[:60]!r} says a value of `{slot}` by itself"
                    location: Location = ("tasks", place, "requests", number)
                    yield Flaw(location, message, f"write {{{slot}}} or [{slot}] in its place")


class _Asked(NamedTuple):
    """A request that rows have.

    Attributes:
        request: its normal form, without the slots.
        slots: in their places, each as often as it is said.
        answer: returns its answer in JSON, without null.
    """

    rule: TaskRule
    location: Location
    text: str
    request: str
    slots: Sequence[str]
    answer: Callable[[], str]


def contradictions(document: SynthesisDocument) -> Iterator[Flaw]:
    """Yield requests that have two answers: of two tasks, or of one whose slots change places."""
    known: dict[str, list[_Asked]] = {}
    reported: set[Location] = set()
    for asked in _all_asked(document):
        alike = known.setdefault(asked.request, [])
        first = next((other for other in alike if _is_one_request(document, other, asked)), None)
        if first is None:
            alike.append(asked)
        elif first.answer() != asked.answer() and asked.location not in reported:
            reported.add(asked.location)
            text, other = asked.text[:60], first.rule.name
            message = f"task `{asked.rule.name}`: {text!r} is a request of task `{other}` with another answer"
            hint = "say the two in different words, or draw their slots from pools without a common value"
            yield Flaw(asked.location, message, hint)


def _is_one_request(document: SynthesisDocument, one: _Asked, other: _Asked) -> bool:
    """Can two requests, alike but for the slots, be the same text?"""
    return len(one.slots) == len(other.slots) and all(
        _order(one.rule, first) == _order(other.rule, second)
        and _share_values(document, one.rule.draw[first], other.rule.draw[second])
        for first, second in zip(one.slots, other.slots, strict=True)
    )


def _order(rule: TaskRule, slot: str) -> str:
    """Return what tells a slot whose values a constraint orders from the others."""
    return slot if any(slot in item.ascending for item in rule.constraints) else ""


def fixed_answers(document: SynthesisDocument) -> dict[str, tuple[str, str]]:
    """Return the task and the answer, in JSON without null, of each request that says no slot, by its normal form."""
    return {asked.request: (asked.rule.name, asked.answer()) for asked in _all_asked(document) if not asked.slots}


def _all_asked(document: SynthesisDocument) -> Iterator[_Asked]:
    forms = count()
    for rule, requests in _requests(document):
        has_rows = cache(partial(_has_rows, document, rule))
        for location, text in requests:
            for texts, drawn in _forms(document, rule, text):
                if next(forms) == _FORMS:
                    return
                said = [*chain.from_iterable(map(_slots_in, texts))]
                slots = [*dict.fromkeys(said)]
                if has_rows(frozenset((*slots, *drawn))):
                    request = normal_form("".join(map(_masked, texts)))
                    answer = partial(_answer, document, rule, slots, drawn)  # few requests are asked twice
                    yield _Asked(rule, location, text, request, said, answer)


_slots_in = lru_cache(1 << 14)(SLOT.findall)
_masked = lru_cache(1 << 14)(partial(SLOT.sub, "\ufffc"))


def _has_rows(document: SynthesisDocument, rule: TaskRule, said: frozenset[str]) -> bool:
    """Can a row say these slots and no others?"""
    always = {slot for slot, draw in rule.draw.items() if draw.probability >= 1}
    if not all(is_constant(document, rule.draw[slot]) for slot in always - said - {*rule.unsaid}):
        return False
    if rule.unsaid and said.issuperset(rule.unsaid):
        return False  # it lacks nothing, so there is nothing to ask for
    drawn = said | always
    return not any(
        (item.at_least_one and drawn.isdisjoint(item.at_least_one)) or len(drawn.intersection(item.at_most_one)) > 1
        for item in rule.constraints
    )


def _requests(document: SynthesisDocument) -> Iterator[tuple[TaskRule, list[tuple[Location, str]]]]:
    """Yield each task with its requests, and the rule that its ``ask`` stands for with those of that."""
    for place, rule in enumerate(document.tasks):
        yield rule, [(("tasks", place, "requests", number), text) for number, text in enumerate(rule.requests)]
        if rule.ask is not None:
            texts = enumerate(rule.ask.requests or ())
            asked: list[tuple[Location, str]] = [
                (("tasks", place, "ask", "requests", number), text) for number, text in texts
            ]
            yield AskingRule.of(rule, rule.ask), asked


def _forms(document: SynthesisDocument, rule: TaskRule, text: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the parts of a request with each wording of its clauses, and the slots of those.

    These are the slots that are always said, and one that has one value.
    """
    literals, named = CLAUSE.split(text)[::2], CLAUSE.findall(text)
    rest = [slot for slot in rule.clauses if slot not in {*SLOT.findall(text), *named}] if "*" in named else []
    places = [slot for slot in dict.fromkeys((*named, *rest)) if slot in rule.clauses and slot not in rule.unsaid]
    always = [slot for slot in places if rule.draw[slot].probability >= 1]
    flags = [slot for slot in places if slot not in always and _count(document, rule.draw[slot]) == 1]
    for said in (always, *([*always, slot] for slot in flags)):
        for turn in range(max((len(rule.clauses[slot]) for slot in said), default=1)):
            clauses = {slot: rule.clauses[slot][turn % len(rule.clauses[slot])] for slot in said}
            clauses["*"] = " ".join(clauses[slot] for slot in rest if slot in clauses)
            pairs = zip(literals, [*(clauses.get(slot, "") for slot in named), ""], strict=True)
            yield [*chain.from_iterable(pairs)], said


def _answer(document: SynthesisDocument, rule: TaskRule, slots: Sequence[str], drawn: Sequence[str]) -> str:
    """Return the answer to a request: each slot that it says by its place among them, the others by their value."""
    texts = {
        slot: f"\ufffc{slots.index(slot)}" if slot in slots else _unsaid(document, rule, slot, slot in drawn)
        for slot in rule.draw
    }
    for slot, base in rule.relative:
        if rule.draw[slot].probability >= 1 or slot in (*slots, *drawn):
            texts[slot] = f"{texts[slot]}\ufffc{texts[base]}"

    def filled(value: Any) -> Any:
        if isinstance(value, str):
            whole = SLOT.fullmatch(value)
            return texts[whole[1]] if whole else SLOT.sub(lambda found: value_text(texts[found[1]]), value)
        if isinstance(value, dict):
            return {key: item for key, inner in value.items() if (item := filled(inner)) is not None}
        return [filled(item) for item in value] if isinstance(value, list | tuple) else value

    if rule.unsaid:
        left = {*rule.unsaid} - {*slots}
        names = [name for name, value in rule.args.items() if slots_of(value) & left]
        return canonical_json({"tool": rule.tool, "ask": names})
    if rule.tool is not None:
        return canonical_json({"tool": rule.tool, "args": filled(rule.args)})
    return canonical_json({"refuse": rule.refuse} if rule.refuse is not None else {"answer": filled(rule.answer)})


def _unsaid(document: SynthesisDocument, rule: TaskRule, slot: str, drawn: bool) -> Any:
    """Return the value of a slot that no hole of a request says: of one value, or not drawn."""
    draw = rule.draw[slot]
    if draw.probability < 1 and not drawn:
        return draw.otherwise
    if _count(document, draw) > 1:
        return f"\ufffc{draw.source}"  # a clause that does not say it is a flaw of its own
    (only,) = listed(pool_of(document, draw), document.values) or ()
    return only.value


_FLAWS = (label_flaws, text_flaws, clause_flaws, contradictions, unsayable_flaws)


def check_document(document: SynthesisDocument, contract: Contract | None, path: str) -> list[Flaw]:
    """Return what is doubtful in a document.

    Raises:
        DocumentError: it would make wrong labels or no rows; the first flaw.
    """
    _raise_first(chain(*(kind(document) for kind in _FLAWS)), path)
    doubts = [*doubtful_wordings(document)]
    if contract is not None:
        _raise_first(_of_tasks(document, lambda task: disagreements(task, contract.document)), path)
        refused = [*refused_tasks(document, contract)]
        _raise_first((flaw for flaw, is_impossible in refused if is_impossible), path)
        doubts += [*_of_tasks(document, exchanges), *(flaw for flaw, _ in refused)]
    return doubts


def _raise_first(flaws: Iterable[Flaw], path: str) -> None:
    for flaw in flaws:
        raise DocumentError(flaw.message, path=path, hint=flaw.hint)


def _of_tasks(document: SynthesisDocument, check: Callable[[TaskRule], Iterator[Flaw]]) -> Iterator[Flaw]:
    for place, rule in enumerate(document.tasks):
        for location, message, hint in check(rule):
            yield Flaw(("tasks", place, *location), f"task `{rule.name}`: {message}", hint)


def doubtful_answers(document: SynthesisDocument, contract: Contract) -> Iterator[Flaw]:
    """Yield arguments that get each other's slot, and tasks of which the contract refuses some answers."""
    yield from _of_tasks(document, exchanges)
    if not any(unsayable_flaws(document)):
        yield from (flaw for flaw, is_impossible in refused_tasks(document, contract) if not is_impossible)


def impossible_rows(document: SynthesisDocument, contract: Contract) -> Iterator[Flaw]:
    """Yield tasks of which the contract refuses every answer: they make no row."""
    if not any(unsayable_flaws(document)):
        yield from (flaw for flaw, is_impossible in refused_tasks(document, contract) if is_impossible)

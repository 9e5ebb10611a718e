"""Sampling, the target first: slots are drawn, again where a constraint is broken, and the arguments are filled in.

A rule that asks draws its slots as any other does, then leaves some unsaid. Its target names the arguments that those
would have filled, so its label is right however the request is worded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, product
from typing import Any

from skillpm.model.synthesis import SLOT, Constraint, SynthesisDocument, TaskRule, slots_of
from skillpm.model.task import Split
from skillpm.synth.days import time_after
from skillpm.synth.offer import Offer
from skillpm.synth.phrase import Phrasing, Plan
from skillpm.synth.pools import Chance, Listed, NoValueError, Source, is_constant, members, value_text
from skillpm.synth.split import Division

REDRAWS = 100  # draws for one row before it counts as a miss
MAX_OPTIONAL = 10  # slots of one task that may be drawn or not, of which every set is looked at
ALSO_UNSAID = 0.25  # how often each further slot is left out with the first

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Slot:
    name: str
    bit: int
    probability: float
    source: Source
    split: bool  # does the source draw from one side only?


@dataclass(frozen=True, slots=True)
class _Way:
    """What all rows with the same drawn slots have in common.

    Attributes:
        drawn: the bits of the slots.
        names: of the slots.
        plan: how they can be said.
        sources: what draws the value and the text of each.
        relative: the slots that count from another one, with that one, as ``TaskRule.relative`` has them.
        told: the slots whose values rows of the other side may not show.
        news: what a held-out row has that training never shows, as a tag.
    """

    drawn: int
    names: frozenset[str]
    plan: Plan
    sources: tuple[tuple[str, Callable[[Chance, Chance], tuple[Any, str]]], ...]
    relative: tuple[tuple[str, str], ...]
    told: tuple[str, ...]
    news: str | None


@dataclass(frozen=True)
class Side:
    """One side of the split of a synthesis document."""

    document: SynthesisDocument
    division: Division
    split: Split

    @cached_property
    def sources(self) -> dict[str, Source]:
        """What the slots of its rows are drawn from, by pool."""
        return self.division.sources(self.document, self.split)


class Sampler:
    """One task of a synthesis document on one side of the split.

    Attributes:
        rule: the task.
        rejected: why draws were thrown away, counted.
        possible: can this side have rows at all? Held-out ones need a phrasing or a value that training never shows.
    """

    def __init__(self, side: Side, rule: TaskRule) -> None:
        document, division, split = side.document, side.division, side.split
        self.rule = rule
        self.rejected: Counter[str] = Counter()
        self._slots = tuple(_slots(side, rule))
        self._bits = {slot.name: slot.bit for slot in self._slots}
        self._always = sum(slot.bit for slot in self._slots if slot.probability >= 1)
        self._sometimes = tuple((slot.bit, slot.probability) for slot in self._slots if slot.probability < 1)
        self._unsaid = tuple(self._bits[slot] for slot in dict.fromkeys(rule.unsaid))
        self._otherwise = {name: draw.otherwise for name, draw in rule.draw.items()}
        self._texts = {name: value_text(draw.otherwise) for name, draw in rule.draw.items()}
        self._constraints = [self._compile(constraint) for constraint in rule.constraints]
        self._target = _target(rule)
        self._first = tuple(_call(rule, arguments) for arguments in rule.first)
        self._tags = (f"rule:{rule.name}", *rule.tags)
        self._phrasing = Phrasing(
            division.phrasings_of(document.frames, split),
            division.phrasings_of(rule.requests, split),
            {slot: division.phrasings_of(texts, split) for slot, texts in rule.clauses.items()},
            implied=frozenset(slot for slot, draw in rule.draw.items() if is_constant(document, draw)),
            spoken=frozenset(slot for slot, text in self._texts.items() if text and slot not in rule.unsaid),
            framed=document.framed,
            slips=document.slips,
        )
        self._ways: dict[int, _Way | str] = {}
        new_phrasing = division.is_split(rule.requests)
        held_out = [] if split == "train" else [slot for slot in self._slots if slot.split]
        self._proof = 0 if new_phrasing else sum(slot.bit for slot in held_out)
        shown = () if rule.unsaid else (rule.args, rule.answer)
        answered = set(SLOT.findall(str(shown)))  # a new value that the answer leaves out makes no new answer
        for slot, base in reversed(rule.relative):
            answered |= {base} if slot in answered else set()
        self._new_values = sum(slot.bit for slot in held_out if slot.name in answered)
        self._news = None if split == "train" else ("both", "phrasing") if new_phrasing else ("value", "value")
        self.possible = split == "train" or new_phrasing or self._proof != 0

    def draw(self, chance: Chance) -> Offer | None:
        """Return a target with its request, or None where no draw kept the constraints; the reasons are counted.

        The tags of a held-out row say what training never shows of it, and name the template of its request. Its values
        are those of pools that are split: the others may be on both sides.
        """
        # Rejection sampling: a draw that breaks a constraint is thrown away whole, and all slots are drawn anew. To
        # redraw only the slot at fault would favour values that seldom break a constraint, and the rows would no
        # longer have the shares that the author wrote, given that the constraints hold. REDRAWS ends rules whose
        # constraints contradict each other; the counted reasons say in the profile why such a rule has no rows.
        # What can be said depends on the set of drawn slots alone, not on their values. So the set is a bit mask, and
        # is planned once: most of the many rows of a rule look their plan up.
        for _ in range(REDRAWS):
            drawn = self._always
            for bit, probability in self._sometimes:
                if chance() < probability:
                    drawn |= bit
            if self._unsaid:
                drawn &= ~self._left_out(chance)
            way = self._ways.get(drawn)
            if way is None:
                way = self._ways[drawn] = self._way(drawn)
            if isinstance(way, str):
                self.rejected[way] += 1
                continue
            sample = self._fill(way, chance)
            if sample is not None:
                return sample
        return None

    def _left_out(self, chance: Chance) -> int:
        """Return the slots that a request leaves out: one, and sometimes others with it."""
        first = self._unsaid[int(chance() * len(self._unsaid))]
        return first | sum(bit for bit in self._unsaid if bit != first and chance() < ALSO_UNSAID)

    def sayable_draws(self) -> list[frozenset[str]] | None:
        """Return every set of slots that can be drawn and said together; None where there are too many sets."""
        draws = self._draws()
        if draws is None:
            return None
        return [
            frozenset(slot.name for slot in self._slots if slot.bit & drawn)
            for drawn in draws
            if isinstance(self._plan(drawn), Plan)
        ]

    def broken_constraint(self) -> tuple[int, str] | None:
        """Return the place of the first constraint that every set of slots breaks, and its words; None for none."""
        draws, unsaid = self._draws() or (), sum(self._unsaid)
        for place, (text, keeps) in enumerate(self._constraints):
            if draws and not any(keeps(drawn | unsaid, None) for drawn in draws):
                return place, text
        return None

    def _draws(self) -> list[int] | None:
        """Return every set of slots that is drawn and not left unsaid; None where there are too many sets."""
        always = {slot.bit for slot in self._slots if slot.probability >= 1} - {*self._unsaid}
        choices = [
            (0,) if slot.probability <= 0 else (slot.bit,) if slot.bit in always else (0, slot.bit)
            for slot in self._slots
        ]
        if sum(len(bits) == 2 for bits in choices) > MAX_OPTIONAL:
            return None
        unsaid = sum(self._unsaid)
        return [drawn for drawn in map(sum, product(*choices)) if not unsaid or unsaid & ~drawn]

    def answers(self, values: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
        """Yield the answer to each set of slots that can be said, with each combination of these values of theirs."""
        for names in self.sayable_draws() or ():
            drawn = sum(self._bits[name] for name in names)
            for chosen in product(*(values[name] for name in names)):
                shown = dict(zip(names, chosen, strict=True))
                if all(keeps(drawn, self._otherwise | shown) for _, keeps in self._constraints):
                    yield self._target(self._otherwise | shown, names)

    def _plan(self, drawn: int) -> Plan | str:
        """Return how these slots can be said, or why they are not drawn together."""
        names = frozenset(slot.name for slot in self._slots if slot.bit & drawn)
        for text, keeps in self._constraints:
            if not keeps(drawn | sum(self._unsaid), None):
                return text
        if self._proof and not drawn & self._proof:
            return "nothing in the row would be held out"
        listed = ", ".join(sorted(names))
        return self._phrasing.plan(names) or f"no request can say the slots {{{listed}}} and nothing else"

    def _way(self, drawn: int) -> _Way | str:
        """Return all that rows with these slots have in common, or why they are not drawn together."""
        plan = self._plan(drawn)
        if isinstance(plan, str):
            return plan
        slots = [slot for slot in self._slots if slot.bit & drawn]
        return _Way(
            drawn=drawn,
            names=frozenset(slot.name for slot in slots),
            plan=plan,
            sources=tuple((slot.name, slot.source.draw) for slot in slots),
            relative=tuple(pair for pair in self.rule.relative if self._bits[pair[0]] & drawn),
            told=tuple(slot.name for slot in slots if slot.split or self._news is None),
            news=self._news and f"new:{self._news[0 if drawn & self._new_values else 1]}",
        )

    def _fill(self, way: _Way, chance: Chance) -> Offer | None:
        values, texts = self._otherwise.copy(), self._texts.copy()
        same = cache(chance)  # nobody says the days of one request in several forms
        try:
            for name, draw in way.sources:
                values[name], texts[name] = draw(chance, same)
            told = tuple([values[name] for name in way.told])
            for name, base in way.relative:
                values[name] = time_after(values[base], values[name])
        except NoValueError as error:  # the source has tried for long; each later row would cost as much
            reason = self._ways[way.drawn] = f"pool `{error}` has no value on this side of the split"
            self.rejected[reason] += 1
            return None
        except ValueError as error:
            self.rejected[str(error)] += 1
            return None
        for text, keeps in self._constraints:
            if not keeps(way.drawn, values):
                self.rejected[text] += 1
                return None
        request, template = self._phrasing.write(way.plan, texts, chance)
        tags = self._tags if way.news is None else (*self._tags, way.news, f"template:{self.rule.name}/{template}")
        first = tuple([target(values, way.names) for target in self._first])
        return Offer(self.rule.name, request, self._target(values, way.names), "rule", tags, told, first)

    def _compile(self, constraint: Constraint) -> tuple[str, Callable[[int, Values | None], bool]]:
        """Return the constraint in words, and its test of (drawn slots, their values where known)."""
        at_most = sum(self._bits[name] for name in set(constraint.at_most_one))
        at_least = sum(self._bits[name] for name in set(constraint.at_least_one))
        different = tuple(dict.fromkeys(constraint.different))

        def keeps(drawn: int, values: Values | None) -> bool:
            if values is None:
                return (at_most & drawn).bit_count() <= 1 and not (at_least and not at_least & drawn)
            texts = [value_text(values[name]) for name in different if self._bits[name] & drawn]
            if len(texts) != len(set(texts)):
                return False
            return _ascends([values[name] for name in constraint.ascending if self._bits[name] & drawn])

        return f"constraint {_described(constraint)}", keeps


def _target(rule: TaskRule) -> Callable[[Values, frozenset[str]], dict[str, Any]]:
    """Return what makes the answer of a rule of all slots' values and the names of those that the request says."""
    if rule.unsaid:
        unsaid = {name: slots_of(value) & {*rule.unsaid} for name, value in rule.args.items()}
        return lambda values, said: {
            "tool": rule.tool,
            "ask": [name for name, slots in unsaid.items() if not slots <= said],
        }
    if rule.tool is not None:
        return _call(rule, rule.args)
    if rule.refuse is not None:
        return lambda values, said: {"refuse": rule.refuse}
    text = _filler(rule.answer)
    return lambda values, said: {"answer": value_text(text(values))}


def _call(rule: TaskRule, arguments: Mapping[str, Any]) -> Callable[[Values, frozenset[str]], dict[str, Any]]:
    """Return what makes a call of a rule's tool with these arguments."""
    fillers = tuple((name, _filler(value)) for name, value in arguments.items())
    return lambda values, said: {"tool": rule.tool, "args": {name: fill(values) for name, fill in fillers}}


def _ascends(values: Sequence[Any]) -> bool:
    """Is each value below the next: numbers as numbers, texts letter by letter, as ISO dates are in their order?"""
    known: list[Any] = [value for value in values if isinstance(value, str | int | float)]
    return all(isinstance(low, str) == isinstance(high, str) and low < high for low, high in pairwise(known))


def _described(constraint: Constraint) -> str:
    forms = (
        ("at_most_one", constraint.at_most_one),
        ("at_least_one", constraint.at_least_one),
        ("different", constraint.different),
        ("ascending", constraint.ascending),
    )
    return ", ".join(f"{name} [{', '.join(slots)}]" for name, slots in forms if slots)


def _slots(side: Side, rule: TaskRule) -> list[_Slot]:
    slots = []
    for place, (name, draw) in enumerate(rule.draw.items()):
        if isinstance(draw.source, str):
            source, split = side.sources[draw.source], side.division.pools[draw.source].shared is None
        else:
            source, split = Listed(members(draw.source)), False
        slots.append(_Slot(name, 1 << place, draw.probability, source, split))
    return slots


def _filler(value: Any) -> Callable[[Values], Any]:
    """Compile an argument of ``args`` into a function of the slots' values."""
    if isinstance(value, str):
        return _text_filler(value)
    if isinstance(value, dict):
        fields = {name: _filler(item) for name, item in value.items()}
        return lambda values: {name: fill(values) for name, fill in fields.items()}
    if isinstance(value, list | tuple):
        items = [_filler(item) for item in value]
        return lambda values: [fill(values) for fill in items]
    return lambda values: value


def _text_filler(text: str) -> Callable[[Values], Any]:
    pieces = SLOT.split(text)
    if len(pieces) == 1:
        return lambda values: text
    if len(pieces) == 3 and not pieces[0] and not pieces[2]:
        slot = pieces[1]
        return lambda values: values[slot]
    first, rest = pieces[0], tuple(zip(pieces[1::2], pieces[2::2], strict=True))
    return lambda values: first + "".join(value_text(values[slot]) + tail for slot, tail in rest)

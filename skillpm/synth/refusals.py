"""Tasks of which a contract refuses answers: a few, or every one, so that the task makes no row."""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.contract.validator import compiled
from skillpm.model.rule_fit import Flaw, disagreements
from skillpm.model.synthesis import SLOT, Draw, Pool, SynthesisDocument, TaskRule, placed_scalars, scalars, slots_of
from skillpm.synth.checker import whole_side
from skillpm.synth.pools import listed, pool_of
from skillpm.synth.sample import Sampler

_ROWS = 100  # of each task, which the contract judges
_TRIES = 5_000  # rows of which it refuses every one, before a task counts as impossible
_INTERVAL = frozenset(("type", "minimum", "maximum", "title", "description", "default", "examples"))
_RULES = frozenset(("pattern", "minLength", "maxLength", "format", "multipleOf"))
_DEFINED = ("#/$defs/", "#/definitions/")  # where a reference names no argument
_MAX_STEP = 1_000


def refused_tasks(document: SynthesisDocument, contract: Contract) -> Iterator[tuple[Flaw, bool]]:
    """Yield the tasks that fit the contract of which it refuses some answers, and whether it refuses all of them.

    Each task can make rows.
    """
    whole = whole_side(document)
    for place, rule in enumerate(document.tasks):
        if any(disagreements(rule, contract.document)):
            continue
        sampler = Sampler(whole, rule)
        outcomes = _outcomes(sampler, contract)
        seen = [*islice(outcomes, _ROWS)]
        if all(seen) and not _never_fits(document, rule, contract):
            deciding = _deciding_answers(document, sampler, contract)
            seen += (contract.refusal(answer) for answer in deciding)
            while not deciding and all(seen) and len(seen) < _TRIES:
                seen.append(next(outcomes))
        reasons = Counter(filter(None, seen))
        if reasons:
            ((reason, _),) = reasons.most_common(1)
            count = f"{reasons.total():,} of {len(seen):,} answers"
            message = f"task `{rule.name}`: the contract refuses {count}: {reason[:160]}"
            yield Flaw(("tasks", place), message, "draw values that the contract takes"), all(seen)


def _never_fits(document: SynthesisDocument, rule: TaskRule, contract: Contract) -> bool:
    """Is there an argument of which the contract takes no value that the task has? False where they are too many."""
    tool = contract.tools.get(str(rule.tool))
    for name, value in rule.args.items() if tool is not None else ():
        assert tool is not None
        whole = SLOT.fullmatch(value) if isinstance(value, str) else None
        schema = tool.properties[name]
        values = _slot_values(document, rule.draw[whole[1]], schema) if whole else [] if slots_of(value) else [value]
        if values and not any(_may_take(contract, tool.name, name, item) for item in values):
            return True
    return False


def _deciding_answers(document: SynthesisDocument, sampler: Sampler, contract: Contract) -> list[dict[str, Any]]:
    """Return answers of a task of which the contract takes one if it takes any; none where it cannot be told.

    An argument that no condition of the schema names has one value, which the contract may take. Of the others, a few
    values stand for all. A slot that is compared with another one, or is a part of an argument, keeps all its values,
    and commands have rules of their own.
    """
    rule, tool = sampler.rule, contract.tools.get(str(sampler.rule.tool))
    measures = None if tool is None or tool.argv is not None else _Measures.of(tool.input_schema)
    if tool is None or measures is None or any(draw.relative_to is not None for draw in rule.draw.values()):
        return []
    compared = {slot for item in rule.constraints for slot in (*item.different, *item.ascending)}
    conditions = {key: item for key, item in tool.input_schema.items() if key not in ("properties", "required")}
    tied = {str(item) for place, value in placed_scalars(conditions) for item in (*place, value)}
    values: dict[str, list[Any]] = {}
    for slot, draw in rule.draw.items():
        pool = pool_of(document, draw)
        every = [member.value for member in listed(pool, document.values) or ()]
        uses = {name: value == f"{{{slot}}}" for name, value in rule.args.items() if slot in slots_of(value)}
        is_whole = all(uses.values()) and slot not in compared
        values[slot] = measures.representatives(pool, every) if is_whole else every
        if is_whole and tied.isdisjoint(uses):
            fits = (item for item in values[slot] if all(_may_take(contract, tool.name, name, item) for name in uses))
            values[slot] = [*islice(fits, 1)]
    if not 0 < math.prod(map(len, values.values())) <= _TRIES:
        return []
    answers = [*islice(sampler.answers(values), _TRIES + 1)]
    return answers if len(answers) <= _TRIES else []


class _Measures:
    """What a schema tells values apart by: those that it names, bounds and multiples, patterns and lengths of texts.

    Args:
        named: the values that stand anywhere in the schema.
        rules: the patterns, lengths and multiples, each compiled.
        step: among so many whole numbers in a row, each combination of multiples comes up.
    """

    def __init__(self, named: Sequence[Any], rules: Sequence[Any], step: int) -> None:
        self._texts = {item for item in named if type(item) is str}
        self._bounds = sorted(item for item in named if type(item) in (int, float))
        self._rules = rules
        self._step = step

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> _Measures | None:
        """Return the measures of a schema; None where it tells values apart by something else."""
        rules: dict[tuple[str, Any], Any] = {}
        step = 1
        for place, value in placed_scalars(schema):
            key = str(place[-1])
            if "patternProperties" in place or (key == "$ref" and not str(value).startswith(_DEFINED)):
                return None  # these can tie arguments without naming them
            if key == "multipleOf":
                step = math.lcm(step, value) if type(value) is int else 0
            if key in _RULES:
                with suppress(ValueError):  # in an example, or the name of an argument
                    rules[key, value] = compiled({key: value})
        return cls([*scalars(schema)], [*rules.values()], step) if 0 < step <= _MAX_STEP else None

    def representatives(self, pool: Pool, every: Sequence[Any]) -> list[Any]:
        """Return values of a pool, or of all its members, that stand for all: one that the schema sees of each kind."""
        if pool.integers is not None:
            low, high = pool.integers
            bounds = (low, high, *map(math.floor, self._bounds))
            near = {bound + step for bound in bounds for step in range(-self._step, self._step + 1)}
            every = sorted(number for number in near if low <= number <= high)
        kinds: dict[Any, Any] = {}
        for place, value in enumerate(every):
            kinds.setdefault(self._kind(value) if type(value) in (str, int) else place, value)
        return [*kinds.values()]

    def _kind(self, value: str | int) -> tuple[Any, ...]:
        """Return all that the schema can see of a value."""
        if isinstance(value, str):
            name: Any = value if value in self._texts else None
        else:
            name = bisect_left(self._bounds, value), bisect_right(self._bounds, value)
        return (type(value), name, *(rule.is_valid(value) for rule in self._rules))


def _slot_values(document: SynthesisDocument, draw: Draw, schema: Mapping[str, Any]) -> list[Any]:
    """Return the values of a slot that decide whether a schema takes one; none where they are too many, or relative.

    These are all values. Of a long range of integers they are its ends and the bounds of the schema, if that has no
    other keyword: if it takes a number of the range, it takes one of these.
    """
    if draw.relative_to is not None:
        return []
    pool = pool_of(document, draw)
    values = [member.value for member in listed(pool, document.values) or ()]
    bounds = [schema[key] for key in ("minimum", "maximum") if key in schema]
    if pool.integers is not None and not values and schema.keys() <= _INTERVAL and all(type(b) is int for b in bounds):
        low, high = pool.integers
        values = [low, high, *(bound for bound in bounds if low <= bound <= high)]
    return [*values, draw.otherwise] if values and draw.probability < 1 else values


def _may_take(contract: Contract, tool: str, name: str, value: Any) -> bool:
    """Can an answer with this value be valid? Null and what holds other values may."""
    return type(value) not in (str, int) or contract.may_take(tool, name, value)


def _outcomes(sampler: Sampler, contract: Contract) -> Iterator[str]:
    """Yield why the contract refuses each of the answers that are drawn, or an empty text."""
    chance = random.Random(0).random
    while True:
        sample = sampler.draw(chance)
        yield "" if sample is None else contract.refusal(sample.target)

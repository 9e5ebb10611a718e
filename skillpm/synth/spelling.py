"""Values that a contract calls the same are one value to the split: ``8`` and ``8.0``, or two names but for their case.

How a value is compared follows from its place: it is put into each argument that draws it, and the arguments are
compared. Numbers within a tolerance are one value, and so are all of a chain of such steps. A pool that is one chain
has one value, which both sides need.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import chain, pairwise
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.contract.equality import number_of
from skillpm.model.synthesis import Pool, SynthesisDocument, TaskRule, scalars, slots_of
from skillpm.model.task import Seed, canonical_json
from skillpm.synth.pools import LISTED, choice_of, known_as, listed, value_text

_FINE = 2.0**-40  # between two numbers of a schema
_Drawn = tuple[str, str, str, str]  # a tool, its argument, what stands there in JSON, the pool of a slot in it
_Placed = tuple[str, str, Any, str]  # a tool, its argument, its value, the text of the value that is drawn


class Spellings:
    """Which texts spell one value.

    Args:
        document: draws the values.
        contract: says when two are the same; without one, only equal texts are.
        pools: that the document draws from, by name.
        seeds: have values, too.

    Attributes:
        chains: the names of pools too large to be written out, whose next numbers are the same.
    """

    def __init__(
        self, document: SynthesisDocument, contract: Contract | None, pools: Mapping[str, Pool], seeds: Sequence[Seed]
    ) -> None:
        self._first: dict[str, str] = {}
        self.chains: frozenset[str] = frozenset()
        if contract is None:
            return
        drawn = dict.fromkeys(place for rule in document.rules for place in _drawn(rule, pools))
        self.chains = frozenset(_chains(drawn, contract, pools))
        placed = [*_written(document, seeds), *_placed(drawn, contract, pools)]
        for texts in chain(_same(placed, contract), _near(placed, contract)):
            firsts = {*map(self.first, texts)}
            self._first.update(dict.fromkeys([*texts, *firsts], min(firsts)))

    def __iter__(self) -> Iterator[str]:
        """Yield the texts that are not the only spelling of their value."""
        return iter(self._first)

    def first(self, text: str) -> str:
        """Return the text that stands for all spellings of a value."""
        while (above := self._first.get(text, text)) != text:
            text = above
        return text


def _same(placed: Iterable[_Placed], contract: Contract) -> list[set[str]]:
    """Return groups of texts that make the same argument."""
    groups: dict[tuple[str, str, Hashable], set[str]] = {}
    for tool, name, argument, text in placed:
        key = contract.key_of(tool, name, argument)
        if key is not None:
            groups.setdefault((tool, name, key), set()).add(text)
    return [texts for texts in groups.values() if len(texts) > 1]


def _near(placed: Iterable[_Placed], contract: Contract) -> Iterator[set[str]]:
    """Yield pairs of texts whose numbers follow each other, and are within a tolerance."""
    numbers: dict[tuple[str, str], dict[str, tuple[list[Fraction], Any]]] = {}
    for tool, name, argument, text in placed:
        if contract.tolerance_of(tool, name):
            found = [number for leaf in scalars(argument) if (number := number_of(leaf)) is not None]
            numbers.setdefault((tool, name), {})[text] = (found, argument)
    for (tool, name), values in numbers.items():
        same = contract.tolerance_of(tool, name)
        for (one, (_, left)), (other, (_, right)) in pairwise(sorted(values.items(), key=lambda item: item[1][0])):
            if same and same(left, right):
                yield {one, other}


def _chains(drawn: Iterable[_Drawn], contract: Contract, pools: Mapping[str, Pool]) -> Iterator[str]:
    for tool, name, text, pool in drawn:
        same, steps = contract.tolerance_of(tool, name), _steps(pools[pool])
        if same and steps and same(*(_with(json.loads(text), pool, value) for value in steps)):
            yield pool


def _steps(pool: Pool) -> tuple[float, float] | None:
    """Return two numbers of a pool that is not written out, of which the second follows the first."""
    if pool.integers is not None:
        low, high = pool.integers
        return (low, low + 1) if high - low >= LISTED else None
    schema = pool.json_schema or {}
    if choice_of(pool) is not None or schema.get("type") not in ("number", "integer"):
        return None
    low, step = schema.get("minimum", 0), schema.get("multipleOf", 1 if schema["type"] == "integer" else _FINE)
    return (low, low + step) if isinstance(low, int | float) and isinstance(step, int | float) else None


def _written(document: SynthesisDocument, seeds: Sequence[Seed]) -> Iterator[_Placed]:
    """Yield arguments that stand in the answers of seeds, and in rules without a slot."""
    answers = [seed.expected for seed in seeds if isinstance(seed.expected, dict)]
    answers += [{"tool": rule.tool, "args": rule.args} for rule in document.rules]
    for answer in answers:
        tool, arguments = answer.get("tool"), answer.get("args")
        if isinstance(tool, str) and isinstance(arguments, dict):
            written = ((name, value) for name, value in arguments.items() if not slots_of(value))
            yield from ((tool, name, value, known_as(value)) for name, value in written)


def _drawn(rule: TaskRule, pools: Mapping[str, Pool]) -> Iterator[_Drawn]:
    """Yield where a rule draws from a pool, or from one that a pool is made of."""
    for name, value in rule.args.items():
        sources = ((slot, rule.draw[slot].source) for slot in sorted(slots_of(value)))
        waiting = [(_with(value, slot, f"{{{pool}}}"), pool) for slot, pool in sources if isinstance(pool, str)]
        for argument, pool in waiting:  # grows
            yield str(rule.tool), name, canonical_json(argument), pool
            for part in pools[pool].parts:
                made: Any = pools[pool].template or [f"{{{part}}}"]
                waiting.append((_with(argument, pool, made), part))


def _placed(drawn: Iterable[_Drawn], contract: Contract, pools: Mapping[str, Pool]) -> Iterator[_Placed]:
    """Yield the arguments with each value that is written out, where they are judged by it."""
    every = cache(lambda pool: listed(pools[pool], pools) or ())
    for tool, name, text, pool in drawn:
        argument = json.loads(text)
        unjudged = contract.key_of(tool, name, argument)
        for member in every(pool):
            value = _with(argument, pool, member.value)
            if contract.key_of(tool, name, value) != unjudged:
                yield tool, name, value, known_as(member.value)


def _with(argument: Any, slot: str, value: Any) -> Any:
    """Return an argument with a value in the place of a slot."""
    if isinstance(argument, str):
        hole = f"{{{slot}}}"
        return value if argument == hole else argument.replace(hole, value_text(value))
    if isinstance(argument, dict):
        return {key: _with(inner, slot, value) for key, inner in argument.items()}
    return [_with(inner, slot, value) for inner in argument] if isinstance(argument, list | tuple) else argument

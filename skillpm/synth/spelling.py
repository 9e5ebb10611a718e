"""Values that a contract calls the same are one value to the split: ``8`` and ``8.0``, or two names but for their case.

How a value is compared follows from its place: it is put into each argument that draws it, and the arguments are
compared. Numbers within a tolerance stay apart, for a chain of small steps would make one value of all.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.model.synthesis import Pool, SynthesisDocument, TaskRule, slots_of
from skillpm.model.task import Seed, canonical_json
from skillpm.synth.pools import known_as, listed, value_text

_Drawn = tuple[str, str, str, str]  # a tool, its argument, what stands there in JSON, the pool of a slot in it
_Placed = tuple[str, str, Any, str]  # a tool, its argument, its value, the text of the value that is drawn


class Spellings:
    """Which texts spell one value.

    Args:
        document: draws the values.
        contract: says when two are the same; without one, only equal texts are.
        pools: that the document draws from, by name.
        seeds: have values, too.
    """

    def __init__(
        self, document: SynthesisDocument, contract: Contract | None, pools: Mapping[str, Pool], seeds: Sequence[Seed]
    ) -> None:
        self._first: dict[str, str] = {}
        for texts in () if contract is None else _same(document, contract, pools, seeds):
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


def _same(
    document: SynthesisDocument, contract: Contract, pools: Mapping[str, Pool], seeds: Sequence[Seed]
) -> list[set[str]]:
    """Return groups of texts that make the same argument."""
    groups: dict[tuple[str, str, Hashable], set[str]] = {}
    drawn = dict.fromkeys(place for rule in document.rules for place in _drawn(rule, pools))
    for tool, name, argument, text in [*_written(document, seeds), *_placed(drawn, contract, pools)]:
        key = contract.key_of(tool, name, argument)
        if key is not None:
            groups.setdefault((tool, name, key), set()).add(text)
    return [texts for texts in groups.values() if len(texts) > 1]


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

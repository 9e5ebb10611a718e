"""The longest texts that a synthesis document can make, told without making one.

A small template of long values makes texts of any length. So the length is bounded where the document is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from skillpm.formats.document import PlacedValueError
from skillpm.model.nouns import nouns
from skillpm.model.synthesis import (
    CLAUSE,
    DIRECTIVE,
    SLOT,
    AskingRule,
    Location,
    Pool,
    SynthesisDocument,
    TaskRule,
    entry_of,
    scalars,
)
from skillpm.model.task import canonical_json

MAX_VALUE = 4_096  # characters of a pool's template, filled in
MAX_SAMPLED = 512  # characters of a value of a pool's schema
MAX_PARTS = 64  # pools in one template
_BETWEEN = " and "  # the longest text between two members of a list
MAX_TEXT = 16_384  # characters of a request, or of a task's arguments


def check_lengths(document: SynthesisDocument) -> None:
    """Check every pool and task. Raises ValueError if one can make a text that is too long."""
    pools = {name: _longest_plain(pool) for name, pool in document.values.items()}
    for name, pool in document.values.items():
        if pool.template is not None:
            if len(SLOT.findall(pool.template)) > MAX_PARTS:
                problem = f"the template of `{name}` holds more than {MAX_PARTS} pools"
                raise PlacedValueError(problem, place=("values", name, "template"), hint="use fewer of them")
            pools[name] = _filled(pool.template, pools)
            _hold(pools[name], MAX_VALUE, f"a value of `{name}`", ("values", name, "template"))
    for name, pool in document.values.items():
        if pool.members is not None:
            pools[name] = pool.length[1] * (pools[pool.members] + len(_BETWEEN))
            _hold(pools[name], MAX_VALUE, f"a value of `{name}`", ("values", name, "length"))
    frame = max(map(len, document.frames))
    for number, task in enumerate(document.tasks):
        for rule in (task, *([AskingRule.of(task, task.ask)] if task.ask else ())):
            slots = {name: _longest_draw(draw.source, draw.otherwise, pools) for name, draw in rule.draw.items()}
            longest, place = frame + _longest_request(rule, slots), ("tasks", number)
            _hold(longest, MAX_TEXT, f"a request of task `{rule.name}`", (*place, "requests"))
            built = [text for text in scalars([rule.args, rule.answer]) if isinstance(text, str) and SLOT.search(text)]
            longest = sum(_filled(text, slots) for text in built)
            _hold(longest, MAX_TEXT, f"an answer of task `{rule.name}`", (*place, "args"))


def _hold(length: int, limit: int, what: str, place: Location) -> None:
    if length > limit:
        problem = f"{what} can have {length:,} characters, more than {limit:,}"
        raise PlacedValueError(problem, place=place, hint="shorten the texts that it is made of")


def _longest_request(rule: TaskRule, slots: Mapping[str, int]) -> int:
    clauses = {slot: max(_filled(text, slots) for text in texts) + 1 for slot, texts in rule.clauses.items()}
    clauses["*"] = sum(clauses.values())
    return max(_filled(text, slots) + sum(clauses[place] for place in CLAUSE.findall(text)) for text in rule.requests)


def _longest_draw(source: Any, otherwise: Any, pools: Mapping[str, int]) -> int:
    drawn = pools[source] if isinstance(source, str) else _longest_member(source, None)
    return max(drawn, _length(otherwise))


def _longest_plain(pool: Pool) -> int:
    if pool.json_schema is not None:
        return MAX_SAMPLED
    if pool.dates is not None:
        return max(len(DIRECTIVE.sub("Wednesday", form)) for form in (*pool.forms, "%Y-%m-%d"))
    return _longest_member(nouns() if pool.words is not None else pool.choice, pool.integers)


def _longest_member(choice: Iterable[Any] | None, integers: tuple[int, int] | None) -> int:
    if choice is None:
        return max(map(_length, integers or ()), default=0)
    return max(max(map(len, item.texts or ()), default=_length(item.value)) for item in map(entry_of, choice))


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(canonical_json(value))


def _filled(text: str, slots: Mapping[str, int]) -> int:
    return len(text) + sum(slots[slot] for slot in SLOT.findall(text))

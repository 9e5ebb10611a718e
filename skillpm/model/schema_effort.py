"""How much work a JSON Schema is: a few kilobytes can ask a validator for 2^40 comparisons.

A validator may look at every schema that applies to a value. References let schemas share parts, and so a part can be
looked at once for each way that leads to it. ``refuse_exponential`` counts these ways for a schema alone: if no part
contains itself, no value is more work than that, items of a list apart. For a schema that contains itself the work also
grows with the depth of the value, and ``Effort`` counts it for one value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from skillpm.model.json_schema import REFERENCES, referenced

MAX_PARTS = 10_000  # of a schema whose references are all written out
MAX_WAY = 200  # parts inside parts
_LISTS = ("allOf", "anyOf", "oneOf")
_SINGLE = ("not", "if", "then", "else")
_INNER = ("items", "contains", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "propertyNames")
_INNER_MAPS = ("properties", "patternProperties")

Schema = Mapping[str, Any]


class SchemaParts:
    """The parts of a schema, and which of them apply to one value together."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._bases: dict[int, Schema] = {}  # of each part: what its references point into
        self._anchors: dict[str, list[Schema]] = {}
        self._note(root, root)

    def _note(self, value: Any, base: Schema) -> None:
        waiting = [(value, base)]
        while waiting:
            value, base = waiting.pop()
            if isinstance(value, list):
                waiting += [(item, base) for item in value]
            elif isinstance(value, Mapping):
                base = value if isinstance(value.get("$id"), str) else base
                self._bases[id(value)] = base
                for key in ("$anchor", "$dynamicAnchor"):
                    if isinstance(value.get(key), str):
                        self._anchors.setdefault(f"#{value[key]}", []).append(value)
                waiting += [(item, base) for item in value.values()]

    def same_place(self, part: Schema) -> Iterator[Schema]:
        """Yield the parts that apply to the same value as this one."""
        for key in REFERENCES:
            if isinstance(reference := part.get(key), str):
                targets = self._anchors.get(reference)
                yield from _schemas(targets or [referenced(reference, self._bases.get(id(part), self._root))])
        for key in _LISTS:
            yield from _schemas(part.get(key))
        yield from _schemas([part.get(key) for key in _SINGLE])
        yield from _schemas(part.get("dependentSchemas"))

    def inside(self, part: Schema) -> Iterator[Schema]:
        """Yield the parts that apply to properties or items of the value."""
        for key in _INNER_MAPS:
            yield from _schemas(part.get(key))
        yield from _schemas(part.get("prefixItems"))
        yield from _schemas([part.get(key) for key in _INNER])

    def of_property(self, part: Schema, name: str) -> Iterator[Schema]:
        """Yield the parts that may apply to a property of the value."""
        properties = part.get("properties")
        yield from _schemas([properties.get(name)] if isinstance(properties, Mapping) else None)
        yield from _schemas(part.get("patternProperties"))
        yield from _schemas([part.get("additionalProperties"), part.get("unevaluatedProperties")])

    def of_item(self, part: Schema, place: int) -> Iterator[Schema]:
        """Yield the parts that may apply to an item of the value."""
        prefix = part.get("prefixItems")
        yield from _schemas(prefix[place : place + 1] if isinstance(prefix, list) else None)
        yield from _schemas([part.get("items"), part.get("contains"), part.get("unevaluatedItems")])


def refuse_exponential(root: Schema) -> bool:
    """Return whether a schema contains itself.

    Raises:
        ValueError: written out it has too many parts, or a part is its own alternative.
    """
    parts = SchemaParts(root)
    counts: dict[int, int] = {}
    places: dict[int, int] = {}  # on the way from the root, by the number of steps into values before each
    recursive = False

    def count(part: Schema, depth: int) -> int:
        nonlocal recursive
        if id(part) in counts:
            return counts[id(part)]
        if id(part) in places:
            if places[id(part)] == depth:
                raise ValueError("a reference leads back to itself")
            recursive = True
            return 1
        if len(places) > MAX_WAY:
            raise ValueError(f"references lead on through more than {MAX_WAY} schemas")
        places[id(part)] = depth
        total = 1 + sum(count(item, depth) for item in parts.same_place(part))
        total += sum(count(item, depth + 1) for item in parts.inside(part))
        del places[id(part)]
        if total > MAX_PARTS:
            raise ValueError(f"has more than {MAX_PARTS} parts when its references are written out")
        counts[id(part)] = total
        return total

    count(root, 0)
    return recursive


class Effort:
    """How often a validator may look at a part of a schema while it validates one value."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._parts = SchemaParts(root)
        self._together: dict[int, list[tuple[Schema, int]]] = {}

    def of(self, value: Any, most: int) -> int:
        """Return the number, or any larger than ``most``."""
        total = 0
        waiting: list[tuple[Any, list[tuple[Schema, int]]]] = [(value, [(self._root, 1)])]
        while waiting and total <= most:
            value, applying = waiting.pop()
            met = [(part, times * ways) for start, times in applying for part, ways in self._met(start)]
            total += sum(times for _, times in met)
            if isinstance(value, Mapping):
                steps = [(item, [(inner, n) for part, n in met for inner in self._parts.of_property(part, name)])
                         for name, item in value.items()]  # fmt: skip
            elif isinstance(value, list):
                steps = [(item, [(inner, n) for part, n in met for inner in self._parts.of_item(part, place)])
                         for place, item in enumerate(value)]  # fmt: skip
            else:
                continue
            waiting += [(item, _added(applying)) for item, applying in steps]
        return total

    def _met(self, start: Schema) -> list[tuple[Schema, int]]:
        """Return the parts that apply where one applies, with the number of ways to each."""
        if id(start) not in self._together:
            ways: Counter[int] = Counter()
            known: dict[int, Schema] = {}
            waiting = [start]
            while waiting:  # refuse_exponential has seen that these are few
                part = waiting.pop()
                ways[id(part)] += 1
                known[id(part)] = part
                waiting += self._parts.same_place(part)
            self._together[id(start)] = [(known[key], number) for key, number in ways.items()]
        return self._together[id(start)]


def _added(applying: list[tuple[Schema, int]]) -> list[tuple[Schema, int]]:
    """Return each part once, with the sum of its numbers."""
    sums: Counter[int] = Counter()
    for part, number in applying:
        sums[id(part)] += number
    return [(part, sums[key]) for key, part in {id(part): part for part, _ in applying}.items()]


def _schemas(held: Any) -> Iterator[Schema]:
    """Yield the schemas in a list or in the values of an object; true and false are no work."""
    items = held.values() if isinstance(held, Mapping) else held if isinstance(held, list) else ()
    for item in items:
        if isinstance(item, Mapping):
            yield item

"""When two values of an argument are the same: exactly, or as ``compare`` of contract.yaml says.

A list and an object hand their comparison down to what stands inside them, unless that has one of its own.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from skillpm.contract.shape import exact_number, same_value
from skillpm.contract.values import normal_value
from skillpm.model.comparison import Comparison, Way, steps_of

MAX_PAIRS = 1 << 14  # items of two sets that are compared one by one
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})\s*")


@dataclass(frozen=True, slots=True)
class _Node:
    """How one place is compared.

    Attributes:
        by: the ways of its comparison.
        tolerance: between numbers; None where texts are not read as numbers.
        text: what turns a text into one spelling; None where texts are compared as they are.
        children: the places inside it that have a comparison of their own, by their step.
        others: how everything else inside it is compared; None if exactly.
    """

    by: frozenset[Way]
    tolerance: float | None
    text: Callable[[str], str] | None
    children: Mapping[str, _Node]
    others: _Node | None

    def inner(self, step: str) -> _Node | None:
        """Return how a property, or with ``[]`` an item, is compared."""
        return self.children.get(step, self.others)

    @property
    def is_ignored(self) -> bool:
        """Is nothing of this place judged?"""
        return "free" in self.by and not self.children

    @property
    def has_key(self) -> bool:
        """Is there one key for all values that are the same? A tolerance has none."""
        inside = (*self.children.values(), *([self.others] if self.others else ()))
        return not self.tolerance and all(node.has_key for node in inside)


class Equality:
    """The comparisons of one tool, compiled.

    Args:
        compare: by place, such as ``title`` or ``items[].price``.
    """

    def __init__(self, compare: Mapping[str, Comparison]) -> None:
        places = {steps_of(place): comparison for place, comparison in compare.items()}
        self._arguments = _children(places, (), None)

    def __bool__(self) -> bool:
        """Is any argument not compared exactly?"""
        return bool(self._arguments)

    def same(self, name: str, left: Any, right: Any) -> bool:
        """Are two values of an argument the same? Both are valid and complete."""
        return _same(self._arguments.get(name), left, right)

    def key(self, name: str, value: Any) -> Hashable:
        """Return the same key for two values of an argument that are the same; None where it is not judged.

        Two numbers have one key only where they are equal, whatever the tolerance.
        """
        return _key(self._arguments.get(name), value)

    def tolerates(self, name: str) -> bool:
        """May two numbers that differ be the same in this argument?"""
        node = self._arguments.get(name)
        return node is not None and not node.has_key

    def aligned(self, left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments on the right, each written as on the left where the two are the same."""
        return {name: left[name] if self.same(name, left[name], value) else value for name, value in right.items()}


_Places = Mapping[tuple[str, ...], Comparison]


def _children(places: _Places, around: tuple[str, ...], outer: Comparison | None) -> dict[str, _Node]:
    """Return the nodes of the steps that follow ``around``."""
    depth = len(around)
    steps = {place[depth] for place in places if len(place) > depth and place[:depth] == around}
    return {step: _node(places, (*around, step), outer) for step in steps}


def _node(places: _Places, place: tuple[str, ...], outer: Comparison | None) -> _Node:
    comparison = places.get(place, outer)
    if comparison is None:
        return _Node(frozenset(), None, None, _children(places, place, None), None)
    # the items of a set are compared as it says, but a list among them is a set only if it says so itself
    inner = comparison.model_copy(update={"by": tuple(way for way in comparison.by if way != "set")})
    return _leaf(comparison, _children(places, place, inner), _leaf(inner, {}, None))


def _leaf(comparison: Comparison, children: Mapping[str, _Node], others: _Node | None) -> _Node:
    return _Node(frozenset(comparison.by), comparison.tolerance, _reader(comparison), children, others)


def _same(node: _Node | None, left: Any, right: Any) -> bool:
    if node is None or node.is_ignored:
        return node is not None or same_value(left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        names = _judged_names(node, {**left, **right})
        return all(
            name in left and name in right and _same(node.inner(name), left[name], right[name]) for name in names
        )
    if isinstance(left, list) and isinstance(right, list):
        items = node.inner("[]")
        if "set" in node.by:
            return _same_set(items, left, right)
        return len(left) == len(right) and all(_same(items, *pair) for pair in zip(left, right, strict=True))
    if node.tolerance is not None:
        one, other = number_of(left), number_of(right)
        if one is not None and other is not None:
            return abs(one - other) <= Fraction(repr(node.tolerance))
    if node.text is not None and isinstance(left, str) and isinstance(right, str):
        return node.text(left) == node.text(right)
    return same_value(left, right)


def _judged_names(node: _Node, value: Mapping[str, Any]) -> list[str]:
    inner = {name: node.inner(name) for name in value}
    return [name for name, item in inner.items() if item is None or not item.is_ignored]


def _same_set(items: _Node | None, left: list[Any], right: list[Any]) -> bool:
    if items is None or items.has_key:
        return {_key(items, item) for item in left} == {_key(items, item) for item in right}
    # With a tolerance, equality is not transitive and there is no key: each item needs a counterpart on the other side.
    if len(left) * len(right) > MAX_PAIRS:
        return False
    return all(
        any(_same(items, item, other) for other in others)
        for these, others in ((left, right), (right, left))
        for item in these
    )


def _key(node: _Node | None, value: Any) -> Hashable:
    """Return the same key for two values exactly where ``_same`` holds."""
    if node is not None and node.is_ignored:
        return None
    if isinstance(value, dict):
        names = list(value) if node is None else _judged_names(node, value)
        return ("object", frozenset((name, _key(node and node.inner(name), value[name])) for name in names))
    if isinstance(value, list):
        keys = [_key(node and node.inner("[]"), item) for item in value]
        return ("list", frozenset(keys) if node is not None and "set" in node.by else tuple(keys))
    if node is not None and node.tolerance is not None and (number := number_of(value)) is not None:
        return ("number", number)
    if isinstance(value, str):
        return ("text", value if node is None or node.text is None else node.text(value))
    return ("constant", value) if isinstance(value, bool) or value is None else ("number", exact_number(value))


def number_of(value: Any) -> Fraction | None:
    """Return a number, or a text that is one, exactly; 0.1 is one tenth."""
    return Fraction(value.strip()) if isinstance(value, str) and _NUMBER.fullmatch(value) else exact_number(value)


def _reader(comparison: Comparison) -> Callable[[str], str] | None:
    """Return what turns a text into the one spelling that stands for all that are the same; None if it is exact."""
    ways = comparison.text_ways
    if not ways and not comparison.same:
        return None
    spelling = {_spelled(ways, text): _spelled(ways, meaning) for text, meaning in comparison.same.items()}

    def read(text: str) -> str:
        normal = _spelled(ways, text)
        return spelling.get(normal, normal)

    return read


def _spelled(ways: tuple[Way, ...], text: str) -> str:
    if "nfc" in ways:
        text = unicodedata.normalize("NFC", text)
    if "casefold" in ways:
        text = text.casefold()
    for form in ("words", "path", "timestamp", "duration", "unit"):
        if form in ways:
            with contextlib.suppress(ValueError):  # an empty text is not a path; it is the same as itself alone
                text = normal_value(form, text)
    # folding may take a text out of its normal form
    return unicodedata.normalize("NFC", text) if "nfc" in ways else text

"""Wrong answers made of a right one: one field changed, at any depth, or two fields swapped.

Whether a change is a mistake is the contract's to say, not ours: what its ``compare`` calls the same is left out later.
Without a contract only bold changes are made (``skillpm.selftest.texts``).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.contract.sampler import sample_arguments
from skillpm.contract.shape import same_value
from skillpm.errors import DocumentError
from skillpm.formats.json_place import Path, with_value
from skillpm.model.answer_kind import REASONS, is_reply, kind_of
from skillpm.model.contract import Tool
from skillpm.selftest.tasks import GateTask
from skillpm.selftest.texts import LOOK_ALIKES, changed_texts, loosely_same

Mutation = tuple[str, str, Any]
"""The code of a claim, how the answer was changed, and the answer."""

MAX_FIELDS = 24  # of one answer that are changed
MAX_DEPTH = 8
LEFT_OUT = " without `"  # stands in how an object without one of its keys is called
_CYCLES = (1000, 2520, 720_720_000_000, 1 << 32)  # multiples of hours, minutes, degrees, thousands and bytes
_UNITS = (24, 60, 100, 1000, 1024, 3600)  # of one another, as readers convert them
_MISSING = object()
_NOTHINGS = ("", "null", "none", "n/a", "-", ".")  # texts taken for null; str() makes "None" of it


class Mutations:
    """Changes of the expected answers of one skill.

    The fields of the tasks give values that are right elsewhere.
    """

    def __init__(self, contract: Contract | None, tasks: Sequence[GateTask]) -> None:
        self._contract = contract
        self._drawn = {} if contract is None else {name: _drawn(tool) for name, tool in contract.tools.items()}
        self._sampled = {name: _by_argument(drawn) for name, drawn in self._drawn.items()}
        self._elsewhere: dict[tuple[str, str], list[Any]] = {}
        for task in tasks:
            for path, value in fields(task.value):
                values = self._elsewhere.setdefault((tool_of(task.value), name_of(path)), [])
                if not any(same_value(value, other) for other in values[-8:]):
                    values.append(value)

    def of(self, task: GateTask) -> Iterator[Mutation]:
        """Yield wrong answers to a task. Some may be right after all: ask the contract."""
        value, request = task.value, task.ref.request
        if isinstance(value, str):
            others = self._values_elsewhere(value, value, (), str)
            yield from changed_texts(value, others, request, strict=False)
            return
        if self._contract is not None:
            yield from self._other_kinds(value)
        if self._contract is not None and is_reply(value):
            yield from self._replies(value, request)
            return
        holder: Path = ()
        if self._contract is not None:
            holder = ("args",)
            yield from self._calls(value)
            yield from self._arguments(value)
        places = [(path, item) for path, item in fields(value) if path[: len(holder)] == holder and path != ("tool",)]
        for path, item in places[:MAX_FIELDS]:
            label = f"`{name_of(path[len(holder) :])}`" if path else "all of it"
            for code, how, changed in self._changed(value, path, item, request):
                yield code, f"{label} {how}", with_value(value, path, changed)
        if isinstance(value, dict):
            yield from _swapped(value, places[:MAX_FIELDS])
            yield from _run_together(value, [place for place in places if isinstance(place[1], str)])
        yield from self._objects_changed(value, holder)

    def _objects_changed(self, value: Any, holder: Path) -> Iterator[Mutation]:
        """Yield the answer with other keys in its objects, or without an object."""
        for path, item in itertools.islice(_objects(value), MAX_FIELDS):
            label = f"`{name_of(path[len(holder) :])}`"
            if self._contract is None:
                renamed = {f"{key}_x": item[key] for key in item}
                yield "SK723", f"{label} with other keys", with_value(value, path, renamed)
            if self._contract is None or len(path) > 1:  # of the answer itself, the contract says what is surplus
                yield "SK723", f"{label} with a surplus key", with_value(value, path, {**item, "surplus_key": 1})
                for name in itertools.islice(item, MAX_FIELDS):
                    rest = {key: other for key, other in item.items() if key != name}
                    yield "SK723", f"{label}{LEFT_OUT}{name}`", with_value(value, path, rest)
            if len(path) > len(holder):
                yield "SK723", f"{label} emptied", with_value(value, path, {})
                yield "SK723", f"{label} nulled", with_value(value, path, None)

    def _other_kinds(self, value: dict[str, Any]) -> Iterator[Mutation]:
        """Yield answers that the contract takes and that are of another kind than the right one."""
        assert self._contract is not None
        kinds = [kind for kind in self._contract.replies.kinds if kind != kind_of(value)]
        tools = [self._contract.tools[value["tool"]]] if "tool" in value else [*self._contract.tools.values()]
        for tool in tools[:MAX_FIELDS] if "call" in kinds else ():
            for arguments in self._drawn[tool.name][:2]:
                yield "SK728", "a call", {"tool": tool.name, "args": arguments}
            empty = dict.fromkeys(tool.properties)
            yield "SK728", "a call without values", {"tool": tool.name, "args": empty}
        for tool in tools[:MAX_FIELDS] if "ask" in kinds else ():
            needed = [name for name in tool.properties if name in tool.required] or [*tool.properties]
            for names in dict.fromkeys((*((name,) for name in needed[:4]), tuple(needed))) if needed else ():
                yield "SK728", "a question", {"tool": tool.name, "ask": list(names)}
        for reason in REASONS if "refuse" in kinds else ():
            yield "SK728", "a refusal", {"refuse": reason}
        for text in ("Done.", json.dumps(value, ensure_ascii=False)) if "answer" in kinds else ():
            yield "SK728", "a text", {"answer": text}

    def _replies(self, value: dict[str, Any], request: str) -> Iterator[Mutation]:
        """Yield wrong questions, refusals and texts in place of the right one of their kind."""
        assert self._contract is not None
        if "refuse" in value:
            yield from (("SK723", "another reason", {"refuse": item}) for item in REASONS if item != value["refuse"])
            yield "SK722", "an unknown reason", {"refuse": f"{value['refuse']}_x"}
        elif "answer" in value:
            others = self._values_elsewhere(value, value["answer"], ("answer",), str)
            for code, how, changed in changed_texts(value["answer"], others, request, strict=True):
                yield code, f"the text {how}", {"answer": changed}
        else:
            names, others = value["ask"], [*self._contract.tools[value["tool"]].properties]
            yield "SK723", "nothing asked for", {**value, "ask": names[:-1]}
            yield "SK726", "everything asked for", {**value, "ask": others}
            yield "SK722", "an unknown argument asked for", {**value, "ask": [*names, "surplus_argument"]}
            yield from (("SK723", "another argument", {**value, "ask": [name]}) for name in others if name not in names)
            for tool in self._contract.tools.values():
                asked = [name for name in names if name in tool.properties]
                if tool.name != value["tool"] and asked:
                    yield "SK723", "of another tool", {"tool": tool.name, "ask": asked}

    def _calls(self, value: dict[str, Any]) -> Iterator[Mutation]:
        """Yield calls of another tool, and calls that no executor takes."""
        assert self._contract is not None
        name, arguments = value["tool"], value["args"]
        yield "SK723", "unknown tool", {**value, "tool": f"{name}_x"}
        for tool in ("", name[: len(name) // 2], name.swapcase(), f"{name} ", f"functions.{name}", [name], None, ".*"):
            yield "SK723", f"the tool as {json.dumps(tool)}", {**value, "tool": tool}
        yield "SK722", "no tool", {"args": arguments}
        yield "SK722", "no arguments", {"tool": name}
        yield "SK725", "look-alike of the tool", {**value, "tool": name.translate(LOOK_ALIKES) + "\u200b"}
        others = [other for other in self._contract.tools if other != name]
        if others:
            tools = self._contract.tools
            same = next((other for other in others if tools[other].properties.keys() == arguments.keys()), others[0])
            yield "SK723", "other tool", {**value, "tool": same}
            yield "SK726", "several tools", {**value, "tool": f"{name},{same}"}
        yield "SK722", "surplus argument", {**value, "args": {**arguments, "surplus_argument": 1}}
        yield "SK722", "surplus key", {**value, "surplus_key": 1}
        yield "SK722", "keys of another form", {"name": name, "arguments": arguments}
        yield "SK722", "under the name of its tool", {name: arguments}
        yield "SK722", "inside another object", {"answer": value}
        yield "SK722", "keys in another case", {"Tool": name, "Args": arguments}
        yield "SK722", "arguments as text", {**value, "args": json.dumps(arguments, ensure_ascii=False)}
        yield "SK722", "arguments in a list", {**value, "args": [arguments]}

    def _arguments(self, value: dict[str, Any]) -> Iterator[Mutation]:
        arguments = value["args"]
        for name in itertools.islice(arguments, MAX_FIELDS):
            renamed = {(f"{key}_x" if key == name else key): item for key, item in arguments.items()}
            yield "SK722", f"`{name}` renamed", {**value, "args": renamed}
            rest = {key: item for key, item in arguments.items() if key != name}
            yield "SK722", f"`{name}` missing", {**value, "args": rest}

    def _changed(self, value: Any, path: Path, item: Any, request: str) -> Iterator[Mutation]:
        """Yield other values of one field."""
        schema = self._schema(value, path)
        default = schema.get("default", _MISSING)
        if item is not None and item is not False and not same_value(default, item):
            yield "SK723", "nulled", None
        members = [member for member in schema.get("enum", ()) if member is not None and not same_value(member, item)]
        for member in members[:4]:
            yield "SK723", "changed", member
        others = self._values_elsewhere(value, item, path, type(item))
        if isinstance(item, str):
            yield from changed_texts(item, others, request, strict=self._contract is not None)
        elif isinstance(item, list):
            yield from _changed_lists(item, others, strict=self._contract is not None)
        else:
            if item is None and "string" in _types(schema):
                yield from (("SK723", f"as the text `{text}`", text) for text in _NOTHINGS)
            yield from _changed_scalars(schema, item, others, strict=self._contract is not None)
            for other in self._sampled_values(value, path) if item is None else ():
                if not same_value(other, default):
                    yield "SK723", "changed", other
                    break
        yield from _other_types(item, strict=self._contract is not None)

    def _schema(self, value: dict[str, Any], path: Path) -> Mapping[str, Any]:
        if self._contract is None or len(path) != 2:
            return {}
        schema = self._contract.tools[value["tool"]].properties[str(path[1])]
        return schema if isinstance(schema, dict) else {}

    def _sampled_values(self, value: dict[str, Any], path: Path) -> Sequence[Any]:
        return self._sampled[value["tool"]].get(str(path[1]), ()) if self._contract and len(path) == 2 else ()

    def _values_elsewhere(self, value: Any, item: Any, path: Path, kind: type) -> list[Any]:
        """Return values of one field that are right in other tasks, or that the schema allows."""
        here = self._elsewhere.get((tool_of(value), name_of(path)), [])
        values = [*here, *(self._sampled_values(value, path) if path else ())]
        return [other for other in values if type(other) is kind and not same_value(other, item)][:30]


def with_text(value: Any, text: str, *, beside: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield (place, answer) with a text in the first field that holds one, and ``beside`` what is right there."""
    texts = [(path, item) for path, item in fields(value) if isinstance(item, str) and path[:1] != ("tool",)]
    if isinstance(value, dict) and texts:
        path, item = texts[0]
        yield "in a field", with_value(value, path, text)
        yield "beside another in a field", with_value(value, path, f"x {text} x")
        for blank in (" ", "") if beside else ():
            yield f"and {blank!r} in front of the right value", with_value(value, path, f"{text}{blank}{item}")
            yield f"and {blank!r} behind the right value", with_value(value, path, f"{item}{blank}{text}")


def tool_of(value: Any) -> str:
    """Return the tool that an answer calls."""
    return str(value.get("tool")) if isinstance(value, dict) else ""


def name_of(path: Path) -> str:
    """Return a path as a person writes it; the items of a list are one place."""
    return ".".join("[]" if isinstance(step, int) else step for step in path).replace(".[]", "[]")


def fields(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the values that stand in an answer with their paths: texts, numbers, constants and lists."""
    if not isinstance(value, dict):
        yield path, value
    if len(path) >= MAX_DEPTH:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            yield from fields(item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value[:4]):
            yield from fields(item, (*path, place))


def _objects(value: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the objects that stand in an answer, with their paths."""
    if len(path) >= MAX_DEPTH:
        return
    if isinstance(value, dict):
        yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value[:4]) if isinstance(value, list) else ()
    for step, item in items:
        yield from _objects(item, (*path, step))


def _changed_lists(value: list[Any], others: Sequence[Any], *, strict: bool) -> Iterator[Mutation]:
    other = next((item for held in others for item in held if not any(same_value(item, mine) for mine in value)), None)
    if value:
        yield "SK723", "emptied", []
        yield "SK726", "with all its alternatives", [*value, *(item for held in others for item in held)][:100]
    if other is not None:
        yield "SK723", "with an item more", [*value, other]
        yield "SK723", "with its last item replaced", [*value[:-1], other]
    if not value:
        return
    yield "SK723", "without its last item", value[:-1]
    yield "SK723", "without its first item", value[1:]
    if all(isinstance(item, str) for item in value):
        yield from _parted_elsewhere(value)
    if not strict:
        return
    yield "SK723", "with an item twice", [*value, value[-1]]
    yield "SK723", "with an item many times", [*value, *value[-1:] * 300]
    if all(isinstance(item, str) for item in value):
        for mark in ("", " ", ",", ", ", "\n"):
            yield "SK723", f"joined by {mark!r}", [mark.join(value)]
            yield (
                "SK723",
                f"split at {mark!r}",
                [word for item in value for word in (item.split(mark) if mark else item)],
            )
    yield "SK723", "in another order", value[::-1]
    for start in {0, len(value) - 2} if len(value) > 2 else ():
        swapped = [*value[:start], value[start + 1], value[start], *value[start + 2 :]]
        yield "SK723", "with two neighbours swapped", swapped
    if other is not None:
        yield "SK723", "with its first item replaced", [other, *value[1:]]


def _parted_elsewhere(items: Sequence[str]) -> Iterator[Mutation]:
    """Yield a list whose first item that can has its end at the beginning of the next: joined, the items stay the same.

    An end is the last letter, or what stands behind a blank or a comma.
    """
    for mark in ("", " ", ","):
        for place, (item, after) in enumerate(itertools.pairwise(items)):
            rest, _, end = (item[:-1], "", item[-1:]) if not mark else item.rpartition(mark)
            if rest and end:
                label = f"with the end of an item, behind {mark!r}, in the next"
                yield "SK723", label, [*items[:place], rest, f"{end}{mark}{after}", *items[place + 2 :]]
                break


def _changed_scalars(
    schema: Mapping[str, Any], value: Any, others: Sequence[Any], *, strict: bool
) -> Iterator[Mutation]:
    if value is None:
        if "boolean" in _types(schema):
            yield "SK723", "changed", True
    elif isinstance(value, bool):
        yield "SK723", "changed", not value
    else:
        near = [value + 1, value - 1, 0, value * 10] if strict else []
        is_whole = "integer" in _types(schema) and isinstance(value, int)
        if strict and not is_whole and abs(value) < 1e300:  # larger ones may be no float
            near += [value + 0.25, value * 1.00001, 1e308]
            yield "SK723", "a ten-millionth of it changed", value * 1.0000001 if value else 1e-7
        for number in (*near, -value, value * 2 + 1000):
            if not same_value(number, value):
                yield "SK723", "changed", number
        if not strict and abs(value) >= 20:  # of a small one, half is within a tolerance of one or two
            yield "SK723", "half as much again", value + value // 2
        if strict:
            yield from (("SK723", f"with {more} more", value + more) for more in _CYCLES)
            yield from _other_units(value, whole=is_whole) if value else ()
            yield "SK723", "with four hundred digits", 10**400
        yield "SK723", "that is not a number", math.nan
    for other in others[:2]:
        if strict or not loosely_same(str(other), str(value)):
            yield "SK723", "of another task", other


def _other_units(value: int | float, *, whole: bool) -> Iterator[Mutation]:
    for unit in _UNITS:
        yield "SK723", f"times {unit}", value * unit
        if value % unit == 0:
            yield "SK723", f"divided by {unit}", value // unit
        elif not whole and abs(value) < 1e300:
            yield "SK723", f"divided by {unit}", value / unit


def _other_types(value: Any, *, strict: bool) -> Iterator[Mutation]:
    """Yield the value as JSON of another type."""
    if value is None:
        return
    if strict and not isinstance(value, str):
        yield "SK723", "as text", json.dumps(value, ensure_ascii=False)
        yield "SK723", "as Python's text", repr(value)
    if strict and isinstance(value, bool):
        yield from (
            ("SK723", f"as {other!r}", other) for other in ((1, "yes", "on", "1") if value else (0, "no", "", "0"))
        )
    if not isinstance(value, list):
        yield from [("SK723", "in a list", [value])] if strict else []
        yield "SK723", "in an object", {"value": value}
    if not isinstance(value, bool):
        yield "SK723", "as a flag", True


def _swapped(value: dict[str, Any], places: Sequence[tuple[Path, Any]]) -> Iterator[Mutation]:
    """Yield the answer with the values of two fields exchanged."""
    for place, (path, item) in enumerate(places):
        for other_path, other in places[place + 1 :]:
            apart = path != other_path[: len(path)]
            alike = type(item) is type(other) or {type(item), type(other)} == {int, float}
            if apart and alike and item is not None and not same_value(item, other):
                swapped = with_value(with_value(value, path, other), other_path, item)
                yield "SK723", f"`{name_of(path[-1:])}` and `{name_of(other_path[-1:])}` swapped", swapped
                break


def _run_together(value: dict[str, Any], texts: Sequence[tuple[Path, str]]) -> Iterator[Mutation]:
    """Yield the answer with the end of one text at the beginning of another: joined, the two stay the same."""
    for (path, item), (other_path, other) in itertools.permutations(texts[:4], 2):
        together = with_value(with_value(value, path, f"{item} {other}"), other_path, None)
        yield "SK723", f"`{name_of(other_path[-1:])}` in `{name_of(path[-1:])}`, behind a blank", together
        if len(item) > 1:
            label = f"the end of `{name_of(path[-1:])}` in `{name_of(other_path[-1:])}`"
            yield "SK723", label, with_value(with_value(value, path, item[:-1]), other_path, item[-1] + other)
            word = item.split()[-1:]
            if word and word[0] != item:
                rest = item.removesuffix(word[0]).rstrip()
                moved = with_value(with_value(value, path, rest), other_path, f"{word[0]} {other}")
                yield "SK723", f"the last word of {label[11:]}", moved


def _drawn(tool: Tool) -> list[dict[str, Any]]:
    """Return arguments that the schema allows, as far as it says how to make them."""
    chance = random.Random(tool.name)
    drawn: list[dict[str, Any]] = []
    with contextlib.suppress(DocumentError):
        drawn.extend(sample_arguments(tool, chance) for _ in range(8))
    return drawn


def _by_argument(drawn: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    for arguments in drawn:
        for name, value in arguments.items():
            if value is not None:
                values.setdefault(name, []).append(value)
    return values


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    declared = schema.get("type", ())
    return (declared,) if isinstance(declared, str) else tuple(declared)

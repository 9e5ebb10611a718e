"""Keep the values that the program's own parser takes: each is tried on it, parsed and never run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.errors import UsageError
from skillpm.model.contract import ContractDocument
from skillpm.programs.draft import Draft, Slot
from skillpm.programs.from_program import TEXT
from skillpm.programs.values import examples, fresh

_OTHERS = ("word", "path", "name", "url", "pair", "date", "duration", "size", "version")  # texts, in this order
_NUMBERS = ("count", "port", "number")
_FORMS = 7  # that the values of a kind have at most
Parser = Callable[[Sequence[Sequence[str]]], "list[str] | None"]


def accepted(drafts: Sequence[Draft], parser: Parser, warn: Callable[[str], None]) -> list[Draft]:
    """Return drafts whose values their parser takes; an optional argument of which it takes none is left out.

    A draft whose command line it refuses as it is, such as one that lacks an operand of two words, is left out, too.
    ``parser`` returns why it refuses each of some command lines, without the program's name; None where there is none.

    Raises:
        UsageError: it takes none of the drafts.
    """
    tries = [(draft, slot, kind) for draft in drafts for slot in draft.slots for kind in _kinds(slot)]
    lines = [_lines(draft, slot, kind) for draft, slot, kind in tries]
    problems = parser([line for group in lines for line in group])
    if problems is None:
        return list(drafts)
    rest = iter(problems)
    right: dict[tuple[str, str], str | None] = {}
    for (draft, slot, kind), group in zip(tries, lines, strict=True):
        is_right = bool(group) and not "".join(next(rest) for _ in group)
        if is_right and (draft.name, slot.name) not in right:
            right[draft.name, slot.name] = kind
    made = [_with_values(draft, right) for draft in drafts]
    reasons = parser([line for draft in made for line in _plain_line(draft)]) or []
    kept = []
    for draft, reason in zip(made, reasons, strict=True):
        if reason:
            warn(f"`{draft.name}` is left out: its parser says `{reason[:160]}` of what is known of it")
        else:
            kept.append(draft)
    if not kept:
        raise UsageError("the program's parser takes none of its commands as they are read", hint="write them yourself")
    return kept


def _plain_line(draft: Draft) -> list[Sequence[str]]:
    """Return the command line that gives no more than it must."""
    contract = _contract(draft, draft.schema)
    command = contract.argv({"tool": draft.name, "args": {**dict.fromkeys(draft.args), **_required(draft, "")}})
    return [(command or [[""]])[0][1:]]


def _kinds(slot: Slot) -> list[str | None]:
    if not isinstance(slot.source, str) or slot.source in _NUMBERS:
        return [slot.source if isinstance(slot.source, str) else None]
    return list(dict.fromkeys([slot.source, *_OTHERS]))


def _lines(draft: Draft, slot: Slot, kind: str | None) -> list[Sequence[str]]:
    """Return command lines with what must be given and some values of one slot."""
    values = list(slot.source) if kind is None else [*examples(kind), *fresh(kind)[:_FORMS]]
    schema = {**draft.schema, "properties": dict(draft.schema["properties"])}
    if kind in _OTHERS or kind == slot.source:
        schema["properties"][slot.name] = {}  # any value
    contract = _contract(draft, schema)
    required = _required(draft, slot.name)
    flagged = {
        part["value"] for part in draft.argv or () if isinstance(part, dict) and "flag" in part and "value" in part
    }
    operands = {item.name: _first(item) for item in draft.slots if item.name not in flagged and item.source != (True,)}
    given = [
        {**dict.fromkeys(draft.args), **required, **others, slot.name: [value] if slot.many else value}
        for value in values
        for others in ({}, operands)  # each operand in its own place
    ]
    commands = [contract.argv({"tool": draft.name, "args": args}) for args in given]
    return [command[0][1:] for command in commands if command]


def _contract(draft: Draft, schema: dict[str, Any]) -> Contract:
    tool = {"name": draft.name, "input_schema": schema, "argv": list(draft.argv or ())}
    return Contract(ContractDocument.model_validate({"contract": 1, "tools": [tool]}))


def _required(draft: Draft, name: str) -> dict[str, Any]:
    """Return values of what must be given, but for a group of which the argument of this name is one."""
    required = {item.name: _first(item) for item in draft.slots if item.probability == 1}
    slots = {item.name: item for item in draft.slots}
    for names, needed in draft.exclusions:
        if needed and name not in names:
            required[names[0]] = _first(slots[names[0]])
    return required


def _first(slot: Slot) -> Any:
    value = examples(slot.source)[0] if isinstance(slot.source, str) else slot.source[0]
    return [value] if slot.many else value


def _with_values(draft: Draft, right: dict[tuple[str, str], str | None]) -> Draft:
    """Give the slots of a draft values that are right, and leave out optional ones that have none."""
    required = set(draft.schema.get("required", ()))
    kept, lost = [], []
    properties = dict(draft.schema["properties"])
    for slot in draft.slots:
        kind = right.get((draft.name, slot.name), "")
        if kind == "" and slot.name not in required:
            lost.append(slot.name)
            del properties[slot.name]
        elif kind and kind != slot.source:
            kept.append(replace(slot, source=kind, fresh=tuple(fresh(kind))))
            properties[slot.name] = _with_examples(properties[slot.name], kind)
        else:
            kept.append(slot)
    rules = [rule for rule in draft.schema.get("allOf", ()) if not any(f"'{name}'" in repr(rule) for name in lost)]
    schema = {**draft.schema, "properties": properties, "allOf": rules}
    return replace(
        draft,
        slots=tuple(kept),
        schema={key: item for key, item in schema.items() if item != []},
        args={name: item for name, item in draft.args.items() if name not in lost},
        argv=tuple(part for part in draft.argv or () if not _reads(part, lost)),
        exclusions=tuple((names, needed) for names, needed in draft.exclusions if not set(names) & set(lost)),
        seeds=tuple(seed for seed in draft.seeds if not set(seed[1]) & set(lost)),
        requests=tuple(text for text in draft.requests if not any(f"{{{name}}}" in text for name in lost)),
        left_out=(*draft.left_out, *lost),
    )  # fmt: skip


def _with_examples(schema: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the schema of an argument for texts of a kind."""
    text = {**TEXT, "examples": [str(value) for value in examples(kind)]}
    about = {key: schema[key] for key in ("description",) if key in schema}
    return {**schema, "items": text} if schema.get("type") == "array" else {**text, **about}


def _reads(part: Any, names: Sequence[str]) -> bool:
    """Does a piece of an argv read one of these arguments?"""
    return isinstance(part, dict) and bool({part.get("if"), part.get("value")} & set(names))

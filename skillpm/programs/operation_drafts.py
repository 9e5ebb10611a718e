"""Turn the operations of an API into drafts of rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from skillpm.contract.contract import Contract
from skillpm.errors import DocumentError
from skillpm.formats.document import model_errors
from skillpm.model.contract import ContractDocument
from skillpm.programs.draft import Draft, Slot, share_of_each
from skillpm.programs.from_program import own_phrasings, phrasings
from skillpm.programs.operations import DEPTH, Operation, UnsupportedError, Warn, schema_of
from skillpm.programs.phrases import clean, imperative, naming, value_clauses, words_of
from skillpm.programs.schema_values import check_list, keep_right_values, parted, values_of

_PARTS = 4000  # of the schema of one operation, with references written out
_VALUES = 60  # of the arguments of one operation
_OPTIONAL = 0.5  # until it is known how many there are


def drafts_of(operations: list[Operation], warn: Warn) -> list[Draft]:
    """Return the drafts of the operations that a contract can take; each thing that it cannot is named.

    Raises:
        DocumentError: it can take none.
    """
    made: list[Draft] = []
    for operation in operations:
        try:
            found = list(_Maker(operation, {draft.name for draft in made}, warn).drafts())
            _check(found[0])
        except (UnsupportedError, DocumentError) as error:
            reason = error.message if isinstance(error, DocumentError) else str(error)
            warn(f"`{operation.name}` is left out: {reason}")
            continue
        made += found
    if not made:
        raise DocumentError("has no operation that a contract can take")
    return own_phrasings(made)


def _check(draft: Draft) -> None:
    tool = {"name": draft.name, "input_schema": draft.schema}
    try:
        Contract(ContractDocument.model_validate({"contract": 1, "tools": [tool]}))
    except ValidationError as error:
        raise model_errors(error, {})[0] from None


@dataclass(slots=True)
class _Maker:
    """The drafts of one operation: the first gives only what may stand at the top, and one more for each object."""

    operation: Operation
    taken: set[str]
    warn: Warn
    slots: list[Slot] = field(default_factory=list)
    parts: int = 0
    narrowed: bool = False

    def drafts(self) -> Iterator[Draft]:
        schema = schema_of(self.operation.schema, self.operation.root)
        required = self._needed(schema)
        properties: dict[str, Any] = {}
        args: dict[str, Any] = {}
        whole: dict[str, tuple[Any, list[Slot]]] = {}  # optional objects and lists of them
        left_out = []
        for name, raw in schema.get("properties", {}).items():
            before = list(self.slots)
            self.narrowed = False
            try:
                own = self._plain(raw)
                template = self._template(own, (name,), name in required)
            except UnsupportedError as error:
                if name in required:
                    raise UnsupportedError(f"`{name}` is needed, and it is {error}") from None
                self.warn(f"`{self.operation.name}`: `{name}` is left out: it is {error}")
                self.slots = before
                left_out.append(name)
                continue
            properties[name] = own
            if self.narrowed:
                self.warn(f"`{self.operation.name}`: `{name}` has several forms, and only the first is taken")
            if name not in required and not isinstance(template, str):
                whole[name] = (template, self.slots[len(before) :])
                self.slots = before
            else:
                args[name] = template
        contract = {"type": "object", "additionalProperties": False, "properties": properties}
        draft = self._draft({**contract, **({"required": required} if required else {})}, args, tuple(left_out))
        yield draft
        for name, (template, slots) in whole.items():
            yield self._with(draft, name, template, slots)

    def _with(self, draft: Draft, name: str, template: Any, slots: list[Slot]) -> Draft:
        always = tuple(slot for slot in draft.slots if slot.probability == 1 or slot.nullable)
        places = [f"{{{slot.name}}}" for slot in always]
        args = {key: item for key, item in draft.args.items() if not isinstance(item, str) or item in places}
        inside = tuple(slot.name for slot in slots)
        is_told = any(slot.probability == 1 for slot in slots)
        return replace(
            draft,
            rule=name,
            slots=_seldom([*always, *slots]),
            args={**args, name: template},
            needed=() if is_told else inside,
            seeds=(),
        )

    def _draft(self, schema: dict[str, Any], args: dict[str, Any], left_out: tuple[str, ...]) -> Draft:
        name = self.operation.name
        if name in self.taken:
            raise UnsupportedError("another one has its name")
        text = re.split(r"(?<=[A-Za-z)]{2})\.(?:\s|$)", self.operation.description.strip())[0]
        words = words_of(parted(name)).lower()
        ask = imperative(text) or imperative(words) or f"call {name}"
        needed = [(slot.name, words_of(slot.name)) for slot in self.slots if slot.probability == 1]
        inlined = [naming(ask, needed)]
        return Draft(
            name=name,
            description=clean(text, 200) or words,
            schema=schema,
            slots=_seldom(self.slots),
            args=args,
            requests=tuple(phrasings(ask, name, inlined)),
            ask=ask,
            left_out=left_out,
        )

    def _plain(self, raw: Any, depth: int = 0) -> dict[str, Any]:
        """Return a schema of the contract's own: references written out, null and 3.0's keywords taken away."""
        self.parts += 1
        if depth > DEPTH or self.parts > _PARTS:
            raise UnsupportedError("nested too deeply, or holds itself")
        schema = schema_of(raw, self.operation.root)
        for key in ("anyOf", "oneOf"):
            branches = [item for item in schema.pop(key, []) if not _is_null(item)]
            schema = {**self._one_form(branches, depth + 1, alone=key == "oneOf"), **schema} if branches else schema
        types = schema.get("type")
        if isinstance(types, list):
            rest = [item for item in types if item != "null"]
            if len(rest) != 1:
                raise UnsupportedError("of several types")
            schema["type"] = rest[0]
        schema = _bounds(schema)
        if "example" in schema:
            schema.setdefault("examples", [schema.pop("example")])
        if "properties" in schema:
            raw_properties = schema["properties"]
            schema["properties"] = {name: self._plain(item, depth + 1) for name, item in schema["properties"].items()}
            required = self._needed({**schema, "properties": raw_properties})
            schema.pop("required", None)
            schema |= {"required": required} if required else {}
        if schema.get("prefixItems") or schema.get("contains"):
            raise UnsupportedError("a list whose items have several schemas")
        if isinstance(schema.get("items"), dict):
            schema["items"] = self._plain(schema["items"], depth + 1)
        keep_right_values(schema)
        foreign = ("nullable", "discriminator", "xml", "externalDocs", "readOnly", "writeOnly", "deprecated", "$schema")
        return {key: item for key, item in schema.items() if key not in foreign and not key.startswith("x-")}

    def _needed(self, schema: dict[str, Any]) -> list[str]:
        """Return the properties that a value needs: what may be null is optional, however strict its tool is."""
        properties = schema.get("properties", {})
        return [
            name
            for name in schema.get("required", ())
            if name in properties and not self._may_be_null(properties[name])
        ]

    def _may_be_null(self, raw: Any) -> bool:
        try:
            schema = schema_of(raw, self.operation.root)
        except UnsupportedError:  # whoever reads the property says what is wrong with it
            return False
        forms = [
            item for item in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())) if isinstance(item, dict)
        ]
        types = [item.get("type") for item in forms]
        return schema.get("nullable") is True or any(
            kind == "null" or (isinstance(kind, list) and "null" in kind) for kind in types
        )

    def _one_form(self, branches: list[Any], depth: int, *, alone: bool) -> dict[str, Any]:
        """Return the first of several forms; ``alone`` where a value must have no other. Constants are one choice."""
        forms = [schema_of(item, self.operation.root) for item in branches]
        choices = [_choices(item) for item in forms]
        if len(forms) > 1 and all(choices):
            return {"enum": [value for listed in choices for value in listed]}
        if alone and any(_is_like(forms[0], other) for other in forms[1:]):
            raise UnsupportedError("one of several forms that are alike")
        self.narrowed = self.narrowed or len(forms) > 1
        return self._plain(branches[0], depth)

    def _template(self, schema: dict[str, Any], path: tuple[str, ...], always: bool) -> Any:
        """Return the template of a value, and note its slots."""
        if schema.get("properties"):
            needed = set(schema.get("required", ()))
            return {
                name: self._template(item, (*path, name), name in needed) for name, item in schema["properties"].items()
            }
        items = schema.get("items")
        if schema.get("type") == "array" and isinstance(items, dict) and items.get("properties"):
            if schema.get("minItems", 1) > 1:
                raise UnsupportedError("a list of several objects")
            return [self._template(items, path, True)]
        return self._slot(schema, path, always)

    def _slot(self, schema: dict[str, Any], path: tuple[str, ...], always: bool) -> str:
        name = re.sub(r"[^a-z0-9]+", "_", parted("_".join(path)).lower()).strip("_")[:50] or "value"
        name = name if name[0].isalpha() else f"value_{name}"
        if len(self.slots) >= _VALUES:
            raise UnsupportedError(f"one of more than {_VALUES} values")
        while any(slot.name == name for slot in self.slots):
            name += "_2"
        many = schema.get("type") == "array"
        if many:
            check_list(schema)
        item = schema.get("items") or {"type": "string"} if many else schema
        source, rest = values_of(item, path[-1])
        text = str(schema.get("description") or item.get("description") or "")
        words = words_of(name)
        clauses = value_clauses(name, "", path[-1], text)
        if item.get("type") == "boolean":
            said = ("with {} set to {}", ", {} {}", "({}: {})", "and {} {}", "and set {} to {}", "with {} = {}")
            clauses = [clause.format(words, f"{{{name}}}") for clause in said]
        share = 1.0 if always else _OPTIONAL
        self.slots.append(Slot(name, source, tuple(clauses), share, rest, many, nullable=len(path) > 1 and not always))
        return f"{{{name}}}"


def _seldom(slots: Sequence[Slot]) -> tuple[Slot, ...]:
    """Return slots of which a request draws few of the optional ones, however many there are."""
    share = share_of_each(sum(slot.probability < 1 for slot in slots))
    return tuple(slot if slot.probability == 1 else replace(slot, probability=share) for slot in slots)


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"


def _is_like(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """May one value have both forms, as far as their types and a property of theirs with other choices say?"""
    kinds = [str(form.get("type", "")).replace("integer", "number") for form in (one, other)]
    first, second = one.get("properties", {}), other.get("properties", {})
    shared = [(_choices(first[name]), _choices(second[name])) for name in first.keys() & second.keys()]
    is_told_apart = any(some and others and not any(item in others for item in some) for some, others in shared)
    return ("" in kinds or kinds[0] == kinds[1]) and not is_told_apart


def _choices(schema: Any) -> list[Any]:
    """Return the only values that a schema has, by its constant or its enumeration; empty where there are others."""
    if not isinstance(schema, dict):
        return []
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    return listed if isinstance(listed, list) else []


def _bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose exclusive bounds are numbers: in OpenAPI 3.0 they say of the others what they are."""
    for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(key), bool):
            is_exclusive = schema.pop(key)
            if is_exclusive and bound in schema:
                schema[key] = schema.pop(bound)
    return schema

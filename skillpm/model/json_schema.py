"""JSON Schema as an author writes it in contract.yaml: what its references name, and which types it admits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

REFERENCES = ("$ref", "$dynamicRef")
_BY_NAME = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_ALTERNATIVES = ("anyOf", "oneOf", "then", "else", "dependentSchemas")
_INNER = ("properties", "items", "prefixItems", "additionalProperties")


def anchors_of(root: Any) -> dict[str, Mapping[str, Any]]:
    """Return the parts of a schema that have a name of their own, by the reference to it, such as ``#port``."""
    anchors: dict[str, Mapping[str, Any]] = {}
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            names = [part[key] for key in ("$anchor", "$dynamicAnchor") if isinstance(part.get(key), str)]
            anchors |= {f"#{name}": part for name in names}
        waiting += part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ()
    return anchors


def referenced(reference: str, root: Mapping[str, Any], anchors: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Return what a reference names in a schema, or None.

    Args:
        reference: a JSON pointer such as ``#/$defs/item`` (RFC 6901, 6: in a URI), or one of the anchors.
        root: the schema.
        anchors: of the schema.
    """
    if reference != "#" and not reference.startswith("#/"):
        return anchors.get(reference)
    target: Any = root
    for part in unquote(reference.removeprefix("#")).split("/")[1:]:
        step = part.replace("~1", "/").replace("~0", "~")
        if isinstance(target, list):
            target = target[int(step)] if step.isdecimal() and len(step) < 6 and int(step) < len(target) else None
        else:
            target = target.get(step) if isinstance(target, Mapping) else None
    return target


def is_boolean(schema: Any, root: dict[str, Any], depth: int = 0) -> bool:
    """Does a schema admit true, false and null alone? A ``$ref`` points inside ``root``."""
    if not isinstance(schema, dict) or depth > 16:
        return False
    if isinstance(schema.get("$ref"), str):
        return is_boolean(referenced(schema["$ref"], root), root, depth + 1)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return all(is_boolean(branch, root, depth + 1) for branch in schema[key])
    if "enum" in schema or "const" in schema:
        return all(value is None or isinstance(value, bool) for value in schema.get("enum", [schema.get("const")]))
    declared = schema.get("type")
    types = {declared} if isinstance(declared, str) else set(declared or ())
    return bool(types) and types <= {"boolean", "null"}


def refuse_remote_references(schema: Any, *, by_name: bool = False) -> None:
    """Raise ValueError if a reference points outside the schema, at any depth.

    ``by_name`` says that the keys are names, of properties for example. A reference may name such an object as if it
    were a schema, so a text under the name `$ref` is still refused there.
    """
    if isinstance(schema, list):
        for item in schema:
            refuse_remote_references(item)
    elif isinstance(schema, dict):
        for key, item in schema.items():
            is_inside = isinstance(item, str) and item.startswith("#")
            if key in REFERENCES and not is_inside and not (by_name and isinstance(item, dict)):
                raise ValueError(f"`{key}` may only point inside the schema (#/…)")
            refuse_remote_references(item, by_name=key in _BY_NAME and not by_name)


def branches(
    schemas: Iterable[Any],
    root: Mapping[str, Any],
    *,
    anchors: Mapping[str, Any] | None = None,
    inside: bool = False,
    alternatives: bool = True,
) -> list[Mapping[str, Any]]:
    """Return some schemas with what their references and alternatives name, each once.

    A schema stands after what it refers to and before its alternatives.

    Args:
        schemas: that hold for one value.
        root: into which references point.
        anchors: of ``root``, if they are known.
        inside: with the schemas of properties and items, at any depth.
        alternatives: with those that need not hold for the value.
    """
    # Every schema is visited once: references may form loops, and alternatives of alternatives are exponentially many.
    anchors = anchors_of(root) if anchors is None else anchors
    keys = ("allOf", *(_ALTERNATIVES if alternatives else ()), *(_INNER if inside else ()))
    seen: set[int] = set()
    reached: list[Mapping[str, Any]] = []
    waiting = [(schema, False) for schema in schemas][::-1]
    while waiting:
        schema, is_referred = waiting.pop()
        if is_referred:
            reached.append(schema)
        elif isinstance(schema, Mapping) and id(schema) not in seen:
            seen.add(id(schema))
            named = [referenced(schema[key], root, anchors) for key in REFERENCES if isinstance(schema.get(key), str)]
            parts = [part for key in keys for part in _parts(key, schema.get(key))]
            waiting += [*((part, False) for part in parts[::-1]), (schema, True), *((part, False) for part in named)]
    return reached


def _parts(key: str, held: Any) -> list[Any]:
    return list(held.values()) if key in _BY_NAME and isinstance(held, Mapping) else _as_list(held)


def inner(schemas: Iterable[Any], step: str, root: Mapping[str, Any]) -> list[Any]:
    """Return what some schemas say of a property, or, for the step ``[]``, of the items of a list; may be empty."""
    around = branches(schemas, root)
    if step == "[]":
        return [item for schema in around for key in ("items", "prefixItems") for item in _as_list(schema.get(key))]
    return [schema["properties"][step] for schema in around if step in (schema.get("properties") or {})]


def types_of(schemas: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the types that some schemas name, by ``type``, ``enum`` or ``const``."""
    types: set[str] = set()
    for schema in schemas:
        types.update(_as_list(schema.get("type")))
        if "type" not in schema and ("enum" in schema or "const" in schema):
            types.update(map(_type_of, schema.get("enum", [schema.get("const")])))
    return types


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _type_of(value: Any) -> str:
    names = {bool: "boolean", str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")

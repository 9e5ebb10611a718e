"""JSON Schema as an author writes it in contract.yaml: what its references name, and which types it admits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

REFERENCES = ("$ref", "$dynamicRef")
_BY_NAME = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_ALTERNATIVES = ("allOf", "anyOf", "oneOf", "then", "else")
_INNER = ("properties", "items", "prefixItems", "additionalProperties")


def referenced(reference: str, root: Mapping[str, Any]) -> Any:
    """Return what a JSON pointer such as ``#/$defs/item`` names in a schema (RFC 6901, 6: in a URI), or None."""
    if reference != "#" and not reference.startswith("#/"):  # an anchor, or a place in another document
        return None
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


def branches(schemas: Iterable[Any], root: Mapping[str, Any], *, inside: bool = False) -> list[Mapping[str, Any]]:
    """Return some schemas with what their references and alternatives name, each once.

    References point into ``root``. ``inside`` adds the schemas of properties and items, at any depth.
    """
    # Every schema is visited once: references may form loops, and alternatives of alternatives are exponentially many.
    reached: dict[int, Mapping[str, Any]] = {}
    waiting = list(schemas)
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, Mapping) or id(schema) in reached:
            continue
        reached[id(schema)] = schema
        waiting += [referenced(schema[key], root) for key in REFERENCES if isinstance(schema.get(key), str)]
        for key in (*_ALTERNATIVES, *(_INNER if inside else ())):
            held = schema.get(key)
            waiting += held.values() if key == "properties" and isinstance(held, Mapping) else _as_list(held)
    return list(reached.values())


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

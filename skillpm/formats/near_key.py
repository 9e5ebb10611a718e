"""The key that was meant where a document has one that its model does not know."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from skillpm.formats.listed import listed

_NEAR = 0.6  # of difflib's ratio: a slip or two in a short word
_NEARER = 0.8  # for a key that is right in another place of the document
_MOST = 12  # keys in one hint


def near_key(model: type[BaseModel], root: Any, location: tuple[int | str, ...]) -> str:
    """Return a hint for an unknown key: a near name, else the keys of its place.

    Of several models that may stand at the key's place, the one with most of the keys beside it is taken to be meant.
    ``location`` is that of the unknown key in the read document, as pydantic has it.
    """
    key = str(location[-1])
    beside = set(_beside(root, location))
    here = sorted(map(_keys, _models_at(model, location[:-1])), key=lambda names: len(beside & names), reverse=True)
    elsewhere = any(key in _keys(other) for other in _all_models(model))
    for names in here:
        near = difflib.get_close_matches(key.lower(), sorted(names), 1, _NEARER if elsewhere else _NEAR)
        if near:
            return f"did you mean `{near[0]}`?"
        if beside & names:
            break
    others = sorted(here[0] - beside) if here else []
    own = f"other keys here are {listed(others, _MOST)}" if others else "remove it"
    return f"`{key[:80]}` is a key of another place in this document; {own}" if elsewhere else own


def keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Return the keys of a mapping that stands at a place, those first that it must have."""
    (first, *_) = _models_at(model, location)
    fields = sorted(first.model_fields.items(), key=lambda item: not item[1].is_required())
    return listed([f"`{field.alias or name}`" for name, field in fields], _MOST)


def _beside(root: Any, location: tuple[int | str, ...]) -> Iterator[str]:
    node = root
    for step in location[:-1]:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):  # the step of a union, which the document does not have
            continue
    yield from (str(key) for key in node if key != location[-1]) if isinstance(node, dict) else ()


def _models_at(model: type[BaseModel], steps: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """Return the models that may stand at a place; a step that leads nowhere is pydantic's name of a union's member.

    Lists, mappings and unions are passed through, so a number and a mapping's key lead nowhere either.
    """
    models = [model]
    for step in steps:
        fields = [field for at in models for name, field in at.model_fields.items() if step in (name, field.alias)]
        models = [inner for field in fields for inner in _models(field.annotation)] or models
    return models


@cache
def _keys(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in model.model_fields.items())


@cache
def _all_models(model: type[BaseModel]) -> frozenset[type[BaseModel]]:
    seen: set[type[BaseModel]] = set()
    pending = [model]
    while pending:
        table = pending.pop()
        if table not in seen:
            seen.add(table)
            pending += [inner for field in table.model_fields.values() for inner in _models(field.annotation)]
    return frozenset(seen)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)

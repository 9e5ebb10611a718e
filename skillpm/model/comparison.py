"""``compare`` of contract.yaml: when are two values of an argument the same? ``skillpm.contract`` compares them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic_core import CoreSchema

from skillpm.formats.document import Document
from skillpm.model.json_schema import branches, inner, types_of

Way = Literal["exact", "free", "set", "number", "casefold", "nfc", "words", "path", "timestamp", "duration", "unit"]
TEXT_WAYS = frozenset({"casefold", "nfc", "words", "path", "timestamp", "duration", "unit"})
_ALONE = frozenset({"exact", "free"})
_TOLERANCE = re.compile(r"number *(?:±|\+-|\+/-)? *([0-9.]+)")
_STEP = re.compile(r"\[\]|[^.\[\]]+")
_PLACE = re.compile(r"[^.\[\]]+(?:\[\]|\.[^.\[\]]+)*")


class Comparison(Document):
    """When two values are the same. Several ways hold together: ``[set, casefold]``.

    Attributes:
        by: ``exact``; ``free`` (not judged: whatever the schema admits); ``set`` (a list in any order, its repetitions
            not counted); ``number`` (``8`` and ``"8"``); and for texts ``casefold``, ``nfc`` (one Unicode form),
            ``words`` (runs of white space count as one blank), ``path``, ``timestamp`` (RFC 3339, at any offset),
            ``duration``, ``unit``.
        number: two numbers that differ by at most this are the same.
        same: spellings of a text, and what each stands for: ``{NYC: New York}``.
    """

    by: tuple[Way, ...] = ()
    number: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    same: Annotated[dict[str, str], Field(max_length=256)] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            tolerance = _TOLERANCE.fullmatch(value)
            return {"by": [value]} if tolerance is None else {"number": tolerance[1]}
        return {"by": value} if isinstance(value, list | tuple) else value

    @field_validator("by", mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_consistent(self) -> Comparison:
        if not self.by and self.number is None and not self.same:
            raise ValueError("name a comparison: `exact`, `free`, `set`, `casefold`, `{number: 0.5}`, …")
        alone = _ALONE & set(self.by)
        if alone and (len(self.by) > 1 or self.number is not None or self.same):
            raise ValueError(f"`{min(alone)}` excludes every other comparison")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        resolved = handler.resolve_ref_schema(schema)
        items = resolved["properties"]["by"]["items"]
        return {"anyOf": [items, {"type": "array", "items": items}, schema]}

    @property
    def tolerance(self) -> float | None:
        """By how much two numbers may differ; None if they are not compared as numbers."""
        return 0.0 if self.number is None and "number" in self.by else self.number

    @property
    def text_ways(self) -> tuple[Way, ...]:
        """The ways to compare texts."""
        return tuple(way for way in self.by if way in TEXT_WAYS)


def steps_of(place: str) -> tuple[str, ...]:
    """Return the steps of ``items[].price``: ``items``, ``[]``, ``price``."""
    return tuple(_STEP.findall(place))


def comparison_problem(schema: Mapping[str, Any], place: str, comparison: Comparison) -> str | None:
    """Return why a comparison at a place, such as ``items[].price``, does not fit the schema of a tool, or None."""
    if not _PLACE.fullmatch(place):
        return "write `argument`, `argument.property` or `argument[].property`"
    schemas: list[Any] = [schema]
    for step in steps_of(place):
        schemas = inner(schemas, step, schema)
        if not schemas:
            return f"input_schema has no `{step}` there"
    own, all_types = types_of(branches(schemas, schema)), types_of(branches(schemas, schema, inside=True))
    if "set" in comparison.by and own and "array" not in own:
        return f"`set` is for a list, and the schema admits {_listed(own)}"
    if comparison.tolerance is not None and all_types and not all_types & {"number", "integer"}:
        return f"`number` is for numbers, and the schema admits {_listed(all_types)}"
    if (comparison.text_ways or comparison.same) and all_types and "string" not in all_types:
        ways = ", ".join(f"`{way}`" for way in (*comparison.text_ways, *(["same"] if comparison.same else [])))
        return f"{ways} is for texts, and the schema admits {_listed(all_types)}"
    return None


def _listed(types: set[str]) -> str:
    return " or ".join(sorted(types - {"null"})) or "null"

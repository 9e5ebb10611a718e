"""Validators of JSON Schema 2020-12 that end in linear time and open no connection, whoever wrote the schema."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonschema_rs


def compiled(schema: dict[str, Any], *, formats: bool = False) -> Any:
    """Return a validator in linear time that opens no connection; by the standard it refuses nothing for its `format`.

    Raises:
        jsonschema_rs.ValidationError: the schema is not valid JSON Schema.
        jsonschema_rs.ReferencingError: it refers to something outside.
        ValueError: a pattern needs look-around or back-references.
    """
    options = jsonschema_rs.RegexOptions()
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=formats, pattern_options=options, offline=True)


@lru_cache(maxsize=1 << 8)
def _pattern(pattern: str) -> Any:
    return compiled({"pattern": pattern})


def matches(pattern: str, name: str) -> bool:
    """Is a pattern somewhere in a name? Python's own engine can take for ever.

    Raises:
        ValueError: the pattern needs look-around or back-references.
    """
    return bool(_pattern(pattern).is_valid(name))

"""The data of this room: verbs, synonyms, values and the hints that tell their kinds."""

from __future__ import annotations

import functools
import importlib.resources
from typing import Any

import yaml


@functools.cache
def words() -> dict[str, Any]:
    """Return words.yaml."""
    text = importlib.resources.files("skillpm.programs").joinpath("words.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    return document

"""JSON values as YAML text that ``strict_yaml`` and a field of type ``Json`` read as the same values."""

from __future__ import annotations

import re
from typing import Any

import yaml

_WIDTH = 110  # characters of a line
_LIKE_A_NUMBER = re.compile(r"[-+]?\.?(?:[0-9][0-9.]*(?:e[-+]?[0-9]+)?|inf(?:inity)?|nan)", re.IGNORECASE)


class _Dumper(yaml.SafeDumper):
    """Writes no anchors: a value that stands twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Quote what YAML 1.2 or a person may take for a number, such as 1e5, NaN: PyYAML knows the words of YAML 1.1."""
    style = "'" if _LIKE_A_NUMBER.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def yaml_text(value: Any) -> str:
    """Write a value, keys in the order that they have."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH))

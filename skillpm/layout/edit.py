"""Changes one value of a YAML document and not one byte more: comments, order, quotes and line ends stay."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from skillpm.errors import DocumentError
from skillpm.formats.strict_yaml import read_yaml
from skillpm.layout.frontmatter import split

_QUOTES = {"'": "'", '"': '"', None: ""}


def with_value(text: str, keys: Sequence[str], value: str, *, path: str, first_line: int = 1) -> str | None:
    """Return a YAML document with another scalar under these nested keys; None if there is no such key.

    The keys go from the outermost mapping inwards. The value has letters, digits and punctuation that needs no escape
    in any quotes. ``first_line`` is the line of the file on which the text begins.

    Raises:
        DocumentError: the document is not strict YAML, or the value is not a plain or quoted scalar.
    """
    read_yaml(text.replace("\r\n", "\n"), path=path, first_line=first_line)
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((child for name, child in node.value if name.value == key), None)
    if node is None:
        return None
    if (
        not isinstance(node, yaml.ScalarNode)
        or node.style not in _QUOTES
        or node.start_mark.index == node.end_mark.index
    ):
        line = node.start_mark.line + first_line
        raise DocumentError(f"`{'.'.join(keys)}` is not one word", path=path, line=line, hint="write it on one line")
    quote = _QUOTES[node.style]
    return text[: node.start_mark.index] + quote + value + quote + text[node.end_mark.index :]


def with_frontmatter_value(text: str, keys: Sequence[str], value: str, *, path: str) -> str | None:
    """Return SKILL.md with another scalar in its frontmatter; None if there is no such key, or no frontmatter.

    Raises:
        DocumentError: the frontmatter is not strict YAML.
    """
    parts = split(text)
    if parts.yaml is None or parts.leading is None:
        return None
    start = text.rfind("---", 0, len(text) - len(parts.body)) - len(parts.yaml)
    changed = with_value(parts.yaml, keys, value, path=path, first_line=parts.line)
    return None if changed is None else text[:start] + changed + text[start + len(parts.yaml) :]

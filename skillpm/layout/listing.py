"""A skill as an agent lists it: name and description, read as leniently as clients read them."""

from __future__ import annotations

from skillpm.layout.frontmatter import BYTE_ORDER_MARK, read_frontmatter, split


def name_and_description(text: str) -> tuple[str, str] | None:
    """Return both, in one line each, or None where a client would skip the skill: no frontmatter, no description.

    Source: Agent Skills, guide for clients: names that break a rule are loaded with a warning, so they are kept here.
    """
    frontmatter = read_frontmatter(split(text.removeprefix(BYTE_ORDER_MARK)))
    fields = frontmatter.value
    if not frontmatter.readable or not isinstance(fields, dict):
        return None
    name, description = (" ".join(str(fields.get(key) or "").split()) for key in ("name", "description"))
    return (name, description) if description else None

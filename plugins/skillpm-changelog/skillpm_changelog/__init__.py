"""A layout rule for skillpm: the version of a skill stands in its CHANGELOG.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from skillpm import hookimpl

__all__ = ["skillpm_layout_rules"]


@hookimpl
def skillpm_layout_rules() -> Iterable[Any]:
    """Return the rule; imported here, because most commands never ask for it."""
    from skillpm_changelog.rules import unannounced_version

    return [unannounced_version]

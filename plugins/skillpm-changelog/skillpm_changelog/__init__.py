"""A layout rule for skillpm: the version of a skill stands in its CHANGELOG.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from skillpm.plugin import hookimpl

if TYPE_CHECKING:
    from skillpm.plugin import Rule


@hookimpl
def skillpm_layout_rules() -> Iterable[Rule]:
    """Return the rule; imported here, because most commands never ask for it."""
    from skillpm_changelog.rules import unannounced_version

    return [unannounced_version]

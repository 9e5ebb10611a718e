"""An importer for skillpm: takes over the skills that a repository holds as git submodules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from skillpm.plugin import hookimpl

if TYPE_CHECKING:
    from skillpm.plugin import Importer


@hookimpl
def skillpm_importers() -> Iterable[Importer]:
    """Return the importer; what it is made of is imported here, because most commands never ask for it."""
    from skillpm.plugin import Importer
    from skillpm_submodules.submodules import read

    return [Importer("git", (".gitmodules",), read)]

"""``skillpm config``: every setting and where its value came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skillpm.formats.as_json import as_json
from skillpm.settings import Settings
from skillpm.settings.folders import PROJECT_FILE
from skillpm.settings.origin import Setting


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings, and the two files that may hold some.

    Attributes:
        files: path of the project file and of the user file, and whether each is there.
    """

    settings: tuple[Setting[Any], ...]
    files: tuple[tuple[str, bool], ...]

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "settings": as_json(self.settings),
            "files": [{"path": path, "exists": exists} for path, exists in self.files],
        }


def configuration(settings: Settings) -> Configuration:
    """Return every value and where it came from.

    Raises:
        DocumentError: a file is invalid.
        UsageError: a variable or a flag has a value that is not allowed.
    """
    project = () if settings.user else ((str(settings.project / PROJECT_FILE), settings.project_text is not None),)
    user = (str(settings.config), settings.user_text is not None)
    return Configuration(settings.settings(), (*project, user))

"""``skillpm config``: every setting and its origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skillpm.settings import Settings
from skillpm.settings.origin import Setting


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """A settings file, which may not exist."""

    path: str
    exists: bool


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings; the project file and the user file."""

    settings: tuple[Setting[Any], ...]
    files: tuple[ConfigurationFile, ...]


def configuration(settings: Settings) -> Configuration:
    """Return every setting and its origin.

    Raises:
        DocumentError: a file is invalid.
        UsageError: a variable or a flag has a value that is not allowed.
    """
    project = ConfigurationFile(str(settings.project_path), settings.project_text is not None)
    user = ConfigurationFile(str(settings.config), settings.user_text is not None)
    return Configuration(settings.settings(), (user,) if settings.user else (project, user))

"""Settings: from a flag, the environment, the project file, the user file or the default, in this order."""

from skillpm.settings.settings import Settings, load_settings

__all__ = ["Settings", "load_settings"]

"""Where things live and what is preferred: flag, environment, project file, user file, default, in this order."""

from skillpm.settings.settings import Settings, load_settings

__all__ = ["Settings", "load_settings"]

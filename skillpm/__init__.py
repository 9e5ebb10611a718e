"""A package manager for agent skills, and a plugin runtime; authors import from ``skillpm.plugin``."""

__version__ = "0.1.0"  # the only place: pyproject.toml reads it, as asking the metadata costs every start 30 ms

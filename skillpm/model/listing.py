"""What an index says of a skill at a glance."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Listing"]


@dataclass(frozen=True, slots=True)
class Listing:
    """What an index says of a skill at a glance: the newest version, empty where it does not tell, and its summary."""

    name: str
    version: str
    summary: str

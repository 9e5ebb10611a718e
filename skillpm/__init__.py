"""What the author of a skill or a plugin imports; every name is loaded when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skillpm.hookspecs import hookimpl
    from skillpm.model.episode import Episode
    from skillpm.model.hooks import HOOKS_VERSION
    from skillpm.model.ports import Attempt
    from skillpm.model.skill import Skill
    from skillpm.model.suite import Suite
    from skillpm.model.task import Message, Seed, Task
    from skillpm.model.verdict import RewardFunction, Verdict

__all__ = [
    "HOOKS_VERSION",
    "Attempt",
    "Episode",
    "Message",
    "RewardFunction",
    "Seed",
    "Skill",
    "Suite",
    "Task",
    "Verdict",
    "__version__",
    "hookimpl",
]

_HOMES = {
    "HOOKS_VERSION": "skillpm.model.hooks",
    "hookimpl": "skillpm.hookspecs",
    "Attempt": "skillpm.model.ports",
    "Episode": "skillpm.model.episode",
    "Message": "skillpm.model.task",
    "RewardFunction": "skillpm.model.verdict",
    "Seed": "skillpm.model.task",
    "Skill": "skillpm.model.skill",
    "Suite": "skillpm.model.suite",
    "Task": "skillpm.model.task",
    "Verdict": "skillpm.model.verdict",
}

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'skillpm' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)

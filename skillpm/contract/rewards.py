"""The rewards that every contract brings.

``graded``     the verdict's score, 0 to 1.
``tool_call``  0 for another tool, else 1 minus 0.5 for each expected argument that differs, at least 0. It looks at the
               parsed object only, compares as Python does, and knows nothing of schemas or surplus arguments. Where a
               question, a refusal or a text is expected, 1 if the verdict passed, else 0.
``signed``     passed +1, failed -1, ambiguous 0.

Each is None where nothing could be judged, ``tool_call`` also where no tool call is expected.
"""

from __future__ import annotations

from typing import Any

from skillpm.contract.answer import read_answer
from skillpm.contract.judge import EXACT
from skillpm.model.answer_kind import is_reply
from skillpm.model.episode import Episode
from skillpm.model.task import Task
from skillpm.model.verdict import RewardFunction, Verdict

_SIGNS = {"passed": 1.0, "failed": -1.0, "ambiguous": 0.0}


def graded(task: Task, episode: Episode, verdict: Verdict) -> float | None:
    """Pay the verdict's score."""
    return verdict.score


def signed(task: Task, episode: Episode, verdict: Verdict) -> float | None:
    """Pay +1, -1 or 0."""
    return _SIGNS.get(verdict.status)


def tool_call(task: Task, episode: Episode, verdict: Verdict) -> float | None:
    """Pay for the right tool and arguments of the parsed object."""
    if verdict is EXACT:
        return 1.0
    if verdict.score is None or not _is_tool_call(task.expected):
        return None
    if is_reply(task.expected):
        return float(verdict.status == "passed")
    answer = read_answer(episode.completion)
    return verify_tool_call(task.expected, answer.value) if answer.only_json and answer.value is not None else 0.0


def _is_tool_call(expected: Any) -> bool:
    return isinstance(expected, dict) and isinstance(expected.get("args", {}), dict)


def verify_tool_call(expected: dict[str, Any], actual: dict[str, Any]) -> float:
    """Compare two tool calls: 0 for another tool, else 1 - 0.5 for each expected argument that differs, floor 0."""
    arguments = actual.get("args")
    if actual.get("tool") != expected.get("tool") or not isinstance(arguments, dict):
        return 0.0
    wrong = sum(1 for name, value in expected.get("args", {}).items() if arguments.get(name) != value)
    return max(0.0, 1.0 - 0.5 * wrong)


BUILTIN = (
    RewardFunction("graded", graded, default=True),
    RewardFunction("tool_call", tool_call),
    RewardFunction("signed", signed),
)
BUILTIN_FUNCTIONS = {reward.name: reward.function for reward in sorted(BUILTIN, key=lambda item: item.name)}

"""An answer that calls nothing, as a person reads it: a question for what is missing, a refusal, a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.model.answer_kind import RefusalReason

_REFUSALS: dict[RefusalReason, str] = {
    "off_topic": "This request is not what the skill is for.",
    "not_allowed": "The skill does not allow this.",
}


def reply_text(contract: Contract, reply: Mapping[str, Any]) -> str:
    """Return a complete answer that calls nothing in plain words; a text as it is."""
    if "answer" in reply:
        return str(reply["answer"])
    if "refuse" in reply:
        reason: RefusalReason = reply["refuse"]
        return _REFUSALS[reason]
    properties = contract.tools[reply["tool"]].properties
    wanted = [_wanted(name, properties[name]) for name in reply["ask"]]
    return "\n".join(["A value is missing:" if len(wanted) == 1 else "Some values are missing:", *wanted])


def _wanted(name: str, schema: Mapping[str, Any] | bool) -> str:
    description = schema.get("description", "") if isinstance(schema, Mapping) else ""
    return f"  {name}: {' '.join(str(description).split())}".rstrip(": ")

"""Answers that call nothing: a question back, a refusal, a text. A contract that lists them in ``answers`` takes them.

Of an ``ask`` the names count, in any order and however often: which values are missing is a set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from skillpm.contract.equality import Equality
from skillpm.model.answer_kind import KEYS, REASONS, AnswerKind, kind_of
from skillpm.model.contract import ContractDocument, Tool

ReplyKind = Literal["ask", "refuse", "answer"]
_REASONS = ", ".join(f"`{reason}`" for reason in REASONS)
_FORMS: dict[AnswerKind, str] = {
    "ask": 'If a value is missing that the tool needs: {"tool": NAME, "ask": [ARGUMENT, …]}.',
    "refuse": f'If the request is not for these tools: {{"refuse": REASON}}, with {_REASONS} as the reason.',
    "answer": 'If a text is asked for: {"answer": TEXT}.',
}


class Replies:
    """What a contract takes beside calls.

    Attributes:
        kinds: of a right answer, ``call`` among them.
    """

    def __init__(self, document: ContractDocument) -> None:
        self.kinds = document.answers
        self._tools: Mapping[str, Tool] = {tool.name: tool for tool in document.tools}
        self._equality = Equality({"answer": document.compare_answer})

    def kind(self, value: Any) -> ReplyKind | None:
        """Return the kind of an answer that the contract takes and that calls nothing; else None."""
        if len(self.kinds) == 1:
            return None
        kind = kind_of(value)
        return None if kind is None or kind == "call" or kind not in self.kinds else kind

    @property
    def keys(self) -> str:
        """The keys that an answer may have, in words."""
        return ", or ".join(" and ".join(f"`{key}`" for key in KEYS[kind]) for kind in self.kinds)

    @property
    def forms(self) -> list[str]:
        """A sentence for each kind beside a call, for a prompt."""
        return [_FORMS[kind] for kind in self.kinds if kind != "call"]

    def problems(self, kind: ReplyKind, value: Mapping[str, Any]) -> list[str]:
        """Return why an answer of this kind is refused; empty if it is taken."""
        if kind == "refuse":
            known = value["refuse"] in REASONS if isinstance(value["refuse"], str) else False
            return [] if known else [f"`refuse` is not one of {_REASONS}"]
        if kind == "answer":
            text = value["answer"]
            return [] if isinstance(text, str) and text else ["`answer` must be a text that is not empty"]
        name, names = value["tool"], value["ask"]
        tool = self._tools.get(name) if isinstance(name, str) else None
        if tool is None:
            return [f"unknown tool {str(name)[:80]!r}"]
        if not isinstance(names, list) or not names or not all(isinstance(item, str) for item in names):
            return ["`ask` must list the arguments that are missing"]
        return [f"argument `{item[:80]}` is unknown" for item in names if item not in tool.properties][:8]

    def complete(self, kind: ReplyKind, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return an answer without problems as a model is trained to write it."""
        if kind != "ask":
            return dict(value)
        return {"tool": value["tool"], "ask": [name for name in self._properties(value) if name in value["ask"]]}

    def share(self, kind: ReplyKind, expected: Mapping[str, Any], answered: Mapping[str, Any]) -> float:
        """Return how much of an answer is right, from -1 to 1; exactly 1 where it is the same. Both are complete.

        Of a question, each right argument counts for it and each other one against it. A reason and a text are right
        or wrong.
        """
        if kind == "ask":
            asked, right = set(answered["ask"]), set(expected["ask"])
            return max(-1.0, (len(asked & right) - len(asked - right)) / len(right))
        if kind == "refuse":
            return 1.0 if expected == answered else -1.0
        return 1.0 if self._equality.same("answer", expected["answer"], answered["answer"]) else -1.0

    def _properties(self, value: Mapping[str, Any]) -> dict[str, Any]:
        return self._tools[value["tool"]].properties

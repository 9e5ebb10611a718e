"""The four kinds of a right answer, by the keys of its object.

========== ======================================== ===================================================
kind       object                                   is right where
========== ======================================== ===================================================
``call``   ``{"tool": NAME, "args": {…}}``          a tool does what was asked
``ask``    ``{"tool": NAME, "ask": [ARGUMENT, …]}`` a request leaves out values that the tool needs
``refuse`` ``{"refuse": REASON}``                   it is not this skill's subject, or not allowed
``answer`` ``{"answer": TEXT}``                     a text is what was asked for
========== ======================================== ===================================================
"""

from __future__ import annotations

from typing import Any, Literal, get_args

AnswerKind = Literal["call", "ask", "refuse", "answer"]
RefusalReason = Literal["off_topic", "not_allowed"]
KINDS: tuple[AnswerKind, ...] = get_args(AnswerKind)
REASONS: tuple[RefusalReason, ...] = get_args(RefusalReason)
KEYS: dict[AnswerKind, tuple[str, ...]] = {
    "call": ("tool", "args"), "ask": ("tool", "ask"), "refuse": ("refuse",), "answer": ("answer",),
}  # fmt: skip
_BY_KEYS = {frozenset(keys): kind for kind, keys in KEYS.items()}


def kind_of(value: Any) -> AnswerKind | None:
    """Return the kind of an answer's object; None where its keys are those of no kind."""
    return _BY_KEYS.get(frozenset(value)) if isinstance(value, dict) else None


def is_reply(value: Any) -> bool:
    """Is it an answer that calls nothing: a question, a refusal, a text?"""
    return kind_of(value) not in (None, "call")


def label_of(value: Any) -> str:
    """Return what an answer does, in short; empty where it is none.

    A call is its tool's name. The others are ``ask TOOL``, ``refuse REASON`` and ``answer``.
    """
    kind = kind_of(value)
    if kind in ("ask", "refuse"):
        return f"{kind} {value['tool' if kind == 'ask' else 'refuse']}"
    if kind == "answer":
        return kind
    return str(value.get("tool", "")) if isinstance(value, dict) else ""

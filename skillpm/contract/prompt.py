"""The system prompt of a contract: plain text, or a template, for which alone jinja2 is imported."""

from __future__ import annotations

from collections.abc import Sequence

from skillpm.model.answer_kind import AnswerKind
from skillpm.model.contract import Tool


def render_prompt(text: str, tools: Sequence[Tool], answers: Sequence[AnswerKind] = ("call",)) -> str:
    """Return the prompt, without the space around it; as a template it has ``tools`` and ``answers`` in scope.

    Raises:
        DocumentError: the template is wrong, or asks for more than a prompt needs.
    """
    if "{" not in text:
        return text.strip()
    from skillpm.contract.template import render

    return render(text, tools, answers)

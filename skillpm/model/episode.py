"""One attempt at a task."""

from __future__ import annotations

from typing import Literal

from skillpm.formats.document import Document
from skillpm.model.task import Message, Task

FinishReason = Literal["stop", "length", "too_long", "error"]


class Usage(Document):
    """Tokens that an attempt took, and the probability of the least likely one of the answer, where it is known."""

    prompt_tokens: int
    completion_tokens: int
    confidence: float | None = None


class Episode(Document):
    """What a policy answered to a task; ``messages`` are the new ones only, the last is the answer."""

    task: Task
    messages: tuple[Message, ...]
    finish_reason: FinishReason = "stop"
    usage: Usage | None = None

    @classmethod
    def answering(
        cls, task: Task, text: str, finish_reason: FinishReason = "stop", usage: Usage | None = None
    ) -> Episode:
        """Return the episode of one answer of the assistant; the values are taken as they are, unchecked."""
        answer = Message.made(role="assistant", content=text)
        return cls.made(task=task, messages=(answer,), finish_reason=finish_reason, usage=usage)

    @property
    def completion(self) -> str:
        """The text of the answer."""
        return self.messages[-1].content if self.messages else ""

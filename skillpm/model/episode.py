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
    """What a policy answered to a task; ``messages`` are the new ones only, the last is the answer.

    Where a skill has an environment, messages of the role ``tool`` stand between answers: what it showed. An episode
    that ended with ``error`` cannot be judged; its last message says why.
    """

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
        """The text of the last answer."""
        return next((message.content for message in reversed(self.messages) if message.role != "tool"), "")

    @property
    def said(self) -> tuple[Message, ...]:
        """What a policy reads after the prompt: what the environment has shown stands there as said by the user."""
        return tuple(Message.made(role="user", content=m.content) if m.role == "tool" else m for m in self.messages)

    @property
    def goes_on(self) -> bool:
        """Has the environment shown something that waits for an answer?"""
        return self.finish_reason == "stop" and bool(self.messages) and self.messages[-1].role == "tool"

    def shown(self, text: str, finish_reason: FinishReason = "stop") -> Episode:
        """Return the episode in which the environment has shown a text; with ``error``, why it failed."""
        message = Message.made(role="tool", content=text)
        return Episode.made(
            task=self.task, messages=(*self.messages, message), finish_reason=finish_reason, usage=self.usage
        )

    def answered(self, text: str, finish_reason: FinishReason = "stop", usage: Usage | None = None) -> Episode:
        """Return the episode with one more answer of the assistant."""
        message = Message.made(role="assistant", content=text)
        return Episode.made(
            task=self.task, messages=(*self.messages, message), finish_reason=finish_reason, usage=usage
        )

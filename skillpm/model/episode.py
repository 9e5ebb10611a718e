"""One attempt at a task."""

from __future__ import annotations

import hashlib
from typing import Literal

from skillpm.formats.document import Document
from skillpm.model.task import Message, Task, canonical_json

FinishReason = Literal["stop", "length", "error"]


class Usage(Document):
    """Tokens that an attempt took."""

    prompt_tokens: int
    completion_tokens: int


class Episode(Document):
    """What a policy answered to a task; ``messages`` are the new ones only, the last is the answer."""

    task: Task
    messages: tuple[Message, ...]
    finish_reason: FinishReason = "stop"
    usage: Usage | None = None

    @property
    def completion(self) -> str:
        """The text of the answer."""
        return self.messages[-1].content if self.messages else ""

    @property
    def digest(self) -> str:
        """Hex SHA-256 of (task key, new messages)."""
        content = canonical_json([self.task.key, [[m.role, m.content] for m in self.messages]])
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()

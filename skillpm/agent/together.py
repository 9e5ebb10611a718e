"""Requests that wait for a model are answered together: a batch takes little longer than one request."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from skillpm.errors import PluginError, SkillpmError
from skillpm.model.ports import Completion, Policy
from skillpm.model.task import Message


@dataclass(slots=True)
class _Waiting:
    """A prompt that waits, and then its answer or why there is none."""

    prompt: Sequence[Message]
    max_new_tokens: int
    outcome: Completion | SkillpmError | None = None


class Together:
    """Asks a policy for many threads; each gets what it would have got alone.

    Whoever gets the turn asks for the oldest of those who wait with one limit of tokens, until its own answer is there.

    Args:
        policy: is asked by one thread at a time.
        most: prompts at once.
    """

    def __init__(self, policy: Policy, most: int) -> None:
        self._policy = policy
        self._most = most
        self._waiting: list[_Waiting] = []
        self._list = threading.Lock()
        self._turn = threading.Lock()

    def complete(self, prompt: Sequence[Message], max_new_tokens: int) -> Completion:
        """Return the answer to a prompt. Raises SkillpmError where the model fails."""
        mine = _Waiting(prompt, max_new_tokens)
        with self._list:
            self._waiting.append(mine)
        with self._turn:
            while mine.outcome is None:
                self._ask()
        if isinstance(mine.outcome, SkillpmError):
            raise mine.outcome
        return mine.outcome

    def _ask(self) -> None:
        with self._list:
            limit = self._waiting[0].max_new_tokens
            batch = [item for item in self._waiting if item.max_new_tokens == limit][: self._most]
            self._waiting = [item for item in self._waiting if item not in batch]
        try:
            for index, completion in self._policy.complete([item.prompt for item in batch], max_new_tokens=limit):
                batch[index].outcome = completion
        except SkillpmError as error:
            for item in batch:
                item.outcome = item.outcome or error
        finally:
            missing = PluginError(f"the policy {self._policy.name} left a prompt without an answer")
            for item in batch:
                item.outcome = item.outcome or missing

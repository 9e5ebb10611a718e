"""Requests that wait for a model are answered together: a batch takes little longer than one request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skillpm.errors import PluginError
from skillpm.model.ports import Completion, Policy, StoppablePolicy
from skillpm.model.task import Message


class UnwantedError(Exception):
    """Nobody waits for an answer any more."""


@dataclass(slots=True, eq=False)  # two that ask the same are two
class _Waiting:
    """A prompt that waits, and then its answer or why there is none."""

    prompt: Sequence[Message]
    max_new_tokens: int
    unwanted: Callable[[], bool]
    outcome: Completion | Exception | None = None


class Together:
    """Asks a policy for many threads; each gets what it would have got alone.

    Whoever gets the turn asks for the oldest of those who wait with one limit of tokens, until its own answer is there.

    Args:
        policy: is asked by one thread at a time.
    """

    def __init__(self, policy: Policy, most: int) -> None:
        self._policy = policy
        self._most = most
        self._waiting: list[_Waiting] = []
        self._list = threading.Lock()
        self._turn = threading.Lock()

    def complete(
        self, prompt: Sequence[Message], max_new_tokens: int, unwanted: Callable[[], bool] = lambda: False
    ) -> Completion:
        """Return the answer to a prompt.

        Args:
            prompt: of one request.
            max_new_tokens: of the answer.
            unwanted: is asked again and again; a policy that can stop decodes no more of the answer then.

        Raises:
            UnwantedError: the answer is unwanted.
            PluginError: the policy left the prompt out; what else it raises on it is raised too.
        """
        mine = _Waiting(prompt, max_new_tokens, unwanted)
        with self._list:
            self._waiting.append(mine)
        with self._turn:
            while mine.outcome is None:
                self._ask()
        if isinstance(mine.outcome, Exception):
            raise mine.outcome
        return mine.outcome

    def _ask(self) -> None:
        with self._list:
            limit = self._waiting[0].max_new_tokens
            batch = [item for item in self._waiting if item.max_new_tokens == limit][: self._most]
            self._waiting = [item for item in self._waiting if item not in batch]
        self._answer(batch)

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        """Ask for a batch; where it fails, each that has no answer yet is asked alone, and fails for itself."""
        for item in batch:
            if item.unwanted():
                item.outcome = UnwantedError()
        batch = [item for item in batch if item.outcome is None]
        if not batch:
            return
        policy = self._policy
        if isinstance(policy, StoppablePolicy):
            policy = policy.stoppable(lambda index: batch[index].unwanted())
        failure: Exception = PluginError(f"the policy {self._policy.name} left a prompt without an answer")
        try:
            prompts = [item.prompt for item in batch]
            for index, completion in policy.complete(prompts, max_new_tokens=batch[0].max_new_tokens):
                batch[index].outcome = completion
        except Exception as error:  # noqa: BLE001  whoever asked gets it
            failure = error
        for item in batch:
            if item.outcome is None and len(batch) > 1:
                self._answer([item])
            item.outcome = item.outcome or failure

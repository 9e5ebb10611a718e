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

    One thread asks for the oldest of those who wait with one limit of tokens. Each has its answer as soon as that has
    ended, however long others of its batch go on.

    Args:
        policy: is asked by that thread alone.
        most: prompts of a batch.
    """

    def __init__(self, policy: Policy, most: int) -> None:
        self._policy = policy
        self._most = most
        self._waiting: list[_Waiting] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._ask_on, daemon=True).start()

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
        with self._changed:
            self._waiting.append(mine)
            self._changed.notify_all()
            self._changed.wait_for(lambda: mine.outcome is not None)
        if isinstance(mine.outcome, Exception):
            raise mine.outcome
        assert mine.outcome is not None
        return mine.outcome

    def _ask_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                limit = self._waiting[0].max_new_tokens
                batch = [item for item in self._waiting if item.max_new_tokens == limit][: self._most]
                self._waiting = [item for item in self._waiting if item not in batch]
            self._answer(batch)

    def _end(self, item: _Waiting, outcome: Completion | Exception) -> None:
        with self._changed:
            item.outcome = outcome
            self._changed.notify_all()

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        """Ask for a batch; where it fails, each that has no answer yet is asked alone, and fails for itself."""
        for item in batch:
            if item.unwanted():
                self._end(item, UnwantedError())
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
                self._end(batch[index], completion)
        except Exception as error:  # noqa: BLE001  whoever asked gets it
            failure = error
        for item in batch:
            if item.outcome is None and len(batch) > 1:
                self._answer([item])
            if item.outcome is None:
                self._end(item, failure)

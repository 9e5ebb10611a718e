"""One worker over the time of a scorer: started when first needed, replaced when it fails, never trusted.

A batch that ends a worker is tried once more as it is (somebody may have killed the process), then in ever smaller
parts, so that only the guilty items are errored. Restarts are counted and a call has a deadline: what is left then is
errored as a whole.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from skillpm.errors import SkillpmError, VerifierError
from skillpm.model.episode import Episode
from skillpm.model.verdict import Judgement, Verdict
from skillpm.runtime.described import Reply
from skillpm.runtime.guarded import Shown
from skillpm.sandbox.limits import Limits
from skillpm.worker.engine import Worker
from skillpm.worker.process import new_number
from skillpm.worker.protocol import Fault, Judged, Observed, ReplyBudget, encode, judge_request, read_reply

_PARTS = 8  # into how many parts a failing batch is cut; more parts, fewer deadlines waited for
R = TypeVar("R", bound=Reply)


class Call:
    """What one call about so many items may take, of all workers together: starts of processes, and time."""

    def __init__(self, limits: Limits, items: int, workers: int = 1) -> None:
        self._starts = limits.restarts + workers
        self._seconds = limits.call_seconds + items * limits.item_seconds
        self._deadline = time.monotonic() + self._seconds
        self._turn = threading.Lock()
        self.cancelled = threading.Event()

    def start(self) -> None:
        """Count one start. Raises VerifierError if none is left."""
        with self._turn:
            if self.cancelled.is_set():
                raise VerifierError("the call was cancelled", kind=Fault.SPENT)
            if self._starts <= 0:
                raise VerifierError("the worker failed too often", kind=Fault.SPENT)
            self._starts -= 1

    def cancel(self) -> None:
        """Leave nothing; whoever waits for a worker is told."""
        self.cancelled.set()

    @property
    def spent(self) -> bool:
        """Is nothing left?"""
        return self.cancelled.is_set() or self._starts <= 0 or self.seconds_left <= 0

    @property
    def seconds_left(self) -> float:
        """Seconds until its deadline."""
        return self._deadline - time.monotonic()

    def wait(self, seconds: float) -> float:
        """Return how long a message of so many seconds may take. Raises VerifierError if no time is left."""
        left = self.seconds_left
        if left <= 0:
            raise VerifierError(f"no verdicts after {self._seconds:.0f} seconds", kind=Fault.SPENT)
        return min(seconds, left)


class Supervisor:
    """One worker. Calls from several threads take turns.

    Args:
        spawn: starts a process, unless the event is set; raises SkillpmError where it cannot be started, and is then
            not asked again.
    """

    def __init__(self, spawn: Callable[[threading.Event], Worker], limits: Limits) -> None:
        self._spawn = spawn
        self._limits = limits
        self.process: Worker | None = None
        self._broken: VerifierError | None = None  # why it cannot be started; asked once
        self._turn = threading.RLock()

    def started(self, call: Call) -> Worker:
        """Return the worker, started where it does not run.

        Raises:
            VerifierError: it cannot be started, or not within this call.
        """
        with self._turn:
            if self._broken is not None:
                raise self._broken
            if self.process is None:
                call.start()
                try:
                    self.process = self._spawn(call.cancelled)
                except SkillpmError as error:
                    if call.cancelled.is_set():  # which is no fault of the skill's
                        raise VerifierError(error.message, kind=Fault.SPENT) from None
                    self._broken = VerifierError(
                        error.message, hint=error.hint, **{**error.details, "kind": Fault.START}
                    )
                    raise self._broken from None
            return self.process

    def close(self) -> None:
        """End the worker."""
        with self._turn:
            if self.process is not None:
                self.process.close()
                self.process = None

    def judge(
        self, episodes: Sequence[Episode], verdicts: Sequence[Verdict] | None, call: Call, *, again: bool = True
    ) -> list[Judgement]:
        """Judge a batch; what cannot be judged is errored, never raised.

        ``verdicts`` are what a host's verifier decided; the worker then only pays rewards. ``again`` allows to send the
        batch once more as it is.
        """
        try:
            with self._turn:
                return self._ask(episodes, verdicts, call)
        except VerifierError as error:
            failure = error
        hopeless = failure.details.get("kind") == Fault.START or call.spent
        # Only a crash is worth a second try as it is: somebody may have killed the process. What hung would hang again.
        if again and not hopeless and failure.details.get("kind") == Fault.CRASH:
            return self.judge(episodes, verdicts, call, again=False)
        if hopeless or len(episodes) == 1:
            return [Judgement.model_construct(verdict=Verdict.errored(failure.message))] * len(episodes)
        # Parts, not halves: a part that hangs costs a whole deadline, and with more parts there are fewer levels of
        # parts that hold the guilty item and have to be waited for.
        step = -(-len(episodes) // _PARTS)
        judgements: list[Judgement] = []
        for start in range(0, len(episodes), step):
            decided = None if verdicts is None else verdicts[start : start + step]
            judgements += self.judge(episodes[start : start + step], decided, call, again=False)
        return judgements

    def observe(self, episodes: Sequence[Episode], call: Call) -> list[Shown]:
        """Return what the environment shows after each answer; one that ends the worker does so for itself alone."""
        try:
            request = {**judge_request(episodes, None), "do": "observe"}
            reply = self.ask(Observed, request, len(episodes), call)
            if reply.error is None and len(reply.shown) == len(episodes):
                return list(reply.shown)
            reason = reply.error or f"the worker showed {len(reply.shown)} texts for {len(episodes)} answers"
        except VerifierError as error:
            reason = error.message
        if len(episodes) == 1 or call.spent:
            return [(None, reason)] * len(episodes)
        return [shown for episode in episodes for shown in self.observe([episode], call)]

    def _ask(self, episodes: Sequence[Episode], verdicts: Sequence[Verdict] | None, call: Call) -> list[Judgement]:
        reply = self.ask(Judged, judge_request(episodes, verdicts), len(episodes), call)
        if reply.error is not None:
            raise VerifierError(reply.error, kind=Fault.REFUSED)
        try:
            return reply.judgements(len(episodes), self.started(call).payable)
        except VerifierError:
            self.close()
            raise

    def ask(self, kind: type[R], request: dict[str, object], items: int, call: Call) -> R:
        """Send one request and return its checked reply.

        Raises:
            VerifierError: there is none; ``details['kind']`` says why.
        """
        with self._turn:
            worker = self.started(call)
            number = new_number()
            try:
                payload = encode({**request, "number": number})
            except (TypeError, ValueError, RecursionError) as error:
                raise VerifierError(f"cannot be sent to the worker: {error}", kind=Fault.REQUEST) from None
            if len(payload) > self._limits.frame_bytes:
                raise VerifierError(f"more than {self._limits.frame_bytes} bytes", kind=Fault.REQUEST)
            try:
                seconds = call.wait(self._limits.batch_seconds + items * self._limits.item_seconds)
                budget = ReplyBudget.of(self._limits, items, len(payload), is_ours=not worker.runs_code)
                return read_reply(kind, worker.call(payload, seconds, budget, call.cancelled), number, budget)
            except VerifierError:
                self.close()
                raise

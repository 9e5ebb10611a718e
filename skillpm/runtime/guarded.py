"""The guard around foreign code: whatever a plugin's verifier or reward does wrong is a value that names the plugin.

The host guards the plugins of installed distributions with it, and a worker guards the code of its skill. A verifier
that fails gives an errored verdict, and a reward that fails pays None with a reason: neither ends a run. Only a
KeyboardInterrupt passes, since in our own process a person pressed Ctrl-C; a worker that raises one ends, which its
host sees.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real
from typing import Any

from pydantic import ValidationError

from skillpm.errors import PluginError, SkillpmError
from skillpm.model.episode import Episode
from skillpm.model.ports import Attempt, Simulator, Verifier
from skillpm.model.task import Task
from skillpm.model.verdict import MAX_REASON, FailureKind, RewardFailure, RewardFunction, Verdict, verdict_document
from skillpm.runtime.collect import described

RETRY_SECONDS = 60.0  # for asking a verifier that failed on a batch about each attempt alone

MAX_SHOWN = 4000  # characters

Shown = tuple[str | None, str | None]
"""What an environment shows, and why it cannot be asked."""

Pay = tuple[dict[str, float | None], tuple[RewardFailure, ...]]
"""What each reward pays by name, and the rewards that failed; those pay None."""


def verify(verifier: Verifier, attempts: Sequence[Attempt], plugin: str) -> list[Verdict]:
    """Return one checked verdict for each attempt."""
    if not attempts:
        return []
    verdicts = _ask(verifier, attempts, plugin)
    if not isinstance(verdicts, str):
        return verdicts
    if len(attempts) == 1:
        return [Verdict.errored(verdicts)]
    # One bad attempt must not cost the others their verdicts, so each is asked about alone. An outage of what the
    # verifier itself asks would make each of them wait, so that ends after a while.
    end = time.monotonic() + RETRY_SECONDS
    return [
        verify(verifier, [attempt], plugin)[0] if time.monotonic() < end else Verdict.errored(verdicts)
        for attempt in attempts
    ]


def _ask(verifier: Verifier, attempts: Sequence[Attempt], plugin: str) -> list[Verdict] | str:
    """Return the checked verdicts, or what is wrong with the answer as a whole."""
    try:
        verdicts: Any = verifier.verify(list(attempts))
        if not isinstance(verdicts, list | tuple):
            kind, wanted = type(verdicts).__name__, _counted(len(attempts), "verdict")
            return f"the verifier of {plugin} returned {kind} where a list of {wanted} belongs"
        if len(verdicts) != len(attempts):
            count, wanted = _counted(len(verdicts), "verdict"), _counted(len(attempts), "attempt")
            return f"the verifier of {plugin} returned {count} for {wanted}"
        return [_checked(verdict, attempt, plugin) for verdict, attempt in zip(verdicts, attempts, strict=True)]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - foreign code may raise anything
        return f"the verifier of {plugin} raised {described(error)}"


def observe(simulator: Simulator, attempt: Attempt, plugin: str) -> Shown:
    """Return what an environment shows after an answer, or why it cannot be asked; both None where the episode ends."""
    try:
        text: Any = simulator.observe(attempt)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - foreign code may raise anything
        return None, sendable(f"the environment of {plugin} raised {described(error)}")
    if text is not None and not isinstance(text, str):
        return None, sendable(f"the environment of {plugin} returned {text!r:.80} where a text belongs")
    return None if text is None else str(text).encode(errors="backslashreplace").decode()[:MAX_SHOWN], None


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _checked(verdict: Any, attempt: Attempt, plugin: str) -> Verdict:
    """Return the verdict, or an errored one where it breaks the rules of verdicts."""
    if attempt.verdict is not None and verdict is attempt.verdict:
        return attempt.verdict  # the one that it was given, which needs no check
    if not isinstance(verdict, Verdict):
        return Verdict.errored(sendable(f"the verifier of {plugin} returned {verdict!r:.80} where a Verdict belongs"))
    try:
        # foreign code can make a Verdict without its constructor, so its fields are checked again
        checked = Verdict.model_validate(verdict_document(verdict), strict=True)
    except (ValidationError, AttributeError, TypeError) as error:
        problem = _first_problem(error)
        return Verdict.errored(sendable(f"the verifier of {plugin} returned a wrong verdict: {problem}"))
    checked = checked.shortened()
    if (excess := checked.excess()) is not None:
        return Verdict.errored(sendable(f"the verifier of {plugin} returned a verdict with {excess}"))
    if all(reason.isascii() for reason in checked.reasons):
        return checked
    return checked.model_copy(update={"reasons": tuple(map(sendable, checked.reasons))})


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"`{'.'.join(str(step) for step in first['loc'])}`: {first['msg']}"
    return str(error)


def pay(
    reward: RewardFunction, task: Task, episode: Episode, verdict: Verdict, plugin: str
) -> float | RewardFailure | None:
    """Return what a reward pays, from -1 to 1; None if it does not apply, or why it failed."""
    if verdict.score is None:
        return None
    try:
        return _bounded(reward.name, reward.function(task, episode, verdict), plugin)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - foreign code may raise anything
        return _failure("raised", reward.name, plugin, f"raised {described(error)}")


def pay_each(rewards: Sequence[tuple[str, RewardFunction]], task: Task, episode: Episode, verdict: Verdict) -> Pay:
    """Return what all of these rewards pay, each with the name of the plugin that brought it."""
    return _sorted_out({reward.name: pay(reward, task, episode, verdict, plugin) for plugin, reward in rewards})


def pay_declared(
    declared: Mapping[str, str], amounts: Mapping[str, float | None], failures: Sequence[RewardFailure]
) -> Pay:
    """Hold what a worker says that its skill's rewards pay to what the skill declared.

    The worker guards its rewards itself, but the skill's code lives in the same process and can send what it likes.
    ``declared`` has the file that brought each reward.
    """
    reported = {failure.reward: failure for failure in failures}
    paid: dict[str, float | RewardFailure | None] = {}
    for name, plugin in declared.items():
        if name in amounts:
            paid[name] = reported.get(name) or _bounded(name, amounts[name], plugin)
        else:
            paid[name] = _failure("missing", name, plugin, "is missing from the worker's reply")
    rewards, failed = _sorted_out(paid)
    for name in amounts:
        if name not in declared:  # the first is enough: there may be millions
            return rewards, (*failed, _failure("undeclared", name[:80], "the skill", "is paid and was not declared"))
    return rewards, failed


def _sorted_out(paid: Mapping[str, float | RewardFailure | None]) -> Pay:
    rewards = {name: None if isinstance(amount, RewardFailure) else amount for name, amount in paid.items()}
    return rewards, tuple(amount for amount in paid.values() if isinstance(amount, RewardFailure))


def _bounded(name: str, amount: Any, plugin: str) -> float | RewardFailure | None:
    if amount is None or (type(amount) is float and -1 <= amount <= 1):  # nearly all of them: the rest is slow
        return amount
    number = float(amount) if isinstance(amount, Real) and not isinstance(amount, bool) else math.nan
    if not math.isfinite(number):
        return _failure("number", name, plugin, f"returned {amount!r:.80}, which is not a finite number")
    if not -1 <= number <= 1:
        return _failure("range", name, plugin, f"paid {number:g}, which is not between -1 and 1")
    return number


def _failure(kind: FailureKind, reward: str, plugin: str, what: str) -> RewardFailure:
    reason = sendable(f"reward `{reward}` of {plugin} {what}")
    return RewardFailure.model_construct(reward=sendable(reward), kind=kind, reason=reason)


@contextmanager
def blaming(plugin: str, what: str) -> Iterator[None]:
    """Run a plugin's code: errors made for people pass, and all else that it raises becomes an error that names it.

    Raises:
        PluginError: it raised something else, or wanted to exit.
    """
    try:
        yield
    except (SkillpmError, KeyboardInterrupt):
        raise
    except BaseException as error:  # foreign code may raise anything
        raise PluginError(f"{what}: {described(error)}"[:500], plugin=plugin) from error


def sendable(text: str) -> str:
    """Return a text that every pipe and file can hold: lone surrogates as escapes, and not too long for a reason."""
    return text.encode(errors="backslashreplace").decode()[:MAX_REASON]

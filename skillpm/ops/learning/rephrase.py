"""The model that writes requests in other words."""

from __future__ import annotations

from collections.abc import Callable

from skillpm.agent.completion_cache import CachedPolicy
from skillpm.ops.context import Context
from skillpm.ops.learning.answerer import Answerer
from skillpm.ops.learning.models import PolicyRequest, load_policy
from skillpm.synth.rephrase import Rephrasing

_AT_ONCE = 8  # requests to the model


def load_rephrasing(
    context: Context, model: str, share: float, say: Callable[[str], None] = lambda sentence: None
) -> Rephrasing:
    """Load the model that writes requests in other words. What it writes is kept in the cache, and asked for once.

    ``share`` is of the training rows, 0 to 1. ``say`` shows what a server is waited for.

    Raises:
        UsageError: there is no such model.
        TrainingError: torch and its companions are not installed.
        RegistryError: a known model could not be fetched, or the server failed.
    """
    writer = Answerer.of_model(context, model)
    policy = load_policy(PolicyRequest(writer.model, writer.adapter, batch_size=_AT_ONCE, say=say), context)
    return Rephrasing(CachedPolicy(policy, context.settings.completions / "completions.sqlite"), share)

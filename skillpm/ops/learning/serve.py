"""``skillpm serve``: a model behind OpenAI's chat completions, with the contract of its skill in front."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skillpm.errors import UsageError
from skillpm.model.skill import Skill
from skillpm.ops.learning.converse import Wanted, open_policy, system_prompt
from skillpm.ops.learning.evaluate import Evaluator
from skillpm.ops.learning.session import open_session


@contextmanager
def verified_model(evaluator: Evaluator, skill: Skill, wanted: Wanted, tries: int) -> Iterator[tuple[Any, Any]]:
    """Yield the module that serves, and the model with its contract.

    Raises:
        UsageError: the packages of the server are not installed.
        SkillpmError: whatever ``conversation`` raises.
    """
    try:
        serving = importlib.import_module("skillpm.agent.serving")
    except ImportError as error:
        raise UsageError(f"there is no server here: {error}", hint="pip install 'skillpm-core[serve]'") from None
    with open_session(evaluator.context, [skill]) as session:
        contributions = session.contributions[skill.name]
        contract, policy = open_policy(evaluator, contributions, wanted.answerer)
        system, most = system_prompt(contributions, wanted), evaluator.asking.max_new_tokens
        yield serving, serving.VerifiedModel(skill.name, contract, policy, system, tries, most)

"""``skillpm serve`` and ``mcp``: a model behind OpenAI's chat completions, skills for NeMo Gym and for MCP clients."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from skillpm.agent.together import Together
from skillpm.errors import CheckError, UsageError
from skillpm.layout.description import describe
from skillpm.layout.source_tree import skill_tree
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.ops.learning.calibrate import calibration_of
from skillpm.ops.learning.converse import Wanted, open_audit, open_policy, skill_texts, system_prompt, tool_place
from skillpm.ops.learning.evaluate import Evaluator
from skillpm.ops.learning.session import open_session
from skillpm.runtime.skillfiles import SkillFiles

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp


def listen(application: ASGIApp, port: int, ready: Callable[[], None], host: str = "127.0.0.1") -> None:
    """Serve an application until the process is told to end. Raises UsageError where host or port cannot be used."""
    _server("local_server").listen(application, port, ready, host)


@contextmanager
def verified_model(evaluator: Evaluator, skill: Skill, wanted: Wanted, tries: int) -> Iterator[Starlette]:
    """Yield the application that serves a model with its contract.

    Raises:
        UsageError: the packages of the server are not installed.
    """
    serving = _server("serving")
    with open_session(evaluator.context, [skill]) as session:
        contributions = session.contributions[skill.name]
        contract, policy = open_policy(evaluator, contributions, wanted.answerer)
        system, asking = system_prompt(contributions, wanted), evaluator.asking
        together = Together(policy, asking.batch_size)
        calibration = calibration_of(evaluator.context, wanted.answerer, skill)
        model = serving.VerifiedModel(skill.name, contract, together, system, tries, asking.max_new_tokens, calibration)
        yield serving.application(model)


@contextmanager
def gym_server(context: Context, skills: Sequence[Skill]) -> Iterator[Starlette]:
    """Yield the application that judges the rows of skills.

    Raises:
        UsageError: the packages of the server are not installed.
        CheckError: nothing judges the answers of a skill.
    """
    server = _server("gym_server")
    with open_session(context, skills) as session:
        for name, given in session.contributions.items():
            if not given.verifier:
                raise CheckError(
                    f"{name} has neither a contract nor a verifier, so its answers cannot be judged",
                    hint="name other skills, or draft a contract with `skillpm draft`",
                )
        yield server.GymServer(session.contributions, session.scorer.judge).application()


def skill_server(context: Context, skills: Sequence[Skill], *, read_only: bool) -> Any:
    """Return the MCP server of some skills; ``serve`` of it runs until the client is gone. No code of a skill runs.

    Raises:
        UsageError: the package ``mcp`` is not installed, or two tools get one name.
        DocumentError: a document of a skill is wrong.
        PolicyError: this machine has no strong sandbox for tools.
    """
    module, served = _server("mcp_server", "MCP", "mcp"), []
    for skill in skills:
        place, description = tool_place(context.settings, skill), describe(skill_tree(skill)).description
        served.append(module.Served(skill, description, SkillFiles(skill).contract(), place, skill_texts(skill)))
    return module.SkillServer(served, open_audit(context.settings, context.note), read_only=read_only)


def _server(name: str, what: str = "the server", extra: str = "serve") -> Any:
    try:
        return importlib.import_module(f"skillpm.agent.{name}")
    except ImportError as error:
        raise UsageError(
            f"{what} needs packages that are not installed: {error}", hint=f"pip install 'skillpm-core[{extra}]'"
        ) from None

"""Frozen evaluation suites, the verifier's own cases, and the two dialects of evals.json found in the wild."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from skillpm.formats.document import Document, Json, PlacedValueError
from skillpm.model.task import Seed

Metric = Literal["exact_match", "reward", "valid_json"]


class Gate(Document):
    """The least that a suite's metric must reach, at the lower end of its 95 % interval."""

    metric: Metric = "exact_match"
    at_least: Annotated[float, Field(ge=0, le=1)]


def _form_of_tasks(value: Any) -> str:
    return "tag-file" if isinstance(value, str) else "tag-inline"


SuiteTasks = Annotated[
    Annotated[str, Field(min_length=1), Tag("tag-file")] | Annotated[tuple[Seed, ...], Tag("tag-inline")],
    Discriminator(_form_of_tasks),
]


HELD_OUT = "held_out"  # the rows that a synthesis keeps from training
ROLLOUTS = "rollouts"  # of a training run: it answers a task as often as it samples


def _own_name(name: str) -> str:
    if name in (HELD_OUT, ROLLOUTS):
        raise ValueError(f"`{name}` is the name of tasks that are no suite's; call the suite otherwise")
    return name


def _reports_each_once(metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
    if not metrics:
        raise PlacedValueError("names no metric to report", hint="remove the line: without it all metrics are reported")
    for place, metric in enumerate(metrics):
        if metric in metrics[:place]:
            raise PlacedValueError(f"names `{metric}` twice", place=(place,), hint="remove one of the two")
    return metrics


class Suite(Document):
    """suites/*.yaml: tasks that nobody trains on. ``tasks`` is a list, or the path of a JSON Lines file of seeds.

    Attributes:
        blind: asked by ``eval --blind`` alone, for one candidate.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$"), AfterValidator(_own_name)]
    description: str = ""
    tasks: SuiteTasks
    metrics: Annotated[
        tuple[Metric, ...],
        AfterValidator(_reports_each_once),
        Field(json_schema_extra={"minItems": 1, "uniqueItems": True}),
    ] = ("exact_match", "reward", "valid_json")
    gate: Gate | None = None
    blind: bool = False


class Case(Document):
    """cases.jsonl: one claim about a verifier.

    ``full_reward`` must reach 1, ``zero_reward`` must stay at or below ``at_most``, ``malformed`` must be refused (not
    passed, no argv), ``determinism`` is judged ``repeat`` times and must give one answer.
    """

    name: Annotated[str, Field(min_length=1, max_length=128)]
    kind: Literal["full_reward", "zero_reward", "malformed", "determinism"]
    request: str = ""
    expected: Json
    completion: str
    at_most: Annotated[float, Field(ge=0, lt=1)] = 0.5
    repeat: Annotated[int, Field(ge=2, le=100)] = 5


class _Foreign(Document):
    """A document that others define: keys that we do not know are kept out of the way."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class AgentSkillsEval(_Foreign):
    """One evaluation in the dialect of agentskills.io."""

    id: int | str
    prompt: str
    expected_output: str = ""
    assertions: tuple[Any, ...] = ()
    files: tuple[str, ...] = ()


class AgentSkillsEvals(_Foreign):
    """evals/evals.json in the dialect of agentskills.io."""

    skill_name: str
    evals: tuple[AgentSkillsEval, ...]


class NvidiaEval(_Foreign):
    """One row of evals/evals.json in the dialect of NVIDIA/skills (a list of these)."""

    id: int | str
    question: str
    expected_skill: str | None = None
    expected_script: str | None = None
    ground_truth: Any = None
    expected_behavior: tuple[str, ...] | str | None = None
    should_trigger: bool | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> NvidiaEval:
        if not self.question.strip():
            raise ValueError("question must not be empty")
        return self

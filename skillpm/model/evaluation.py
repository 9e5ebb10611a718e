"""An evaluation: every answer of every arm, with its verdict.

An *arm* is one policy asked one way: the base model, the base model with the skill's text in its prompt, the adapter
after a stage. Arms are compared on the tasks that they share, so a record names its task by key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapSerializer,
    WrapValidator,
    model_validator,
)

from skillpm.errors import DocumentError
from skillpm.formats.document import LONE_SURROGATE, Document, Json, model_errors, surrogate_place
from skillpm.formats.strict import read_json
from skillpm.model.answer_kind import AnswerKind
from skillpm.model.suite import Gate, Metric
from skillpm.model.task import Message, canonical_json, not_blank
from skillpm.model.verdict import Reward, Verdict

EVALUATION_VERSION = 5
_FIRST_WITH_CONTENTS = 5
TEMPLATE = "template:"  # begins the tag of a row that names the template of its request
ALL_METRICS: tuple[Metric, ...] = ("exact_match", "reward", "valid_json")

TaskKey = tuple[str, str, str]
"""(skill, task set, key of the task): what two arms are paired by."""

Count = Annotated[int, Field(ge=0, lt=1 << 32)]
MOST_REPEATS = 1000
_NONE = '"contents": null'
_EMPTY = '\n   "records": []'  # of an arm, in the text of an evaluation


class Record(Document):
    """One answer to one task.

    Attributes:
        task: key of the task.
        suite: name of the task set: a suite's, or ``held_out``.
        argv: the commands as an executor would run them, or None where it would refuse.
        exact: did the verdict pass? The skill's verifier decides what the same answer is.
        valid_json: was the answer one JSON object and nothing else? None where the skill has no contract.
        finish_reason: ``length`` where the answer was cut off at the limit, ``too_long`` where the prompt did not fit.
        tags: of the task.
        repeat: which of the answers to its task it is, from 0.
        confidence: the probability of the least likely token of the answer; None where the model does not tell.
        messages: all answers and what the environment showed between them, where there were several.
    """

    task: str
    skill: str
    suite: str
    request: str
    expected: Json
    completion: str
    argv: tuple[tuple[str, ...], ...] | None
    verdict: Verdict
    rewards: dict[str, Reward | None] = Field(default_factory=dict)
    exact: bool
    valid_json: bool | None
    finish_reason: Literal["stop", "length", "too_long"]
    prompt_tokens: Count
    completion_tokens: Count
    tags: tuple[str, ...] = ()
    repeat: Annotated[int, Field(ge=0, lt=MOST_REPEATS)] = 0
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    messages: tuple[Message, ...] = ()

    @model_validator(mode="after")
    def _exact_is_what_the_verdict_says(self) -> Record:
        if self.exact is not (self.verdict.status == "passed"):
            raise ValueError(f"`exact` is {str(self.exact).lower()}, and the verdict {self.verdict.status}")
        return self

    @property
    def key(self) -> TaskKey:
        """What this record is paired by."""
        return (self.skill, self.suite, self.task)

    @property
    def content(self) -> int:
        """A digest in 8 bytes of its task: the key, what it asks and what it expects."""
        text = canonical_json([*self.key, self.request, self.expected])
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())

    @property
    def cluster(self) -> str:
        """The template that made the task; the task itself where its tags name none."""
        return next((tag for tag in self.tags if tag.startswith(TEMPLATE)), self.task)

    @property
    def judged(self) -> bool:
        """Is there a verdict to count? An outage or an abstention is neither right nor wrong."""
        return self.verdict.score is not None


def _as_given(records: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Take a sequence of records that reads them only when it is asked."""
    plain = isinstance(records, list | tuple) or not isinstance(records, Sequence)
    return tuple(handler(records)) if plain else records


def _as_list(records: Any, handler: SerializerFunctionWrapHandler) -> Any:
    return handler(list(records))


class Arm(Document):
    """Every answer of one policy asked one way.

    Attributes:
        name: ``base``, ``base+skill`` or the name of a stage; unique within an evaluation.
        model: the base model as the user named it.
        skill_text: did the skill's own text stand in the prompt?
        tool_schemas: did names, descriptions and schemas of the tools stand in the prompt?
        constrained: could answers only be what the contract accepts?
        adapter: the adapter on top of the model, relative to the run folder, or None.
        settings: what else decides the answers: repeats, limits, data type, device, threads, digests of model and
            adapter. ``limit_reached`` names the limit for whose sake tasks were not asked, and ``unchecked`` says that
            the arm was read from a file without ``contents``.
        seconds: wall-clock time of completing and judging.
        contents: in a file, a digest of what its records ask and expect, made where they are written and compared
            where they are read. Files before version 5 have none.
    """

    name: Annotated[str, Field(min_length=1, max_length=64)]
    model: str
    skill_text: bool = False
    tool_schemas: bool = False
    constrained: bool = False
    adapter: str | None = None
    settings: dict[str, Json] = Field(default_factory=dict)
    records: Annotated[Sequence[Record], WrapValidator(_as_given), WrapSerializer(_as_list)]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    contents: str | None = None

    @property
    def repeats(self) -> int:
        """How often each task was asked."""
        repeats = self.settings.get("repeats", 1)
        return repeats if isinstance(repeats, int) else 1

    @property
    def drawn(self) -> bool:
        """Are its answers drawn by chance, not greedy?"""
        return bool(self.settings.get("temperature"))

    @property
    def stopped(self) -> bool:
        """Was it ended before every task was asked?"""
        return bool(self.settings.get("interrupted") or self.settings.get("limit_reached"))

    @property
    def unchecked(self) -> bool:
        """Could its tasks have been changed since they were asked, with nothing to show it?"""
        return bool(self.settings.get("unchecked"))

    def as_now(self, version: int) -> Arm:
        """Return an arm of a file of this version as it is written now: that it was unchecked stays with it."""
        is_checked = self.contents is not None or version >= _FIRST_WITH_CONTENTS
        more = {} if is_checked else {"settings": {**self.settings, "unchecked": True}}
        return self.model_copy(update={"contents": None, **more})


class EvaluatedSkill(Document):
    """A skill as it was when it was evaluated.

    Attributes:
        reward: the one that tables show.
        kinds: of a right answer that its contract takes; empty without a contract, None where that was not recorded.
    """

    name: str
    version: str
    tree: str
    reward: str | None = None
    kinds: tuple[AnswerKind, ...] | None = None


class TaskSet(Document):
    """A named set of tasks of one skill, and what its author wants shown and reached.

    Attributes:
        tasks: how many were asked.
        of: how many it holds, where a limit took a sample of them.
    """

    skill: str
    name: str
    tasks: Count
    of: Count | None = None
    metrics: tuple[Metric, ...] = ALL_METRICS
    gate: Gate | None = None


class Evaluation(Document):
    """Arms over task sets.

    Attributes:
        data: digest of which tasks were asked; two evaluations with the same digest asked the same.
        versions: of skillpm and of what it ran on.
        commands: what a person types to have this again.
    """

    evaluation: Annotated[int, Field(ge=1, le=EVALUATION_VERSION)] = EVALUATION_VERSION
    skills: tuple[EvaluatedSkill, ...]
    task_sets: tuple[TaskSet, ...]
    arms: tuple[Arm, ...]
    data: str
    versions: dict[str, str] = Field(default_factory=dict)
    commands: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, *, path: str) -> Evaluation:
        """Read an evaluation. Raises DocumentError if it is not one."""
        root = read_json(text, path=path)
        if place := surrogate_place(root):
            raise DocumentError(f"`{place}`: {LONE_SURROGATE}", path=path)
        try:
            evaluation = cls.model_validate(root)
        except ValidationError as error:
            raise model_errors(error, root, path=path)[0] from None
        for problem in changes(evaluation, (sum(record.content for record in arm.records) for arm in evaluation.arms)):
            raise DocumentError(problem, path=path, hint=WHOLE)
        return evaluation.as_now()

    def as_now(self) -> Evaluation:
        """Return the same in the version that is written now."""
        arms = tuple(arm.as_now(self.evaluation) for arm in self.arms)
        return self.model_copy(update={"evaluation": EVALUATION_VERSION, "arms": arms})

    def chunks(self) -> Iterator[str]:
        """Yield the JSON text, which ends with a newline: a piece for each record, so that it need not be in memory."""
        without = [arm.model_copy(update={"records": (), "contents": None}) for arm in self.arms]
        frame = self.model_copy(update={"arms": tuple(without)}).model_dump_json(indent=1)
        head, *others = frame.split(_EMPTY)  # what stands inside a setting of an arm is deeper
        yield head
        for arm, text in zip(self.arms, others, strict=True):
            yield _EMPTY[:-1]
            separator, contents = "\n    ", 0
            for record in arm.records:
                contents += record.content
                yield separator + record.model_dump_json(indent=1).replace("\n", "\n    ")
                separator = ",\n    "
            rest = text.replace(_NONE, f'"contents": "{_contents_text(contents)}"', 1)
            yield f"\n   ]{rest}" if arm.records else f"]{rest}"
        yield "\n"

    def text(self) -> str:
        """Return the JSON text, ending with a newline."""
        return "".join(self.chunks())

    def arm(self, name: str) -> Arm | None:
        """Return the arm of a name."""
        return next((arm for arm in self.arms if arm.name == name), None)


WHOLE = "take the file as it was written, or evaluate again"


def changes(evaluation: Evaluation, contents: Iterable[int]) -> Iterator[str]:
    """Yield what is said of arms that do not have the tasks they were written with, or no digest that would tell it.

    Args:
        evaluation: as its file has it. An arm may have no digest only in the versions before there was one.
        contents: of each arm, the sum of ``Record.content`` of all its records.
    """
    for arm, found in zip(evaluation.arms, contents, strict=True):
        if arm.contents is None:
            if evaluation.evaluation >= _FIRST_WITH_CONTENTS:
                yield f"arm `{arm.name}` has no `contents`, which every arm is written with"
        elif arm.contents != _contents_text(found):
            yield f"arm `{arm.name}` has other requests, expected answers or tasks than it was written with"


def _contents_text(contents: int) -> str:
    return f"{contents % (1 << 64):016x}"


class TaskRow(Document):
    """A task from outside: what is asked and, where it is known, what is expected. Further keys are echoed."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Json]

    id: Json = None
    request: Annotated[str, Field(min_length=1, max_length=65536), AfterValidator(not_blank)]
    expected: Json = None
    tags: tuple[str, ...] = ()


class TaskAnswer(Document):
    """What a policy answered to a ``TaskRow``, whose further keys stand here too.

    The verdict is None where nothing was expected. A further key that is called like a field here is left out.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Json]

    id: Json = None
    request: str
    expected: Json = None
    completion: str
    argv: tuple[tuple[str, ...], ...] | None
    verdict: Verdict | None
    rewards: dict[str, Reward | None] = Field(default_factory=dict)
    finish_reason: Literal["stop", "length", "too_long"]
    prompt_tokens: Count
    completion_tokens: Count
    tags: tuple[str, ...] = ()

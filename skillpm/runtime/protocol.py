"""What host and worker say to each other: one request, one reply, each a frame of JSON.

A request carries a ``number`` that its reply must repeat, so that a late or forged frame is recognised. Replies come
from a process in which skill code lives: the host validates every byte of them, strictly (no text for a number, no
true).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from skillpm.errors import VerifierError
from skillpm.model.contract import Tool
from skillpm.model.document import Document
from skillpm.model.episode import Episode
from skillpm.model.suite import Suite
from skillpm.model.task import Task
from skillpm.model.verdict import Judgement, Number, Verdict, verdict_document

__all__ = [
    "Called",
    "Described",
    "Grade",
    "Judged",
    "Named",
    "Reply",
    "Synthesised",
    "judge_request",
    "read_reply",
]


class Reply(Document):
    """The part that all replies have; ``error`` is a sentence where the request failed."""

    number: int
    error: str | None = None


class Named(Document):
    """A contribution by name and the file that brought it."""

    name: str
    plugin: str
    default: bool = False


class Called(Document):
    """One call of a hook inside the worker: by which plugin, how long it took, and what came of it in words."""

    plugin: Annotated[str, Field(max_length=100)]
    hook: Annotated[str, Field(max_length=100)]
    seconds: Number
    outcome: Annotated[str, Field(max_length=1000)]


class Described(Reply):
    """What a skill contributes, asked once when its worker starts.

    Attributes:
        calls: of its hooks; these are told of where loading failed, too.
        verifier: the file that judges: ``plugin.py``, ``verifier.py``, ``contract.yaml``, or empty.
    """

    calls: Annotated[tuple[Called, ...], Field(max_length=100)] = ()
    verifier: str = ""
    rewards: tuple[Named, ...] = ()
    rules: tuple[Named, ...] = ()
    suites: tuple[tuple[str, Suite], ...] = ()
    tools: tuple[tuple[str, Tool], ...] = ()
    hooks: tuple[str, ...] = ()


Argv = tuple[tuple[str, ...], ...]


class Grade(Document):
    """A verdict and what is paid for it; equal ones are sent once."""

    verdict: Verdict
    rewards: dict[str, Number | None]


class Judged(Reply):
    """``[place of its grade, argv]`` for each item of the request, in order."""

    grades: tuple[Grade, ...] = ()
    items: tuple[tuple[int, Argv | None], ...] = ()

    def judgements(self) -> list[Judgement]:
        """Put them together. Raises VerifierError where an item has no grade."""
        grades = self.grades
        if any(not 0 <= place < len(grades) for place, _ in self.items):
            raise VerifierError("the worker's reply has an item without a grade", kind="reply")
        return [
            Judgement.made(verdict=grades[place].verdict, rewards=grades[place].rewards, argv=argv)
            for place, argv in self.items
        ]


class Synthesised(Reply):
    """Tasks of one rule."""

    tasks: tuple[Task, ...] = Field(default=())


R = TypeVar("R", bound=Reply)
_ADAPTERS: dict[type[Reply], TypeAdapter[Any]] = {}


def read_reply(kind: type[R], payload: bytes, number: int) -> R:
    """Read and check a reply.

    Raises:
        VerifierError: not JSON, of another shape, or the answer to another request; the worker is not to be trusted.
    """
    adapter = _ADAPTERS.setdefault(kind, TypeAdapter(kind))
    try:
        reply: R = adapter.validate_json(payload, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"][-3:])
        raise VerifierError(f"the worker's reply is malformed at `{place}`: {first['msg']}", kind="reply") from None
    if reply.number != number:
        raise VerifierError("the worker answered another request", kind="reply")
    return reply


def judge_request(number: int, episodes: Sequence[Episode], verdicts: Sequence[Verdict] | None) -> dict[str, Any]:
    """Build the request for these episodes: each task once, each answer as short as it can be said.

    Args:
        number: repeated by the reply.
        episodes: of one skill.
        verdicts: what a host's verifier found; the worker then only pays rewards.
    """
    places: dict[str, int] = {}
    tasks: list[dict[str, Any]] = []
    items: list[Any] = []
    for index, episode in enumerate(episodes):
        task = episode.task
        place = places.get(task.key)
        if place is None:
            place = places[task.key] = len(tasks)
            tasks.append(task_document(task))
        messages = episode.messages
        answer: Any
        if len(messages) == 1 and messages[0].role == "assistant":
            answer = messages[0].content
        else:
            answer = [[message.role, message.content] for message in messages]
        verdict = None if verdicts is None else verdict_document(verdicts[index])
        items.append((place, answer, episode.finish_reason, verdict))
    return {"do": "judge", "number": number, "tasks": tasks, "items": items}


def task_document(task: Task) -> dict[str, Any]:
    """Return a task in JSON-ready values."""
    return {
        "key": task.key,
        "skill": task.skill,
        "prompt": [{"role": message.role, "content": message.content} for message in task.prompt],
        "expected": task.expected,
        "split": task.split,
        "tags": list(task.tags),
        "origin": task.origin,
    }

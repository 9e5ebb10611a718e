"""What host and worker say to each other: one request, one reply, each a frame of JSON.

A request carries a ``number`` that its reply must repeat, so that a late or forged frame is recognised. Replies come
from a process in which skill code lives: the host validates every byte of them, strictly (no text for a number, no
true).
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, BinaryIO, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from skillpm.contract.command import Argv
from skillpm.errors import VerifierError
from skillpm.formats.document import Document
from skillpm.formats.strict import strict_json
from skillpm.model.episode import Episode
from skillpm.model.task import Message, Task
from skillpm.model.verdict import Judgement, Number, RewardFailure, Verdict, verdict_document
from skillpm.runtime.described import MAX_CONTRIBUTIONS, Reply
from skillpm.runtime.guarded import MAX_SHOWN, pay_declared
from skillpm.sandbox.limits import Limits


class Fault(StrEnum):
    """Why a request to a worker has no answer; ``details['kind']`` of the VerifierError."""

    START = "start"  # it cannot be started, and could not be a second time
    CRASH = "crash"  # it ended, or closed its pipe
    TIMEOUT = "timeout"  # no reply before the message's deadline
    REPLY = "reply"  # it sent what is not a reply to the request
    REFUSED = "refused"  # it says itself that the request failed
    REQUEST = "request"  # the request cannot be sent
    SPENT = "spent"  # the call was cancelled, or has no time or no starts left


@dataclass(frozen=True, slots=True)
class ReplyBudget:
    """What a reply may have. It follows from the request, so that a short question has no long answer.

    Attributes:
        size: bytes, known from the header before anything is read.
        values: numbers, texts, lists and objects, counted before anything is parsed.
        is_ours: does the worker run no code of its skill? Then no key comes twice, and looking for one costs as much
            as reading.
    """

    size: int
    values: int
    is_ours: bool = False

    @classmethod
    def of(cls, limits: Limits, items: int, request: int, *, is_ours: bool = False) -> ReplyBudget:
        """Return the budget of a reply.

        Args:
            limits: of frames.
            items: answers to be judged, or tasks to be made.
            request: bytes of the request: what is asked comes back as commands, with the words of a template.
            is_ours: does the worker run no code of its skill?
        """
        size = _LEAST_BYTES + items * _ITEM_BYTES + request * _ECHOED_BYTES
        values = _LEAST_VALUES + items * _ITEM_VALUES + request * _ECHOED_VALUES
        return cls(min(size, limits.frame_bytes), min(values, _MOST_VALUES), is_ours)


_MOST_VALUES = 1 << 21  # some 300 MB while they are parsed
_LEAST_BYTES, _ITEM_BYTES, _ECHOED_BYTES = 1 << 20, 1 << 14, 16
_LEAST_VALUES, _ITEM_VALUES, _ECHOED_VALUES = 10_000, 256, 4
_DESCRIPTION_BYTES = 1 << 23  # suites and tools of a plugin


def description_budget(limits: Limits) -> ReplyBudget:
    """Return the budget of a worker's first reply."""
    return ReplyBudget(min(_DESCRIPTION_BYTES, limits.frame_bytes), _DESCRIPTION_BYTES // 16)


def _kept(verdict: Verdict) -> Verdict:
    if (excess := verdict.excess()) is not None:
        raise ValueError(excess)
    return verdict


class Grade(Document):
    """A verdict and what the skill's own rewards pay for it; equal ones are sent once."""

    verdict: Annotated[Verdict, AfterValidator(_kept)]
    rewards: Annotated[dict[str, Number | None], Field(max_length=MAX_CONTRIBUTIONS)] = Field(default_factory=dict)
    failures: Annotated[tuple[RewardFailure, ...], Field(max_length=MAX_CONTRIBUTIONS)] = ()


class Judged(Reply):
    """``[place of its grade, argv]`` for each item of the request, in order."""

    grades: tuple[Grade, ...] = ()
    items: tuple[tuple[int, Argv | None], ...] = ()

    def judgements(self, count: int, payable: Mapping[str, str]) -> list[Judgement]:
        """Put them together for ``count`` items.

        Rewards are held to those that the worker may pay, by the file of each.

        Raises:
            VerifierError: there are more or fewer items, or one has no grade.
        """
        if len(self.items) != count:
            raise VerifierError(f"the worker sent {len(self.items)} judgements for {count} answers", kind=Fault.REPLY)
        if any(not 0 <= place < len(self.grades) for place, _ in self.items):
            raise VerifierError("the worker's reply has an item without a grade", kind=Fault.REPLY)
        graded = [_paid(grade, payable) for grade in self.grades]
        return [
            Judgement.made(verdict=verdict, rewards=rewards, argv=argv, failures=failures)
            for (verdict, rewards, failures), argv in ((graded[place], argv) for place, argv in self.items)
        ]


def _paid(
    grade: Grade, payable: Mapping[str, str]
) -> tuple[Verdict, dict[str, float | None], tuple[RewardFailure, ...]]:
    if grade.verdict.score is None:  # nothing is paid where nothing was judged
        return grade.verdict, dict.fromkeys(payable), ()
    return grade.verdict, *pay_declared(payable, grade.rewards, grade.failures)


class Observed(Reply):
    """What the environment shows after each item of the request, or why it cannot be asked."""

    shown: tuple[tuple[Annotated[str, Field(max_length=MAX_SHOWN)] | None, str | None], ...] = ()


class Synthesised(Reply):
    """Tasks of one rule."""

    tasks: tuple[Task, ...] = Field(default=())


def _values(payload: bytes, most: int) -> int:
    """Return about how many values a JSON text has; those in texts are told apart only if there seem to be too many."""
    count = _separators(payload)
    return count if count <= most else _separators(_TEXT.sub(b"", payload))


def _separators(payload: bytes) -> int:
    return payload.count(b",") + payload.count(b"[") + payload.count(b"{")


_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
R = TypeVar("R", bound=Reply)


_ADAPTERS: dict[type[Reply], TypeAdapter[Any]] = {}


def read_reply(kind: type[R], payload: bytes, number: int, budget: ReplyBudget) -> R:
    """Read and check a reply.

    Raises:
        VerifierError: not JSON, of another shape, too much, or the answer to another request; the worker is not to be
            trusted.
    """
    adapter = _ADAPTERS.setdefault(kind, TypeAdapter(kind))
    if _values(payload, budget.values) > budget.values:
        raise VerifierError(f"the worker's reply has more than {budget.values} values", kind=Fault.REPLY)
    try:
        if not budget.is_ours:
            strict_json(payload.decode())  # refuses keys that come twice
        reply: R = adapter.validate_json(payload, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"][-3:])
        raise VerifierError(f"the worker's reply is malformed at `{place}`: {first['msg']}", kind=Fault.REPLY) from None
    except ValueError as error:
        raise VerifierError(f"the worker's reply is malformed: {error}", kind=Fault.REPLY) from None
    if reply.number != number:
        raise VerifierError("the worker answered another request", kind=Fault.REPLY)
    return reply


def judge_request(episodes: Sequence[Episode], verdicts: Sequence[Verdict] | None) -> dict[str, Any]:
    """Build the request for these episodes: each task once, each answer as short as it can be said.

    ``verdicts`` are what a host's verifier decided; the worker then only pays rewards.
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
    return {"do": "judge", "tasks": tasks, "items": items}


def task_document(task: Task) -> dict[str, Any]:
    """Return a task in JSON-ready values."""
    document = {
        "key": task.key,
        "skill": task.skill,
        "prompt": [{"role": message.role, "content": message.content} for message in task.prompt],
        "expected": task.expected,
        "split": task.split,
        "tags": list(task.tags),
        "origin": task.origin,
    }
    return {**document, "first": list(task.first)} if task.first else document


def task_of(document: Mapping[str, Any]) -> Task:
    """Return the task of the values that ``task_document`` made, unchecked."""
    messages = tuple(Message.made(**message) for message in document["prompt"])
    first = tuple(document.get("first", ()))
    return Task.made(**{**document, "prompt": messages, "tags": tuple(document["tags"]), "first": first})


HEADER = struct.Struct(">I")


class FrameError(Exception):
    """The other side sent what is not a frame."""


def encode(document: Any) -> bytes:
    """Return a document as JSON bytes; lone surrogates travel as escapes."""
    try:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def pack(payload: bytes) -> bytes:
    """Return the frame of a payload. Raises FrameError if it is too long for its header."""
    if len(payload) > 0xFFFF_FFFF:
        raise FrameError("larger than 4 GiB")
    return HEADER.pack(len(payload)) + payload


def read_frame(file: BinaryIO, limit: int) -> bytes | None:
    """Read one frame, waiting for it; None at the end of the pipe.

    Raises:
        FrameError: cut short, or larger than ``limit`` bytes.
    """
    header = file.read(HEADER.size)
    if not header:
        return None
    if len(header) < HEADER.size:
        raise FrameError("the header was cut short")
    (size,) = HEADER.unpack(header)
    if size > limit:
        raise FrameError(f"a frame of {size} bytes, more than {limit}")
    payload = file.read(size)
    if len(payload) < size:
        raise FrameError("the frame was cut short")
    return payload

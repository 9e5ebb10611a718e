"""Answers in a file as a Policy: ``--model FILE.jsonl``. Whatever wrote them can so be evaluated."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict

from skillpm.errors import DocumentError, UsageError
from skillpm.evals.outcomes import TaskNumbers
from skillpm.formats.document import Document, read_json_lines
from skillpm.formats.printable import well_formed
from skillpm.formats.typed_path import typed_path
from skillpm.model.evaluation import Count
from skillpm.model.ports import Completion
from skillpm.model.task import Message
from skillpm.storage.file_rows import FileRows
from skillpm.storage.files import expect_file, read_lines

_FORM = '{"request": …, "completion": …}'


Text = Annotated[str, AfterValidator(well_formed)]  # programs write half a character where an answer was cut


class _Message(Message):
    content: Text


class _Row(Document):
    """What was answered to one request; further keys do not matter.

    So completions.jsonl of ``skillpm answer`` is such a file, and so are the records of an evaluation.

    Attributes:
        completion: the last answer, or the only one.
        messages: of an episode of several answers, as a record has them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    request: Text
    completion: Text
    messages: tuple[_Message, ...] = ()
    finish_reason: Literal["stop", "length", "too_long"] = "stop"
    prompt_tokens: Count = 0
    completion_tokens: Count = 0

    @property
    def answers(self) -> Sequence[str]:
        """All answers, in order."""
        return [message.content for message in self.messages if message.role == "assistant"] or [self.completion]


def is_recorded(model: str) -> bool:
    """Is a model's name a file of answers?"""
    return model.endswith(".jsonl")


def recorded_file(model: str) -> Path:
    """Return the file of answers that a model's name is. Raises UsageError where it is not there."""
    path = typed_path(model)
    expect_file(path, f"give JSON Lines of {_FORM}")
    return path


def _rows(path: Path) -> Iterator[tuple[int, _Row]]:
    try:
        yield from read_json_lines(_Row, read_lines(path), path=str(path))
    except DocumentError as error:
        error.hint = error.hint or f"a row is {_FORM}; further keys are allowed"
        raise


class RecordedPolicy:
    """Completes a prompt with the answer that a file has for its request.

    Raises:
        DocumentError: a row is wrong, or a request has two answers.
    """

    def __init__(self, path: Path) -> None:
        self.name, self._path = str(path), path
        self._numbers, self._rows = TaskNumbers(), FileRows.temporary()
        digest = hashlib.sha256()
        for line, row in _rows(path):
            if self._numbers.number(("", "", row.request)) < len(self._rows):
                problem = f"`{row.request[:80]}` has two answers"
                raise DocumentError(problem, path=str(path), line=line, hint="keep one of them")
            content = row.model_dump_json().encode()
            digest.update(content)
            self._rows.append(content)
        self.settings = {"answers": digest.hexdigest()}

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        """Yield ``(index of the prompt, completion)`` in order.

        Raises:
            UsageError: the file has no answer to a request.
        """
        for index, prompt in enumerate(prompts):
            before = sum(message.role == "assistant" for message in prompt)  # each of which was shown something
            request = prompt[-1 - 2 * before].content
            number = self._numbers.find(self._numbers.digest_of(("", "", request)))
            if number < 0:
                raise UsageError(f"{self._path} has no answer to `{request[:80]}`", hint="add a row for it")
            row = _Row.model_validate_json(self._rows[number])
            if before >= len(row.answers):
                count = f"{before} answer{'' if before == 1 else 's'}"
                problem = f"{self._path} has {count} to `{request[:80]}`, which goes on"
                raise UsageError(problem, hint=f"add `messages` with all answers to the row, or use `--turns {before}`")
            last = before + 1 == len(row.answers)
            reason = row.finish_reason if last else "stop"
            yield index, Completion(row.answers[before], row.prompt_tokens, row.completion_tokens, reason)

"""Traces: every episode as it went, one file each, masked; what people decided in them becomes training data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from skillpm.agent.shown import MASK, masked
from skillpm.errors import DocumentError, UsageError
from skillpm.formats.document import Document, Json, problem_words
from skillpm.formats.printable import well_formed
from skillpm.model.task import TRACE, Seed, request_key
from skillpm.storage.files import read_text, write_atomic

Outcome = Literal["done", "refused", "not-run", "invalid", "failed", "interrupted", "asking", "asked", "declined"]
REDACTED = "[redacted]"
IMPORTED = "imported"  # the decision of a step that another program let run
_LET_RUN = ("yes", "always", "rule", "consent", IMPORTED)
_MARKS = re.compile(rf"{re.escape(REDACTED)}|{re.escape(MASK)}[^\]]*\]")  # what stands for a text already


class Step(Document):
    """One answer of the model, and what became of it.

    Attributes:
        answer: the model's text, cut where it is long.
        call: the call that the contract read in it; None where it refuses it.
        decision: what was decided; empty for an answer that calls nothing.
        final: the call that ran: the model's own, or a person's edit; None where none ran.
        argv: the commands of the final call.
        exit_codes: of the commands that ran.
        output: what they printed, visible and masked.
        reply: what a person answered to the model's question.
    """

    answer: str
    call: Json = None
    problems: tuple[str, ...] = ()
    decision: str = ""
    final: Json = None
    argv: tuple[tuple[str, ...], ...] = ()
    exit_codes: tuple[int | None, ...] = ()
    output: str = ""
    reply: str = ""

    @property
    def succeeded(self) -> bool:
        """Did all that was let run end with exit code 0? What was imported may have run without a command."""
        ran = bool(self.argv) or (self.decision == IMPORTED and bool(self.exit_codes))
        return ran and self.exit_codes == (0,) * max(1, len(self.argv))


class Trace(Document):
    """One episode: a request, and all that followed from it."""

    trace: Literal[1] = 1
    id: str
    when: str
    skill: str
    version: str
    tree: str
    model: str
    adapter: str | None = None
    system: str = ""
    request: str
    steps: tuple[Step, ...] = ()
    outcome: Outcome = "asking"
    report: str | None = None

    @property
    def moment(self) -> datetime:
        """When it began; before all others where an imported one does not say so."""
        try:
            when = datetime.fromisoformat(self.when)
        except ValueError:
            return datetime.min.replace(tzinfo=UTC)
        return when if when.tzinfo else when.replace(tzinfo=UTC)

    def messages(self) -> list[dict[str, Any]]:
        """Return the episode as OpenAI's messages, with tool calls and what tools returned."""
        rows: list[dict[str, Any]] = [{"role": "system", "content": self.system}] if self.system else []
        rows.append({"role": "user", "content": self.request})
        for number, step in enumerate(self.steps, 1):
            call = step.final or step.call
            if not isinstance(call, dict) or "args" not in call:
                rows.append({"role": "assistant", "content": step.answer})
                rows += [{"role": "user", "content": step.reply}] if step.reply else []
                continue
            function = {"name": call["tool"], "arguments": json.dumps(call["args"], ensure_ascii=False)}
            calls = [{"id": f"call_{number}", "type": "function", "function": function}]
            rows.append({"role": "assistant", "content": None, "tool_calls": calls})
            content = step.output if step.exit_codes else f"not run: {step.decision}"
            rows.append({"role": "tool", "tool_call_id": f"call_{number}", "content": content})
        return rows

    def gold(self) -> Seed | None:
        """Return the request with the call that a person let run and that worked, or made of the model's; else None.

        Only the first answer follows from the request alone.
        """
        if not self.steps or MASK in self.request or REDACTED in self.request:
            return None
        step = self.steps[0]
        right = step.decision == "edit" or (step.decision in _LET_RUN and step.succeeded)
        if not right or step.final is None or any(mark in json.dumps(step.final) for mark in (MASK, REDACTED)):
            return None
        return Seed(id=self.id, request=self.request, expected=step.final, tags=(TRACE,))

    def pair(self) -> dict[str, Any] | None:
        """Return what a person preferred to the model's first answer: ``{prompt, chosen, rejected}``; else None."""
        if not self.steps or self.steps[0].decision != "edit" or self.gold() is None:
            return None
        chosen = json.dumps(self.steps[0].final, ensure_ascii=False)
        return {"prompt": self._prompt(), "chosen": chosen, "rejected": self.steps[0].answer}

    def negative(self) -> dict[str, Any] | None:
        """Return a first answer that a person refused, or the contract: ``{prompt, rejected, reason}``; else None."""
        step = self.steps[0] if self.steps else None
        if step is None or not (step.decision == "no" or step.problems):
            return None
        reason = "; ".join(step.problems) or "a person refused it"
        return {"prompt": self._prompt(), "rejected": step.answer, "reason": reason}

    def _prompt(self) -> list[dict[str, Any]]:
        return [row for row in self.messages() if row["role"] in ("system", "user")]


class Traces:
    """The stored episodes of one user."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, trace: Trace) -> None:
        """Write an episode, masked; only the user can read it. Raises StorageError."""
        document = with_texts(trace, storable).model_dump(mode="json")
        write_atomic(self._folder / f"{trace.id}.json", json.dumps(document, indent=1) + "\n", mode=0o600)

    def all(self, skill: str | None = None) -> Iterator[Trace]:
        """Yield the episodes, oldest first. Raises DocumentError where a file is wrong."""
        every = map(self._read, self.identities())
        yield from sorted((trace for trace in every if skill in (None, trace.skill)), key=lambda trace: trace.moment)

    def identities(self) -> list[str]:
        """Return the ids of the episodes in their order, whatever their files hold."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def find(self, word: str) -> Trace:
        """Return the episode that ``identity`` names. Raises UsageError, DocumentError where its file is wrong."""
        return self._read(self.identity(word))

    def identity(self, word: str) -> str:
        """Return the one id that begins with a word, or that of the newest episode for ``latest``.

        Raises:
            UsageError: there is none, or there are several.
            DocumentError: a file among which the newest is looked for is wrong.
        """
        names = self.identities()
        if not names:
            raise UsageError("there is no trace yet", hint="`skillpm run` stores one for each request")
        if word == "latest":
            return max(names, key=lambda name: (self._read(name).moment, name))
        fitting = [name for name in names if word and name.startswith(word)]
        if len(fitting) != 1:
            problem = "several traces begin" if fitting else "no trace begins"
            raise UsageError(f"{problem} with `{word[:80]}`", hint="run `skillpm traces list` to see them")
        return fitting[0]

    def _read(self, identity: str) -> Trace:
        path = self._folder / f"{identity}.json"
        try:
            return Trace.model_validate_json(read_text(path))
        except ValidationError as error:
            problem = f"not a trace: {problem_words(error.errors()[0])}"
            raise DocumentError(problem, path=str(path), hint=f"run `skillpm traces prune {identity}`") from None

    def remove(self, identities: Sequence[str]) -> None:
        """Delete episodes."""
        for identity in identities:
            (self._folder / f"{identity}.json").unlink(missing_ok=True)

    def redact(self, trace: Trace, text: str) -> int:
        """Replace a text in what people, the model and tools wrote, and return how often it stood there.

        An answer is JSON, in which the text may stand escaped. Names, digests and decisions stay.

        Raises:
            StorageError: the disk refused.
        """
        forms = {text, *(json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))}
        wanted = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        pattern = re.compile(rf"{_MARKS.pattern}|(?P<found>{wanted})")
        count = 0

        def replaced(match: re.Match[str]) -> str:
            nonlocal count
            count += match["found"] is not None
            return match[0] if match["found"] is None else REDACTED

        self.save(with_texts(trace, lambda value: pattern.sub(replaced, value)))
        return count

    def gold(self, skill: str, others: frozenset[str], more: Iterable[Trace] = ()) -> tuple[Seed, ...]:
        """Return the seeds that a skill's traces give, without the requests of others, such as those of suites.

        ``more`` are episodes that are not stored; one of them counts as later than any that is.
        """
        every = [*self.all(skill), *(trace for trace in more if trace.skill == skill)]
        seeds = [seed for trace in every if (seed := trace.gold()) is not None]
        latest = {request_key(seed.request): seed for seed in seeds}  # a later answer to one request counts
        return tuple(seed for key, seed in latest.items() if key not in others)


def storable(text: str) -> str:
    """Return a text as an episode keeps it: without its secrets, and without what no file can hold."""
    return masked(well_formed(text))


def with_texts(trace: Trace, change: Callable[[str], str]) -> Trace:
    """Return an episode with a change made in each text that a person, the model or a tool wrote."""
    return trace.model_copy(
        update={
            "system": change(trace.system),
            "request": change(trace.request),
            "report": None if trace.report is None else change(trace.report),
            "steps": tuple(_step_with_texts(step, change) for step in trace.steps),
        }
    )


def _step_with_texts(step: Step, change: Callable[[str], str]) -> Step:
    calls = {"call": step.call, "final": step.final}
    return step.model_copy(
        update={
            "answer": change(step.answer),
            "problems": tuple(map(change, step.problems)),
            "argv": tuple(tuple(map(change, words)) for words in step.argv),
            "output": change(step.output),
            "reply": change(step.reply),
            **{name: _call_with_texts(call, change) for name, call in calls.items()},
        }
    )


def _call_with_texts(call: Any, change: Callable[[str], str]) -> Any:
    """Return a call with its arguments changed, and any other answer changed as a whole."""
    if isinstance(call, dict) and "args" in call:
        return {**call, "args": mapped(call["args"], change)}
    return mapped(call, change)


def mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with each of its texts changed, and each number whose digits are."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        digits = json.dumps(value)
        return value if (changed := change(digits)) == digits else changed
    if isinstance(value, list | tuple):
        return [mapped(item, change) for item in value]
    return {key: mapped(item, change) for key, item in value.items()} if isinstance(value, dict) else value

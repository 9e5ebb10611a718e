"""Tasks as lines of JSON in ASCII. What all tasks of a skill share is written once, and each answer once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from skillpm.model.task import Origin, Split, Task, canonical_key
from skillpm.synth.answers import Answer

_ascii = json.JSONEncoder().encode
_ascii_text = json.encoder.encode_basestring_ascii


class TaskWriter:
    """Writes tasks of one skill on one side of the split.

    Args:
        skill: its name.
        system: the system prompt.
        split: the side.
    """

    def __init__(self, skill: str, system: str, split: Split) -> None:
        self._skill = skill
        self._system = system
        before = f"{_ascii({'role': 'system', 'content': system})}, " if system else ""
        self._beginning = f'"skill": {_ascii(skill)}, "prompt": [{before}{{"role": "user", "content": '
        self._split = _ascii(split)
        self._end = lru_cache(maxsize=1024)(self._written_end)

    def line(
        self, request: str, answer: Answer, tags: tuple[str, ...], origin: Origin, first: Sequence[Answer] = ()
    ) -> bytes:
        """Return the line of a task; ``first`` are the answers before the last one."""
        key = canonical_key(self._skill, self._system, request, answer.canonical)
        is_json = answer.text.isascii() and not isinstance(answer.expected, str)
        expected = answer.text if is_json else _ascii(answer.expected)
        end = self._end(tags, origin)
        content = _ascii_text(request)
        before = f', "first": {_ascii([one.expected for one in first])}' if first else ""
        line = f'{{"key": "{key}", {self._beginning}{content}}}], "expected": {expected}, {end}{before}}}\n'
        return line.encode("ascii")

    def _written_end(self, tags: tuple[str, ...], origin: Origin) -> str:
        return f'"split": {self._split}, "tags": {_ascii(tags)}, "origin": {_ascii(origin)}'


def read_task(line: bytes) -> Task:
    """Return the task of a line that a ``TaskWriter`` wrote, unchecked."""
    from skillpm.worker.protocol import task_of

    return task_of(json.loads(line))

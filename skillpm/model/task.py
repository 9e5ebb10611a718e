"""Seeds and tasks. A task's identity is the digest of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from skillpm.formats.document import Document, Json

Origin = Literal["seed", "rule", "suite", "trace"]
TRACE = "trace"  # tag of a seed that a person approved in use
Split = Literal["train", "held_out", "suite"]
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
_encode_text = json.encoder.encode_basestring  # what that does with a text


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, UTF-8 text."""
    return _encode(value)


def request_key(request: str) -> str:
    """Return the form in which two requests are compared: case and runs of white space do not count."""
    return " ".join(request.casefold().split())


def not_blank(text: str) -> str:
    """Return a text that says something. Raises ValueError where it has nothing but white space."""
    if not text.strip():
        raise ValueError("must not be blank")
    return text


class Message(Document):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


def skill_content(name: str, text: str) -> str:
    """Return a skill's own text as it stands in a prompt."""
    return f'<skill_content name="{name}">\n{text.strip()}\n</skill_content>'


def before_prompt(block: str, prompt: Sequence[Message]) -> tuple[Message, ...]:
    """Return a conversation whose system message begins with a block of text."""
    system = [message.content for message in prompt if message.role == "system"]
    rest = (message for message in prompt if message.role != "system")
    return (Message(role="system", content="\n\n".join(text for text in [block, *system] if text)), *rest)


@lru_cache(maxsize=64)
def _digest_of(skill: str, system: str) -> hashlib._Hash:
    """Return the digest of the beginning of the list that a key is the digest of."""
    beginning = f"{canonical_json([skill, system])[:-1]},"
    return hashlib.sha256(beginning.encode("utf-8", "surrogatepass"))


def task_key(skill: str, system: str, request: str, expected: Any) -> str:
    """Return the digest of a task of one request."""
    return canonical_key(skill, system, request, canonical_json(expected))


def canonical_key(skill: str, system: str, request: str, expected: str) -> str:
    """Return the same where the expected answer is canonical JSON already."""
    digest = _digest_of(skill, system).copy()  # of what all tasks of a skill have in common
    digest.update(f"{_encode_text(request)},{expected}]".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


@lru_cache(maxsize=64)
def _system_message(content: str) -> Message:
    return Message.made(role="system", content=content)


class Seed(Document):
    """One hand-written example of a skill: a request and its expected answer."""

    id: str | None = None
    request: Annotated[str, Field(min_length=1, max_length=8192), AfterValidator(not_blank)]
    expected: Json
    tags: tuple[str, ...] = ()


class Task(Document):
    """One problem: what is asked, what is expected, and which side of the split it is on.

    Attributes:
        first: the right answers before the expected one, where a skill's environment is asked before it is answered.
    """

    key: str
    skill: str
    prompt: tuple[Message, ...]
    expected: Json
    split: Split
    tags: tuple[str, ...] = ()
    origin: Origin
    first: tuple[Json, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        skill: str,
        system: str,
        request: str,
        expected: Any,
        split: Split,
        origin: Origin,
        tags: tuple[str, ...] = (),
        first: tuple[Any, ...] = (),
    ) -> Task:
        """Build a task of one request; the key is the digest of (skill, system, request, expected)."""
        user = Message.made(role="user", content=request)
        return cls.made(
            key=task_key(skill, system, request, expected),
            skill=skill,
            prompt=(_system_message(system), user) if system else (user,),
            expected=expected,
            split=split,
            tags=tags,
            origin=origin,
            first=first,
        )

    @property
    def request(self) -> str:
        """The last thing the user said."""
        return self.prompt[-1].content

"""Completions on disk: asked for once, and nothing that decides them is left out of their key."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from skillpm.agent.completion_cache import CachedPolicy
from skillpm.errors import StorageError
from skillpm.model.ports import Completion
from skillpm.model.task import Message


class Counting:
    """Answers with the number of the question, and breaks off where it is told to."""

    def __init__(self, name: str = "counting", breaks_at: int = 1000, **settings: str) -> None:
        self.name, self.settings, self.asked, self.breaks_at = name, settings, 0, breaks_at

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        for place, prompt in reversed(list(enumerate(prompts))):
            if self.asked == self.breaks_at:
                raise KeyboardInterrupt
            self.asked += 1
            yield place, Completion(f"{prompt[-1].content} \ud800", 7, self.asked, "stop")


def prompts(*texts: str) -> list[list[Message]]:
    return [[Message(role="user", content=text)] for text in texts]


def test_a_prompt_is_asked_once_and_an_interrupted_command_goes_on(tmp_path: Path) -> None:
    file, policy = tmp_path / "a/completions.sqlite", Counting(breaks_at=2)
    with pytest.raises(KeyboardInterrupt):
        list(CachedPolicy(policy, file).complete(prompts("a", "b", "c"), max_new_tokens=5))
    policy.breaks_at = 1000
    again = dict(CachedPolicy(policy, file).complete(prompts("a", "b", "c"), max_new_tokens=5))
    assert policy.asked == 3 and [again[place].text for place in range(3)] == ["a \ufffd", "b \ufffd", "c \ufffd"]
    assert dict(CachedPolicy(policy, file).complete(prompts("c", "a"), max_new_tokens=5))[0] == again[2]
    assert policy.asked == 3


def test_another_model_setting_prompt_or_bound_is_another_question(tmp_path: Path) -> None:
    file = tmp_path / "completions.sqlite"
    policies = [Counting(), Counting("other"), Counting(dtype="bfloat16")]
    for policy in policies:
        list(CachedPolicy(policy, file).complete(prompts("a"), max_new_tokens=5))
        list(CachedPolicy(policy, file).complete(prompts("a"), max_new_tokens=6))
        list(CachedPolicy(policy, file).complete(prompts("A"), max_new_tokens=6))
    assert [policy.asked for policy in policies] == [3, 3, 3]


def test_a_damaged_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "completions.sqlite"
    file.write_bytes(b"no database" * 500)
    with pytest.raises(StorageError, match=r"completions\.sqlite") as caught:
        list(CachedPolicy(Counting(), file).complete(prompts("a"), max_new_tokens=5))
    assert "remove this file" in str(caught.value.hint)


def test_a_disk_that_refuses_is_no_damage_of_the_file(tmp_path: Path) -> None:
    """The file has the answers that were paid for: nobody should be told to remove it."""
    file = tmp_path / "completions.sqlite"
    policy = CachedPolicy(Counting(), file)
    list(policy.complete(prompts("a"), max_new_tokens=5))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"cannot write .*completions\.sqlite: disk I/O error") as caught:
            list(policy.complete(prompts("b"), max_new_tokens=5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "check the disk" in str(caught.value.hint)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        list(CachedPolicy(Counting(), tmp_path / "file/answers.sqlite").complete(prompts("a"), max_new_tokens=5))

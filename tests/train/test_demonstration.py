"""An episode whose answers are all known: each is learned behind what its environment shows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from skillpm.errors import TrainingError
from skillpm.model.episode import Episode
from skillpm.model.task import Task
from skillpm.model.training import TrainRow
from skillpm.train.demonstration import demonstrations


def row(request: str, answer: str, *first: str) -> TrainRow:
    expected = {"tool": "git", "args": {}}
    task = Task.of(skill="demo", system="s", request=request, expected=expected, split="train", origin="rule")
    return TrainRow(task, answer, first=first)


def echo(episodes: Sequence[Episode]) -> list[Episode]:
    """Show each answer again; `end` ends its episode, and `fail` cannot be shown."""
    return [
        episode
        if (said := episode.completion) == "end"
        else episode.shown(f"{said}!", "error" if said == "fail" else "stop")
        for episode in episodes
    ]


def test_each_answer_stands_behind_all_that_was_answered_and_shown_before() -> None:
    rows = [row("plain", "a"), row("look", "b", "x"), row("look twice", "c", "y", "z")]

    found = [([m.content for m in one.messages], one.answer) for one in demonstrations(rows, echo)]

    assert sorted(found) == sorted(
        [
            (["s", "plain"], "a"),
            (["s", "look"], "x"),
            (["s", "look", "x", "x!"], "b"),
            (["s", "look twice"], "y"),
            (["s", "look twice", "y", "y!"], "z"),
            (["s", "look twice", "y", "y!", "z", "z!"], "c"),
        ]
    )
    roles = {tuple(m.role for m in one.messages) for one in demonstrations(rows[1:2], echo)}
    assert roles == {("system", "user"), ("system", "user", "assistant", "user")}


def test_an_environment_is_asked_for_all_episodes_of_a_turn_at_once() -> None:
    asked: list[int] = []

    def observe(episodes: Sequence[Episode]) -> list[Episode]:
        asked.append(len(episodes))
        return echo(episodes)

    [*demonstrations([row("one", "a"), row("two", "b", "x"), row("three", "c", "x", "y")], observe)]

    assert asked == [2, 1]


@pytest.mark.parametrize(
    ("first", "environment", "reason"),
    [
        ("end", True, "after `end` the environment shows nothing: the episode ends there"),
        ("fail", True, "after `fail` the environment shows nothing: fail!"),
        ("look", False, "after `look` the environment shows nothing: its skill has no environment"),
    ],
)
def test_what_nothing_is_shown_after_cannot_be_demonstrated(first: str, environment: bool, reason: str) -> None:
    with pytest.raises(TrainingError, match=f"^demo: {reason}$") as raised:
        [*demonstrations([row("look", "b", first)], echo if environment else None)]
    assert "`observe`" in (raised.value.hint or "")


def test_rows_without_first_answers_need_no_environment() -> None:
    assert [one.answer for one in demonstrations([row("one", "a"), row("two", "b")], None)] == ["a", "b"]

"""Stored answers judged again: the same bytes where the skill is the same, and what moved where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import UsageError
from skillpm.evals.asking import Asking
from skillpm.model.episode import Episode
from skillpm.ops.learning.evaluate import Evaluator, evaluate_model
from skillpm.ops.learning.rescore import Rescored, rescore, stored_skills
from skillpm.ops.learning.rollouts import RolloutRecorder
from skillpm.ops.learning.session import JudgingSession
from skillpm.storage.files import write_atomic
from tests.present import present
from tests.scripted_policy import Count, Server


@pytest.fixture
def stored(server: Server, count: Count, tmp_path: Path) -> Path:
    """The output of an evaluation in which ports 1 to 3 were answered rightly, 4 with a flag, and 50 is held out."""
    answers = {server.request(4): server.answer(4).replace("null", "true"), server.request(5): "\ud800 café"}
    policy = server.policy([1, 2, 3, 50], **answers)
    evaluator = Evaluator(server.context(), Asking(), count, lambda request, settings: policy)
    held_out = server.held_out([50])
    evaluate_model(evaluator, [server.skill], str(server.model), held_out=held_out, output=tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def run(server: Server, ready: JudgingSession, tmp_path: Path) -> Path:
    """A run folder with what was judged while it trained: two answers to one task, the second of them twice."""
    rollouts = RolloutRecorder(ready.scorer.judge, tmp_path / "rollouts.jsonl", [server.task(7)])
    rollouts.judge([Episode.answering(server.task(7), server.answer(port)) for port in (8, 7, 7)])
    evaluation = rollouts.evaluation(ready.contributions, "a model")
    write_atomic(tmp_path / "run/evals/rollouts.json", present(evaluation).text())
    write_atomic(tmp_path / "run/data/train.jsonl", server.task(7).model_dump_json() + "\n")
    return tmp_path / "run"


def test_what_was_judged_in_training_is_kept_once_and_can_be_judged_again(server: Server, run: Path) -> None:
    done = again(server, run)
    assert done.unchanged and [document.answers for document in done.documents] == [2]
    contract = server.folder / "contract.yaml"
    contract.write_text(contract.read_text().replace("{port: {type: integer}", "{port: {type: integer, maximum: 7}"))
    (moved,) = again(server, run).moved
    assert moved.before.completion == server.answer(8) and moved.before.argv and moved.after.argv is None


def again(server: Server, stored: Path, **options: Any) -> Rescored:
    context = server.context()
    return rescore(context, stored, stored_skills(context, stored, [server.name]), **options)


def test_an_unchanged_skill_gives_the_same_bytes(server: Server, stored: Path, tmp_path: Path) -> None:
    done = again(server, stored, output=tmp_path / "again")
    assert done.unchanged and not done.moves and not done.changed
    written = (tmp_path / "again" / "evaluation.json").read_bytes()
    assert written == (stored / "evaluation.json").read_bytes()


def test_of_a_changed_skill_it_is_said_what_moved(server: Server, stored: Path) -> None:
    contract = server.folder / "contract.yaml"
    contract.write_text(contract.read_text().replace("{port: {type: integer}", "{port: {type: integer, maximum: 2}"))
    done = again(server, stored)
    assert [name for name, _, _ in done.changed] == ["server"]
    moved = {item.before.request: (item.before.verdict.status, item.after.verdict.status) for item in done.moved}
    assert moved[server.request(50)] == ("passed", "errored")
    assert server.request(1) not in moved
    assert done.document()["moved"][0]["before"]["verdict"]["status"] in ("passed", "failed")


def test_what_stores_nothing_or_is_judged_by_others_is_refused(server: Server, stored: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no stored answers"):
        again(server, tmp_path)
    with pytest.raises(UsageError, match="no run or evaluation at"):
        again(server, tmp_path / "nosuch")
    other = tmp_path / "other"
    other.mkdir()
    (other / "SKILL.md").write_text("---\nname: other\ndescription: Does other things.\n---\nOther.\n")
    with pytest.raises(UsageError, match="other has judged no answer in"):
        stored_skills(server.context(), stored, [str(other)])

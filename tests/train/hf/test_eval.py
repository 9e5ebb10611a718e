"""A stage that measures: what it asks is what a policy of the same weights answers, and it changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import PluginError
from skillpm.model.episode import Episode
from skillpm.model.training import StageOutput
from skillpm.model.verdict import Judgement, Verdict
from skillpm.train.eval import Eval
from skillpm.train.hf.eval import run_eval
from skillpm.train.hf.policy import TransformersPolicy
from skillpm.train.hf.rollout import play
from skillpm.train.kinds import BUILT_IN
from skillpm.train.run_folder import RunFolder
from skillpm.train.sft import Sft
from tests.train.hf.test_stages import digest, plan_of, run

pytestmark = pytest.mark.filterwarnings("default")

SFT = Sft(kind="sft", epochs=2, batch_size=6, learning_rate=1e-2)


def measuring(name: str, **settings: Any) -> Eval:
    return Eval(kind="eval", name=name, max_new_tokens=8, **settings)


def answers_of(folder: Path, stage: str) -> list[Episode]:
    lines = (folder / f"stages/{stage}/answers.jsonl").read_text().splitlines()
    return [Episode.model_validate_json(line) for line in lines]


def passing_seven(episodes: Sequence[Episode]) -> list[Judgement]:
    """Judge by the request: those with a 7 pass, those with an 8 cannot be judged."""
    found = []
    for episode in episodes:
        request = episode.task.request
        status, score = ("passed", 1.0) if "7" in request else ("errored", None) if "8" in request else ("failed", 0.0)
        found.append(Judgement(verdict=Verdict.model_validate({"status": status, "score": score}), rewards={}))
    return found


def test_it_measures_the_weights_as_they_stand_and_leaves_them_so(tiny_model: Path, tmp_path: Path) -> None:
    before, after = measuring("before", limit=3), measuring("after", limit=2)
    plan = plan_of(before, SFT, after, held_out=10)
    assert [stage.plan.steps for stage in plan.stages] == [6, 8, 4]
    run(plan, tiny_model, tmp_path / "measured")
    run(plan_of(SFT), tiny_model, tmp_path / "alone")
    assert digest(tmp_path / "measured/stages/sft") == digest(tmp_path / "alone/stages/sft")
    folder = RunFolder(tmp_path / "measured")
    records = [folder.finished_stage(name) for name in ("before", "sft", "after")]
    assert [record and (record.adapter, record.answers, record.steps) for record in records] == [
        (None, "stages/before/answers.jsonl", 6),
        ("stages/sft/adapter", None, 8),
        (None, "stages/after/answers.jsonl", 4),
    ]
    assert not (tmp_path / "measured/stages/before/adapter").exists()
    for stage, adapter in (("before", None), ("after", tmp_path / "measured/stages/sft/adapter")):
        answers = answers_of(tmp_path / "measured", stage)
        policy = TransformersPolicy(tiny_model, adapter, dtype="float32")
        asked = dict(policy.complete([episode.task.prompt for episode in answers], max_new_tokens=8))
        assert [(one.completion, one.finish_reason) for one in answers] == [
            (asked[place].text, asked[place].finish_reason) for place in range(len(answers))
        ]
        sure = [asked[place].confidence for place in range(len(answers))]
        assert [_confidence(one) for one in answers] == pytest.approx(sure, rel=1e-4)
    texts = [[one.completion for one in answers_of(tmp_path / "measured", stage)][:2] for stage in ("before", "after")]
    assert texts[0] != texts[1]


def test_its_figures_are_of_what_could_be_judged(tiny_model: Path, tmp_path: Path) -> None:
    """Rows 24 to 28: 27 passes, 28 cannot be judged, which ends nothing."""
    log = run(plan_of(measuring("eval", limit=4), SFT, held_out=5), tiny_model, tmp_path, passing_seven)
    assert log[0] == {
        "stage": "eval", "step": 5, "errored": 1, "exact": 0.25, "score": 0.25, "exact/even": 0.0, "score/even": 0.0,
        "exact/odd": 0.5, "score/odd": 0.5,
    }  # fmt: skip


def test_a_request_that_leaves_no_room_is_not_asked(tiny_model: Path, tmp_path: Path) -> None:
    long = Eval(kind="eval", limit=1, max_new_tokens=100_000)
    run(plan_of(long, SFT, held_out=2), tiny_model, tmp_path)
    assert [(one.completion, one.finish_reason) for one in answers_of(tmp_path, "eval")] == [("", "too_long")] * 2


def test_it_goes_on_where_it_was_ended(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was answered is not asked again, and the answers are those of a run without a break."""
    asked: list[int] = []

    def counted(given: Any, model: Any, rows: Any, *rest: Any) -> Any:
        if len(asked) == 1 and not over:
            raise KeyboardInterrupt
        asked.append(len(rows))
        return play(given, model, rows, *rest)

    monkeypatch.setattr("skillpm.train.hf.eval.play", counted)
    over: list[bool] = []
    plan = plan_of(SFT, measuring("eval", limit=9, batch_size=4), held_out=6)
    with pytest.raises(KeyboardInterrupt):
        run(plan, tiny_model, tmp_path / "broken")
    over.append(True)
    run(plan, tiny_model, tmp_path / "broken")
    assert asked == [4, 2]
    run(plan, tiny_model, tmp_path / "whole")
    one, other = (tmp_path / name / "stages/eval/answers.jsonl" for name in ("broken", "whole"))
    assert one.read_bytes() == other.read_bytes()


def test_it_writes_fewer_answers_side_by_side_where_the_memory_is_not_enough(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered is not asked again, and the answers are those of a run with more memory, up to rounding."""
    asked: list[int] = []

    def starved(given: Any, model: Any, rows: Any, *rest: Any) -> Any:
        asked.append(len(rows))
        if len(asked) > 1 and len(rows) > 2:
            raise RuntimeError("out of memory")
        return play(given, model, rows, *rest)

    plan = plan_of(measuring("eval", limit=9, batch_size=4), SFT, held_out=9)
    run(plan, tiny_model, tmp_path / "whole")
    monkeypatch.setattr("skillpm.train.hf.eval.play", starved)
    log = run(plan, tiny_model, tmp_path / "starved")
    assert asked == [4, 4, 2, 2, 1] and [row["step"] for row in log if row["stage"] == "eval"] == [4, 6, 8, 9]
    one, other = (answers_of(tmp_path / name, "eval") for name in ("starved", "whole"))
    assert [_confidence(episode) for episode in one] == pytest.approx(
        [_confidence(episode) for episode in other], rel=1e-4
    )
    assert [_without_confidence(episode) for episode in one] == [_without_confidence(episode) for episode in other]


def _confidence(episode: Episode) -> float:
    assert episode.usage is not None and episode.usage.confidence is not None
    return episode.usage.confidence


def _without_confidence(episode: Episode) -> Episode:
    assert episode.usage is not None
    return episode.model_copy(update={"usage": episode.usage.model_copy(update={"confidence": None})})


def test_a_kind_that_says_that_it_does_not_train_must_not(tiny_model: Path, tmp_path: Path) -> None:
    """An adapter that moved unseen would be measured as if the stage before had left it."""

    def moving(stage: Eval, given: Any) -> StageOutput:
        next(value for value in given.model.parameters() if value.requires_grad).data.add_(1e-3)
        return run_eval(stage, given)

    plan = plan_of(SFT, measuring("eval", limit=1), held_out=2)
    trainer = replace(BUILT_IN.trainers["eval"], origin="acme 1.0", load=lambda: moving)
    changed = replace(plan, stages=(plan.stages[0], replace(plan.stages[1], trainer=trainer)))
    with pytest.raises(PluginError, match="stage eval: its kind eval says that it does not train") as caught:
        run(changed, tiny_model, tmp_path)
    assert "acme 1.0" in str(caught.value.hint)
    run(plan, tiny_model, tmp_path)
    run(plan_of(SFT), tiny_model, tmp_path / "alone")
    assert digest(tmp_path / "stages/sft") == digest(tmp_path / "alone/stages/sft"), "a resumed run has what SFT left"

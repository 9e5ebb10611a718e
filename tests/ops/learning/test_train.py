"""A whole run of a tiny real model: what it leaves, what it says of itself, and what Ctrl-C leaves."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import skillpm.train.hf  # noqa: F401  sets variables of the environment when it is first imported
from skillpm.errors import BusyError, CheckError, StorageError, TrainingError, UsageError
from skillpm.evals.asking import Asking
from skillpm.model.episode import Episode
from skillpm.model.progress import Figure
from skillpm.model.verdict import Judgement, Verdict
from skillpm.ops.context import Context
from skillpm.ops.learning import train as train_module
from skillpm.ops.learning.adapter import check_adapter, pack_adapter
from skillpm.ops.learning.answerer import Answerer
from skillpm.ops.learning.calibrate import calibrate, calibration_of
from skillpm.ops.learning.converse import Wanted, conversation, find_answerer
from skillpm.ops.learning.estimate import estimate
from skillpm.ops.learning.evaluate import Evaluator
from skillpm.ops.learning.evaluate_run import evaluate_run, trained_skills
from skillpm.ops.learning.resumption import CONFIG, DEEPSPEED, keep_launch, stored_launch
from skillpm.ops.learning.rollouts import RolloutRecorder
from skillpm.ops.learning.run_page import run_page
from skillpm.ops.learning.runs import find_run
from skillpm.ops.learning.stored_runs import compare_runs, list_runs, prune_runs
from skillpm.ops.learning.train import Trained, plan_training, recipe_of_each, resume, train
from skillpm.runtime.catalogue import build_catalogue
from skillpm.runtime.host import Host
from skillpm.settings import load_settings
from skillpm.train.kinds import BUILT_IN
from skillpm.train.launch import Launch, read_launch
from skillpm.train.model_files import model_digest
from skillpm.train.recipe import Recipe, load_recipe
from skillpm.train.run_folder import RunFolder
from tests.conftest import ROOT
from tests.random_models import TINY, save_random_model
from tests.scripted_policy import Count, Server

SYNTHESIS = {
    "synthesis": 1,
    "values": {"port": {"integers": [100, 999]}},
    "tasks": [
        {
            "name": "dev",
            "tool": "dev",
            "draw": {"port": {"from": "port"}},
            "args": {"port": "{port}"},
            "requests": ["serve on {port}", "open port {port}", "listen at {port}", "use {port}"],
        }
    ],
}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_model(tmp_path_factory.mktemp("tiny") / "a-model", TINY, gain=4)


SMALL = (
    "stages=[{kind: sft, epochs: 1, batch_size: 4}]",
    *("data.rows=8", "data.refine=0", "data.held_out=4", "data.evaluate=2", "dtype=float32"),
)


def recipe_of(server: Server, model: Path, *changes: str) -> Recipe:
    recipe = load_recipe(None, None, (*SMALL, *changes), BUILT_IN)
    folders = {"model": os.path.relpath(model), "skills": (f"./{os.path.relpath(server.folder)}",)}
    return recipe.model_copy(update=folders)


Train = Callable[..., Trained]


@pytest.fixture
def train_it(server: Server, tiny_model: Path, count: Count) -> Train:
    (server.folder / "synthesis.yaml").write_text(json.dumps(SYNTHESIS))

    def run(*changes: str) -> Trained:
        return train(server.context(), recipe_of(server, tiny_model, *changes), progress=count)

    return run


def test_a_run_ends_with_figures_and_cards_and_names_no_path_of_the_machine(
    server: Server, train_it: Train, tiny_model: Path, count: Count
) -> None:
    trained = train_it()
    evaluated = trained.evaluated
    assert evaluated is not None
    assert [(item.name, item.tasks, item.of) for item in evaluated.evaluation.task_sets] == [("held_out", 2, 4)]
    assert evaluated.report == trained.folder / "report.html"
    assert trained.manifest.rows["server"].model_dump() == {"train": 8, "refine": 8, "held_out": 4}
    handed_on = [*trained.folder.glob("**/adapter/*"), trained.folder / "card.md"]
    assert {path.name for path in handed_on} >= {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    for path in handed_on:
        assert str(tiny_model.parent).encode() not in path.read_bytes(), path
        assert str(server.root).encode() not in path.read_bytes(), path
    config = json.loads((trained.folder / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "a-model"
    card = (trained.folder / "adapter/README.md").read_text()
    assert card.startswith("---\nbase_model: a-model\n") and "| server | held_out | sft | 2 |" in card

    # what comes after: the skill is found by the folder that was typed, and the model can be asked
    context = server.context()
    (skill,) = trained_skills(context, [], trained.folder)
    answerer = find_answerer(context, skill, None, None)
    assert answerer == Answerer(str(tiny_model), trained.folder / "adapter")
    with conversation(Evaluator(context, Asking(max_new_tokens=4), count), skill, Wanted(answerer)) as ask:
        trace = ask("serve on 500").run()
    assert trace.outcome == "invalid" and trace.steps[0].problems and len(trace.adapter or "") == 64


def test_thresholds_come_from_enough_answers_and_hold_for_the_content_that_was_evaluated(
    server: Server, train_it: Train, tmp_path: Path
) -> None:
    """A package carries them, for its own weights alone."""
    run, context = train_it().folder, server.context()
    (skill,) = trained_skills(context, [], run)
    with pytest.raises(CheckError, match="73 answers are needed to know that 95% are right, and server has 2"):
        calibrate(context, run, 0.95)
    ours = Answerer.of_run(run)
    assert calibration_of(context, ours, skill) is None
    (file,) = run.glob("evals/*/evaluation.json")
    document = json.loads(file.read_text())
    (record, _) = document["arms"][0]["records"]
    assert 0 < record["confidence"] <= 1, "a local model tells how sure it was"
    passed = {"status": "passed", "score": 1.0}
    right = {**record, "exact": True, "verdict": passed, "confidence": 0.75, "tags": []}
    records = [{**right, "task": str(number)} for number in range(80)]
    document["arms"][0] |= {"records": records, "contents": None}
    document["evaluation"] = 4  # the last version that did not tell of changed tasks
    file.write_text(json.dumps(document))
    _, stored = calibrate(context, run, 0.95)
    assert stored == file.with_name("calibration.json") and find_answerer(context, skill, None, None).run == run
    found = calibration_of(context, ours, skill)
    assert found is not None and [found.decide(value) for value in (0.75, 0.74)] == ["act", "confirm"]
    assert calibration_of(context, ours, replace(skill, tree="0" * 64)) is None
    assert "calibrated on other content of server" in context.notices[-1]

    pack_adapter(run, tmp_path / "packed")
    assert calibration_of(context, Answerer(ours.model, tmp_path / "packed"), skill) == found
    checked = check_adapter(context, tmp_path / "packed").calibration
    assert checked is not None and checked.skills["server"] == found
    weights = tmp_path / "packed/adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert calibration_of(context, Answerer(ours.model, tmp_path / "packed"), skill) is None
    assert "has the thresholds of other weights" in context.notices[-1]


def test_a_recipe_can_leave_the_evaluation_out(train_it: Train) -> None:
    trained = train_it("data.evaluate=0")
    assert trained.evaluated is None and not (trained.folder / "report.html").exists()
    assert "Not evaluated yet." in (trained.folder / "card.md").read_text()


MEASURED = "stages=[{kind: eval}, {kind: sft, epochs: 1, batch_size: 4}, {kind: eval, name: after, limit: 3}]"


def test_what_stages_were_answered_that_measure_is_the_evaluation_of_the_run(
    server: Server, train_it: Train, count: Count, tmp_path: Path
) -> None:
    """They are arms of the weights that they measured, of samples that share tasks, and the run's adapter is SFT's."""
    trained = train_it(MEASURED)
    settings, manifest, evaluated = server.context().settings, trained.manifest, trained.evaluated
    assert evaluated is not None and (manifest.last, list(manifest.adapters)) == ("sft", ["sft"])
    base, sft = evaluated.evaluation.arms
    assert [(arm.name, arm.adapter, len(arm.records)) for arm in (base, sft)] == [
        ("base", None, 2),
        ("sft", "stages/sft/adapter", 3),
    ]
    assert {item.task for item in base.records} < {item.task for item in sft.records}
    assert all(0 < (item.confidence or 0) < 1 for arm in (base, sft) for item in arm.records), "for `calibrate`"
    assert sft.settings["dtype"] == "float32" and sft.settings["max_new_tokens"] == 128
    assert [(item.tasks, item.of) for item in evaluated.evaluation.task_sets] == [(3, 4)]
    assert not (trained.folder / "evals/rollouts.json").exists()
    assert "| after | eval | 3 |" in (trained.folder / "card.md").read_text()
    (run,) = list_runs(settings)
    assert list(run.exact) == ["server held_out"] and run.stages == {"eval": 2, "sft": 2, "after": 3}
    assert "after</th><td>eval</td>" in run_page(settings, trained.folder)
    pack_adapter(trained.folder, tmp_path / "packed")
    packed = check_adapter(server.context(), tmp_path / "packed").release
    assert [figure.arm for figure in packed.evaluation] == ["base", "sft"]

    context = server.context()
    evaluator = Evaluator(context, Asking(limit=1, max_new_tokens=4), count)
    asked = evaluate_run(evaluator, trained_skills(context, [], trained.folder), trained.folder).evaluation
    assert [arm.name for arm in asked.arms] == ["base", "sft"], "the one is taken from before, the other asked again"


def test_a_dry_run_has_the_time_of_as_many_rows_and_answers(
    server: Server, train_it: Train, tiny_model: Path, count: Count
) -> None:
    """However many answers an `eval` stage writes side by side, each of them is one."""
    path = train_it(MEASURED).folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for stage, seconds in zip(manifest["stages"], (10.0, 8.0, 15.0), strict=True):  # 5 an answer, 1 a row
        stage["seconds"] = seconds
    path.write_text(json.dumps(manifest))
    stages = "stages=[{kind: eval, batch_size: 4, limit: 4}, {kind: sft, epochs: 3, batch_size: 2}]"
    plan = plan_training(server.context(), recipe_of(server, tiny_model, stages), progress=count)
    found = estimate(server.context().settings, plan, None)
    assert (found.run, found.seconds) == (path.parent.name, 4 * 5 + 24)


def test_a_process_that_has_a_share_of_the_model_takes_less(
    server: Server, train_it: Train, tiny_model: Path, count: Count
) -> None:
    """A stage that samples needs the whole model beside it."""
    for stages, whole in (("stages=[{kind: sft}]", 0), ("stages=[{kind: sft}, {kind: eval}]", 1)):
        plan = plan_training(server.context(), recipe_of(server, tiny_model, "tune=full", stages), progress=count)
        one, two = (
            estimate(server.context().settings, plan, launch) for launch in (None, Launch(2, sharded=True, on_cpu=True))
        )
        assert one.weights and one.trained and two.command
        assert (two.weights, two.trained) == (one.weights // 2 + whole * one.weights, one.trained // 2)


def test_an_adapter_goes_on_to_be_asked_as_it_was(train_it: Train) -> None:
    first = train_it('chat_template_kwargs={"style": "terse"}', "data.evaluate=0").folder
    second = train_it(f"adapter={first}", "data.evaluate=0").folder
    third = train_it(f"adapter={first}", 'chat_template_kwargs={"style": "long"}', "data.evaluate=0").folder
    for folder, style in ((second, "terse"), (third, "long")):
        assert json.loads((folder / "adapter/chat_template_kwargs.json").read_text()) == {"style": style}
        assert load_recipe(Path("r"), (folder / "recipe.yaml").read_text(), (), BUILT_IN).chat_template_kwargs == {
            "style": style
        }


@pytest.mark.parametrize(
    ("tune", "one", "by_stage"), [("full", 3, {1: 1 + 3 / 2, 2: 4 / 2}), ("lora", 4, {1: 2 + 3 / 2})]
)
def test_processes_that_share_an_optimiser_keep_their_part_of_it(
    server: Server, train_it: Train, tiny_model: Path, count: Count, tune: str, one: int, by_stage: dict[int, float]
) -> None:
    """Whole are the weights and, in stage 1, their gradients; shared are two moments, and a copy of the weights."""
    plan = plan_training(
        server.context(), recipe_of(server, tiny_model, f"tune={tune}", "stages=[{kind: sft}]"), progress=count
    )
    alone = estimate(server.context().settings, plan, None)
    for stage, numbers in by_stage.items():
        found = estimate(server.context().settings, plan, Launch(2, zero={"stage": stage}))
        assert alone.trained and found.trained == alone.trained // one * numbers
        assert found.weights == alone.weights


def test_the_last_stage_is_asked_unless_it_measures(train_it: Train) -> None:
    evaluated = train_it("stages=[{kind: eval, limit: 3}, {kind: sft, epochs: 1, batch_size: 4}]").evaluated
    assert evaluated is not None
    assert [(arm.name, len(arm.records)) for arm in evaluated.evaluation.arms] == [("base", 3), ("sft", 2)]


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), TrainingError("out of memory")])
def test_what_was_measured_is_evaluated_though_the_last_adapter_cannot_be_asked(
    train_it: Train, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(Evaluator, "policy", fail)
    trained = train_it("stages=[{kind: eval, limit: 3}, {kind: sft, epochs: 1, batch_size: 4}]")
    assert trained.interrupted is isinstance(failure, KeyboardInterrupt)
    (evaluation,) = RunFolder.open(trained.folder).manifest.evaluations
    assert {figure.arm for figure in evaluation.figures} == {"base"} and (trained.folder / "report.html").is_file()


def test_what_was_measured_is_evaluated_though_nothing_is_asked_at_the_end(train_it: Train) -> None:
    evaluated = train_it(
        "data.evaluate=0", "stages=[{kind: eval, limit: 3}, {kind: sft, epochs: 1, batch_size: 4}]"
    ).evaluated
    assert evaluated is not None and [arm.name for arm in evaluated.evaluation.arms] == ["base"]


def test_a_run_whose_model_cannot_be_evaluated_is_finished(
    server: Server, tiny_model: Path, count: Count, train_it: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise TrainingError("out of memory")

    monkeypatch.setattr(train_module, "evaluate_trained", broken)
    context = server.context()
    trained = train(context, recipe_of(server, tiny_model), progress=count)
    assert (trained.folder / "manifest.json").is_file() and trained.evaluated is None
    assert any("could not be evaluated: out of memory" in notice for notice in context.notices)


def test_an_outage_names_the_skill_as_it_is_typed(
    server: Server, train_it: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Judgement(verdict=Verdict.errored("the worker died"))
    monkeypatch.setattr(RolloutRecorder, "judge", lambda _, episodes: [outage] * len(episodes))
    with pytest.raises(TrainingError, match="the worker died") as caught:
        train_it("stages=[{kind: grpo, steps: 1, prompts: 2, generations: 2, max_new_tokens: 4}]", "data.refine=4")
    assert f"`skillpm selftest {server.folder.resolve()}`" in str(caught.value.hint)


def test_ctrl_c_says_how_the_run_goes_on(server: Server, tiny_model: Path, train_it: Train) -> None:
    class Interrupting(Count):
        def start(self, title: str, total: int | None) -> None:
            if title == "more (sft)":
                raise KeyboardInterrupt

    context = server.context()
    stages = "stages=[{kind: sft, epochs: 1, batch_size: 4}, {kind: sft, name: more, epochs: 1, batch_size: 4}]"
    with pytest.raises(KeyboardInterrupt, match=r"`skillpm train --resume \S+-run` goes on"):
        train(context, recipe_of(server, tiny_model, stages), progress=Interrupting())


def test_a_place_that_takes_no_run_is_said_first(server: Server, tmp_path: Path, count: Count) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make a folder in"):
        train(server.context(), recipe_of(server, tmp_path / "no-model"), progress=count, runs=tmp_path / "file")


@pytest.mark.parametrize(
    "change", ["data.rules=nowhere.yaml", "data.failures=nowhere", 'data.rephrase={"model": "nowhere.jsonl"}']
)
def test_what_rows_are_made_of_is_looked_at_before_the_model_is_loaded(
    server: Server, tmp_path: Path, count: Count, change: str
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/config.json").write_text("no")
    with pytest.raises(UsageError, match="nowhere"):
        train(server.context(), recipe_of(server, tmp_path / "broken", change), progress=count)


def test_a_length_that_takes_the_words_of_a_row_and_not_its_tokens_is_refused_before_there_are_rows(
    server: Server, tiny_model: Path
) -> None:
    """The hint gives a length that takes them."""

    class Titles(Count):
        def start(self, title: str, total: int | None) -> None:
            raise AssertionError(f"{title} has begun")

    (server.folder / "synthesis.yaml").write_text(json.dumps(SYNTHESIS))
    for stage, length in (("sft", 40), ("dpo", 40)):
        recipe = recipe_of(server, tiny_model, f"stages=[{{kind: {stage}, max_length: {length}}}]")
        with pytest.raises(UsageError, match=f"stage {stage}: no row fits into {length} tokens: .* tokens or") as error:
            train(server.context(), recipe, progress=Titles())
        assert error.value.hint == f"--set stages.{stage}.max_length=512", "the model reads no more"
    assert not (server.root / "runs").exists()


class Ending(Count):
    """Ctrl-C at the end of a stage's first step."""

    def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
        if any(figure.name == "loss" for figure in figures):
            raise KeyboardInterrupt


@pytest.fixture
def ended(server: Server, tiny_model: Path, train_it: Train) -> Path:
    """Return the folder of a run that was ended."""
    (server.root / "skillpm.lock").write_text('{"lock": 1}')
    with pytest.raises(KeyboardInterrupt):
        train(server.context(), recipe_of(server, tiny_model), progress=Ending())
    (folder,) = (server.root / "runs").iterdir()
    return folder


def test_a_run_that_was_ended_goes_on_and_is_finished(server: Server, ended: Path, count: Count) -> None:
    settings = server.context().settings
    assert find_run(settings, Path("latest"), unfinished=True) == ended
    with pytest.raises(UsageError, match="has no finished run"):
        find_run(settings, Path("latest"))
    assert "Training run, unfinished" in run_page(settings, ended)
    with RunFolder(ended).in_use():
        assert list_runs(settings)[0].state == "training"
        with pytest.raises(BusyError, match="another skillpm trains in"):
            resume(server.context(), ended, progress=count)
        with pytest.raises(UsageError, match="is being trained"):
            prune_runs(settings, [ended], unfinished=False, keep=None, dry_run=False)
    done = resume(server.context(), ended, progress=count)
    assert done.folder == ended and [stage.steps for stage in done.manifest.stages] == [2]
    assert "start.json" in done.manifest.files and ".training" not in done.manifest.files
    with pytest.raises(UsageError, match="is finished"):
        resume(server.context(), ended, progress=count)
    (run,) = list_runs(settings)
    assert (run.state, run.stages, run.skills) == ("finished", {"sft": 2}, {"server": "1.0.0"})
    assert "Training run, finished" in (page := run_page(settings, ended)) and "SFT: loss" in page
    assert compare_runs(settings, ended, ended).differences == {}
    assert prune_runs(settings, [], unfinished=True, keep=1, dry_run=False).removed == ()
    assert prune_runs(settings, [], unfinished=False, keep=0, dry_run=False).removed == (ended.name,)
    assert list_runs(settings) == []


@pytest.mark.parametrize("changed", ["skillpm.lock", "data/train.jsonl", "recipe.yaml", "the skill server", "model"])
def test_a_run_whose_lock_data_skill_or_model_changed_is_not_resumed(
    server: Server, tiny_model: Path, tmp_path: Path, ended: Path, count: Count, changed: str
) -> None:
    """Both digests are named, and nothing is changed."""
    if changed == "skillpm.lock":
        (server.root / changed).write_text('{"lock": 1, "skills": []}')
    elif changed == "the skill server":
        (server.folder / "SKILL.md").write_text((server.folder / "SKILL.md").read_text() + "More.\n")
    elif changed == "model":
        other = tmp_path / "other"
        shutil.copytree(tiny_model, other)
        (other / "generation_config.json").write_text("{}")
        start = json.loads((ended / "start.json").read_text())
        text = (ended / "recipe.yaml").read_text().replace(str(tiny_model), str(other))
        (ended / "recipe.yaml").write_text(text)
        start["files"]["recipe.yaml"] = hashlib.sha256(text.encode()).hexdigest()
        (ended / "start.json").write_text(json.dumps(start))
    else:
        with (ended / changed).open("a") as file:
            file.write("\n")
    with pytest.raises(UsageError, match=f"{changed} has changed: its digest is .{{64}}, the run began with .{{64}}"):
        resume(server.context(), ended, progress=count)
    assert not (ended / "manifest.json").exists()


def test_a_run_keeps_the_file_of_deepspeed_and_goes_on_by_it(server: Server, ended: Path, count: Count) -> None:
    named, config = server.root / "zero.json", server.root / "zero.yaml"
    named.write_text('{"zero_optimization": {"stage": 1}}')
    own = f"deepspeed_config: {{deepspeed_config_file: {named}}}"
    config.write_text(f"distributed_type: DEEPSPEED\nnum_processes: 2\n{own}\n")
    folder = RunFolder(ended)
    keep_launch(folder, read_launch(None, config))
    files = {**folder.start.files, **folder.digests([CONFIG, DEEPSPEED])}
    folder.begin(start := folder.start.model_copy(update={"files": files}))
    for text in ("{", '{"zero_optimization": {"stage": 2}}'):  # the next run's
        named.write_text(text)
        launch = stored_launch(folder, start, 2, None)
        assert launch is not None and launch.zero == {"stage": 1}
    launch = stored_launch(folder, start, 2, config)
    assert launch is not None and launch.zero == {"stage": 2}, "a file that is typed is the one that counts"
    (ended / DEEPSPEED).write_text(named.read_text())
    with pytest.raises(UsageError, match=f"{DEEPSPEED} has changed: its digest is .{{64}}, the run began with .{{64}}"):
        resume(server.context(), ended, progress=count)


def test_an_adapter_that_cannot_be_saved_is_kept_elsewhere(
    server: Server, tiny_model: Path, train_it: Train, count: Count
) -> None:
    """And the run goes on when there is room again."""

    class Blocking(Count):
        def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
            for stage in server.root.glob("runs/*/stages/sft"):
                if not (stage / ".adapter").is_symlink():
                    (stage / ".adapter").symlink_to("/proc/nowhere/adapter")

    with pytest.raises(StorageError, match="the weights are in") as error:
        train(server.context(), recipe_of(server, tiny_model), progress=Blocking())
    place = Path(error.value.message.rpartition(" ")[2])
    assert (place / "adapter_model.safetensors").stat().st_size > 1000
    shutil.rmtree(place)
    (folder,) = (server.root / "runs").iterdir()
    (folder / "stages/sft/.adapter").unlink()
    assert resume(server.context(), folder, progress=count).manifest.stages[0].steps == 2


def test_a_resumed_run_has_the_answers_that_were_judged_before(server: Server, tmp_path: Path) -> None:
    """Also if the process was killed while it wrote the last one."""
    path, task = tmp_path / "rollouts.jsonl", server.task(7)

    def judge(episodes: Sequence[Episode]) -> list[Judgement]:
        return [Judgement(verdict=Verdict(status="failed", score=0.5), rewards={}) for _ in episodes]

    first = RolloutRecorder(judge, path, [task])
    first.judge([Episode.answering(task, "one"), Episode.answering(task, "one")])
    with path.open("a") as file:
        file.write('{}\n{"task": "cut')
    again = RolloutRecorder(judge, path, [task])
    again.judge([Episode.answering(task, text) for text in ("one", "two")])
    whole = RolloutRecorder(judge, path, [task]).evaluation(build_catalogue([server.skill], Host()), "m")
    assert whole is not None and [record.completion for record in whole.arms[0].records] == ["one", "two"]


def test_a_recipe_begins_from_an_adapter_of_the_same_model(
    server: Server, tiny_model: Path, train_it: Train, tmp_path: Path, count: Count
) -> None:
    first = train_it("data.evaluate=0")
    again = train_it("data.evaluate=0", f"adapter={first.folder.name}")
    assert again.manifest.settings["adapter_digest"] == model_digest(first.folder / "adapter")
    assert compare_runs(server.context().settings, first.folder, again.folder).differences == {
        "recipe.adapter": ("", first.folder.name)
    }
    config = first.folder / "adapter/adapter_config.json"
    config.write_text(config.read_text().replace('"a-model"', '"another/model"'))
    for adapter, reason in ((first.folder, "is one of another/model, not of a-model"), (tmp_path, "no adapter at")):
        with pytest.raises(UsageError, match=reason):
            train_it(f"adapter={adapter}")
        with pytest.raises(UsageError, match=reason):
            plan_training(server.context(), recipe_of(server, tiny_model, f"adapter={adapter}"), progress=count)


def two_skills(server: Server) -> tuple[str, str]:
    (server.folder / "synthesis.yaml").write_text(json.dumps(SYNTHESIS))
    other = server.folder.with_name("client")
    shutil.copytree(server.folder, other)
    file = other / "SKILL.md"
    file.write_text(file.read_text().replace("name: server", "name: client"))
    return str(server.folder), str(other)


def test_each_skill_gets_the_recipe_with_its_own_share_and_its_name(server: Server, tiny_model: Path) -> None:
    skills = two_skills(server)
    whole = recipe_of(server, tiny_model, "data.caps={server: 4}", "data.weights={client: 2, server: 1}", "seed=3")
    whole = whole.model_copy(update={"skills": skills})
    first, second = recipe_of_each(server.context(), whole)
    assert [(one.name, one.skills, one.seed) for one in (first, second)] == [
        ("server", skills[:1], 3),
        ("client", skills[1:], 3),
    ]
    assert (first.data.caps, second.data.caps, second.data.weights) == ({"server": 4}, {}, {"client": 2})
    named = whole.model_copy(update={"name": "night"})
    assert [one.name for one in recipe_of_each(server.context(), named)] == ["night-server", "night-client"]


def test_rows_can_follow_other_rules_alone(server: Server, tiny_model: Path, count: Count) -> None:
    """Of a file as it is typed, or of the skill."""
    (server.folder / "synthesis.yaml").write_text(json.dumps(SYNTHESIS))
    looking = json.dumps(SYNTHESIS).replace('"name": "dev"', '"name": "look", "tags": ["look"]')
    typed = server.root / "typed.yaml"
    for path, words in ((server.folder / "looking.yaml", "looking.yaml"), (typed, str(typed))):
        path.write_text(looking)
        plan = plan_training(server.context(), recipe_of(server, tiny_model, f"data.rules={words}"), progress=count)
        assert {row.task.tags[:2] for row in plan.material.train} == {("rule:look", "look")}
    with pytest.raises(UsageError, match=r"there is no file lost\.yaml, here or in server"):
        plan_training(server.context(), recipe_of(server, tiny_model, "data.rules=lost.yaml"), progress=count)


def test_first_answers_need_an_environment(server: Server, tiny_model: Path, count: Count) -> None:
    rules = json.loads(json.dumps(SYNTHESIS))
    rules["tasks"][0]["first"] = [rules["tasks"][0]["args"]]
    (server.folder / "synthesis.yaml").write_text(json.dumps(rules))
    with pytest.raises(UsageError, match="answers that come `first`, and no skill of this run has an environment"):
        plan_training(server.context(), recipe_of(server, tiny_model), progress=count)


@pytest.mark.slow
def test_one_adapter_a_skill_learns_what_a_run_of_that_skill_learns_and_one_for_all_does_not(
    server: Server, tiny_model: Path, count: Count
) -> None:
    """The same steps and rows in all; each adapter of its own is as large as the one for all."""
    skills, context = two_skills(server), server.context()
    whole = recipe_of(server, tiny_model, "data.evaluate=0").model_copy(update={"skills": skills})
    alone = whole.model_copy(update={"skills": skills[:1]})
    runs = [train(context, recipe, progress=count) for recipe in (whole, *recipe_of_each(context, whole), alone)]
    joint, first, second, single = (run.folder / "adapter/adapter_model.safetensors" for run in runs)
    assert first.read_bytes() == single.read_bytes()
    assert len({path.read_bytes() for path in (joint, first, second)}) == 3
    assert joint.stat().st_size == first.stat().st_size == second.stat().st_size
    assert [sorted(run.manifest.rows) for run in runs[:3]] == [["client", "server"], ["server"], ["client"]]
    steps = [run.manifest.stages[0].steps for run in runs[:3]]
    assert steps[0] == steps[1] + steps[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_process_that_is_killed_or_interrupted_goes_on_to_the_same_bytes(
    server: Server, tiny_model: Path, tmp_path: Path, train_it: Train
) -> None:
    """SIGKILL at once; Ctrl-C after the step, with exit 130 and the command that goes on."""
    changes = ["data.rows=24", "data.held_out=4", "data.evaluate=0", "data.refine=0", "dtype=float32"]
    changes += ["stages=[{kind: sft, epochs: 8, batch_size: 2}]", "checkpoint_seconds=0.2"]
    words = ["train", str(server.folder), "--model", str(tiny_model), "--yes"]
    words += [word for change in changes for word in ("--set", change)]
    home = {"SKILLPM_HOME": str(server.root / "home"), "SKILLPM_NO_PLUGINS": "1", "OMP_NUM_THREADS": "1"}

    said = tmp_path / "said"

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "skillpm", *arguments]
        environment = {**os.environ, **home, "PYTHONPATH": str(ROOT)}
        with said.open("w") as file:
            return subprocess.Popen(command, cwd=server.root, env=environment, stdout=file, stderr=file)

    straight = start(*words)
    assert straight.wait(300) == 0, said.read_text()
    (first,) = (server.root / "runs").iterdir()
    going = start(*words)
    for signal_number, code, wanted in ((signal.SIGKILL, -9, 5), (signal.SIGINT, 130, 30)):
        reached = 0
        while reached < wanted and going.poll() is None:
            runs = [path for path in (server.root / "runs").iterdir() if path != first]
            logs = [path / "metrics.jsonl" for path in runs if list(path.glob("stages/sft/work/checkpoint-*"))]
            reached = sum(len(path.read_text().splitlines()) for path in logs if path.is_file())
            time.sleep(0.05)
        going.send_signal(signal_number)
        assert going.wait(300) == code, said.read_text()
        last = said.read_text()
        going = start("train", "--resume", "latest", "--yes")
    assert f"interrupted: `skillpm train --resume {runs[0].name}` goes on" in last
    assert going.wait(300) == 0
    adapters = [(path / "adapter/adapter_model.safetensors").read_bytes() for path in (first, runs[0])]
    assert adapters[0] == adapters[1]


def test_a_skill_without_anything_to_hold_out_is_refused_with_the_reason(server: Server, count: Count) -> None:
    seeds = [{"request": f"serve on {port}", "expected": server.gold(port)} for port in range(20, 26)]
    (server.folder / "seeds").mkdir()
    (server.folder / "seeds/examples.jsonl").write_text("".join(json.dumps(seed) + "\n" for seed in seeds))
    with pytest.raises(CheckError, match="server: held-out: 0 of 4 rows: nothing in the skill makes any") as error:
        plan_training(server.context(), recipe_of(server, server.model), progress=count)
    assert "--set data.held_out=0" in (error.value.hint or "")
    plan = plan_training(server.context(), recipe_of(server, server.model, "data.held_out=0"), progress=count)
    assert "server: train: 6 of 8 rows: nothing in the skill makes any" in plan.notes


def test_without_a_run_it_is_said_how_to_have_one(server: Server) -> None:
    with pytest.raises(UsageError, match="no run here has trained server"):
        find_answerer(server.context(), server.skill, None, None)


def test_a_model_of_the_hub_is_not_called_ready_when_nobody_could_look(tmp_path: Path) -> None:
    from skillpm.errors import RegistryError
    from skillpm.ops.learning.models import ready_model

    environment = {"SKILLPM_HOME": str(tmp_path), "SKILLPM_OFFLINE": "1"}
    settings = Context(load_settings(project=tmp_path, environment=environment)).settings
    with pytest.raises(RegistryError, match="nobody/nothing is not in the cache"):
        ready_model("nobody/nothing", settings)

"""The three use cases, with a scripted policy in place of a model and everything else real."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import ConsentError, DocumentError, TrainingError, UnknownSkillError, UsageError
from skillpm.evals.asking import Asking
from skillpm.evals.caveats import caveats
from skillpm.evals.figures import figures
from skillpm.evals.summary import arm_table, metric_table
from skillpm.model.evaluation import Evaluation
from skillpm.model.ports import Completion, Policy
from skillpm.model.run import RunManifest, RunSkill, RunStage
from skillpm.model.task import Message
from skillpm.ops.context import Context
from skillpm.ops.learning import evaluate as evaluate_module
from skillpm.ops.learning.answer_rows import Answered, answer_rows
from skillpm.ops.learning.answerer import Answerer
from skillpm.ops.learning.blind import read_spent
from skillpm.ops.learning.evaluate import Evaluated, Evaluator, evaluate_model
from skillpm.ops.learning.evaluate_run import evaluate_run, trained_skills
from skillpm.ops.learning.models import PolicyFactory, PolicyRequest, load_policy
from skillpm.ops.learning.report import read_evaluation, stored_evaluation
from skillpm.train.run_folder import RunFolder
from skillpm.trust.consent import Consents
from tests.present import present
from tests.scripted_policy import Count, ScriptedPolicy, Server

EvaluateIt = Callable[..., Evaluated]
AnswerThem = Callable[..., Answered]


class Policies:
    """A factory: ``base`` for no adapter, else the name of the stage; ``asked`` holds what was wanted."""

    def __init__(self, **by_adapter: Policy) -> None:
        self.asked: list[PolicyRequest] = []
        self._by_adapter = by_adapter

    def __call__(self, request: PolicyRequest, context: Context) -> Policy:
        self.asked.append(request)
        return self._by_adapter["base" if request.adapter is None else request.adapter.parent.name]


@pytest.fixture
def evaluate_it(server: Server, count: Count) -> EvaluateIt:
    """``evaluate_it(right, **options) -> Evaluated`` of the server skill."""

    def run(
        right: Sequence[int] = (),
        *,
        skills: Sequence[str] | None = None,
        model: str | None = None,
        asking: Asking | None = None,
        **options: Any,
    ) -> Evaluated:
        evaluator = Evaluator(server.context(), asking or Asking(), count, Policies(base=server.policy(right)))
        chosen = evaluator.context.skills([server.name] if skills is None else skills)
        return evaluate_model(evaluator, chosen, model or str(server.model), **options)

    return run


# --- a model -------------------------------------------------------------------------------------------------------


def test_a_model_is_asked_the_suites_and_the_held_out_tasks(
    server: Server, evaluate_it: EvaluateIt, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    found = evaluate_it([1, 2, 3, 50], held_out=server.held_out([50, 51]), output=out)
    rows = {row.task_set.name: row.cells["base"] for row in figures(found.evaluation)}
    assert (rows["held_out"].asked, present(rows["held_out"].exact).estimate) == (2, 0.5)
    assert (rows["handwritten"].asked, present(rows["handwritten"].exact).estimate) == (12, 0.25)
    assert Evaluation.parse((out / "evaluation.json").read_text(), path="x") == found.evaluation
    assert "<!doctype html>" in (out / "report.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_the_arm_with_the_skills_text_asks_the_same_tasks_with_another_prompt(server: Server, count: Count) -> None:
    policy = server.policy([1])
    evaluator = Evaluator(server.context(), Asking(skill_text=True), count, Policies(base=policy))
    found = evaluate_model(evaluator, [server.skill], str(server.model))
    base, with_text = found.evaluation.arms
    assert [record.key for record in base.records] == [record.key for record in with_text.records]
    assert (base.skill_text, with_text.skill_text) == (False, True)
    assert sum("Ports are numbers." in prompt[0].content for prompt in policy.prompts) == 12


class HeldPolicy(ScriptedPolicy):
    """Answers rightly only where it is held to a schema."""

    def __init__(self, server: Server) -> None:
        super().__init__({})
        self._server = server
        self.schemas: list[Mapping[str, Any]] = []

    def constrained(self, schema: Mapping[str, Any]) -> ScriptedPolicy:
        self.schemas.append(schema)
        return self._server.policy(range(1, 13))


def test_an_arm_held_to_the_contract_stands_behind_the_free_one(server: Server, count: Count) -> None:
    policy = HeldPolicy(server)
    evaluator = Evaluator(server.context(), Asking(constrain="contract"), count, lambda request, settings: policy)
    evaluation = evaluate_model(evaluator, [server.skill], str(server.model)).evaluation
    assert [(arm.name, arm.constrained) for arm in evaluation.arms] == [("base", False), ("base+grammar", True)]
    (row,) = figures(evaluation)
    assert [present(row.cells[arm.name].exact).estimate for arm in evaluation.arms] == [0, 1]
    assert policy.schemas[0]["anyOf"][0]["properties"]["tool"] == {"const": "dev"}
    assert "base + grammar" in str(arm_table([row]))


def test_a_policy_that_cannot_be_held_is_refused_before_it_is_asked(server: Server, count: Count) -> None:
    policy = server.policy([1])
    evaluator = Evaluator(server.context(), Asking(constrain="contract"), count, lambda request, settings: policy)
    with pytest.raises(UsageError, match="cannot be held to a contract"):
        evaluate_model(evaluator, [server.skill], str(server.model))
    assert policy.prompts == []


def test_a_limit_takes_so_many_tasks_of_each_task_set(server: Server, evaluate_it: EvaluateIt) -> None:
    found = evaluate_it(held_out=server.held_out(range(50, 60)), asking=Asking(limit=3))
    assert [(item.name, item.tasks) for item in found.evaluation.task_sets] == [("held_out", 3), ("handwritten", 3)]


def test_the_table_names_skill_task_set_figures_and_interval(evaluate_it: EvaluateIt) -> None:
    columns, lines = arm_table(figures(evaluate_it(range(1, 7)).evaluation))
    assert columns == ["skill", "task set", "tasks", "exact [95 %]", "reward", "valid JSON"]
    assert lines == [["server", "handwritten", "12", "50.0 % [25.4, 74.6]", "0.50", "50.0 %"]]


def test_a_suite_shows_only_the_metrics_that_it_names(server: Server, evaluate_it: EvaluateIt) -> None:
    server.write(range(1, 13), metrics=["exact_match"])
    rows = figures(evaluate_it(range(1, 7)).evaluation)
    assert arm_table(rows)[1] == [["server", "handwritten", "12", "50.0 % [25.4, 74.6]", "-", "-"]]
    assert [line[3] for line in metric_table(rows, ["base"])[1]] == ["exact"]


def test_a_gate_is_held_against_the_last_arm(server: Server, evaluate_it: EvaluateIt) -> None:
    server.write(range(1, 13), gate={"at_least": 0.7})
    assert evaluate_it(range(1, 13)).gates[0].passed
    assert not evaluate_it(range(1, 12)).gates[0].passed


@pytest.mark.parametrize("model", ["./nowhere", "/nowhere/at/all", "smollm2-999m", "", "a/b/c"])
def test_a_model_that_does_not_exist_is_refused_before_anything_is_done(
    evaluate_it: EvaluateIt, tmp_path: Path, model: str | None
) -> None:
    with pytest.raises(UsageError, match="no model"):
        evaluate_it(model=model or " ", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_skill_is_an_error(evaluate_it: EvaluateIt) -> None:
    with pytest.raises(UnknownSkillError, match="no skill `langgraph-cly`"):
        evaluate_it(skills=["langgraph-cly"])


def test_an_output_that_exists_is_left_alone(evaluate_it: EvaluateIt, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("kept")
    with pytest.raises(UsageError, match="exists already"):
        evaluate_it(output=out)
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_an_empty_folder_may_be_the_output(evaluate_it: EvaluateIt, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert present(evaluate_it(output=tmp_path / "out").report).is_file()


def test_nothing_is_half_written_when_the_policy_fails(server: Server, count: Count, tmp_path: Path) -> None:
    class Broken:
        name = "broken"

        def complete(
            self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
        ) -> Iterator[tuple[int, Completion]]:
            raise TrainingError("out of memory")
            yield

    before = set(tmp_path.iterdir())
    with pytest.raises(TrainingError):
        evaluator = Evaluator(server.context(), Asking(), count, Policies(base=Broken()))
        evaluate_model(evaluator, [server.skill], str(server.model), output=tmp_path / "out")
    assert {path for path in tmp_path.iterdir() if path.name != "home"} == before


def test_an_empty_suite_is_named(server: Server, evaluate_it: EvaluateIt) -> None:
    server.write([])
    with pytest.raises(DocumentError, match="server/suites/handwritten: a suite without tasks"):
        evaluate_it()


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"request": "Start  it on 1", "expected": {"tool": "dev", "args": {"port": 1}}}, "stands here twice"),
        ({"request": "start it on 1", "expected": {"tool": "dev", "args": {"port": 2}}}, "has two expected answers"),
    ],
)
def test_a_suite_that_asks_one_request_twice_is_refused(
    server: Server, evaluate_it: EvaluateIt, second: dict[str, Any], message: str
) -> None:
    first = {"request": "start it on 1", "expected": {"tool": "dev", "args": {"port": 1}}}
    server.write([], tasks=[first, second])
    with pytest.raises(DocumentError, match=message):
        evaluate_it()


def test_a_skill_without_a_suite_has_nothing_to_be_asked(server: Server, evaluate_it: EvaluateIt) -> None:
    (server.folder / "suites" / "handwritten.yaml").unlink()
    with pytest.raises(UsageError, match="nothing to ask: no suite in server"):
        evaluate_it()
    assert evaluate_it(held_out=server.held_out([1])).evaluation.task_sets[0].name == "held_out"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: "{", r"held_out.jsonl:2: not JSON"),
        (lambda row: json.dumps({**row, "skill": "other"}), r"held_out.jsonl:2: a task of `other`"),
        (lambda row: json.dumps({**row, "more": 1}), r"held_out.jsonl:2: unknown key `more`"),
        (lambda row: json.dumps({**row, "expected": None}), r"held_out.jsonl:2: the key .* is not that of this task"),
        (lambda row: json.dumps({**row, "prompt": []}), r"held_out.jsonl:2: a task must end with what the user said"),
        (None, r"held_out.jsonl:2: the task .* stands here twice"),
    ],
)
def test_a_bad_held_out_row_is_named_with_its_line(
    server: Server, evaluate_it: EvaluateIt, change: Callable[[Any], str] | None, message: str
) -> None:
    path = server.held_out([50, 51])
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{first if change is None else change(json.loads(second))}\n")
    with pytest.raises(DocumentError, match=message):
        evaluate_it(held_out=path)


@pytest.mark.parametrize("content", [None, "", "\n\n"])
def test_a_held_out_file_that_is_missing_or_empty_is_refused(
    evaluate_it: EvaluateIt, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=r"rows\.jsonl"):
        evaluate_it(held_out=path)


def test_skill_code_needs_consent_and_says_what_would_run(server: Server, evaluate_it: EvaluateIt) -> None:
    (server.folder / "verifier.py").write_text(
        "def verify(attempts, contract):\n    return [a.verdict for a in attempts]\n"
    )
    with pytest.raises(ConsentError) as error:
        evaluate_it()
    assert "verifier.py" in str(error.value.hint)
    context = server.context()
    consents = Consents(context.settings.consents)
    consents.grant(consents.request(context.skill(str(server.folder))))
    assert evaluate_it([1]).evaluation.arms[0].records[0].exact


def test_a_model_without_torch_says_what_to_install(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "skillpm.train.hf.policy", None)
    with pytest.raises(TrainingError) as error:
        load_policy(PolicyRequest(str(server.model), None, 1), server.context())
    assert error.value.hint == "pip install 'skillpm-core[train]'"


# --- a run ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def run_folder(server: Server, tmp_path: Path) -> RunFolder:
    """A finished run of two stages, with two held-out tasks."""
    folder = RunFolder(tmp_path / "runs" / "demo")
    for stage in ("sft", "grpo"):
        folder.write(f"stages/{stage}/adapter/adapter_config.json", "{}")
        folder.write("adapter/adapter_config.json", "{}")
    folder.write("data/held_out.jsonl", server.held_out([50, 51]).read_text())
    folder.write("recipe.yaml", "recipe: 1\n")
    for step in (1, 2, 3):
        folder.log({"stage": "sft", "step": step, "loss": 1 / step, "mean_token_accuracy": 0.5})
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "sft", "st')
    skill = server.skill
    folder.finish(
        RunManifest(
            name="demo",
            created="2026-01-01T00:00:00Z",
            model=str(server.model),
            seed=7,
            skills=(RunSkill(name=skill.name, version=skill.version, tree=skill.tree),),
            stages=tuple(
                RunStage(name=name, kind=name, adapter=f"stages/{name}/adapter", steps=3, seconds=1.0)
                for name in ("sft", "grpo")
            ),
            versions={},
            files={},
        )
    )
    return folder


@pytest.fixture
def evaluate_a_run(server: Server, run_folder: RunFolder, count: Count) -> EvaluateIt:
    def run(**options: Any) -> Evaluated:
        factory = Policies(
            base=server.policy([1]), sft=server.policy([1, 2, 50]), grpo=server.policy([1, 2, 3, 4, 50, 51])
        )
        evaluator = Evaluator(server.context(), options.pop("asking", Asking()), count, factory)
        folder = options.pop("run", run_folder.path)
        skills = trained_skills(evaluator.context, options.pop("skills", [server.name]), folder)
        return evaluate_run(evaluator, skills, folder, **options)

    return run


def shares(evaluation: Evaluation) -> dict[tuple[str, str], float]:
    return {
        (row.task_set.name, arm): round(present(cell.exact).estimate, 3)
        for row in figures(evaluation)
        for arm, cell in row.cells.items()
    }


def test_each_stage_of_a_run_is_an_arm_with_its_adapter(run_folder: RunFolder, evaluate_a_run: EvaluateIt) -> None:
    found = evaluate_a_run()
    assert [(arm.name, arm.adapter) for arm in found.evaluation.arms] == [
        ("sft", "stages/sft/adapter"),
        ("grpo", "stages/grpo/adapter"),
    ]
    assert shares(found.evaluation)["held_out", "grpo"] == 1.0
    assert found.report == run_folder.path / "report.html"


def test_blind_tasks_are_asked_of_the_last_stage_alone_and_beside_no_earlier_arm(
    server: Server, run_folder: RunFolder, evaluate_a_run: EvaluateIt, count: Count
) -> None:
    evaluate_a_run(with_base=True)
    server.write([1, 2, 3, 4], blind=True)
    policy = server.policy([1, 2, 3])
    policy.settings = {"model_digest": "1" * 64, "adapter_digest": "2" * 64}
    evaluator = Evaluator(server.context(), Asking(blind=True), count, lambda *_: policy)
    found = evaluate_run(evaluator, trained_skills(evaluator.context, [server.name], run_folder.path), run_folder.path)
    (arm,) = found.evaluation.arms
    assert (arm.name, len(arm.records), {record.suite for record in arm.records}) == ("grpo", 4, {"handwritten"})
    assert not run_folder.manifest.evaluations[-1].whole, "the page of the run shows the evaluation before"
    (spent,) = read_spent(evaluator.context.settings.blind)
    assert (spent.arm, spent.candidate, len(spent.tasks)) == ("grpo", policy.settings, 4)


def test_a_stage_that_was_taken_back_has_the_answers_of_the_one_before_and_is_not_asked(
    run_folder: RunFolder, evaluate_a_run: EvaluateIt
) -> None:
    manifest = run_folder.manifest
    sft, grpo = manifest.stages
    undone = manifest.model_copy(update={"stages": (sft, grpo.model_copy(update={"kept": False}))})
    run_folder.write("manifest.json", undone.model_dump_json())
    first, second = evaluate_a_run().evaluation.arms
    assert (second.name, second.adapter, second.seconds) == ("grpo", "stages/grpo/adapter", 0.0)
    assert second.records == first.records


def test_earlier_arms_stand_before_the_stages_on_the_same_tasks(
    server: Server, run_folder: RunFolder, evaluate_it: EvaluateIt, evaluate_a_run: EvaluateIt, tmp_path: Path
) -> None:
    evaluate_it([1], held_out=server.held_out([50, 51]), output=tmp_path / "before", asking=Asking(skill_text=True))
    found = evaluate_a_run(before=tmp_path / "before")
    assert [arm.name for arm in found.evaluation.arms] == ["base", "base+skill", "sft", "grpo"]
    columns, lines = metric_table(figures(found.evaluation), [arm.name for arm in found.evaluation.arms])
    assert columns == ["skill", "task set", "tasks", "metric", "base", "base + skill text", "after SFT", "after GRPO"]
    assert [line[:4] for line in lines[:3]] == [
        ["server", "held out", "2", "exact"],
        ["server", "held out", "2", "reward"],
        ["server", "held out", "2", "valid JSON"],
    ]
    again = evaluate_a_run()
    assert [arm.name for arm in again.evaluation.arms] == ["base", "base+skill", "sft", "grpo"]


def test_the_base_model_can_be_asked_with_the_run(evaluate_a_run: EvaluateIt) -> None:
    found = evaluate_a_run(with_base=True, asking=Asking(skill_text=True))
    assert [arm.name for arm in found.evaluation.arms] == ["base", "base+skill", "sft", "grpo"]


def test_the_base_model_is_asked_with_the_template_arguments_of_the_training(
    server: Server, run_folder: RunFolder, count: Count
) -> None:
    """And with those that are typed where some are."""
    run_folder.write("recipe.yaml", "chat_template_kwargs: {enable_thinking: false}\n")
    for typed, expected in ((None, {"enable_thinking": False}), ({"style": "terse"}, {"style": "terse"})):
        policies = Policies(**dict.fromkeys(("base", "sft", "grpo"), server.policy([1])))
        evaluator = Evaluator(server.context(), Asking(chat_template_kwargs=typed), count, policies)
        evaluate_run(evaluator, evaluator.context.skills([server.name]), run_folder.path, with_base=True)
        assert [request.template for request in policies.asked] == [expected, typed, typed]


def test_the_manifest_knows_what_was_added_and_nothing_else_changes(
    run_folder: RunFolder, evaluate_a_run: EvaluateIt
) -> None:
    before = run_folder.manifest
    evaluate_a_run(with_base=True)
    after = run_folder.manifest
    (entry,) = after.evaluations
    cards = {"card.md", "adapter/README.md", "stages/sft/adapter/README.md", "stages/grpo/adapter/README.md"}
    added = {f"{entry.path}/evaluation.json", f"{entry.path}/report.html", "report.html", *cards}
    assert set(after.files) - set(before.files) == added
    for name in added:
        assert after.files[name] == hashlib.sha256((run_folder.path / name).read_bytes()).hexdigest()
    assert after.model_copy(update={"files": before.files, "evaluations": ()}) == before


def test_no_evaluation_of_a_run_replaces_another(run_folder: RunFolder, evaluate_a_run: EvaluateIt) -> None:
    first, second = evaluate_a_run().evaluation, evaluate_a_run(with_base=True).evaluation
    stored = [read_evaluation(run_folder.path / item.path) for item in run_folder.manifest.evaluations]
    assert stored == [first, second]
    assert [path.name for path in (run_folder.path / "evals").iterdir() if path.name.startswith(".")] == []


def test_a_partial_evaluation_is_shown_only_until_there_is_a_whole_one(
    server: Server, run_folder: RunFolder, evaluate_a_run: EvaluateIt
) -> None:
    def shown() -> tuple[bytes, bytes]:
        return (run_folder.path / "report.html").read_bytes(), (run_folder.path / "card.md").read_bytes()

    assert evaluate_a_run(asking=Asking(limit=1)).report == run_folder.path / "report.html"
    partial = shown()
    evaluate_a_run()
    whole = shown()
    assert whole != partial
    found = evaluate_a_run(asking=Asking(limit=1))
    assert shown() == whole
    assert found.report == run_folder.path / run_folder.manifest.evaluations[-1].path / "report.html"
    assert (
        stored_evaluation(server.context().settings, run_folder.path).evaluation.arms[0].settings.get("limit") is None
    )


def test_an_evaluation_of_one_of_two_skills_is_partial(run_folder: RunFolder, evaluate_a_run: EvaluateIt) -> None:
    manifest = run_folder.manifest
    other = RunSkill(name="other", version="1", tree="0" * 64)
    run_folder.write(
        "manifest.json", manifest.model_copy(update={"skills": (*manifest.skills, other)}).model_dump_json()
    )
    evaluate_a_run()
    assert [item.whole for item in run_folder.manifest.evaluations] == [False]


def test_the_card_says_what_the_newest_whole_evaluation_reached(
    run_folder: RunFolder, evaluate_a_run: EvaluateIt, server: Server
) -> None:
    evaluate_a_run()
    for name in ("card.md", "adapter/README.md", "stages/sft/adapter/README.md"):
        card = (run_folder.path / name).read_text()
        assert "| server | held_out | grpo | 2 | 100.0 % [34.2, 100.0] |" in card
        assert str(server.model.parent) not in card and server.model.name in card


def test_ctrl_c_keeps_the_answers_that_had_ended(server: Server, run_folder: RunFolder, count: Count) -> None:
    class Stopped(ScriptedPolicy):
        def complete(
            self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
        ) -> Iterator[tuple[int, Completion]]:
            yield from islice(super().complete(prompts, max_new_tokens=max_new_tokens), 3)
            raise KeyboardInterrupt

    factory = Policies(sft=server.policy([1, 2]), grpo=Stopped({}))
    evaluator = Evaluator(server.context(), Asking(), count, factory)
    found = evaluate_run(evaluator, [server.skill], run_folder.path)
    assert found.interrupted
    assert [len(arm.records) for arm in found.evaluation.arms] == [14, 3]
    (entry,) = run_folder.manifest.evaluations
    assert not entry.whole
    assert read_evaluation(run_folder.path / entry.path) == found.evaluation
    assert "after GRPO was interrupted: it has 3 answers" in caveats(found.evaluation)


def test_ctrl_c_before_the_first_answer_keeps_nothing(
    server: Server, run_folder: RunFolder, count: Count, tmp_path: Path
) -> None:
    class Stopped(ScriptedPolicy):
        def complete(
            self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
        ) -> Iterator[tuple[int, Completion]]:
            raise KeyboardInterrupt
            yield

    evaluator = Evaluator(server.context(), Asking(), count, Policies(base=Stopped({}), sft=Stopped({})))
    with pytest.raises(KeyboardInterrupt):
        evaluate_run(evaluator, [server.skill], run_folder.path)
    with pytest.raises(KeyboardInterrupt):
        evaluate_model(evaluator, [server.skill], str(server.model), output=tmp_path / "out")
    assert not (tmp_path / "out").exists() and not run_folder.manifest.evaluations


def test_the_report_of_a_run_has_its_curves_and_settings(run_folder: RunFolder, evaluate_a_run: EvaluateIt) -> None:
    evaluate_a_run()
    page = (run_folder.path / "report.html").read_text()
    assert "SFT: loss" in page
    assert "<dt>seed</dt><dd>7</dd>" in page
    assert run_folder.manifest.files["data/held_out.jsonl"] in page


def test_a_skill_that_changed_since_the_run_is_said_so(server: Server, run_folder: RunFolder, count: Count) -> None:
    server.write(range(1, 5))
    factory = Policies(sft=server.policy([1]), grpo=server.policy([1]))
    evaluator = Evaluator(server.context(), Asking(), count, factory)
    evaluate_run(evaluator, [server.skill], run_folder.path)
    assert any("server has changed since the run" in notice for notice in evaluator.context.notices)


def test_a_base_model_that_is_another_since_the_run_is_said_so(
    server: Server, run_folder: RunFolder, count: Count
) -> None:
    other = run_folder.manifest.model_copy(update={"model": "smollm2-135m", "model_digest": "0" * 64})
    run_folder.write("manifest.json", other.model_dump_json())
    evaluator = Evaluator(server.context(), Asking(), count, Policies(sft=server.policy(), grpo=server.policy()))
    evaluate_run(evaluator, [server.skill], run_folder.path)
    (notice,) = evaluator.context.notices
    assert notice.startswith(f"warning: the adapter was trained on a model with the digest {'0' * 64}, smollm2-135m")


@pytest.mark.parametrize("text", [None, "", "{}", '{"skill": "other"}'])
def test_held_out_rows_are_read_before_a_worker_starts(
    evaluate_it: EvaluateIt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    monkeypatch.setattr(evaluate_module, "open_session", lambda *_: pytest.fail("a worker has started"))
    if text is not None:
        (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(UsageError, match=r"rows\.jsonl"):
        evaluate_it(held_out=tmp_path / "rows.jsonl")


def test_a_run_without_a_manifest_is_unfinished(run_folder: RunFolder, evaluate_a_run: EvaluateIt) -> None:
    (run_folder.path / "manifest.json").unlink()
    with pytest.raises(UsageError, match="is not a finished run"):
        evaluate_a_run()
    assert not (run_folder.path / "evals").exists()


def test_a_run_that_is_not_there_is_refused(evaluate_a_run: EvaluateIt, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run folder"):
        evaluate_a_run(run=tmp_path / "nowhere")


def test_a_run_without_its_adapter_is_damaged(run_folder: RunFolder, evaluate_a_run: EvaluateIt) -> None:
    (run_folder.path / "stages" / "grpo" / "adapter" / "adapter_config.json").unlink()
    (run_folder.path / "stages" / "grpo" / "adapter").rmdir()
    with pytest.raises(UsageError, match="no adapter"):
        evaluate_a_run()
    assert not (run_folder.path / "evals").exists()


def test_an_earlier_evaluation_that_shares_no_task_is_refused(
    server: Server, evaluate_it: EvaluateIt, evaluate_a_run: EvaluateIt, tmp_path: Path
) -> None:
    server.write(range(100, 110))
    evaluate_it(output=tmp_path / "before")
    server.write(range(1, 13))
    with pytest.raises(UsageError, match="shares no task"):
        evaluate_a_run(before=tmp_path / "before")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no evaluation at"),
        ("{", "not JSON"),
        ("[]", "evaluation.json"),
        ('{"evaluation": 99}', "evaluation.json: "),
        ('{"arms": 1, "arms": 2}', "duplicate key"),
    ],
)
def test_an_earlier_evaluation_that_is_none_is_refused(
    evaluate_a_run: EvaluateIt, tmp_path: Path, content: str | None, message: str
) -> None:
    (tmp_path / "before").mkdir()
    if content is not None:
        (tmp_path / "before" / "evaluation.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        evaluate_a_run(before=tmp_path / "before")


# --- rows from outside ---------------------------------------------------------------------------------------------


@pytest.fixture
def answer_them(server: Server, count: Count, tmp_path: Path) -> AnswerThem:
    """``answer_them(rows, **options) -> Answered``; the policy knows port 1 and 2."""

    def run(
        rows: str | Sequence[Mapping[str, Any]], run_path: Path | None = None, factory: PolicyFactory | None = None
    ) -> Answered:
        path = tmp_path / "rows.jsonl"
        path.write_text(rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows))
        evaluator = Evaluator(server.context(), Asking(), count, factory or Policies(base=server.policy([1, 2])))
        answerer = Answerer(str(server.model)) if run_path is None else Answerer.of_run(run_path)
        return answer_rows(evaluator, server.skill, path, answerer, tmp_path / "answers")

    return run


def written(tmp_path: Path) -> list[Any]:
    return [json.loads(line) for line in (tmp_path / "answers" / "completions.jsonl").read_text().splitlines()]


def test_rows_are_answered_in_order_with_their_ids_argv_and_verdicts(
    server: Server, answer_them: AnswerThem, tmp_path: Path
) -> None:
    right = {"tool": "dev", "args": {"port": 1}}
    rows = [
        {"id": "b", "request": server.request(2)},
        {"id": 7, "request": server.request(1), "expected": right},
        {"request": server.request(9), "expected": right},
    ]
    found = answer_them(rows)
    first, second, third = written(tmp_path)
    assert (first["id"], first["argv"], first["verdict"]) == ("b", [["server", "--port", "2"]], None)
    assert (second["id"], second["verdict"]["status"], second["rewards"]["graded"]) == (7, "passed", 1.0)
    assert (third["id"], third["argv"], third["verdict"]["status"]) == (None, None, "failed")
    assert found.summary["tasks"] == 3
    assert found.summary["runnable"] == 2
    assert found.summary["figures"][0]["exact"]["estimate"] == 0.5
    assert json.loads((tmp_path / "answers" / "summary.json").read_text()) == found.summary


def test_further_keys_and_tags_of_a_row_stand_in_its_answer(
    server: Server, answer_them: AnswerThem, tmp_path: Path
) -> None:
    right = {"tool": "dev", "args": {"port": 1}}
    row = {"request": server.request(1), "expected": right, "tags": ["a"], "source": {"page": 3}, "verdict": "mine"}
    found = answer_them([row])
    (answer,) = written(tmp_path)
    assert (answer["tags"], answer["source"], answer["verdict"]["status"]) == (["a"], {"page": 3}, "passed")
    assert present(found.evaluation).arms[0].records[0].tags == ("a",)


def test_rows_that_expect_nothing_have_no_figures(server: Server, answer_them: AnswerThem) -> None:
    found = answer_them([{"request": server.request(1)}])
    assert found.evaluation is None
    assert found.summary["figures"] == []


def test_the_same_request_twice_is_two_answers(server: Server, answer_them: AnswerThem, tmp_path: Path) -> None:
    answer_them([{"request": server.request(1)}] * 2)
    assert len(written(tmp_path)) == 2


def test_a_run_answers_with_its_last_adapter(
    server: Server, run_folder: RunFolder, answer_them: AnswerThem, tmp_path: Path
) -> None:
    factory = Policies(**{run_folder.path.name: server.policy([1])})
    answer_them([{"request": server.request(1)}], run_folder.path, factory)
    assert factory.asked[0].adapter == run_folder.path / "adapter"
    assert written(tmp_path)[0]["argv"] == [["server", "--port", "1"]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('{"request": "x"}\n{"request": }\n', r"rows.jsonl:2: not JSON"),
        ('{"request": ""}\n', r"rows.jsonl:1: `request`"),
        ('{"expected": {}}\n', r"rows.jsonl:1: the row has no request"),
        ('{"request": "x", "answer": "\\ud800"}\n', r"rows.jsonl:1: the row has a lone surrogate"),
        ([{"prompt": "x" * 70_000, "answer": "y"}], r"rows.jsonl:1: `request`: has more than 65536 characters"),
        ('{"request": "x", "expected": {"tool": "\\ud800"}}\n', r"rows.jsonl:1: `expected`: has a lone surrogate"),
        ('{"request": "x", "\\ud800": 1}\n', r"rows.jsonl:1: has a lone surrogate"),
        (
            '{"request": "x"}\n\n{"request": "x", "expected": {"tool": "rm"}}\n',
            r"rows.jsonl:3: `expected`: the expected",
        ),
        ('{"request": "x", "expected": NaN}\n', r"rows.jsonl:1: not JSON"),
        ('{"request": "\\ud800"}\n', r"rows.jsonl:1: `request`"),
        ("", r"rows.jsonl holds no task"),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_nothing_is_written(
    answer_them: AnswerThem, tmp_path: Path, rows: str | Sequence[Mapping[str, Any]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        answer_them(rows)
    assert not (tmp_path / "answers").exists()

"""plugins/skillpm-benchmarks: the benchmark's own checker calls every right answer right, and a changed one wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Project
from tests.plugins.test_changelog import install, run
from tests.shop import MakeProject

FOLDER = ROOT / "plugins" / "skillpm-benchmarks"


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.fixture
def world(project: MakeProject) -> Project:
    made = project({})
    (made.root / "site").mkdir()
    install(FOLDER, made.root / "site")
    return made


def test_a_benchmark_that_no_plugin_brings_is_told_with_those_that_there_are(project: MakeProject) -> None:
    project({}).call("eval", "--benchmark", "bfcl", "--model", "smollm2-135m").fails(2, "skillpm-benchmarks")


def test_a_plugin_s_benchmark_is_found_by_its_name(world: Project) -> None:
    run(world, "eval", "--benchmark", "bfc", "--model", "smollm2-135m").fails(2, "choose one of bfcl")
    run(world, "eval", "--benchmark", "bfcl", "--run", "latest").fails(2, "does not go with")


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (["a", "b"], "a"),
        ([{"x": [1, 2], "y": ["", 3]}], {"x": 1}),
        ([[{"x": [1]}, {"x": [2]}]], [{"x": 1}, {"x": 2}]),
        ([[3, 4]], [3, 4]),
    ],
)
def test_the_expected_value_is_the_first_right_one(values: list[Any], first: object) -> None:
    from skillpm_benchmarks.leaderboard import _first

    assert _first(values) == first


def judged(rows: list[tuple[str, str]]) -> list[str]:
    """Return the status of answers to tasks, which are given by their identities."""
    from skillpm_benchmarks.leaderboard import Judge, problems

    from skillpm.plugin import Attempt, Episode, Task

    attempts = []
    for identity, completion in rows:
        problem = problems()[identity]
        task = Task.of(
            skill="bfcl",
            system="",
            request=problem.request,
            expected=problem.expected,
            split="suite",
            origin="suite",
            tags=(f"bfcl:{identity}",),
        )
        attempts.append(Attempt(task, Episode.answering(task, completion, "stop"), None))
    return [verdict.status for verdict in Judge().verify(attempts)]


@pytest.mark.slow
def test_the_checker_passes_every_right_answer_and_no_changed_one() -> None:
    pytest.importorskip("bfcl_eval")
    from skillpm_benchmarks.leaderboard import problems

    right = [(identity, json.dumps(problem.expected)) for identity, problem in problems().items()]
    assert len(right) == 840
    wrong = {identity: status for (identity, _), status in zip(right, judged(right), strict=True) if status != "passed"}
    assert wrong == {}

    changed = []
    for identity, problem in problems().items():
        if not problem.truths:
            name = problem.functions[0]["name"]
            changed.append((identity, json.dumps({"tool": name, "args": {}})))
            continue
        call = problem.expected
        changed.append((identity, json.dumps({**call, "tool": f"{call['tool']}_all"})))
        changed.append((identity, json.dumps({**call, "args": {**call["args"], "unheard_of": 1}})))
        changed.append((identity, json.dumps({"refuse": "off_topic"})))
        for name in [name for name in call["args"] if name in problem.required(call["tool"])][:1]:
            rest = {key: value for key, value in call["args"].items() if key != name}
            changed.append((identity, json.dumps({**call, "args": rest})))
            changed.append((identity, json.dumps({**call, "args": {**rest, name: {"no": "such value"}}})))
    passed = [row for row, status in zip(changed, judged(changed), strict=True) if status == "passed"]
    assert len(changed) > 2500 and passed == []


RIGHT = """
from skillpm.plugin import Completion, PolicyMaker, hookimpl
from skillpm_benchmarks.leaderboard import problems
import json


class Right:
    name = "right"

    def complete(self, prompts, *, max_new_tokens):
        answers = {problem.request: json.dumps(problem.expected) for problem in problems().values()}
        for index, prompt in enumerate(prompts):
            yield index, Completion(answers[prompt[-1].content], 0, 0, "stop")


@hookimpl
def skillpm_policies():
    return [PolicyMaker("right", lambda rest, adapter, batch_size: Right())]
"""


@pytest.mark.slow
def test_a_model_that_knows_the_answers_gets_full_marks(world: Project, tmp_path: Path) -> None:
    pytest.importorskip("bfcl_eval")
    folder = tmp_path / "right"
    (folder / "right").mkdir(parents=True)
    (folder / "right/__init__.py").write_text(RIGHT)
    entry = '[project]\nname = "right"\nversion = "1"\n[project.entry-points.skillpm]\nright = "right"\n'
    (folder / "pyproject.toml").write_text(entry)
    install(folder, world.root / "site")

    done = run(world, "eval", "--benchmark", "bfcl", "--model", "right:", "--limit", "7", "--output", "ev").ok()
    evaluation = json.loads((world.root / "ev/evaluation.json").read_text())
    statuses = [record["verdict"]["status"] for arm in evaluation["arms"] for record in arm["records"]]
    assert statuses == ["passed"] * 21, done


@pytest.mark.slow
def test_a_seed_that_asks_what_a_benchmark_asks_is_refused_with_both(world: Project) -> None:
    pytest.importorskip("bfcl_eval")
    from skillpm_benchmarks.leaderboard import problems

    question = problems()["simple_python_0"].request.rpartition("\n\n")[2]
    run(world, "new", "finder").ok()
    (seeds,) = (world.root / "finder/seeds").glob("*.jsonl")
    first = json.loads(seeds.read_text().splitlines()[0])
    seeds.write_text(seeds.read_text() + json.dumps({**first, "request": question}) + "\n")

    done = run(world, "synth", "./finder", "--rows", "20", "-o", "data", "--yes").fails(1, question[:40])
    assert "`simple_python_0`" in done.err and "suite `simple` of bfcl" in done.err, done.err

    seeds.write_text(json.dumps({**first, "request": f"Hello there. {question} Thank you very much indeed."}) + "\n")
    done = run(world, "synth", "./finder", "--rows", "20", "-o", "data", "--yes").ok()
    assert "a seed is left out" in done.err + done.out and "`simple_python_0`" in done.err + done.out, done


@pytest.mark.slow
def test_the_suites_have_every_task_that_is_not_asked_twice(tmp_path: Path) -> None:
    pytest.importorskip("bfcl_eval")
    from skillpm_benchmarks.leaderboard import suites

    sizes = {suite.name: len(suite.tasks) for suite in suites()}
    assert sizes.keys() == {"simple", "multiple", "irrelevance"}
    assert 390 <= sizes["simple"] <= 400 and 190 <= sizes["multiple"] <= 200 and 230 <= sizes["irrelevance"] <= 240

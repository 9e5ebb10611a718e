"""plugins/skillpm-benchmarks: every answer gets the verdict of the benchmark's own checkers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skillpm.plugin import Attempt, Episode, Task
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


@pytest.mark.parametrize(
    "thought", ["a</think>", "a[/THINK]", "<|channel|>analysis<|message|>a<|channel|>final<|message|>"]
)
def test_a_call_may_follow_a_thought_of_any_model(thought: str) -> None:
    from skillpm_benchmarks.answers import calls_of

    assert calls_of(thought + '{"tool": "t", "args": {}}') == [("t", {})]
    assert calls_of(thought + '[{"tool": "t", "args": {}}]') == [("t", {})]


def judged(rows: list[tuple[str, str]]) -> list[str]:
    """Return the status of single answers to tasks, which are given by their identities."""
    from skillpm_benchmarks.leaderboard import Judge, problems

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
from skillpm_benchmarks.file_system import conversations
from skillpm_benchmarks.leaderboard import problems
import json


class Right:
    name = "right"

    def complete(self, prompts, *, max_new_tokens):
        answers = {problem.request: [problem.expected] for problem in problems().values()}
        for item in conversations().values():
            answers[item.request] = [call for turn in item.expected["turns"] for call in [turn, {"answer": "done"}]]
        for index, prompt in enumerate(prompts):
            said = sum(message.role == "assistant" for message in prompt)
            yield index, Completion(json.dumps(answers[prompt[0].content][said]), 0, 0, "stop")


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

    done = run(
        world, "eval", "--benchmark", "bfcl", "--model", "right:", "--limit", "7", "--turns", "20", "--output", "ev"
    ).ok()
    evaluation = json.loads((world.root / "ev/evaluation.json").read_text())
    statuses = [record["verdict"]["status"] for arm in evaluation["arms"] for record in arm["records"]]
    assert statuses == ["passed"] * 28, done


def spoken(identity: str, answers: list[str]) -> Attempt:
    """Return an episode of the file system's tasks: the answers, each with what is shown behind it."""
    from skillpm_benchmarks.file_system import conversations
    from skillpm_benchmarks.leaderboard import Judge

    item = conversations()[identity]
    tags = (f"bfcl:{identity}",)
    task = Task.of(
        skill="bfcl", system="", request=item.request, expected=item.expected, split="suite", origin="suite", tags=tags
    )
    episode = Episode.made(task=task, messages=(), finish_reason="stop", usage=None)
    for answer in answers:
        episode = episode.answered(answer)
        shown = Judge().observe(Attempt(task, episode))
        if shown is None:
            break
        episode = episode.shown(shown)
    return Attempt(task, episode)


def answered(turns: list[list[dict[str, Any]]]) -> list[str]:
    """Return the answers of a model that calls one function at a time and says when a turn is done."""
    return [json.dumps(answer) for turn in turns for answer in [*turn, {"answer": "done"}]]


Turns = list[list[dict[str, Any]]]


def changed(turns: Turns) -> Iterator[Turns]:
    """Yield right calls that are changed in one place: some are as right as before, most are wrong."""
    for place, turn in enumerate(turns):
        before, after = turns[:place], turns[place + 1 :]
        look, write = {"tool": "pwd", "args": {}}, {"tool": "touch", "args": {"file_name": "a stray file"}}
        unknown = {"tool": "format_disk", "args": {"disk": "sda"}}
        for added in (look, write, unknown):
            yield [*before, [*turn, added], *after]
        yield [*before, [], *after]
        yield [*before, turn[::-1], *after]
        for at, call in enumerate(turn):
            yield [*before, [*turn[:at], *turn[at + 1 :]], *after]
            yield [*before, [*turn[:at], call, *turn[at:]], *after]
            for name, value in call["args"].items():
                other = {**call, "args": {**call["args"], name: f"{value}x"}}
                yield [*before, [*turn[:at], other, *turn[at + 1 :]], *after]


@pytest.mark.slow
def test_a_conversation_is_judged_as_the_benchmark_s_own_checker_judges_it() -> None:
    checker = pytest.importorskip("bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker")
    from skillpm_benchmarks.file_system import conversations
    from skillpm_benchmarks.leaderboard import Judge

    def theirs(identity: str, turns: Turns, number: int) -> str:
        """Return what the benchmark says of the calls, written as a model writes them there."""
        called = [
            [[f"{call['tool']}({', '.join(f'{k}={v!r}' for k, v in call['args'].items())})"] for call in turn]
            for turn in turns
        ]
        item = conversations()[identity]
        found = checker.multi_turn_checker(called, item.truth, item.entry, "multi_turn_base", f"theirs{number}")
        return "passed" if found["valid"] else "failed"

    assert len(conversations()) == 13
    seen = Counter[tuple[str, str]]()
    for identity, item in conversations().items():
        right = item.expected["turns"]
        for number, turns in enumerate([right, *changed(right)]):
            (verdict,) = Judge().verify([spoken(identity, answered(turns))])
            wanted = theirs(identity, turns, number)
            assert verdict.status == wanted, (identity, turns, verdict)
            seen["right" if turns == right else "changed", wanted] += 1
        (together,) = Judge().verify([spoken(identity, [t for turn in right for t in (json.dumps(turn), "Done.")])])
        assert together.status == "passed", "all calls of a turn in one answer"
        (unfinished,) = Judge().verify([spoken(identity, answered(right)[:-1])])
        assert unfinished.status == "failed" and "ended in turn" in unfinished.reasons[0]
    assert seen["right", "passed"] >= 13 and seen["right", "failed"] == 0
    assert seen["changed", "passed"] > 40 and seen["changed", "failed"] > 200, seen


@pytest.mark.slow
def test_an_answer_shows_what_its_calls_return_and_the_end_of_a_turn_the_next_question() -> None:
    pytest.importorskip("bfcl_eval")
    from skillpm_benchmarks.file_system import STEPS, conversations

    item = conversations()["multi_turn_base_1"]
    look = json.dumps({"tool": "ls", "args": {"a": True}})
    nothing = json.dumps({"tool": "__import__", "args": {"name": "os"}})
    smuggled = json.dumps({"tool": "ls", "args": {"a=__import__('os').getpid(), b": 1}})
    shown = [m.content for m in spoken(item.entry["id"], [look, nothing, smuggled, "Yes."]).episode.messages[1::2]]
    assert shown[0] == '{"current_directory_content": ["workspace"]}'
    assert "'there_is_no_such_function' is not defined" in shown[1] and shown[1].startswith("Error")
    assert "'there_is_no_such_function' is not defined" in shown[2]
    assert shown[3] == item.questions[1]
    endless = spoken(item.entry["id"], [look] * 99).episode
    assert sum(message.role == "assistant" for message in endless.messages) == STEPS + 1


@pytest.mark.slow
def test_recorded_conversations_are_evaluated_whole(world: Project) -> None:
    pytest.importorskip("bfcl_eval")
    from skillpm_benchmarks.file_system import conversations
    from skillpm_benchmarks.leaderboard import problems

    requests = {problem.request for problem in problems().values()}
    rows: list[dict[str, Any]] = [{"request": request, "completion": "{}"} for request in requests]
    for number, (identity, item) in enumerate(conversations().items()):
        turns = item.expected["turns"] if number % 2 else [*item.expected["turns"][:-1], []]
        messages = spoken(identity, answered(turns)).episode.messages
        said = [message.model_dump() for message in messages]
        rows.append({"request": item.request, "completion": messages[-1].content, "messages": said})
    (world.root / "answers.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ("eval", "--benchmark", "bfcl", "--model", "answers.jsonl", "--turns", "40", "--output", "ev")
    run(world, *words).ok()
    (arm,) = json.loads((world.root / "ev/evaluation.json").read_text())["arms"]
    records = [record for record in arm["records"] if record["suite"] == "file-system"]
    assert [record["verdict"]["status"] for record in records] == ["failed", "passed"] * 6 + ["failed"]
    assert all(record["messages"] for record in records)


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
def test_the_suites_have_every_task_that_is_not_asked_twice() -> None:
    pytest.importorskip("bfcl_eval")
    from skillpm_benchmarks.leaderboard import suites

    sizes = {suite.name: len(suite.tasks) for suite in suites()}
    assert sizes.keys() == {"simple", "multiple", "irrelevance", "file-system"} and sizes["file-system"] == 13
    assert 390 <= sizes["simple"] <= 400 and 190 <= sizes["multiple"] <= 200 and 230 <= sizes["irrelevance"] <= 240

"""A stored evaluation read again: which one a person means, and that its page is the same page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from skillpm.errors import DocumentError, SkillpmError, UsageError
from skillpm.evals.asking import Asking
from skillpm.evals.report import render_report
from skillpm.ops.learning.evaluate import Evaluator, evaluate_model
from skillpm.ops.learning.report import stored_evaluation
from skillpm.ops.learning.rescore import rescore, stored_skills
from skillpm.ops.learning.runs import find_run
from skillpm.settings import load_settings
from tests.conftest import Project
from tests.scripted_policy import Count, Server
from tests.shop import MakeProject


@pytest.fixture
def output(server: Server, count: Count, tmp_path: Path) -> Path:
    policy = server.policy([1, 2, 3])
    evaluator = Evaluator(server.context(), Asking(), count, lambda request, settings: policy, "skillpm eval server")
    evaluate_model(evaluator, [server.skill], str(server.model), output=tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize("name", ["", "evaluation.json"])
def test_the_page_of_a_stored_evaluation_is_the_same_page(server: Server, output: Path, name: str) -> None:
    stored = stored_evaluation(server.context().settings, output / name)
    assert render_report(stored.report) == (output / "report.html").read_text()
    assert "skillpm eval server" in (output / "report.html").read_text()


def test_what_rescore_wrote_can_be_shown(server: Server, output: Path, tmp_path: Path) -> None:
    context = server.context()
    skills = stored_skills(context, output, [server.name])
    rescore(context, output, skills, output=tmp_path / "again")
    settings = context.settings
    assert stored_evaluation(settings, tmp_path / "again").evaluation == stored_evaluation(settings, output).evaluation


@pytest.mark.parametrize(
    ("content", "error", "hint"),
    [
        ("", DocumentError, "name a file as `skillpm eval SKILL --model M --output DIR` writes it"),
        ("{", DocumentError, "name a file as `skillpm eval SKILL --model M --output DIR` writes it"),
        ("[1]", DocumentError, "name a file as `skillpm eval SKILL --model M --output DIR` writes it"),
        ('{"evaluation": 99}', DocumentError, "name a file as `skillpm eval SKILL --model M --output DIR` writes it"),
        (b"\xff\xfe\x00", DocumentError, "save it as UTF-8"),
        (None, UsageError, "write one with `skillpm eval SKILL --model M --output DIR`"),
    ],
)
def test_what_is_not_an_evaluation_is_a_clean_error(
    server: Server, tmp_path: Path, content: str | bytes | None, error: type[SkillpmError], hint: str
) -> None:
    path = tmp_path / "evaluation.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error) as caught:
        stored_evaluation(server.context().settings, path)
    assert hint in str(caught.value.hint)
    assert content != "" or caught.value.message.endswith("not JSON: the text is empty")


def test_a_folder_without_an_evaluation_says_how_to_have_one(server: Server, tmp_path: Path) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    with pytest.raises(UsageError, match="no evaluation in"):
        stored_evaluation(server.context().settings, tmp_path / "runs" / "mine")


Runs = Callable[..., Project]


@pytest.fixture
def runs(project: MakeProject) -> Project:
    """A project with two finished runs and an unfinished one."""
    return project({f"runs/{name}/manifest.json": "{}" for name in ("1-a", "2-b")} | {"runs/3-c/recipe.yaml": ""})


@pytest.mark.parametrize(
    ("typed", "folder"), [("1-a", "runs/1-a"), ("latest", "runs/2-b"), ("3-c", "runs/3-c"), ("runs/1-a", "runs/1-a")]
)
def test_a_run_is_found_by_its_name_its_folder_or_latest(
    runs: Project, monkeypatch: pytest.MonkeyPatch, typed: str, folder: str
) -> None:
    monkeypatch.chdir(runs.root)
    assert find_run(load_settings(), Path(typed)).resolve() == runs.root / folder


def test_a_name_that_is_not_a_run_has_a_near_one(runs: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs.root)
    with pytest.raises(UsageError) as error:
        find_run(load_settings(), Path("1-aa"))
    assert error.value.hint == "did you mean `1-a`?"
    shutil.rmtree(runs.root / "runs")
    with pytest.raises(UsageError, match="no finished run"):
        find_run(load_settings(), Path("latest"))


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"name": ', '{"run": 1, "name": "run"}', "\xff"])
def test_a_damaged_newest_run_is_named_with_a_way_to_go_on(runs: Project, manifest: str) -> None:
    (runs.root / "runs/2-b/manifest.json").write_bytes(manifest.encode("latin-1"))
    assert runs.call("runs", "list", "--json").ok().document[1]["state"] == "damaged"
    assert "damaged" in runs.call("runs", "show", "latest").ok().out
    for command in (("report", "latest"), ("eval", "--run", "latest"), ("model", "merge", "latest", "-o", "merged")):
        runs.call(*command).fails(2, "runs/2-b/manifest.json", "runs list", "`skillpm runs prune runs/2-b` removes it")
    runs.call("runs", "prune", "runs/2-b").ok()
    runs.call("report", "latest").fails(2, "runs/1-a/manifest.json")


def test_the_command_prints_figures_json_page_and_failures(runs: Project, output: Path) -> None:
    shown = runs.call("report", output, "--output", runs.root / "page.html").ok()
    assert "25.0 %" in shown.out and "page.html" in shown.err
    assert (runs.root / "page.html").read_text() == (output / "report.html").read_text()
    document = runs.call("report", output / "evaluation.json", "--json").ok().document
    assert document["by_tool"][0]["tool"] == "dev" and document["figures"][0]["exact"]["estimate"] == 0.25
    wrong = runs.call("report", output, "--failures").ok().out.splitlines()
    assert len(wrong) == 9 and json.loads(wrong[0])["exact"] is False
    one = runs.call("report", output, "--failures", "--json").ok().document
    assert one["failures"] == [json.loads(line) for line in wrong]
    assert "nothing to compare" in runs.call("report", output, "--compare").ok().err
    runs.call("report", output, "--inspect-log", output).fails(2, "exists already", "choose another `--inspect-log`")
    runs.call("report", "nowhere").fails(2, "no run folder `nowhere`", "skillpm runs list")
    runs.call("report", runs.root / "page.html").fails(2, "not JSON")
    runs.call("report").fails(2, "manifest.json")

"""``skillpm eval`` as a person types it; only the model is scripted, by a module that stands in for the heavy one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SITE = """
import json, os, sys, types
from skillpm.model.ports import Completion

class TransformersPolicy:
    def __init__(self, model, adapter=None, *, dtype, batch_size):
        self.name = str(model)
        self.answers = json.loads(open(os.environ["SKILLPM_TEST_ANSWERS"], encoding="utf-8").read())

    def complete(self, prompts, *, max_new_tokens):
        for index, prompt in enumerate(prompts):
            yield index, Completion(self.answers.get(prompt[-1].content, "no"), 1, 1, "stop")

module = types.ModuleType("skillpm.train.hf.policy")
module.TransformersPolicy = TransformersPolicy
sys.modules["skillpm.train.hf.policy"] = module
"""
CONTRACT = """\
contract: 1
tools:
  - name: dev
    input_schema: {type: object, properties: {port: {type: integer}}, required: [port], additionalProperties: false}
    argv: [server, {flag: --port, value: port}]
"""


@pytest.fixture
def evaluate(project, tmp_path):
    """``evaluate(*words) -> Outcome`` in a project with a skill `server` whose odd ports the model knows."""
    tasks = [{"request": f"use {port}", "expected": {"tool": "dev", "args": {"port": port}}} for port in range(20)]
    suite = {"name": "ports", "tasks": tasks, "gate": {"at_least": 0.6}}
    known = {task["request"]: json.dumps(task["expected"]) for task in tasks if task["expected"]["args"]["port"] % 2}
    made = project(
        {
            "site/sitecustomize.py": SITE,
            "answers.json": json.dumps(known),
            "model/config.json": "{}",
            "skills/server/SKILL.md": "---\nname: server\ndescription: Starts servers. For servers.\n---\nPorts.\n",
            "skills/server/contract.yaml": CONTRACT,
            "skills/server/suites/ports.yaml": json.dumps(suite),
            "skills/other/SKILL.md": "---\nname: other\ndescription: Does other things. For others.\n---\nOther.\n",
            "rows.jsonl": '{"id": "a", "request": "use 3", "expected": {"tool": "dev", "args": {"port": 3}}}\n',
            "unfinished/recipe.yaml": "",
        }
    )

    def run(*words):
        return made.run(
            "eval",
            *words,
            PYTHONPATH=f"{made.root / 'site'}:{ROOT}",
            SKILLPM_TEST_ANSWERS=str(made.root / "answers.json"),
        )

    run.root = made.root
    return run


SERVER = ("./skills/server", "--model", "./model")
ROWS = (*SERVER, "--tasks", "rows.jsonl", "--output", "out")


def test_a_table_and_a_report_come_of_a_model(evaluate):
    done = evaluate(*SERVER, "--skill-text", "--compare", "--no-gate", "--output", "out").ok()
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0][:3] == ["skill", "task", "set"]
    assert "50.0 % [29.9, 70.1]" in done.out
    assert "base + skill text" in done.out
    assert "no evidence" in done.out
    assert "out/report.html" in done.err
    assert (evaluate.root / "out" / "report.html").is_file()


def test_a_gate_that_is_not_reached_exits_1_with_a_sentence_after_the_table(evaluate):
    done = evaluate(*SERVER).fails(1, "exact match is 0.500, the gate asks for 0.6")
    assert "50.0 %" in done.out


def test_json_is_one_document_also_where_a_gate_is_not_reached(evaluate):
    done = evaluate(*SERVER, "--json").fails(1, "the gate asks for 0.6")
    assert done.document["figures"][0]["exact"]["estimate"] == 0.5
    assert done.document["gates"][0]["passed"] is False


def test_rows_from_outside_are_answered(evaluate):
    done = evaluate(*SERVER, "--tasks", "rows.jsonl", "--output", "out").ok()
    assert "100.0 %" in done.out
    row = json.loads((evaluate.root / "out" / "completions.jsonl").read_text())
    assert (row["id"], row["argv"], row["verdict"]["status"]) == ("a", [["server", "--port", "3"]], "passed")
    assert evaluate(*SERVER, "--tasks", "rows.jsonl", "--output", "more", "--json").ok().document["tasks"] == 1


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("./skills/server",), 2, "give one of `--model` and `--run`"),
        ((*SERVER, "--run", "runs/x"), 2, "give one of `--model` and `--run`"),
        ((*SERVER, "--tasks", "rows.jsonl"), 2, "`--tasks` needs `--output DIR`"),
        ((*SERVER, "--before", "x"), 2, "`--before` does not go with `--model MODEL`"),
        ((*SERVER, "--with-base"), 2, "leave it out, or use `--run RUN`"),
        (("--run", "unfinished", "--output", "out"), 2, "`--output` does not go with `--run RUN`"),
        (("--run", "unfinished", "--held-out", "x"), 2, "`--held-out` does not go with `--run RUN`"),
        ((*ROWS, "--held-out", "x"), 2, "leave it out, or use `--model MODEL`"),
        ((*ROWS, "--with-base"), 2, "`--with-base` does not go with `--tasks FILE`"),
        ((*ROWS, "--compare"), 2, "leave it out, or use `--model MODEL` or `--run RUN`"),
        ((*ROWS, "--no-gate"), 2, "`--gate/--no-gate` does not go with `--tasks FILE`"),
        ((*ROWS, "./skills/other"), 2, "tasks from outside belong to one skill"),
        (("--run", "unfinished"), 2, "is unfinished"),
        (("--run", "nowhere"), 2, "no run folder"),
        (("./skills/server", "--model", "./nowhere"), 2, "no model `./nowhere`"),
        (("servr", "--model", "./model"), 2, "no skill `servr`"),
        (("--model", "./model"), 2, "no skill is installed here"),
        ((*SERVER, "--held-out", "nowhere.jsonl"), 2, "no file nowhere.jsonl"),
        ((*SERVER, "--tasks", "nowhere.jsonl", "--output", "out"), 2, "no file nowhere.jsonl"),
        ((*SERVER, "--output", "model"), 2, "model exists already"),
        ((*SERVER, "--limit", "0"), 2, "--limit"),
    ],
)
def test_bad_input_is_a_sentence_and_nothing_is_written(evaluate, words, code, text):
    before = {path for path in evaluate.root.rglob("*") if "__pycache__" not in path.parts}
    done = evaluate(*words).fails(code, text)
    assert done.out == ""
    assert {path for path in evaluate.root.rglob("*") if "__pycache__" not in path.parts} == before


def test_help_imports_nothing_heavy(project):
    done = project().run("eval", "--help", PYTHONPROFILEIMPORTTIME="1").ok()
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines() if line.startswith("import time:")}
    assert "skillpm.cli.output" in imported
    assert imported.isdisjoint({"torch", "pydantic", "jinja2", "pluggy", "rich"})
    assert "--skill-text" in done.out

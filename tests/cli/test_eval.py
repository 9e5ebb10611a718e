"""``skillpm eval`` as a person types it; only the model is scripted."""

from __future__ import annotations

import json
import time

import pytest

from tests.chat import MakeChat
from tests.cli.conftest import CONTRACT, Evaluate
from tests.shop import MakeProject

SERVER = ("./skills/server", "--model", "./model")


def test_a_table_and_a_report_come_of_a_model(evaluate: Evaluate) -> None:
    done = evaluate(*SERVER, "--skill-text", "--compare", "--no-gate", "--output", "out").ok()
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0][:3] == ["skill", "task", "set"]
    assert "50.0 % [29.9, 70.1]" in done.out
    assert "base + skill text" in done.out
    assert "no evidence" in done.out
    assert "out/report.html" in done.err
    assert (evaluate.root / "out" / "report.html").is_file()


def test_a_gate_that_is_not_reached_exits_1_with_a_sentence_after_the_table(evaluate: Evaluate) -> None:
    done = evaluate(*SERVER).fails(1, "exact match is 0.500 [0.299, 0.701] of 20, the gate asks for 0.6")
    assert "50.0 %" in done.out


def test_an_evaluation_that_judged_nothing_exits_with_the_reason(evaluate: Evaluate) -> None:
    (evaluate.root / "skills/server/contract.yaml").unlink()
    done = evaluate(*SERVER, "--no-gate").fails(1, "none of 20 answers could be judged: ")
    assert "not judged" in done.out
    assert evaluate(*SERVER, "--no-gate", "--json").fails(1, "none of 20").document["figures"], "one document"


def test_an_evaluation_that_could_ask_nothing_says_so_and_fails(evaluate: Evaluate) -> None:
    tasks = json.loads((evaluate.root / "skills/server/suites/ports.yaml").read_text())["tasks"]
    rows = [{"request": task["request"], "completion": "", "finish_reason": "too_long"} for task in tasks]
    (evaluate.root / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("./skills/server", "--model", "answers.jsonl", "--no-gate")
    assert "--max-new-tokens" in evaluate(*words).fails(1, "none of 20 tasks could be asked: each prompt").err


def test_json_is_one_document_also_where_a_gate_is_not_reached(evaluate: Evaluate) -> None:
    done = evaluate(*SERVER, "--json").fails(1, "the gate asks for 0.6")
    assert done.document["figures"][0]["exact"]["estimate"] == 0.5
    assert done.document["gates"][0]["passed"] is False


def test_the_report_names_a_command_that_asks_the_same_again(evaluate: Evaluate) -> None:
    words = (*SERVER, "--limit", "6", "--max-new-tokens", "40", "--skill-text")
    evaluate(*words, "--no-gate", "--output", "out", "--compare").ok()
    (command,) = json.loads((evaluate.root / "out/evaluation.json").read_text())["commands"]
    assert command == ("skillpm eval ./skills/server --model ./model --skill-text --limit 6 --max-new-tokens 40")
    assert command in (evaluate.root / "out/report.html").read_text()
    evaluate(*command.split()[2:], "--no-gate").ok()


@pytest.mark.parametrize("words", [("--temperature", "nan"), ("--max-minutes", "nan"), ("--max-minutes", "inf")])
def test_a_number_that_is_none_is_refused(evaluate: Evaluate, words: tuple[str, str]) -> None:
    evaluate(*SERVER, *words).fails(2, f"`{words[0]}` must be a number")


def test_options_of_every_command_are_no_part_of_that_command(evaluate: Evaluate) -> None:
    evaluate(*SERVER, "--user", "-q", "-v", "--no-color", "-C", ".", "--no-gate", "--output", "out").ok()
    (command,) = json.loads((evaluate.root / "out/evaluation.json").read_text())["commands"]
    assert command == "skillpm eval ./skills/server --model ./model --user"


def test_a_limit_of_time_ends_the_command_while_a_server_does_not_answer(project: MakeProject, chat: MakeChat) -> None:
    tasks = [{"request": "go", "expected": {"tool": "dev", "args": {"port": 1}}}]
    place = project(
        {
            "server/SKILL.md": "---\nname: server\ndescription: Starts servers. For servers.\n---\nPorts.\n",
            "server/contract.yaml": CONTRACT,
            "server/suites/ports.yaml": json.dumps({"name": "ports", "tasks": tasks}),
        }
    )
    model = f"{chat({'go': {'fault': 'never'}})}#tiny"
    began = time.monotonic()
    done = place.run("eval", "./server", "--model", model, "--max-minutes", "0.01", "--output", "out")
    done.fails(11, "`--max-minutes` was reached before any answer")
    assert time.monotonic() - began < 50
    assert not (place.root / "out").exists()


def test_answers_that_were_kept_are_not_asked_for_again(evaluate: Evaluate) -> None:
    limited = (*SERVER, "--repeats", "2", "--max-tokens-total", "20", "--json", "--no-gate")
    first = evaluate(*limited).ok().document["figures"][0]
    assert (first["judged"], first["not_asked"]) == (10, 30)
    evaluate.known.clear()
    second = evaluate(*limited, "--resume", "--max-cost", "1", "--price", "1,2").ok().document
    assert (second["figures"][0]["judged"], second["figures"][0]["not_asked"]) == (20, 20)
    assert second["figures"][0]["exact"]["estimate"] == 0.25  # half of those that were kept, none of the others
    assert second["spent"][0]["cost"] == pytest.approx(20 * 3 / 1e6)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("./skills/server",), 2, "`--model` or `--run` is missing"),
        ((*SERVER, "--run", "runs/x"), 2, "`--model` or `--run` is expected, not both"),
        ((*SERVER, "--before", "x"), 2, "`--before` does not go with `--model MODEL`"),
        ((*SERVER, "--with-base"), 2, "remove it, or use `--run RUN`"),
        (("--run", "unfinished", "--output", "out"), 2, "`--output` does not go with `--run RUN`"),
        (("--run", "unfinished", "--held-out", "x"), 2, "`--held-out` does not go with `--run RUN`"),
        (("--run", "unfinished"), 2, "is not a finished run"),
        (("--run", "nowhere"), 2, "no run folder"),
        (("./skills/server", "--model", "./nowhere"), 2, "no model `./nowhere`"),
        (("servr", "--model", "./model"), 2, "no skill `servr`"),
        (("--model", "./model"), 2, "no skill is installed here"),
        ((*SERVER, "--held-out", "nowhere.jsonl"), 2, "no file nowhere.jsonl"),
        ((*SERVER, "--chat-template-kwargs", '{"messages": 1}'), 2, "skillpm hands `messages` to the chat template"),
        ((*SERVER, "--tasks", "rows.jsonl"), 2, "run `skillpm answer SKILL FILE --output DIR`"),
        ((*SERVER, "--output", "model"), 2, "model exists already"),
        ((*SERVER, "--limit", "0"), 2, "--limit"),
        ((*SERVER, "--max-cost", "1"), 2, "`--max-cost` needs `--price`"),
        ((*SERVER, "--price", "1"), 2, "`--price` takes two numbers, not `1`"),
        ((*SERVER, "--temperature", "1"), 2, "answers greedily alone"),
    ],
)
def test_bad_input_is_a_sentence_and_nothing_is_written(
    evaluate: Evaluate, words: tuple[str, ...], code: int, text: str
) -> None:
    before = {path for path in evaluate.root.rglob("*") if "__pycache__" not in path.parts}
    done = evaluate(*words).fails(code, text)
    assert done.out == ""
    assert {path for path in evaluate.root.rglob("*") if "__pycache__" not in path.parts} == before


def test_help_imports_nothing_heavy(project: MakeProject) -> None:
    done = project().run("eval", "--help", PYTHONPROFILEIMPORTTIME="1").ok()
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines() if line.startswith("import time:")}
    assert "skillpm.cli.output" in imported
    assert imported.isdisjoint({"torch", "pydantic", "jinja2", "pluggy", "rich"})
    assert "--skill-text" in done.out


def blind(evaluate: Evaluate, numbers: range, name: str = "final") -> None:
    """Write a blind suite of requests that no other suite has."""
    tasks = [{"request": f"take {n}", "expected": {"tool": "dev", "args": {"port": n}}} for n in numbers]
    suite = {"name": name, "tasks": tasks, "blind": True, "gate": {"at_least": 0.5}}
    (evaluate.root / f"skills/server/suites/{name}.yaml").write_text(json.dumps(suite))


def recorded(evaluate: Evaluate, name: str, wrong: int) -> str:
    """Write answers to requests of the blind suite, of which some are wrong, and return their file."""
    rows = []
    for n in range(40):
        answer = {"tool": "dev", "args": {"port": n + (n < wrong)}}
        rows.append(json.dumps({"request": f"take {n}", "completion": json.dumps(answer)}))
    (evaluate.root / name).write_text("\n".join(rows) + "\n")
    return name


def test_blind_tasks_are_asked_of_one_candidate_alone_and_nobody_else_sees_them(evaluate: Evaluate) -> None:
    blind(evaluate, range(20))
    document = evaluate(*SERVER, "--no-gate", "--json").ok().document
    assert {row["task_set"] for row in document["figures"]} == {"ports"}
    first, second = (recorded(evaluate, f"{name}.jsonl", wrong) for name, wrong in (("first", 2), ("second", 0)))
    asked = ("./skills/server", "--blind", "--json", "--model")
    for _ in range(2):
        document = evaluate(*asked, f"./{first}").ok().document
        assert [(row["task_set"], row["exact"]["estimate"]) for row in document["figures"]] == [("final", 0.9)]
    record = (evaluate.root / "skillpm.blind.json").read_text()
    assert len(json.loads(record)["spent"][0]["tasks"]) == 20

    evaluate(*asked, f"./{second}").fails(6, "server, suite final: 20 blind tasks were spent on", "write other tasks")
    blind(evaluate, range(15, 35))
    evaluate(*asked, f"./{second}").fails(6, "5 blind tasks were spent on")
    assert (evaluate.root / "skillpm.blind.json").read_text() == record, "what is refused is not spent"
    blind(evaluate, range(20, 40))
    evaluate(*asked, f"./{second}").ok()
    assert len(json.loads((evaluate.root / "skillpm.blind.json").read_text())["spent"]) == 2
    (evaluate.root / "skillpm.blind.json").unlink()
    evaluate(*asked, f"./{first}").fails(6, "20 blind tasks were spent on", "in another project")
    evaluate(*asked, f"./{second}").ok()
    assert len(json.loads((evaluate.root / "skillpm.blind.json").read_text())["spent"]) == 1


def test_blind_tasks_need_a_model_that_cannot_change_and_one_arm(evaluate: Evaluate) -> None:
    asked = ("./skills/server", "--blind", "--model")
    evaluate(*asked, "./model").fails(2, "no blind suite in server")
    blind(evaluate, range(20))
    evaluate(*asked, "http://127.0.0.1:9/v1#tiny").fails(2, "can change unnoticed")
    for words in (("--skill-text",), ("--limit", "3"), ("--constrain", "contract"), ("--tool-schemas",)):
        evaluate(*asked, "./model", *words).fails(2, f"`{words[0]}`")
    assert not (evaluate.root / "skillpm.blind.json").exists()
    (evaluate.root / "skillpm.blind.json").write_text("[]")
    evaluate(*asked, f"./{recorded(evaluate, 'a.jsonl', 0)}").fails(2, "skillpm.blind.json")

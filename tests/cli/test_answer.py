"""``skillpm answer`` as a person types it."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Evaluate
from tests.conftest import Outcome

ROWS = ("./skills/server", "rows.jsonl", "--model", "./model", "--output", "out")


def test_rows_from_outside_are_answered_and_judged(evaluate: Evaluate) -> None:
    done = evaluate.answer(*ROWS).ok()
    assert "100.0 %" in done.out and "answers: 1, in out/completions.jsonl" in done.err
    row = json.loads((evaluate.root / "out" / "completions.jsonl").read_text())
    assert (row["id"], row["argv"], row["verdict"]["status"]) == ("a", [["server", "--port", "3"]], "passed")
    assert evaluate.answer(*ROWS[:-1], "more", "--json").ok().document["tasks"] == 1


def test_each_row_is_answered_as_often_as_is_asked(evaluate: Evaluate) -> None:
    rows = evaluate.answer(*ROWS, "--repeats", "2").ok()
    assert "answers: 2, in" in rows.err and '"repeat":1' in (evaluate.root / "out/completions.jsonl").read_text()
    summary = json.loads((evaluate.root / "out/summary.json").read_text())
    assert (summary["tasks"], summary["answers"]) == (1, 2)


def test_requests_that_were_too_long_to_ask_are_told(evaluate: Evaluate) -> None:
    def answer(*reasons: str) -> Outcome:
        rows = [{"request": str(n), "completion": "", "finish_reason": reason} for n, reason in enumerate(reasons)]
        (evaluate.root / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (evaluate.root / "own.jsonl").write_text(
            "".join(json.dumps({"request": row["request"]}) + "\n" for row in rows)
        )
        return evaluate.answer(ROWS[0], "own.jsonl", "--model", "answers.jsonl", "--output", f"out{len(rows)}")

    assert "1 of 2 prompts were too long" in answer("too_long", "stop").ok().err
    answer("too_long").fails(1, "none of 1 tasks could be asked: each prompt is too long")


@pytest.mark.parametrize("own", ["a", 7, True, 1.0, None, [1, "b"]])
def test_the_id_of_a_row_comes_back_as_it_was_given(evaluate: Evaluate, own: object) -> None:
    (evaluate.root / "own.jsonl").write_text(json.dumps({"id": own, "request": "serve at port 3"}) + "\n")
    evaluate.answer(ROWS[0], "own.jsonl", *ROWS[2:]).ok()
    row = json.loads((evaluate.root / "out/completions.jsonl").read_text())
    assert json.dumps(row["id"]) == json.dumps(own)


def test_a_limit_that_leaves_rows_out_is_told_with_the_way_on(evaluate: Evaluate) -> None:
    evaluate.answer(*ROWS, "--max-minutes", "1e-9").fails(11, "`--max-minutes` was reached before any answer")
    ended = evaluate.answer(*ROWS, "--repeats", "2", "--max-tokens-total", "1").ok()
    assert "ended by `--max-tokens-total`: the rows that were not answered" in ended.err
    assert "answers: 1, in" in ended.err
    assert "answers: 2, in" in evaluate.answer(*ROWS[:-1], "whole", "--repeats", "2", "--resume").ok().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (ROWS[:-2], "`skillpm answer` needs `--output`"),
        (ROWS[:1], "`skillpm answer` needs `FILE`"),
        ((*ROWS, "--run", "x"), "`--model` or `--run` is expected, not both"),
        ((*ROWS[:2], *ROWS[4:]), "such as `skillpm answer … --model smollm2-135m`"),
        ((*ROWS, "--no-gate"), "no option `--no-gate`"),
        (("./skills/server", "nowhere.jsonl", *ROWS[2:]), "no file nowhere.jsonl"),
        (("./skills/server", ".", *ROWS[2:]), ". is a folder"),
        (("./skills/server", "/dev/null", *ROWS[2:]), "write what it yields to a file"),
        (("servr", *ROWS[1:]), "no skill `servr`"),
        ((*ROWS[:2], "--run", "unfinished", "--output", "out"), "is not a finished run"),
        ((*ROWS[:-1], "model"), "model exists already"),
        ((*ROWS, "--price", "1"), "`--price` takes two numbers, not `1`"),
    ],
)
def test_bad_input_is_a_sentence_and_nothing_is_written(evaluate: Evaluate, words: tuple[str, ...], text: str) -> None:
    before = {path for path in evaluate.root.rglob("*") if "__pycache__" not in path.parts}
    assert evaluate.answer(*words).fails(2, text).out == ""
    assert {path for path in evaluate.root.rglob("*") if "__pycache__" not in path.parts} == before

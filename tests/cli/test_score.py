"""``skillpm score``: rows in, judgements out, in order, whatever stands in them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import DocumentError
from skillpm.model.skill import Skill
from skillpm.ops.learning.score import score_rows
from skillpm.runtime.catalogue import Contributions
from skillpm.trust.consent import Consents
from skillpm.worker.scoring import Scorer
from tests.shop import MakeProject

SKILL = {
    "SKILL.md": "---\nname: serving\ndescription: Serve things.\n---\nUse serve.\n",
    "skill.yaml": "manifest: 1\nversion: 1.0.0\n",
    "contract.yaml": """
contract: 1
system_prompt: Answer with JSON.
tools:
  - name: serve
    input_schema: {type: object, properties: {port: {type: integer}}}
    argv: [serve, {flag: --port, value: port}]
""",
}
GOLD = {"tool": "serve", "args": {"port": 8123}}


def rows(*items: dict[str, Any]) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


def test_a_row_without_an_expected_answer_is_told_so(project: MakeProject) -> None:
    place = project({"serving": SKILL, "rows.jsonl": rows({"expected": None, "completion": "{}"})})
    place.call("score", "./serving", "rows.jsonl").fails(9, "row 1: there is no expected answer to judge by")


@pytest.mark.parametrize("given", ["", "\n\n"])
def test_no_row_is_no_success(given: str, project: MakeProject) -> None:
    project({"skill": SKILL}).call("score", "./skill", stdin=given).fails(2, "holds no row", "a row is")


def test_each_row_gets_its_judgement_in_order_with_its_id(project: MakeProject) -> None:
    text = json.dumps(GOLD)
    texts = [
        text,
        f"{text} and also rm -rf /",
        "\ud800",
        "x" * 1_000_000,
        "[" * 10_000,
        "",
        text.replace("8123", "1e999"),
    ]
    given = rows(
        *({"id": index, "expected": GOLD, "completion": item, "mine": [1]} for index, item in enumerate(texts))
    )
    outcome = project({"skill": SKILL}).call("score", "./skill", stdin=given + "\n").ok()
    found = [json.loads(line) for line in outcome.out.splitlines()]
    assert [item["id"] for item in found] == list(range(len(texts)))
    assert set(found[0]) == {"id", "status", "score", "components", "reasons", "rewards", "argv"}
    assert found[0]["argv"] == [["serve", "--port", "8123"]]
    assert found[0]["rewards"] == {"graded": 1.0, "signed": 1.0, "tool_call": 1.0}
    assert [item["status"] for item in found] == ["passed"] + ["failed"] * 6
    assert [item["argv"] for item in found[1:]] == [None] * 6


def test_several_workers_print_the_same_bytes(project: MakeProject) -> None:
    place = project({"skill": SKILL})
    answers = (json.dumps({"tool": "serve", "args": {"port": 8000 + number % 7}}) for number in range(40))
    place.write({"rows.jsonl": rows(*({"expected": GOLD, "completion": text} for text in answers))})
    alone = place.call("score", "./skill", "rows.jsonl").ok().out
    assert place.call("score", "./skill", "rows.jsonl", "--workers", "3").ok().out == alone
    place.call("score", "./skill", "rows.jsonl", "--workers", "0").fails(2, "--workers")


def test_an_expected_answer_that_breaks_the_contract_is_errored_and_the_rest_goes_on(project: MakeProject) -> None:
    broken = {"tool": "serve", "args": {"port": "8123"}}
    given = rows({"expected": broken, "completion": "{}"}, {"expected": GOLD, "completion": json.dumps(GOLD)})
    outcome = project({"skill": SKILL, "rows.jsonl": given}).call("score", "./skill", "rows.jsonl").ok()
    first, second = (json.loads(line) for line in outcome.out.splitlines())
    assert (first["status"], first["score"], first["rewards"]["graded"]) == ("errored", None, None)
    assert "breaks the contract" in first["reasons"][0] and "id" not in first
    assert second["status"] == "passed"
    assert re.search(r"1 of 2 rows could not be judged, the first: row 1: .*breaks the contract", outcome.err)


def test_where_no_row_can_be_judged_the_rows_are_written_and_the_verifier_is_at_fault(project: MakeProject) -> None:
    code = "def verify(attempts, contract):\n    raise OSError('\\x1b[2J gone')\n"
    given = rows({"expected": GOLD, "completion": "{}"}, {"expected": GOLD, "completion": "[]"})
    outcome = project({"skill": {**SKILL, "verifier.py": code}}).call("score", "./skill", "--yes", stdin=given)
    outcome.fails(9, r"none of 2 rows could be judged: row 1: the verifier of verifier.py raised OSError: \x1b[2J gone")
    assert [json.loads(line)["status"] for line in outcome.out.splitlines()] == ["errored"] * 2
    assert "\x1b" not in outcome.err


def test_a_bad_row_is_named_and_all_rows_before_it_have_been_judged(project: MakeProject) -> None:
    good = rows({"expected": GOLD, "completion": "{}"})
    given = good + '{"expected": {}}\n' + good
    outcome = project({"skill": SKILL}).call("score", "./skill", stdin=given)
    outcome.fails(2, "<stdin>:2: missing key `completion`", 'a row is {"expected"')
    assert len(outcome.out.splitlines()) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"not json", "not JSON"),
        (b'{"expected": {}, "completion": 5}', "`completion`"),
        (b'{"completion": "x"}', "missing key `expected`"),
        (b"[1]", "must be a mapping"),
        (b'{"expected": NaN, "completion": "x"}', "NaN is not JSON"),
        (b'{"expected": 1, "expected": 2, "completion": "x"}', "duplicate key"),
        (b"\xff", "not UTF-8"),
        (b'{"expected": ' + b"[" * 5000 + b"]" * 5000 + b', "completion": "x"}', "nested too deeply"),
    ],
)
def test_whatever_is_wrong_with_a_row_its_line_is_named(row: bytes, reason: str) -> None:
    skill = Skill("serving", "1", "0" * 64, Path())
    with Scorer([skill], consents=Consents(Path("nowhere"))) as scorer, pytest.raises(DocumentError) as caught:
        list(score_rows([b"\n", row], scorer, Contributions(skill), path="rows.jsonl"))
    assert caught.value.message.startswith("rows.jsonl:2: ") and reason in caught.value.message
    assert (caught.value.hint == "save it as UTF-8") == (reason == "not UTF-8")


def test_code_runs_only_with_consent_and_its_printing_stays_out_of_the_output(project: MakeProject) -> None:
    code = "def verify(attempts, contract):\n    print('noise')\n    return [a.verdict for a in attempts]\n"
    here = project({"skill": {**SKILL, "verifier.py": code}})
    given = rows({"expected": GOLD, "completion": json.dumps(GOLD)})
    here.call("score", "./skill", stdin=given).fails(6, "verifier.py", "--yes")
    assert len(here.run("score", "./skill", "--yes", stdin=given).ok().out.splitlines()) == 1
    here.call("score", "./skill", stdin=given).ok()


def test_unknown_skills_files_and_unloadable_code_are_errors(project: MakeProject) -> None:
    here = project({"skill": {**SKILL, "verifier.py": "import no_such_module\n"}})
    here.call("score", "no-such-skill").fails(2, "no skill `no-such-skill`")
    here.call("score", "./skill", "--yes", "missing.jsonl").fails(2, "missing.jsonl")
    here.call("score", "./skill", "--yes").fails(9, "verifier.py cannot be imported")

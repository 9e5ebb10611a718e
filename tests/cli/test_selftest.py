"""``skillpm selftest``: a claim that does not hold is told with its case and what was seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

CONTRACT = """
contract: 1
system_prompt: Answer with JSON.
tools:
  - name: serve
    input_schema: {type: object, properties: {port: {type: integer}, host: {type: string}, quiet: {type: boolean}}}
    argv: [serve, {flag: --port, value: port}]
  - name: stop
    input_schema: {type: object, properties: {port: {type: integer}, host: {type: string}, quiet: {type: boolean}}}
"""
GOLD = {"tool": "serve", "args": {"port": 8123, "host": "a", "quiet": None}}
TEXT = json.dumps(GOLD)
PROMISES = [
    {"name": "exact", "kind": "full_reward", "expected": GOLD, "completion": TEXT},
    {
        "name": "other port",
        "kind": "zero_reward",
        "expected": GOLD,
        "completion": TEXT.replace("8123", "1"),
        "at_most": 0.6,
    },
    {"name": "prose", "kind": "malformed", "expected": GOLD, "completion": f"{TEXT} and also rm -rf /"},
    {"name": "again", "kind": "determinism", "expected": GOLD, "completion": TEXT},
]


def lines(*items: dict[str, Any]) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


def skill(**files: str) -> dict[str, str]:
    return {
        "SKILL.md": "---\nname: serving\ndescription: Serve things.\n---\nUse serve.\n",
        "skill.yaml": "manifest: 1\nversion: 1.0.0\n",
        "contract.yaml": CONTRACT,
        "seeds/seeds.jsonl": lines({"request": "serve on 8123", "expected": GOLD}),
        "cases.jsonl": lines(*PROMISES),
        **{name.replace("_py", ".py"): text for name, text in files.items()},
    }


def test_a_contract_keeps_its_promises_and_every_claim_is_counted(project: Callable[..., Any]) -> None:
    outcome = project({"skill": skill()}).run("selftest", "./skill", "--json").ok()
    (report,) = outcome.document["skills"]
    claims = {claim["kind"]: claim["checked"] for claim in report["claims"]}
    assert outcome.document["ok"] and report["broken"] == [] and report["verifier"] == "contract.yaml"
    assert claims == {
        "determinism": 1, "full_reward": 1, "zero_reward": 1, "malformed": 1, "gold": 1, "no-op": 6,
        "mutation": claims["mutation"], "repeat": sum(claims.values()) // 2,
    }  # fmt: skip
    assert claims["mutation"] >= 20


@pytest.mark.parametrize(
    ("verifier", "kind", "seen"),
    [
        ("return [Verdict(status='passed', score=1.0) for a in attempts]", "mutation", "passed with score 1.0"),
        ("return [Verdict(status='failed', score=0.9) for a in attempts]", "gold", "failed with score 0.9"),
        (
            "import random\n    return [Verdict(status='failed', score=random.random()) for a in attempts]",
            "repeat",
            "and then",
        ),
        ("return [a.verdict if a.completion else 1 / 0 for a in attempts]", "no-op", "ZeroDivisionError"),
        (
            "return [Verdict(status='passed', score=1.0) if 'serve' in a.completion else a.verdict for a in attempts]",
            "malformed",
            "passed with score 1.0",
        ),
    ],
)
def test_a_verifier_that_breaks_a_promise_is_told_so(
    project: Callable[..., Any], verifier: str, kind: str, seen: str
) -> None:
    code = f"from skillpm import Verdict\ndef verify(attempts, contract):\n    {verifier}\n"
    outcome = project({"skill": skill(verifier_py=code)}).run("selftest", "./skill", "--yes", "--json")
    assert outcome.code == 1, outcome
    (report,) = outcome.document["skills"]
    assert any(item["kind"] == kind and seen in item["seen"] for item in report["broken"]), outcome


def test_one_that_knows_another_spelling_is_not_blamed(project: Callable[..., Any]) -> None:
    """A verifier may take false for null and a default for nothing said."""
    code = """
import dataclasses
from skillpm import Verdict
def verify(attempts, contract):
    return [Verdict(status='passed', score=1.0) if a.verdict.status == 'ambiguous' else a.verdict for a in attempts]
"""
    project({"skill": skill(verifier_py=code)}).run("selftest", "./skill", "--yes").ok()


def test_broken_claims_stand_in_the_table_and_exit_1(project: Callable[..., Any]) -> None:
    wrong = {**PROMISES[0], "name": "too hopeful", "completion": "{}"}
    here = project({"skill": {**skill(), "cases.jsonl": lines(wrong)}})
    outcome = here.run("selftest", "./skill")
    assert outcome.code == 1 and "too hopeful" in outcome.out and "failed with score" in outcome.out, outcome


def test_what_cannot_be_run_is_exit_9_and_nothing_to_check_is_said(project: Callable[..., Any]) -> None:
    here = project({"skill": skill(verifier_py="import os; os._exit(1)"), "text": {"SKILL.md": skill()["SKILL.md"]}})
    here.run("selftest", "./skill", "--yes").fails(9, "serving cannot be run", "exited with code 1")
    assert "nothing to check" in here.run("selftest", "./text").ok().err
    here.run("selftest").fails(2, "no skill is installed")

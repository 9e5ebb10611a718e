"""``skillpm selftest`` as a person and a program see it; what each claim catches is tested in tests/ops."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from skillpm.runtime.claims import CLAIMS
from tests.conftest import ROOT

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
OTHER = {"tool": "stop", "args": {"port": 9, "host": "ab", "quiet": True}}
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
HEAD = "import itertools, json, os, random, time\nfrom skillpm import RewardFunction, Verdict, hookimpl\n"


def lines(*items: dict[str, Any]) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


def skill(**files: str) -> dict[str, str]:
    return {
        "SKILL.md": "---\nname: serving\ndescription: Serve things.\n---\nUse serve.\n",
        "skill.yaml": "manifest: 1\nversion: 1.0.0\n",
        "contract.yaml": CONTRACT,
        "seeds/seeds.jsonl": lines({"request": "serve on 8123", "expected": GOLD}),
        "suites/core.yaml": f"name: core\ntasks:\n  - request: stop the quiet one\n    expected: {json.dumps(OTHER)}\n",
        "cases.jsonl": lines(*PROMISES),
        **{name.replace("_py", ".py"): text for name, text in files.items()},
    }


def whole(body: str) -> str:
    return f"{HEAD}def verify(attempts, contract):\n    {body}\n"


def test_verdicts_of_real_workers_are_compared(project: Callable[..., Any]) -> None:
    """A verifier that knows its process gives other verdicts in another one."""
    body = "return [a.verdict.model_copy(update={'reasons': (str(os.getpid()),)}) for a in attempts]"
    outcome = project({"skill": skill(verifier_py=whole(body))}).run("selftest", "./skill", "--yes", "--json")
    assert outcome.code == 1, outcome
    (report,) = outcome.document["skills"]
    assert {item["code"] for item in report["findings"]} == {"SK734"}
    claims = {claim["code"]: claim for claim in report["claims"]}
    assert claims["SK734"]["failed"] == claims["SK734"]["checked"] > 100 and claims["SK751"]["failed"] == 0


def test_broken_claims_are_told_to_people_and_in_sarif(project: Callable[..., Any]) -> None:
    wrong = {**PROMISES[0], "name": "too hopeful", "completion": "{}"}
    here = project({"skill": {**skill(), "cases.jsonl": "\n" + lines(wrong)}})
    outcome = here.run("selftest", "./skill")
    assert outcome.code == 1 and "SK701" in outcome.out and "too hopeful" in outcome.out, outcome
    assert "serving/cases.jsonl:2: error SK701" in outcome.out
    log = here.call("selftest", "./skill", "--sarif").document
    (result,) = log["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (result["ruleId"], place["region"]["startLine"]) == ("SK701", 2)
    assert place["artifactLocation"]["uri"] == "skill/cases.jsonl"


def test_every_claim_is_listed_and_stands_on_its_page(project: Callable[..., Any]) -> None:
    page = (ROOT / "docs" / "selftest.md").read_text(encoding="utf-8")
    for claim in CLAIMS.values():
        assert f"| {claim.code} | {claim.title} | {claim.what} |" in page
    listed = project().call("selftest", "--rules", "--json").ok().document
    assert [claim["code"] for claim in listed] == sorted(CLAIMS)


def test_what_cannot_be_run_is_exit_9_and_nothing_to_check_is_said(project: Callable[..., Any]) -> None:
    here = project({"skill": skill(verifier_py="import os; os._exit(1)"), "text": {"SKILL.md": skill()["SKILL.md"]}})
    here.run("selftest", "./skill", "--yes").fails(9, "serving cannot be run", "exited with code 1")
    assert "nothing to check" in here.run("selftest", "./text").ok().err
    here.run("selftest").fails(2, "no skill is installed")

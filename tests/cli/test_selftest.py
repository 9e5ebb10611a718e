"""``skillpm selftest`` as a person and a program see it; what each claim catches is tested in tests/ops."""

from __future__ import annotations

import time

import pytest

from skillpm.selftest.claims import CLAIMS
from tests.conftest import ROOT
from tests.serving import PROMISES, lines, skill, whole
from tests.shop import MakeProject


def test_verdicts_of_real_workers_are_compared(project: MakeProject) -> None:
    """A verifier that knows its process gives other verdicts in another one."""
    # Process numbers do not do: where processes have a namespace of their own, each worker has the same one.
    mine = "os.environ.setdefault('MINE', os.urandom(8).hex())"
    body = f"return [a.verdict.model_copy(update={{'reasons': ({mine},)}}) for a in attempts]"
    outcome = project({"skill": skill(verifier_py=whole(body))}).call("selftest", "./skill", "--yes", "--json")
    assert outcome.code == 1, outcome
    (report,) = outcome.document["skills"]
    assert {item["code"] for item in report["findings"]} == {"SK734"}
    claims = {claim["code"]: claim for claim in report["claims"]}
    assert claims["SK734"]["failed"] == claims["SK734"]["checked"] > 100 and claims["SK751"]["failed"] == 0


def test_broken_claims_are_told_to_people_and_in_sarif(project: MakeProject) -> None:
    wrong = {**PROMISES[0], "name": "too hopeful", "completion": "{}"}
    here = project({"skill": {**skill(), "cases.jsonl": "\n" + lines(wrong)}})
    outcome = here.call("selftest", "./skill")
    assert outcome.code == 1 and "SK701" in outcome.out and "too hopeful" in outcome.out, outcome
    assert "serving/cases.jsonl:2: error SK701" in outcome.out
    log = here.call("selftest", "./skill", "--sarif").document
    (result,) = log["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (result["ruleId"], place["region"]["startLine"]) == ("SK701", 2)
    assert place["artifactLocation"]["uri"] == "skill/cases.jsonl"


def test_every_claim_is_listed_and_stands_on_its_page(project: MakeProject) -> None:
    page = (ROOT / "docs" / "selftest.md").read_text(encoding="utf-8")
    for claim in CLAIMS.values():
        assert f"| {claim.code} | {claim.title} | {claim.what} |" in page
    listed = project().call("selftest", "--rules", "--json").ok().document
    assert [claim["code"] for claim in listed] == sorted(CLAIMS)


def test_what_cannot_be_run_is_exit_9_and_nothing_to_check_is_said(project: MakeProject) -> None:
    here = project({"skill": skill(verifier_py="import os; os._exit(1)"), "text": {"SKILL.md": skill()["SKILL.md"]}})
    here.call("selftest", "./skill", "--yes").fails(9, "serving cannot be run", "exited with code 1")
    assert "nothing to check" in here.call("selftest", "./text").ok().err
    here.call("selftest").fails(2, "no skill is installed")


@pytest.mark.slow
def test_a_verifier_that_hangs_is_refused_after_one_answer_whatever_it_promises(project: MakeProject) -> None:
    manifest = "manifest: 1\nversion: 1.0.0\nverifier: {seconds: 2}\n"
    here = project({"skill": {**skill(verifier_py=whole("__import__('time').sleep(3600)")), "skill.yaml": manifest}})
    began = time.monotonic()
    done = here.call("selftest", "./skill", "--yes").fails(1)
    assert time.monotonic() - began < 120 and "SK751" in done.out and "SK761" not in done.out


def test_claims_for_which_there_was_nothing_to_look_at_stand_in_no_table(project: MakeProject) -> None:
    raising = skill(verifier_py=whole("raise OSError('out')"))
    bare = {name: text for name, text in skill().items() if not name.startswith(("seeds", "suites", "cases"))}
    here = project({"raising": raising, "bare": bare})
    outcome = here.call("selftest", "./raising", "--yes")
    assert outcome.code == 1 and "SK751" in outcome.out and "SK731" not in outcome.out, outcome
    assert "serving: no answer got a verdict, so not checked: SK731, SK732, SK733, SK734, SK761" in outcome.err
    outcome = here.call("selftest", "./bare").ok()
    assert outcome.out == "" and "serving: nothing to check with; write cases.jsonl, seeds or suites" in outcome.err

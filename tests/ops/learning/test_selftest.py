"""The gate: verifiers that can be fooled, each caught by the claim that should catch it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from skillpm.selftest.claims import CLAIMS
from tests.gate import examined
from tests.serving import HEAD, OTHER, PROMISES, TEXT, lines, skill, whole

ReportOf = Callable[[dict[str, str]], dict[str, Any]]

PASS = "Verdict(status='passed', score=1.0)"
FAIL = "Verdict(status='failed', score=0.0)"


def each(rule: str) -> str:
    """Return a verifier.py that judges each attempt ``a`` by an expression; ``x`` is the completion."""
    function = f"def one(a, x):\n    {rule}\n"
    return f"{HEAD}{function}def verify(attempts, contract):\n    return [one(a, a.completion) for a in attempts]\n"


@pytest.fixture(scope="module")
def report_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[dict[str, str]], dict[str, Any]]]:
    """Return ``report_of(files)``: what the gate says of a skill with these files, which it is asked once."""
    before = set(sys.modules)
    reports: dict[str, dict[str, Any]] = {}

    def make(files: dict[str, str]) -> dict[str, Any]:
        key = json.dumps(files)
        if key not in reports:
            reports[key] = examined(tmp_path_factory.mktemp("gate") / "serving", files).document()
        return reports[key]

    yield make
    for name in [name for name in sys.modules if name.startswith("_skillpm_") and name not in before]:
        del sys.modules[name]


def test_a_contract_keeps_its_promises_and_every_claim_is_checked(report_of: ReportOf) -> None:
    report = report_of(skill())
    assert report["ok"] and report["findings"] == [] and report["verifier"] == "contract.yaml"
    claims = {claim["code"]: claim["checked"] for claim in report["claims"]}
    of_code = {"SK735", "SK743", "SK744"}  # a contract alone neither counts nor pays in ways of its own
    of_kinds = {"SK728"}  # this one has calls alone
    assert set(claims) == set(CLAIMS) - of_code - of_kinds
    assert claims["SK701"] == 4 and claims["SK711"] == 2
    assert min(claims[code] for code in ("SK721", "SK722", "SK723")) >= 20


FOOLABLE = {
    "counts a claim of success": (
        each(f"return {PASS} if 'reward' in x else a.verdict"), "SK721", "reward",
    ),
    "passes whatever is empty": (each(f"return {PASS} if not x.strip() else a.verdict"), "SK721", ""),
    "pays for trying": (
        each("return Verdict(status='failed', score=0.3) if 'S' in x else a.verdict"), "SK721", "S",
    ),
    "finds the answer anywhere": (
        each(f"return {PASS} if json.dumps(a.expected) in x else a.verdict"), "SK722", None,
    ),
    "reads the last of several": (
        each(
            f"last = x.strip().splitlines()[-1] if x.strip() else x\n"
            f"    return {PASS} if x.count('{{') < 6 and last == json.dumps(a.expected) else a.verdict"
        ),
        "SK722", None,
    ),
    "looks at the tool alone": (
        each("c = a.verdict.components\n    right = c['only_json'] and c['schema_valid'] and c['tool']\n"
             f"    return {PASS} if right else a.verdict"),
        "SK723", None,
    ),
    "knows one answer for all": (
        each(f"return {PASS} if x in ({TEXT!r}, {json.dumps(OTHER)!r}) else a.verdict"), "SK724", None,
    ),
    "folds look-alikes": (
        each(f"import unicodedata\n    y = unicodedata.normalize('NFKC', x).replace('\\u200b', '')\n"
             f"    return {PASS} if y == json.dumps(a.expected) else a.verdict"),
        "SK725", None,
    ),
    "misses what is right": (
        each(f"return {FAIL} if a.verdict.status == 'passed' else a.verdict"), "SK711", json.dumps(OTHER),
    ),
    "draws lots": (
        each("return Verdict(status='failed', score=random.random() / 100) if a.verdict.status == 'failed' "
             "else a.verdict"),
        "SK731", "",
    ),
    "looks at the neighbour in front": (
        whole("return [a.verdict if a.verdict.status == 'passed' or not n or attempts[n - 1].completion != 'null' "
              f"else {FAIL} for n, a in enumerate(attempts)]"),
        "SK732", None,
    ),
    "is strict with a crowd": (
        whole(f"return [a.verdict if len(attempts) > 64 or a.verdict.status == 'passed' else {FAIL} "
              "for a in attempts]"),
        "SK733", None,
    ),
    "breaks on a value that is no number": (
        each("if a.verdict.components.get('only_json'):\n        int(json.loads(x)['args']['port'] or 0)\n"
             "    return a.verdict"),
        "SK751", None,
    ),
    "breaks on a quote": (each("assert '\"x\"' not in x and '😀' not in x\n    return a.verdict"), "SK751", '"x"'),
}  # fmt: skip


@pytest.mark.parametrize("deed", FOOLABLE)
def test_a_verifier_that_can_be_fooled_is_caught_by_the_claim_for_it(report_of: ReportOf, deed: str) -> None:
    source, code, completion = FOOLABLE[deed]
    report = report_of(skill(verifier_py=source))
    found = {item["code"]: item["counterexample"]["completion"] for item in reversed(report["findings"])}
    assert code in found, report["findings"]
    if completion is not None:
        assert found[code] == completion


def test_a_counterexample_is_the_smallest_answer_that_shows_it(report_of: ReportOf) -> None:
    """Of the batch that fools it, the neighbour that matters; of the fuzzed answer, the character."""
    source, _, _ = FOOLABLE["looks at the neighbour in front"]
    report = report_of(skill(verifier_py=source))
    finding = next(item for item in report["findings"] if item["code"] == "SK732")
    assert finding["counterexample"]["among"] == ["null"]

    source = each(f"return {PASS} if 'rm' in x and {TEXT!r} in x else a.verdict")
    report = report_of({**skill(verifier_py=source), "cases.jsonl": ""})
    finding = next(item for item in report["findings"] if item["code"] == "SK722")
    assert (finding["path"], finding["line"]) == ("seeds/seeds.jsonl", 1)
    assert finding["counterexample"]["completion"] == f"{TEXT}rm"


REWARDS = """
@hookimpl
def skillpm_rewards(skill):
    yield RewardFunction("generous", lambda task, episode, verdict: 10.0 if verdict.score == 1 else 0.0)
    yield RewardFunction("brittle", lambda task, episode, verdict: 1 / len(episode.completion))
"""


def test_rewards_are_bounded_and_never_fail(report_of: ReportOf) -> None:
    report = report_of(skill(plugin_py=HEAD + REWARDS))
    found = {item["code"]: item for item in report["findings"]}
    assert set(found) == {"SK741", "SK742", "SK743"}
    assert (
        "reward `generous` of plugin.py paid 10" in found["SK741"]["seen"]
        and "ZeroDivisionError" in found["SK742"]["seen"]
    )
    assert found["SK742"]["counterexample"]["completion"] == ""


def test_a_verifier_that_is_slow_with_a_right_answer_is_refused_without_thousands_of_others(
    report_of: ReportOf,
) -> None:
    manifest = "manifest: 1\nversion: 1.0.0\nverifier: {seconds: 0.02}\n"
    source = each("time.sleep(0.05)\n    return a.verdict")
    report = report_of({**skill(verifier_py=source), "skill.yaml": manifest})
    (finding,) = report["findings"]
    assert finding["code"] == "SK761" and "but skill.yaml promises 0.02 s" in finding["seen"]
    assert sum(claim["checked"] for claim in report["claims"]) == 1


@pytest.mark.slow
def test_a_verdict_that_takes_longer_than_promised_is_told(report_of: ReportOf) -> None:
    source = each("x == 'null' and time.sleep(0.6)\n    return a.verdict")
    report = report_of({**skill(verifier_py=source), "suites/core.yaml": "name: core\ntasks: []\n"})
    (finding,) = report["findings"]
    assert finding["code"] == "SK761" and "but skill.yaml promises 0.5 s" in finding["seen"]
    assert finding["counterexample"]["completion"] == "null"


def test_what_a_verifier_promises_is_declared_in_the_manifest(report_of: ReportOf) -> None:
    """A verifier that pays for trying may say so; one that says less than it does is caught."""
    source = each("return Verdict(status='failed', score=0.3) if a.verdict.score < 0.3 else a.verdict")
    wide = "manifest: 1\nversion: 1.0.0\nverifier: {idle_at_most: 0.3, wrong_at_most: 0.85, seconds: 5}\n"
    cases = {"cases.jsonl": lines(PROMISES[0])}
    assert report_of({**skill(verifier_py=source), **cases, "skill.yaml": wide})["ok"]
    narrow = report_of({**skill(verifier_py=source), **cases})
    assert {item["code"] for item in narrow["findings"]} >= {"SK721", "SK722"}
    assert "at most 0.1 was promised" in narrow["findings"][0]["seen"]


def test_a_verifier_without_a_contract_is_probed_too(report_of: ReportOf) -> None:
    files = {name: text for name, text in skill().items() if name not in ("contract.yaml", "cases.jsonl")}
    seeds = lines({"request": "2 + 3", "expected": "5"}, {"request": "capital of France", "expected": "Paris"})
    files = {**files, "seeds/seeds.jsonl": seeds, "suites/core.yaml": "name: core\ntasks: []\n"}
    right = each(f"return {PASS} if x.strip() == str(a.expected) else {FAIL}")
    assert report_of({**files, "verifier.py": right})["ok"]
    fooled = each(f"return {PASS} if x else {FAIL}")
    found = {item["code"] for item in report_of({**files, "verifier.py": fooled})["findings"]}
    assert found == {"SK721", "SK723", "SK724", "SK726", "SK727"}


def test_a_verifier_that_knows_another_spelling_is_not_blamed(report_of: ReportOf) -> None:
    """A verifier may take false for null and a default for nothing said."""
    code = each(f"return {PASS} if a.verdict.status == 'ambiguous' else a.verdict")
    assert report_of(skill(verifier_py=code))["ok"]

"""Whose code may run, from the command line: shown, agreed to, listed, taken back; and how it is confined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.shop import MakeProject

CODE = """
from skillpm.plugin import Verdict


def verify(attempts, contract):
    return [Verdict(status="failed", score=0.0) for attempt in attempts]
"""
ROW = '{"expected": {}, "completion": "x"}\n'


def skill(name: str = "demo", manifest: str = "") -> dict[str, Any]:
    return {
        "SKILL.md": f"---\nname: {name}\ndescription: Shows {name}. Use when testing.\n---\nDo it.\n",
        "skill.yaml": f"manifest: 1\nversion: '1.0'\n{manifest}",
        "verifier.py": CODE,
        "rows.jsonl": ROW,
    }


def test_code_that_nobody_agreed_to_does_not_run_and_what_it_would_get_is_said(project: MakeProject) -> None:
    place = project({"demo": skill(manifest="permissions: {network: true, run: [df]}\n")})
    outcome = place.call("score", "./demo", "demo/rows.jsonl")
    outcome.fails(6, "nobody has agreed", "verifier.py", "the network, the command df", "--yes")
    assert place.call("trust", "list", "--json").ok().document["granted"] == []


def test_a_consent_is_listed_and_taken_back(project: MakeProject) -> None:
    place = project({"demo": skill(), "other": skill("other")})
    for name in ("demo", "other"):
        place.call("selftest", f"./{name}", "--yes")
    granted = place.call("trust", "list", "--json").ok().document["granted"]
    assert [(item["skill"], item["by"], item["files"]) for item in granted] == [
        ("demo 1.0", "--yes", ["verifier.py"]),
        ("other 1.0", "--yes", ["verifier.py"]),
    ]
    assert "demo 1.0" in place.call("trust", "list").ok().out
    place.call("trust", "revoke", "nobody").fails(2, "no consent for `nobody`", "skillpm trust list")
    place.call("trust", "revoke").fails(2, "--all")
    revoked = place.call("trust", "revoke", granted[0]["tree"][:12], "--json").ok().document["revoked"]
    assert [item["skill"] for item in revoked] == ["demo 1.0"]
    place.call("score", "./demo", "demo/rows.jsonl").fails(6, "nobody has agreed")
    assert "revoked other 1.0" in place.call("trust", "revoke", "--all").ok().err
    assert place.call("trust", "list", "--json").ok().document["granted"] == []


def test_the_environment_can_agree_and_a_project_can_only_be_stricter(project: MakeProject) -> None:
    place = project({"demo": skill()})
    score = ("score", "./demo", "demo/rows.jsonl")
    place.call(*score, SKILLPM_CONSENT="always").ok()
    place.write({"skillpm.yaml": "project: 1\npolicy: {consent: never}\n"})
    place.call(*score, SKILLPM_CONSENT="always").fails(6, "policy forbids the code of")
    place.call(*score, "--yes").fails(6, "policy forbids the code of", "policy.consent")
    place.write({"skillpm.yaml": "project: 1\npolicy: {consent: always}\n", "demo/more.md": "x"})
    place.call(*score).fails(6, "nobody has agreed")
    place.call(*score, SKILLPM_CONSENT="sure").fails(2, "SKILLPM_CONSENT", "never, ask, locked, always")


def test_what_stands_in_the_lock_can_be_agreed_to_as_a_whole(project: MakeProject) -> None:
    place = project({"demo": skill(), "other": skill("other")})
    place.call("install", "./demo").ok()
    place.call("score", "demo", "demo/rows.jsonl").fails(6, "nobody has agreed")
    place.call("score", "demo", "demo/rows.jsonl", SKILLPM_CONSENT="locked").ok()
    place.call("score", "./other", "demo/rows.jsonl", SKILLPM_CONSENT="locked").fails(6, "nobody has agreed")
    (granted,) = place.call("trust", "list", "--json").ok().document["granted"]
    assert (granted["skill"], granted["by"]) == ("demo 1.0", "policy")


def test_policies_are_shown_with_the_place_that_says_them(project: MakeProject) -> None:
    place = project({"skillpm.yaml": "project: 1\npolicy: {network: false, run: [df], sandbox: require}\n"})
    rows = place.call("config", "--json", SKILLPM_WORKERS="3").ok().document["settings"]
    found = {item["name"]: (item["value"], item["origin"]) for item in rows}
    assert found["policy.network"] == (False, "skillpm.yaml:2")
    assert found["policy.run"] == ([["df"]], "skillpm.yaml:2")
    assert found["policy.consent"] == ("ask", "default")
    assert found["sandbox"] == ("require", "skillpm.yaml:2")
    assert found["workers"] == (3, "environment SKILLPM_WORKERS")


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [("SKILLPM_WORKERS", "0", "not a number of workers"), ("SKILLPM_SANDBOX", "strong", "not one of auto, require")],
)
def test_a_wrong_value_is_named_with_its_variable(project: MakeProject, variable: str, value: str, text: str) -> None:
    typed: dict[str, Any] = {variable: value}
    project().call("config", **typed).fails(2, variable, text)


def test_a_sandbox_that_is_required_is_not_fallen_back_from(project: MakeProject, tmp_path: Path) -> None:
    """A level that this machine does not have is refused, not replaced; here without any bwrap on the path."""
    place = project({"demo": skill()})
    place.run("score", "./demo", "demo/rows.jsonl", "--yes", "--sandbox", "bubblewrap", PATH=str(tmp_path)).fails(
        6, "no bubblewrap"
    )

"""``skillpm doctor``: what this machine can do, without importing what it asks about."""

from __future__ import annotations

from skillpm.sandbox.sandbox import choose
from tests.shop import MakeProject


def test_everything_is_told_with_a_level_and_a_hint_where_it_is_not_ok(project: MakeProject) -> None:
    here = project({".claude": {}})
    document = here.run("doctor", "--json").ok().document
    checks = {check["name"]: check for check in document["checks"]}
    assert {
        "python",
        "platform",
        "cores",
        "memory",
        "torch",
        "trl",
        "peft",
        "accelerator",
        "pip",
        "environments of skills",
    } <= set(checks)
    assert document["ok"], "a warning is no error"
    assert {check["level"] for check in checks.values()} <= {"ok", "warning"}
    assert all(bool(check["hint"]) is (check["level"] != "ok") for check in checks.values())
    assert checks["sandbox of skill code"]["found"] == str(choose())
    assert "it does not stop" in checks["sandbox of skill code"]["note"]
    assert checks["agents"]["found"] == "Claude Code"
    assert "python" in here.run("doctor").ok().out


def test_a_damaged_project_is_an_error_that_is_told_with_all_else(project: MakeProject) -> None:
    here = project({"skillpm.lock": "not json"})
    document = here.run("doctor", "--json").fails(1).document
    checks = {check["name"]: check for check in document["checks"]}
    assert not document["ok"] and "pip" in checks
    assert checks["installed skills"]["level"] == "error" and "skillpm.lock" in checks["installed skills"]["found"]
    told = here.run("doctor").fails(1, "1 error, ")
    assert "hint: installed skills: " in told.out or checks["installed skills"]["hint"] is None


def test_torch_is_not_imported(project: MakeProject) -> None:
    here = project({"torch.py": "raise SystemExit('torch was imported')"})
    here.run("doctor", PYTHONPATH=f"{here.root}:{here.environment['PYTHONPATH']}").ok()
